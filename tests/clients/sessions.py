"""Temporary credentials for tests: clients that sign with them."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config

from tests.harness import REGION, Gateway


def client_with(gateway: Gateway, service: str, credentials: dict[str, str], **config: Any) -> Any:
    """A client that signs with `Credentials` of an STS answer, or with an access key that has no token."""
    return boto3.client(
        service,
        endpoint_url=gateway.endpoint_url,
        region_name=REGION,
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )


def policy_of(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})

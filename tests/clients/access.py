"""What tests of access control share: buckets that others may be let into, bucket policies, and clients of nobody."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from tests.clients.conftest import make_bucket
from tests.harness import REGION, Gateway

EVERYONE = "*"


def open_bucket(s3: Any) -> str:
    """A bucket without anything that keeps its owner from letting others in."""
    name = make_bucket(s3)
    s3.delete_public_access_block(Bucket=name)
    return name


def take_customer_keys(s3: Any, bucket: str, *, take: bool = True) -> str:
    """Let objects by SSE-C be written into a bucket, or not."""
    rule = {"BlockedEncryptionTypes": {"EncryptionType": ["NONE" if take else "SSE-C"]}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return bucket


def statement(effect: str, principal: object, *actions: str, on: str | list[str], **condition: Any) -> dict[str, Any]:
    """`on` names a bucket, or a bucket and keys, without the ARN's prefix."""
    resources = [on] if isinstance(on, str) else on
    made = {
        "Effect": effect,
        "Principal": principal,
        "Action": list(actions),
        "Resource": [f"arn:aws:s3:::{each}" for each in resources],
    }
    return {**made, "Condition": condition} if condition else made


def policy_text(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def put_policy(s3: Any, bucket: str, *statements: dict[str, Any]) -> None:
    s3.put_bucket_policy(Bucket=bucket, Policy=policy_text(*statements))


def anonymous_client(gateway: Gateway) -> Any:
    """A client that signs nothing."""
    return boto3.client(
        "s3",
        endpoint_url=gateway.endpoint_url,
        region_name=REGION,
        config=Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )

"""Users of a running gateway for tests: made by the commands of `sealgate`, while it serves."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from tests.harness import REGION, Gateway


@dataclass(frozen=True, slots=True)
class TestUser:
    """A user with one access key."""

    __test__ = False

    gateway: Gateway
    account_id: str
    name: str
    arn: str
    access_key_id: str
    secret_access_key: str

    def client(self, service: str, **config: Any) -> Any:
        return client_of(self.gateway, service, self.access_key_id, self.secret_access_key, **config)

    def put_policy(self, *statements: dict[str, Any], name: str = "p") -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        command = ("user", "policy", "put", str(self.gateway.data), self.name, name, "-", "--account", self.account_id)
        self.gateway.sealgate(*command, text=document)

    def delete_policy(self, name: str = "p") -> None:
        self.gateway.sealgate(
            "user", "policy", "delete", str(self.gateway.data), self.name, name, "--account", self.account_id
        )


@dataclass(frozen=True, slots=True)
class TestAccount:
    """An account, and an access key of its root user."""

    __test__ = False

    gateway: Gateway
    account_id: str
    canonical_id: str
    access_key_id: str
    secret_access_key: str

    def client(self, service: str, **config: Any) -> Any:
        return client_of(self.gateway, service, self.access_key_id, self.secret_access_key, **config)

    def make_user(self, *statements: dict[str, Any]) -> TestUser:
        return make_user(self.gateway, *statements, account_id=self.account_id)


def make_account(gateway: Gateway) -> TestAccount:
    data = str(gateway.data)
    account = told(gateway, "account", "create", data, f"account-{uuid.uuid4()}")
    key = told(gateway, "access-key", "create", data, "--account", account["AccountId"])
    return TestAccount(
        gateway, account["AccountId"], account["CanonicalId"], key["AccessKeyId"], key["SecretAccessKey"]
    )


def client_of(gateway: Gateway, service: str, access_key_id: str, secret_access_key: str, **config: Any) -> Any:
    """A client of its own connections: new ones spread over the workers."""
    return boto3.client(
        service,
        endpoint_url=gateway.endpoint_url,
        region_name=REGION,
        aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}, **config),
    )


def make_user(gateway: Gateway, *statements: dict[str, Any], account_id: str | None = None) -> TestUser:
    """A user of the first account unless another is named, with one inline policy if statements are given."""
    account = account_id or accounts(gateway)[0]
    data = str(gateway.data)
    name = f"user-{uuid.uuid4()}"
    made = told(gateway, "user", "create", data, name, "--account", account)
    key = told(gateway, "access-key", "create", data, "--user", name, "--account", account)
    user = TestUser(gateway, account, name, made["Arn"], key["AccessKeyId"], key["SecretAccessKey"])
    if statements:
        user.put_policy(*statements)
    return user


def accounts(gateway: Gateway) -> list[str]:
    """Their ids; the one that `sealgate init` made first."""
    found = sorted(told(gateway, "account", "list", str(gateway.data)), key=lambda each: str(each["Created"]))
    return [str(each["AccountId"]) for each in found]


def told(gateway: Gateway, *arguments: str) -> Any:
    return json.loads(gateway.sealgate(*arguments, "--json").stdout)


def allow(*actions: str, on: str | list[str] = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


def deny(*actions: str, on: str | list[str] = "*") -> dict[str, Any]:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on}

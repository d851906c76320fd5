"""Accounts: what they are called, and what is left of one that is suspended."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest

from tests.clients.access import EVERYONE, anonymous_client, open_bucket, put_policy, statement
from tests.clients.checks import refusal
from tests.clients.conftest import make_bucket
from tests.clients.users import TestAccount, allow, make_account, make_user
from tests.harness import REGION, Gateway, wait_until


@pytest.fixture
def account(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


def test_an_account_is_told_by_its_new_name(gateway: Gateway, account: TestAccount) -> None:
    s3 = account.client("s3")
    before = s3.list_buckets()["Owner"]
    gateway.sealgate("account", "update", str(gateway.data), account.account_id, "--name", "renamed")
    wait_until(lambda: s3.list_buckets()["Owner"]["DisplayName"] == "renamed", "the name is asked for anew")
    assert s3.list_buckets()["Owner"]["ID"] == before["ID"] == account.canonical_id


def test_a_suspended_accounts_principals_are_refused(gateway: Gateway, account: TestAccount) -> None:
    user = account.make_user(allow("*"))
    bucket = make_bucket(account.client("s3"))
    calls: list[tuple[Any, str]] = []
    for who in (account, user):
        calls += [
            (who.client("s3").list_buckets, "InvalidAccessKeyId"),
            (who.client("kms").list_keys, "UnrecognizedClientException"),
            (who.client("iam").list_users, "InvalidClientTokenId"),
            (who.client("sts").get_caller_identity, "InvalidClientTokenId"),
        ]
    for call, _ in calls:
        call()
    gateway.sealgate("account", "suspend", str(gateway.data), account.account_id)
    for call, code in calls:
        assert refusal(call)[1] == code
    gateway.sealgate("account", "activate", str(gateway.data), account.account_id)
    for call, _ in calls:
        call()
    assert [each["Name"] for each in user.client("s3").list_buckets()["Buckets"]] == [bucket]


def test_the_buckets_of_a_suspended_account_are_closed_to_all(gateway: Gateway, account: TestAccount, s3: Any) -> None:
    own = account.client("s3")
    bucket = open_bucket(own)
    put_policy(own, bucket, statement("Allow", EVERYONE, "s3:*", on=[bucket, f"{bucket}/*"]))
    own.put_object(Bucket=bucket, Key="k", Body=b"kept")
    mine = make_bucket(s3)
    source = {"Bucket": bucket, "Key": "k"}
    gateway.sealgate("account", "suspend", str(gateway.data), account.account_id)
    for client in (s3, anonymous_client(gateway)):
        assert refusal(client.get_object, Bucket=bucket, Key="k") == (403, "AllAccessDisabled")
        assert refusal(client.list_objects_v2, Bucket=bucket) == (403, "AllAccessDisabled")
        assert refusal(client.put_object, Bucket=bucket, Key="k") == (403, "AllAccessDisabled")
    assert refusal(s3.copy_object, Bucket=mine, Key="k", CopySource=source) == (403, "AllAccessDisabled")
    gateway.sealgate("account", "activate", str(gateway.data), account.account_id)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"kept"


def test_sessions_of_a_suspended_accounts_roles_are_refused(gateway: Gateway, account: TestAccount) -> None:
    """Those that were made before, and new ones."""
    caller = make_user(gateway, allow("sts:AssumeRole"))
    trusted = {"Effect": "Allow", "Principal": {"AWS": caller.arn}, "Action": "sts:AssumeRole"}
    iam, sts = account.client("iam"), caller.client("sts")
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    role = iam.create_role(RoleName="guest", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="guest", PolicyArn="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    made = sts.assume_role(RoleArn=role, RoleSessionName="guest")["Credentials"]
    session = boto3.client(
        "s3",
        endpoint_url=gateway.endpoint_url,
        region_name=REGION,
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )
    session.list_buckets()
    gateway.sealgate("account", "suspend", str(gateway.data), account.account_id)
    assert refusal(session.list_buckets) == (403, "InvalidAccessKeyId")
    assert refusal(sts.assume_role, RoleArn=role, RoleSessionName="guest") == (403, "AccessDenied")
    gateway.sealgate("account", "activate", str(gateway.data), account.account_id)
    session.list_buckets()

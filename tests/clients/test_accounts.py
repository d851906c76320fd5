"""Accounts: what they are called, and what is left of one that is suspended."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.conftest import make_bucket
from tests.clients.users import TestAccount, allow, make_account
from tests.harness import Gateway, wait_until


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

"""Grants through boto3: made, listed, retired, revoked, with tokens."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.clients.users import make_user
from tests.harness import Gateway

WORKER = "arn:aws:iam::444455556666:role/worker"


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture(scope="module")
def root_arn(kms_key: str) -> str:
    return f"arn:aws:iam::{kms_key.split(':')[4]}:root"


def test_a_grant_is_listed_as_it_was_made(kms: Any, key: str, root_arn: str) -> None:
    constraints = {"EncryptionContextSubset": {"team": "red"}}
    made = kms.create_grant(
        KeyId=key,
        GranteePrincipal=WORKER,
        RetiringPrincipal=root_arn,
        Operations=["Decrypt", "GenerateDataKey"],
        Constraints=constraints,
        Name="for-worker",
    )
    (grant,) = kms.list_grants(KeyId=key)["Grants"]
    assert abs(grant.pop("CreationDate") - datetime.now(UTC)) < timedelta(minutes=5)
    assert grant == {
        "KeyId": key,
        "GrantId": made["GrantId"],
        "Name": "for-worker",
        "GranteePrincipal": WORKER,
        "RetiringPrincipal": root_arn,
        "IssuingAccount": root_arn,
        "Operations": ["Decrypt", "GenerateDataKey"],
        "Constraints": constraints,
    }
    assert len(made["GrantId"]) == 64


def test_the_same_name_gives_the_same_grant_and_a_new_token(kms: Any, key: str) -> None:
    wanted = {"KeyId": key, "GranteePrincipal": WORKER, "Operations": ["Encrypt"], "Name": "n"}
    one, other = kms.create_grant(**wanted), kms.create_grant(**wanted)
    assert one["GrantId"] == other["GrantId"]
    assert one["GrantToken"] != other["GrantToken"]
    assert len(kms.list_grants(KeyId=key)["Grants"]) == 1


def test_pages_and_filters(kms: Any, key: str) -> None:
    principals = [f"arn:aws:iam::444455556666:user/u{n}" for n in range(5)]
    made = [
        kms.create_grant(KeyId=key, GranteePrincipal=each, Operations=["Encrypt"])["GrantId"] for each in principals
    ]
    pages = list(kms.get_paginator("list_grants").paginate(KeyId=key, PaginationConfig={"PageSize": 2}))
    assert [len(page["Grants"]) for page in pages] == [2, 2, 1]
    assert [page["Truncated"] for page in pages] == [True, True, False]
    assert [grant["GrantId"] for page in pages for grant in page["Grants"]] == made
    assert [each["GrantId"] for each in kms.list_grants(KeyId=key, GrantId=made[3])["Grants"]] == [made[3]]
    found = kms.list_grants(KeyId=key, GranteePrincipal=principals[1])["Grants"]
    assert [each["GrantId"] for each in found] == [made[1]]


def test_retirable_grants_of_several_keys(kms: Any, root_arn: str) -> None:
    account = root_arn.split(":")[4]
    retiring = f"arn:aws:iam::{account}:user/retiring-{datetime.now(UTC).timestamp()}"
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    for key in keys:
        kms.create_grant(KeyId=key, GranteePrincipal=WORKER, RetiringPrincipal=retiring, Operations=["Encrypt"])
    grants = kms.list_retirable_grants(RetiringPrincipal=retiring)["Grants"]
    assert [grant["KeyId"] for grant in grants] == keys


@pytest.mark.parametrize("by", ["token", "id", "revoking"])
def test_a_grant_ends(kms: Any, key: str, by: str) -> None:
    made = kms.create_grant(KeyId=key, GranteePrincipal=WORKER, Operations=["Encrypt"])
    if by == "token":
        kms.retire_grant(GrantToken=made["GrantToken"])
    elif by == "id":
        kms.retire_grant(KeyId=key, GrantId=made["GrantId"])
    else:
        kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])
    assert kms.list_grants(KeyId=key)["Grants"] == []
    assert refusal(kms.revoke_grant, KeyId=key, GrantId=made["GrantId"]) == (400, "NotFoundException")
    assert refusal(kms.retire_grant, GrantToken=made["GrantToken"]) == (400, "InvalidGrantTokenException")


def test_a_grant_permits_what_the_key_policy_does_not(kms: Any, root_arn: str) -> None:
    account = root_arn.split(":")[4]
    admin = {
        "Effect": "Allow",
        "Principal": {"AWS": account},
        "Action": ["kms:PutKeyPolicy", "kms:*Grant", "kms:ListGrants"],
        "Resource": "*",
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": admin})
    key = kms.create_key(Policy=text)["KeyMetadata"]["Arn"]
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == (400, "AccessDeniedException")
    made = kms.create_grant(KeyId=key, GranteePrincipal=root_arn, Operations=["Encrypt"])
    assert kms.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
    assert kms.encrypt(KeyId=key, Plaintext=b"x", GrantTokens=[made["GrantToken"]])["KeyId"] == key
    assert refusal(kms.describe_key, KeyId=key) == (400, "AccessDeniedException")
    kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == (400, "AccessDeniedException")


def test_a_dry_run_of_revoking_or_retiring_leaves_the_grant(gateway: Gateway, kms: Any, key: str) -> None:
    user = make_user(gateway)
    made = kms.create_grant(KeyId=key, GranteePrincipal=user.arn, Operations=["Encrypt"])
    grant = {"KeyId": key, "GrantId": made["GrantId"]}
    for call in (kms.revoke_grant, kms.retire_grant):
        assert refusal(call, **grant, DryRun=True) == (400, "DryRunOperationException")
        assert [each["GrantId"] for each in kms.list_grants(KeyId=key)["Grants"]] == [made["GrantId"]]
        assert user.client("kms").encrypt(KeyId=key, Plaintext=b"p")["KeyId"] == key
    kms.revoke_grant(**grant)
    assert refusal(user.client("kms").encrypt, KeyId=key, Plaintext=b"p") == (400, "AccessDeniedException")
    assert refusal(kms.revoke_grant, **grant, DryRun=True) == (400, "NotFoundException")


def test_a_revoked_grant_permits_nothing_once_that_is_answered(gateway: Gateway, kms: Any, root_arn: str) -> None:
    """Users go on all the time, through both workers; a call that begins after the answer never succeeds."""
    admin = {
        "Effect": "Allow",
        "Principal": {"AWS": root_arn},
        "Action": ["kms:PutKeyPolicy", "kms:*Grant"],
        "Resource": "*",
    }
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": admin}))["KeyMetadata"]["Arn"]
    made = kms.create_grant(KeyId=key, GranteePrincipal=root_arn, Operations=["Encrypt"])
    revoked, stop = threading.Event(), threading.Event()
    before: list[str] = []
    after: list[str] = []

    def use() -> None:
        client = gateway.client("kms")
        while not stop.is_set():
            outcomes = after if revoked.is_set() else before
            try:
                client.encrypt(KeyId=key, Plaintext=b"x")
                outcomes.append("ok")
            except client.exceptions.ClientError as error:
                outcomes.append(error.response["Error"]["Code"])

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    try:
        for _ in range(10):
            assert kms.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key
        kms.revoke_grant(KeyId=key, GrantId=made["GrantId"])
        revoked.set()
        for _ in range(20):
            assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == (400, "AccessDeniedException")
    finally:
        stop.set()
        for user in users:
            user.join()
    assert "ok" in before
    assert set(after) == {"AccessDeniedException"}


def test_refusals(kms: Any, key: str) -> None:
    good = {"KeyId": key, "GranteePrincipal": WORKER, "Operations": ["Encrypt"]}
    cases = [
        (kms.create_grant, good | {"GranteePrincipal": "worker"}, "InvalidArnException"),
        (kms.create_grant, good | {"Operations": ["Sign"]}, "ValidationException"),
        (kms.create_grant, good | {"GrantTokens": ["x"]}, "InvalidGrantTokenException"),
        (kms.create_grant, good | {"DryRun": True}, "DryRunOperationException"),
        (kms.create_grant, good | {"KeyId": "alias/aws/s3"}, "InvalidArnException"),
        (kms.list_grants, {"KeyId": key, "Marker": "x"}, "InvalidMarkerException"),
        (kms.list_grants, {"KeyId": key, "GrantId": "x"}, "InvalidGrantIdException"),
        (kms.list_retirable_grants, {"RetiringPrincipal": "x"}, "InvalidArnException"),
        (kms.retire_grant, {}, "ValidationException"),
        (kms.retire_grant, {"GrantToken": "x"}, "InvalidGrantTokenException"),
        (kms.revoke_grant, {"KeyId": key, "GrantId": "0" * 64}, "NotFoundException"),
    ]
    for call, parameters, code in cases:
        assert refusal(call, **parameters) == (400, code)
    assert error_of(kms.retire_grant)["Error"]["Message"] == "Grant token OR (grant ID, key ID) must be specified"
    kms.disable_key(KeyId=key)
    assert refusal(kms.create_grant, **good) == (400, "DisabledException")

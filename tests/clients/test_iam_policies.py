"""Managed policies and permissions boundaries by boto3: what they allow in S3 and the KMS, in every worker."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.test_iam_users import document, make_key, signing
from tests.clients.test_users import REQUESTS, code
from tests.clients.users import allow
from tests.harness import Gateway, running_gateway

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
FULL = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("policies"), root="file", workers=2) as made:
        client = made.client("s3")
        client.create_bucket(Bucket="data")
        client.put_object(Bucket="data", Key="k", Body=b"body")
        yield made


@pytest.fixture(scope="module")
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


def test_what_is_attached_is_in_force_when_it_is_answered(gateway: Gateway, iam: Any) -> None:
    name = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name)
    key = make_key(iam, name)
    made = iam.create_policy(PolicyName=f"own-{uuid.uuid4()}", PolicyDocument=document(allow("s3:GetObject")))
    arn = made["Policy"]["Arn"]
    attached, bounded = {"UserName": name, "PolicyArn": arn}, {"UserName": name, "PermissionsBoundary": arn}

    def codes() -> set[str]:
        found = set()
        for _ in range(REQUESTS):
            client = signing(gateway, key, "s3")
            found.add(code(lambda: client.get_object(Bucket="data", Key="k")))  # noqa: B023  # called at once
            client.close()
        return found

    def new_version(*statements: dict[str, Any]) -> None:
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=document(*statements), SetAsDefault=True)

    steps: list[tuple[Callable[[], Any], str]] = [
        (lambda: iam.attach_user_policy(**attached), ""),
        (lambda: new_version(allow("s3:PutObject")), "AccessDenied"),
        (lambda: iam.set_default_policy_version(PolicyArn=arn, VersionId="v1"), ""),
        (lambda: iam.detach_user_policy(**attached), "AccessDenied"),
        (lambda: iam.attach_user_policy(UserName=name, PolicyArn=FULL), ""),
        (lambda: iam.set_default_policy_version(PolicyArn=arn, VersionId="v2"), ""),
        (lambda: iam.put_user_permissions_boundary(**bounded), "AccessDenied"),
        (lambda: iam.set_default_policy_version(PolicyArn=arn, VersionId="v1"), ""),
        (lambda: new_version(allow("kms:*")), "AccessDenied"),
        (lambda: iam.delete_user_permissions_boundary(UserName=name), ""),
    ]
    assert codes() == {"AccessDenied"}
    for change, expected in steps:
        change()
        assert codes() == {expected}


def test_a_boundary_limits_the_kms_as_well(gateway: Gateway, iam: Any) -> None:
    name = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=name, PermissionsBoundary=READ_ONLY)
    iam.attach_user_policy(UserName=name, PolicyArn=FULL)
    key = make_key(iam, name)
    s3, kms = signing(gateway, key, "s3"), signing(gateway, key, "kms")
    assert code(lambda: s3.get_object(Bucket="data", Key="k")) == ""
    assert code(lambda: s3.put_object(Bucket="data", Key="new", Body=b"")) == "AccessDenied"
    assert code(kms.create_key) == "AccessDeniedException"
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=FULL)
    assert code(kms.create_key) == ""


def test_aws_cli_shows_policies(gateway: Gateway) -> None:
    listed = json.loads(gateway.aws("iam", "list-policies", "--scope", "AWS").stdout)["Policies"]
    assert {READ_ONLY, FULL} <= {each["Arn"] for each in listed}
    shown = gateway.aws("iam", "get-policy-version", "--policy-arn", READ_ONLY, "--version-id", "v3").stdout
    assert "s3:Get*" in json.loads(shown)["PolicyVersion"]["Document"]["Statement"][0]["Action"]

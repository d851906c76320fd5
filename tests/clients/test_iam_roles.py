"""Roles by boto3 and aws-cli on a running gateway, and what is left of them when it starts again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.test_iam_users import document, make_key, signing
from tests.clients.users import allow
from tests.harness import Gateway, running_gateway

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("iam"), root="file", workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


def trust(principal: object, **elements: object) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **elements}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def name(iam: Any) -> str:
    """Of a role that everyone of its account may be allowed to assume."""
    made = f"role-{uuid.uuid4()}"
    account = iam.get_user()["User"]["UserId"]
    iam.create_role(RoleName=made, Path="/roles/", AssumeRolePolicyDocument=trust({"AWS": account}))
    return made


def test_a_role_from_its_making_to_its_end(gateway: Gateway, iam: Any) -> None:
    name = f"role-{uuid.uuid4()}"
    document_of_trust = trust({"Service": "ec2.amazonaws.com"})
    made = iam.create_role(
        RoleName=name,
        AssumeRolePolicyDocument=document_of_trust,
        Description="reads & writes",
        MaxSessionDuration=7200,
        PermissionsBoundary=READ_ONLY,
        Tags=[{"Key": "team", "Value": "blue"}],
    )["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(document_of_trust)  # botocore decodes what it parses
    assert made["CreateDate"] <= datetime.now(UTC)
    more = {"Description": "reads & writes", "MaxSessionDuration": 7200, "RoleLastUsed": {}}
    assert iam.get_role(RoleName=name)["Role"] == {**made, **more}
    policy = document(allow("s3:GetObject", on="arn:aws:s3:::a+b %&é/*"))
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
    assert iam.get_role_policy(RoleName=name, PolicyName="p")["PolicyDocument"] == json.loads(policy)
    iam.attach_role_policy(RoleName=name, PolicyArn=READ_ONLY)
    assert [each["PolicyArn"] for each in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]] == [
        READ_ONLY
    ]
    for undo in (
        lambda: iam.delete_role_policy(RoleName=name, PolicyName="p"),
        lambda: iam.detach_role_policy(RoleName=name, PolicyArn=READ_ONLY),
    ):
        assert refusal(iam.delete_role, RoleName=name) == (409, "DeleteConflict")
        undo()
    iam.delete_role(RoleName=name)
    assert refusal(iam.get_role, RoleName=name) == (404, "NoSuchEntity")


def test_roles_are_paged_through(iam: Any) -> None:
    path = f"/{uuid.uuid4()}/"
    names = [f"paged-{number}-{uuid.uuid4()}" for number in range(5)]
    for each in names:
        iam.create_role(RoleName=each, Path=path, AssumeRolePolicyDocument=trust({"AWS": "*"}))
        iam.attach_role_policy(RoleName=each, PolicyArn=READ_ONLY)
    pages = iam.get_paginator("list_roles").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
    assert [role["RoleName"] for page in pages for role in page["Roles"]] == names
    pages = iam.get_paginator("list_entities_for_policy").paginate(
        PolicyArn=READ_ONLY, PathPrefix=path, PaginationConfig={"PageSize": 2}
    )
    assert [role["RoleName"] for page in pages for role in page["PolicyRoles"]] == names


def test_a_change_is_told_by_every_worker(gateway: Gateway, iam: Any, name: str) -> None:
    for number in range(3):
        iam.update_role(RoleName=name, Description=f"number {number}")
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust({"AWS": "*"}, Sid=f"S{number}"))
        for _ in range(8):
            client = gateway.client("iam")
            told = client.get_role(RoleName=name)["Role"]
            client.close()
            assert told["Description"] == f"number {number}"
            assert told["AssumeRolePolicyDocument"]["Statement"][0]["Sid"] == f"S{number}"


def test_a_user_makes_what_its_policies_allow(gateway: Gateway, iam: Any, name: str) -> None:
    user = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=user)
    key = make_key(iam, user)
    iam.put_user_policy(
        UserName=user, PolicyName="p", PolicyDocument=document(allow("iam:*Role*", on="arn:aws:iam::*:role/roles/*"))
    )
    own = signing(gateway, key, "iam")
    own.tag_role(RoleName=name, Tags=[{"Key": "a", "Value": "b"}])
    assert own.list_role_tags(RoleName=name)["Tags"] == [{"Key": "a", "Value": "b"}]
    other = {"RoleName": f"role-{uuid.uuid4()}", "AssumeRolePolicyDocument": trust({"AWS": "*"})}
    assert refusal(own.create_role, **other) == (403, "AccessDenied")
    own.create_role(Path="/roles/", **other)


def test_aws_cli_makes_and_shows_a_role(gateway: Gateway) -> None:
    name = f"cli-{uuid.uuid4()}"
    made = json.loads(
        gateway.aws(
            *("iam", "create-role", "--role-name", name, "--assume-role-policy-document"),
            *(trust({"AWS": "*"}), "--tags", "Key=a,Value=b c"),
        ).stdout
    )
    shown = json.loads(gateway.aws("iam", "get-role", "--role-name", name).stdout)
    assert made["Role"]["AssumeRolePolicyDocument"] == shown["Role"]["AssumeRolePolicyDocument"]
    assert shown["Role"]["Tags"] == [{"Key": "a", "Value": "b c"}]
    told = gateway.aws(
        *("iam", "create-role", "--role-name", "new", "--assume-role-policy-document", document(allow("s3:*"))),
        check=False,
    )
    assert "(MalformedPolicyDocument)" in told.stderr
    assert "Missing required field Principal" in told.stderr


def test_what_tools_ask_for_before_they_delete(gateway: Gateway, iam: Any, name: str) -> None:
    user = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=user)
    assert iam.list_instance_profiles_for_role(RoleName=name)["InstanceProfiles"] == []
    assert iam.list_mfa_devices(UserName=user)["MFADevices"] == []
    assert iam.list_signing_certificates(UserName=user)["Certificates"] == []
    assert iam.list_ssh_public_keys(UserName=user)["SSHPublicKeys"] == []
    assert iam.list_service_specific_credentials(UserName=user)["ServiceSpecificCredentials"] == []
    assert refusal(iam.get_login_profile, UserName=user) == (404, "NoSuchEntity")
    assert refusal(iam.create_login_profile, UserName=user, Password="x") == (501, "NotImplemented")
    assert refusal(iam.create_instance_profile, InstanceProfileName="x") == (501, "NotImplemented")
    listed = json.loads(gateway.aws("iam", "list-instance-profiles").stdout)
    assert listed == {"InstanceProfiles": []}


def test_the_last_use_of_a_role_is_told(gateway: Gateway, iam: Any) -> None:
    user, name = f"user-{uuid.uuid4()}", f"role-{uuid.uuid4()}"
    arn = iam.create_user(UserName=user)["User"]["Arn"]
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": arn}))["Role"]
    assert iam.get_role(RoleName=name)["Role"]["RoleLastUsed"] == {}
    before = datetime.now(UTC)
    sts = signing(gateway, make_key(iam, user), "sts")
    sts.assume_role(RoleArn=role["Arn"], RoleSessionName="session")
    used = iam.get_role(RoleName=name)["Role"]["RoleLastUsed"]
    assert used["Region"] == "us-east-1"
    assert before.replace(microsecond=0) <= used["LastUsedDate"] <= datetime.now(UTC)


def test_a_role_trusts_a_user_and_not_the_next_of_the_same_name(gateway: Gateway, iam: Any) -> None:
    user, name = f"user-{uuid.uuid4()}", f"role-{uuid.uuid4()}"
    made = iam.create_user(UserName=user)["User"]
    asked = {"RoleSessionName": "session"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": made["Arn"]}))["Role"]
    key = make_key(iam, user)
    signing(gateway, key, "sts").assume_role(RoleArn=role["Arn"], **asked)
    iam.update_user(UserName=user, NewUserName=f"{user}-2")
    signing(gateway, key, "sts").assume_role(RoleArn=role["Arn"], **asked)
    iam.create_user(UserName=user)
    assert refusal(signing(gateway, make_key(iam, user), "sts").assume_role, RoleArn=role["Arn"], **asked) == (
        403,
        "AccessDenied",
    )
    iam.delete_access_key(UserName=f"{user}-2", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=f"{user}-2")
    told = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    assert told["Statement"][0]["Principal"] == {"AWS": [made["UserId"]]}
    iam.create_user(UserName=f"{user}-2")
    again = signing(gateway, make_key(iam, f"{user}-2"), "sts")
    assert refusal(again.assume_role, RoleArn=role["Arn"], **asked) == (403, "AccessDenied")
    assert refusal(iam.update_assume_role_policy, RoleName=name, PolicyDocument=json.dumps(told)) == (
        400,
        "MalformedPolicyDocument",
    )

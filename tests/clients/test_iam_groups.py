"""Groups by boto3 and aws-cli on a gateway with two workers: what members may do changes with them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.test_iam_users import document, make_key, signing
from tests.clients.test_users import REQUESTS, code
from tests.clients.users import allow, deny
from tests.harness import Gateway, running_gateway

READ_ONLY = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("iam"), root="file", workers=2) as made:
        client = made.client("s3")
        client.create_bucket(Bucket="data")
        client.put_object(Bucket="data", Key="k", Body=b"body")
        yield made


@pytest.fixture(scope="module")
def iam(gateway: Gateway) -> Any:
    return gateway.client("iam")


@pytest.fixture
def group(iam: Any) -> str:
    made = f"group-{uuid.uuid4()}"
    iam.create_group(GroupName=made)
    return made


@pytest.fixture
def user(iam: Any) -> str:
    made = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=made)
    return made


def test_changes_of_groups_are_in_force_in_every_worker_when_they_are_answered(
    gateway: Gateway, iam: Any, group: str, user: str
) -> None:
    key = make_key(iam, user)

    def codes() -> set[str]:
        found = set()
        for _ in range(REQUESTS):
            client = signing(gateway, key, "s3")
            found.add(code(lambda: client.get_object(Bucket="data", Key="k")))  # noqa: B023  # called at once
            client.close()
        return found

    member = {"GroupName": group, "UserName": user}
    inline = {"GroupName": group, "PolicyName": "p"}
    attached = {"GroupName": group, "PolicyArn": READ_ONLY}
    steps: list[tuple[Callable[[], Any], str]] = [
        (lambda: iam.attach_group_policy(**attached), "AccessDenied"),
        (lambda: iam.add_user_to_group(**member), ""),
        (lambda: iam.put_group_policy(**inline, PolicyDocument=document(deny("s3:GetObject"))), "AccessDenied"),
        (lambda: iam.put_group_policy(**inline, PolicyDocument=document(allow("s3:GetObject"))), ""),
        (lambda: iam.detach_group_policy(**attached), ""),
        (lambda: iam.delete_group_policy(**inline), "AccessDenied"),
        (lambda: iam.attach_group_policy(**attached), ""),
        (lambda: iam.remove_user_from_group(**member), "AccessDenied"),
    ]
    assert codes() == {"AccessDenied"}
    for change, expected in steps:
        change()
        assert codes() == {expected}


def test_a_group_from_its_making_to_its_end(iam: Any, user: str) -> None:
    name = f"group-{uuid.uuid4()}"
    made = iam.create_group(GroupName=name, Path="/g/")["Group"]
    assert made["GroupId"].startswith("AGPA")
    iam.add_user_to_group(GroupName=name, UserName=user)
    told = iam.get_group(GroupName=name)
    assert told["Group"] == made
    assert [each["UserName"] for each in told["Users"]] == [user]
    assert iam.list_groups_for_user(UserName=user)["Groups"] == [made]
    assert iam.list_groups(PathPrefix="/g/")["Groups"] == [made]
    assert refusal(iam.delete_user, UserName=user) == (409, "DeleteConflict")
    assert refusal(iam.delete_group, GroupName=name) == (409, "DeleteConflict")
    iam.update_group(GroupName=name, NewGroupName=f"{name}-2")
    iam.remove_user_from_group(GroupName=f"{name}-2", UserName=user)
    iam.delete_group(GroupName=f"{name}-2")
    assert refusal(iam.get_group, GroupName=name) == (404, "NoSuchEntity")


def test_policies_come_back_as_documents(iam: Any, group: str) -> None:
    given = {"Version": "2012-10-17", "Statement": [allow("s3:GetObject", on="arn:aws:s3:::a+b %&é/*")]}
    iam.put_group_policy(GroupName=group, PolicyName="p", PolicyDocument=json.dumps(given, ensure_ascii=False))
    assert iam.get_group_policy(GroupName=group, PolicyName="p")["PolicyDocument"] == given
    assert iam.list_group_policies(GroupName=group)["PolicyNames"] == ["p"]


def test_members_are_paged_through(iam: Any, group: str) -> None:
    names = [f"paged-{number}-{uuid.uuid4()}" for number in range(5)]
    for each in names:
        iam.create_user(UserName=each)
        iam.add_user_to_group(GroupName=group, UserName=each)
    pages = iam.get_paginator("get_group").paginate(GroupName=group, PaginationConfig={"PageSize": 2})
    assert [user["UserName"] for page in pages for user in page["Users"]] == names


def test_a_group_gives_rights_to_the_kms_as_well(gateway: Gateway, iam: Any, group: str, user: str) -> None:
    kms = signing(gateway, make_key(iam, user), "kms")
    assert code(kms.list_keys) == "AccessDeniedException"
    iam.put_group_policy(GroupName=group, PolicyName="p", PolicyDocument=document(allow("kms:ListKeys")))
    iam.add_user_to_group(GroupName=group, UserName=user)
    assert code(kms.list_keys) == ""


def test_aws_cli_makes_and_shows_a_group(gateway: Gateway, user: str) -> None:
    name = f"cli-{uuid.uuid4()}"
    made = json.loads(gateway.aws("iam", "create-group", "--group-name", name).stdout)
    gateway.aws("iam", "add-user-to-group", "--group-name", name, "--user-name", user)
    shown = json.loads(gateway.aws("iam", "get-group", "--group-name", name).stdout)
    assert (shown["Group"], [each["UserName"] for each in shown["Users"]]) == (made["Group"], [user])

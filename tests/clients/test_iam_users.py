"""IAM by boto3 and aws-cli on a gateway with two workers: users that are made so sign for S3 and the KMS."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.clients.test_users import REQUESTS, code
from tests.clients.users import allow, client_of
from tests.harness import Gateway, running_gateway


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
def name(iam: Any) -> str:
    """Of a user who has nothing."""
    made = f"user-{uuid.uuid4()}"
    iam.create_user(UserName=made, Path="/people/")
    return made


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_key(iam: Any, name: str) -> dict[str, str]:
    key: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return key


def signing(gateway: Gateway, key: dict[str, str], service: str) -> Any:
    return client_of(gateway, service, key["AccessKeyId"], key["SecretAccessKey"])


def test_changes_are_in_force_in_every_worker_when_they_are_answered(gateway: Gateway, iam: Any, name: str) -> None:
    key = make_key(iam, name)

    def codes() -> set[str]:
        found = set()
        for _ in range(REQUESTS):
            client = signing(gateway, key, "s3")
            found.add(code(lambda: client.get_object(Bucket="data", Key="k")))  # noqa: B023  # called at once
            client.close()
        return found

    named = {"UserName": name, "PolicyName": "p"}
    steps: list[tuple[Callable[[], Any], str]] = [
        (lambda: iam.put_user_policy(**named, PolicyDocument=document(allow("s3:GetObject"))), ""),
        (lambda: iam.put_user_policy(**named, PolicyDocument=document(allow("s3:PutObject"))), "AccessDenied"),
        (lambda: iam.put_user_policy(**named, PolicyDocument=document(allow("s3:GetObject"))), ""),
        (
            lambda: iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Inactive"),
            "InvalidAccessKeyId",
        ),
        (lambda: iam.update_access_key(UserName=name, AccessKeyId=key["AccessKeyId"], Status="Active"), ""),
        (lambda: iam.delete_user_policy(**named), "AccessDenied"),
        (lambda: iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"]), "InvalidAccessKeyId"),
    ]
    assert codes() == {"AccessDenied"}
    for change, expected in steps:
        change()
        assert codes() == {expected}
    iam.delete_user(UserName=name)
    assert refusal(iam.get_user, UserName=name) == (404, "NoSuchEntity")


def test_tags_of_a_user_decide_about_s3_and_the_kms(gateway: Gateway, iam: Any, name: str) -> None:
    key = make_key(iam, name)
    condition = {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "blue"}}}
    statement = {**allow("s3:GetObject", "kms:ListKeys"), **condition}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(statement))
    s3, kms = signing(gateway, key, "s3"), signing(gateway, key, "kms")
    assert code(lambda: s3.get_object(Bucket="data", Key="k")) == "AccessDenied"
    assert code(kms.list_keys) == "AccessDeniedException"
    iam.tag_user(UserName=name, Tags=[{"Key": "Team", "Value": "blue"}])
    assert code(lambda: s3.get_object(Bucket="data", Key="k")) == ""
    assert code(kms.list_keys) == ""
    iam.untag_user(UserName=name, TagKeys=["team"])
    assert code(lambda: s3.get_object(Bucket="data", Key="k")) == "AccessDenied"


def test_a_user_manages_itself_and_nobody_else(gateway: Gateway, iam: Any, name: str) -> None:
    key = make_key(iam, name)
    own = allow("iam:*AccessKey*", "iam:GetUser", on="arn:aws:iam::*:user/people/${aws:username}")
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(own))
    mine = signing(gateway, key, "iam")
    user = mine.get_user()["User"]
    assert (user["UserName"], user["Path"]) == (name, "/people/")
    second = mine.create_access_key()["AccessKey"]
    assert {each["AccessKeyId"] for each in mine.list_access_keys()["AccessKeyMetadata"]} == {
        key["AccessKeyId"],
        second["AccessKeyId"],
    }
    assert refusal(mine.create_access_key) == (409, "LimitExceeded")
    signing(gateway, second, "iam").delete_access_key(AccessKeyId=key["AccessKeyId"])
    assert refusal(mine.get_user) == (403, "InvalidClientTokenId")
    other = f"user-{uuid.uuid4()}"
    refused = error_of(signing(gateway, second, "iam").create_user, UserName=other)["Error"]
    assert (refused["Code"], refused["Type"]) == ("AccessDenied", "Sender")
    assert refused["Message"] == (
        f"User: {user['Arn']} is not authorized to perform: iam:CreateUser on resource: "
        f"{user['Arn'].partition(':user/')[0]}:user/{other} because no identity-based policy allows the iam:CreateUser "
        "action"
    )


def test_users_are_paged_through(iam: Any) -> None:
    path = f"/{uuid.uuid4()}/"
    names = [f"paged-{number}-{uuid.uuid4()}" for number in range(5)]
    for each in names:
        iam.create_user(UserName=each, Path=path, Tags=[{"Key": "n", "Value": each}])
    pages = iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
    assert [user["UserName"] for page in pages for user in page["Users"]] == names
    assert iam.list_user_tags(UserName=names[0])["Tags"] == [{"Key": "n", "Value": names[0]}]


def test_policies_come_back_as_documents(iam: Any, name: str) -> None:
    given = {"Version": "2012-10-17", "Statement": [allow("s3:GetObject", on="arn:aws:s3:::a+b %&é/*")]}
    text = json.dumps(given, ensure_ascii=False)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text)
    assert iam.get_user_policy(UserName=name, PolicyName="p")["PolicyDocument"] == given
    assert iam.list_user_policies(UserName=name)["PolicyNames"] == ["p"]
    assert refusal(iam.put_user_policy, UserName=name, PolicyName="q", PolicyDocument="{}") == (
        400,
        "MalformedPolicyDocument",
    )
    assert refusal(iam.delete_user, UserName=name) == (409, "DeleteConflict")


def test_aws_cli_makes_and_shows_a_user(gateway: Gateway) -> None:
    name = f"cli-{uuid.uuid4()}"
    made = json.loads(gateway.aws("iam", "create-user", "--user-name", name, "--tags", "Key=a,Value=b c").stdout)
    shown = json.loads(gateway.aws("iam", "get-user", "--user-name", name).stdout)
    assert made == shown
    assert shown["User"]["Tags"] == [{"Key": "a", "Value": "b c"}]
    told = gateway.aws("iam", "delete-user", "--user-name", "nobody", check=False)
    assert "(NoSuchEntity)" in told.stderr
    assert "The user with name nobody cannot be found." in told.stderr
    listed = gateway.sealgate("user", "list", str(gateway.data)).stdout
    assert name in listed


def test_what_a_stopped_gateway_leaves(tmp_path: Path) -> None:
    """The last use of a key, and no secret or policy in its log."""
    with running_gateway(tmp_path, root="file") as gateway:
        iam = gateway.client("iam")
        iam.create_user(UserName="ann")
        key = make_key(iam, "ann")
        mark = f"mark-{uuid.uuid4()}"
        policy = document(allow("s3:GetObject", on=f"arn:aws:s3:::{mark}"))
        iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=policy)
        unused = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
        assert unused["UserName"] == "ann"
        assert unused["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
        assert code(signing(gateway, key, "kms").list_keys) == "AccessDeniedException"
        gateway.stop()
        log = gateway.log_path.read_text()
        assert '"operation":"iam:CreateAccessKey"' in log
        assert key["SecretAccessKey"] not in log
        assert mark not in log
        gateway.start()
        used = gateway.client("iam").get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["AccessKeyLastUsed"]
        assert (used["ServiceName"], used["Region"]) == ("kms", "us-east-1")
        assert used["LastUsedDate"] <= datetime.now(UTC)

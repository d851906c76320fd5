"""Tags of buckets by S3 Control, as Terraform reads and sets them since its provider's version 6.23."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.access import open_bucket, put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.raw import RawClient
from tests.clients.test_account_public_access import control_of
from tests.clients.users import TestAccount, allow, make_account, make_user
from tests.harness import Gateway

DENIED = (403, "AccessDenied")


@pytest.fixture(scope="module")
def account_id(gateway: Gateway) -> str:
    return str(gateway.client("sts").get_caller_identity()["Account"])


@pytest.fixture(scope="module")
def control(gateway: Gateway) -> Iterator[Any]:
    client = control_of(gateway)
    yield client
    client.close()


@pytest.fixture(scope="module")
def stranger(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


def named(account_id: str, bucket: str) -> dict[str, str]:
    return {"AccountId": account_id, "ResourceArn": f"arn:aws:s3:::{bucket}"}


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in values.items()]


def told(control: Any, account_id: str, bucket: str) -> dict[str, str]:
    listed = control.list_tags_for_resource(**named(account_id, bucket))["Tags"]
    return {tag["Key"]: tag["Value"] for tag in listed}


def test_tags_are_added_changed_and_removed_one_by_one(control: Any, s3: Any, account_id: str, bucket: str) -> None:
    arn = named(account_id, bucket)
    assert told(control, account_id, bucket) == {}
    answer = control.tag_resource(**arn, Tags=tags(team="blue", stage="test"))
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    control.tag_resource(**arn, Tags=tags(stage="live", cost="7"))
    assert told(control, account_id, bucket) == {"team": "blue", "stage": "live", "cost": "7"}
    answer = control.untag_resource(**arn, TagKeys=["team", "cost", "none"])
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags(stage="live")
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags(a="b")})
    assert told(control, account_id, bucket) == {"a": "b"}
    control.untag_resource(**arn, TagKeys=["a"])
    assert refusal(s3.get_bucket_tagging, Bucket=bucket) == (404, "NoSuchTagSet")


def test_tags_that_are_none(control: Any, account_id: str, bucket: str) -> None:
    arn = named(account_id, bucket)
    control.tag_resource(**arn, Tags=tags(**{f"key{number}": "" for number in range(50)}))
    assert refusal(control.tag_resource, **arn, Tags=tags(more="")) == (400, "BadRequest")
    assert refusal(control.tag_resource, **arn, Tags=tags(**{"aws:a": ""})) == (400, "InvalidTag")
    assert refusal(control.tag_resource, **arn, Tags=tags(key0="!")) == (400, "InvalidTag")
    assert len(told(control, account_id, bucket)) == 50
    control.tag_resource(**arn, Tags=tags(key0="changed"))
    assert told(control, account_id, bucket)["key0"] == "changed"


def test_tags_that_are_added_at_once_are_all_there(control: Any, account_id: str, bucket: str) -> None:
    def add(number: int) -> None:
        control.tag_resource(**named(account_id, bucket), Tags=tags(**{f"key{number}": str(number)}))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told(control, account_id, bucket) == {f"key{number}": str(number) for number in range(8)}


def test_what_has_no_tags_here(control: Any, account_id: str) -> None:
    missing = error_of(control.list_tags_for_resource, **named(account_id, "no-such-bucket-here"))
    assert missing["Error"]["Code"] == "NoSuchBucket"
    group = f"arn:aws:s3:us-east-1:{account_id}:storage-lens-group/group"
    assert refusal(control.list_tags_for_resource, AccountId=account_id, ResourceArn=group) == (501, "NotImplemented")


def test_another_account_needs_the_buckets_policy(
    control: Any, s3: Any, account_id: str, stranger: TestAccount
) -> None:
    bucket = open_bucket(s3)
    client = control_of(stranger)
    assert refusal(client.list_tags_for_resource, **named(account_id, bucket)) == DENIED
    principal = {"AWS": stranger.account_id}
    put_policy(s3, bucket, statement("Allow", principal, "s3:ListTagsForResource", on=bucket))
    assert client.list_tags_for_resource(**named(account_id, bucket))["Tags"] == []
    assert client.list_tags_for_resource(**named(stranger.account_id, bucket))["Tags"] == []
    assert refusal(client.list_tags_for_resource, **named("123456789012", bucket)) == DENIED
    assert refusal(client.tag_resource, **named(account_id, bucket), Tags=tags(a="b")) == DENIED
    assert told(control, account_id, bucket) == {}


def test_policies_ask_for_the_tags_of_a_request(gateway: Gateway, s3: Any, account_id: str, bucket: str) -> None:
    blue = {"StringEquals": {"aws:RequestTag/team": "blue"}}
    own = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    user = make_user(
        gateway,
        {**allow("s3:TagResource", "s3:CreateBucket"), "Condition": {**blue, **own}},
        {**allow("s3:UntagResource"), "Condition": own},
    )
    client, arn = control_of(user), named(account_id, bucket)
    assert refusal(client.tag_resource, **arn, Tags=tags(team="red")) == DENIED
    assert refusal(client.tag_resource, **arn, Tags=tags(team="blue", more="")) == DENIED
    client.tag_resource(**arn, Tags=tags(team="blue"))
    assert refusal(client.untag_resource, **arn, TagKeys=["team", "more"]) == DENIED
    client.untag_resource(**arn, TagKeys=["team"])
    made, buckets = f"{bucket[:50]}-tagged", user.client("s3")
    assert refusal(buckets.create_bucket, Bucket=made) == DENIED
    assert refusal(buckets.create_bucket, Bucket=made, CreateBucketConfiguration={"Tags": tags(team="red")}) == DENIED
    buckets.create_bucket(Bucket=made, CreateBucketConfiguration={"Tags": tags(team="blue")})
    assert s3.get_bucket_tagging(Bucket=made)["TagSet"] == tags(team="blue")


@pytest.mark.parametrize(
    ("method", "body", "answer"),
    [
        ("POST", b"", (400, "MalformedXML")),
        ("POST", b"<TagResourceRequest/>", (400, "MalformedXML")),
        ("POST", b"<Tagging><TagSet/></Tagging>", (400, "MalformedXML")),
        ("PUT", b"", (501, "NotImplemented")),
        ("DELETE", b"", (204, "")),
    ],
)
def test_requests_that_are_none(
    raw: RawClient, account_id: str, bucket: str, method: str, body: bytes, answer: Any
) -> None:
    path = f"/v20180820/tags/arn%3Aaws%3As3%3A%3A%3A{bucket}"
    assert raw.request(method, path, {"x-amz-account-id": account_id}, body).refusal == answer

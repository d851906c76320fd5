"""Bucket tags through boto3: put, read, deleted, and brought along by CreateBucket."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.clients.checks import content_md5, error_of, refusal
from tests.clients.raw import RawClient

NO_TAGS = (404, "NoSuchTagSet")
FIFTY = {f"key-{number}": f"value {number}" for number in range(48)} | {"k" * 128: "文" * 256, "ü +-=._:/@": ""}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def put_tags(s3: Any, bucket: str, tags: dict[str, str]) -> Any:
    return s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tag_list(tags)})


def tags_of(s3: Any, bucket: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    return found


def test_a_new_bucket_has_no_tags(s3: Any, bucket: str) -> None:
    error = error_of(s3.get_bucket_tagging, Bucket=bucket)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert (error["Error"]["Code"], error["Error"]["BucketName"]) == ("NoSuchTagSet", bucket)


def test_tags_are_put_read_replaced_and_deleted(s3: Any, bucket: str) -> None:
    assert put_tags(s3, bucket, FIFTY)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert tags_of(s3, bucket) == tag_list(FIFTY)
    put_tags(s3, bucket, {"only": "one"})
    assert tags_of(s3, bucket) == [{"Key": "only", "Value": "one"}]
    for _ in range(2):
        assert s3.delete_bucket_tagging(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert refusal(s3.get_bucket_tagging, Bucket=bucket) == NO_TAGS
    put_tags(s3, bucket, {"a": "b"})
    put_tags(s3, bucket, {})
    assert refusal(s3.get_bucket_tagging, Bucket=bucket) == NO_TAGS


def test_tags_and_other_configuration_keep_out_of_each_others_way(s3: Any, bucket: str) -> None:
    put_tags(s3, bucket, {"a": "b"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert tags_of(s3, bucket) == [{"Key": "a", "Value": "b"}]
    s3.delete_bucket_tagging(Bucket=bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@pytest.mark.parametrize(
    ("tags", "code", "message", "fields"),
    [
        ([("a", "1"), ("a", "1")], "InvalidTag", "Cannot provide multiple Tags with the same key", {"TagKey": "a"}),
        ([("a,b", "")], "InvalidTag", "The TagKey you have provided is invalid", {"TagKey": "a,b"}),
        (
            [("k", "a,b")],
            "InvalidTag",
            "The TagValue you have provided is invalid",
            {"TagKey": "k", "TagValue": "a,b"},
        ),
        ([("aws:x", "")], "InvalidTag", "System tags cannot be added/updated by requester", {"TagKey": "aws:x"}),
        ([(str(n), "") for n in range(51)], "BadRequest", "Bucket tag count cannot be greater than 50", {}),
    ],
)
def test_tags_that_are_none(
    s3: Any, shared_bucket: str, tags: list[tuple[str, str]], code: str, message: str, fields: dict[str, str]
) -> None:
    put_tags(s3, shared_bucket, {"kept": "1"})
    body = {"TagSet": [{"Key": key, "Value": value} for key, value in tags]}
    error = error_of(s3.put_bucket_tagging, Bucket=shared_bucket, Tagging=body)["Error"]
    assert (error["Code"], error["Message"]) == (code, message)
    assert {name: error[name] for name in fields} == fields
    assert tags_of(s3, shared_bucket) == [{"Key": "kept", "Value": "1"}]


@pytest.mark.parametrize(
    "body",
    [b"<Tagging>", b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", b"<Other/>"],
)
def test_documents_that_are_none(raw: RawClient, shared_bucket: str, body: bytes) -> None:
    assert raw.request("PUT", f"/{shared_bucket}?tagging", {"content-md5": content_md5(body)}, body).refusal == (
        400,
        "MalformedXML",
    )


def test_buckets_that_are_not_there_or_anothers(s3: Any, bucket: str) -> None:
    tagging = {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}
    for call, parameters in (
        (s3.get_bucket_tagging, {}),
        (s3.delete_bucket_tagging, {}),
        (s3.put_bucket_tagging, tagging),
    ):
        assert refusal(call, Bucket="never-created", **parameters) == (404, "NoSuchBucket")
        assert refusal(call, Bucket=bucket, ExpectedBucketOwner="999999999999", **parameters) == (403, "AccessDenied")
    assert refusal(s3.get_bucket_tagging, Bucket=bucket) == NO_TAGS


# CreateBucket


def create(s3: Any, name: str, tags: list[tuple[str, str]]) -> Any:
    listed = [{"Key": key, "Value": value} for key, value in tags]
    return s3.create_bucket(Bucket=name, CreateBucketConfiguration={"Tags": listed})


def test_a_bucket_is_created_with_tags(s3: Any) -> None:
    name = f"test-{uuid.uuid4()}"
    create(s3, name, [("b", "1"), ("a", "")])
    assert tags_of(s3, name) == [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}]
    for again in ([("b", "1"), ("a", "")], [("other", "")]):
        assert refusal(create, s3=s3, name=name, tags=again) == (409, "BucketAlreadyOwnedByYou")
    create(s3, name, [])
    s3.create_bucket(Bucket=name)
    assert tags_of(s3, name) == [{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}], "as it was made"


@pytest.mark.parametrize(
    ("tags", "code", "message"),
    [
        ([("a", ""), ("a", "")], "InvalidTag", "Cannot provide multiple Tags with the same key"),
        ([("a,b", "")], "InvalidTag", "The TagKey you have provided is invalid"),
        ([("a", "b,c")], "InvalidTag", "The TagValue you have provided is invalid"),
        (
            [("aws:x", "")],
            "InvalidTag",
            'User-defined tag keys can\'t start with "aws:". This prefix is reserved for system tags. Remove "aws:" '
            "from your tag keys and try again.",
        ),
        ([(str(n), "") for n in range(51)], "BadRequest", "Bucket tag count cannot be greater than 50"),
    ],
)
def test_no_bucket_is_created_with_tags_that_are_none(
    s3: Any, tags: list[tuple[str, str]], code: str, message: str
) -> None:
    name = f"test-{uuid.uuid4()}"
    error = error_of(create, s3=s3, name=name, tags=tags)["Error"]
    assert (error["Code"], error["Message"]) == (code, message)
    assert refusal(s3.head_bucket, Bucket=name) == (404, "404")

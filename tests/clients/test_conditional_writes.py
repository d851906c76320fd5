"""If-Match and If-None-Match on what changes objects: who may, what a race gives, what a change meanwhile does.

Expected answers are those recorded from S3, where it and its User Guide differ.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.test_multipart import begin, complete, send
from tests.clients.users import TestUser, allow, make_user
from tests.harness import Gateway, running_gateway

WRITERS = 12
FAILED = (412, "PreconditionFailed")
MISSING = (404, "NoSuchKey")
CONFLICT = (409, "ConditionalRequestConflict")
UNSERVED = (501, "NotImplemented")


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def read(s3: Any, bucket: str, key: str = "a") -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def put(s3: Any, bucket: str, body: bytes = b"body", key: str = "a", **parameters: Any) -> str:
    return str(s3.put_object(Bucket=bucket, Key=key, Body=body, **parameters)["ETag"])


# Races. Two workers, so that writers meet in the index and not in one event loop alone.


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("race"), workers=2) as made:
        yield made


def race(gateway: Gateway, attempt: Callable[[Any, int], object]) -> list[tuple[int, str]]:
    """What `WRITERS` clients get that attempt the same at once."""
    gate = threading.Barrier(WRITERS)
    clients = [gateway.client("s3") for _ in range(WRITERS)]

    def one(number: int) -> tuple[int, str]:
        gate.wait(30)
        try:
            attempt(clients[number], number)
        except ClientError as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        return 200, ""

    with ThreadPoolExecutor(WRITERS) as pool:
        return list(pool.map(one, range(WRITERS)))


def body_of(number: int, size: int) -> bytes:
    return b"%08d" % number * (size // 8)


@pytest.mark.parametrize("size", [64, 400_000])
def test_of_racing_creations_exactly_one_succeeds(two_workers: Gateway, size: int) -> None:
    s3 = two_workers.client("s3")
    bucket = make_bucket(s3)
    got = race(two_workers, lambda client, number: put(client, bucket, body_of(number, size), IfNoneMatch="*"))
    assert sorted(got) == [(200, ""), *[FAILED] * (WRITERS - 1)]
    assert read(s3, bucket) == body_of(got.index((200, "")), size)


def test_of_racing_replacements_exactly_one_succeeds(two_workers: Gateway) -> None:
    s3 = two_workers.client("s3")
    bucket = make_bucket(s3)
    etag = put(s3, bucket)
    got = race(two_workers, lambda client, number: put(client, bucket, body_of(number, 64), IfMatch=etag))
    assert sorted(got) == [(200, ""), *[FAILED] * (WRITERS - 1)]
    assert read(s3, bucket) == body_of(got.index((200, "")), 64)


def test_of_racing_copies_exactly_one_succeeds(two_workers: Gateway) -> None:
    s3 = two_workers.client("s3")
    bucket = make_bucket(s3)
    put(s3, bucket, key="source")
    source = {"Bucket": bucket, "Key": "source"}
    got = race(
        two_workers,
        lambda client, _: client.copy_object(Bucket=bucket, Key="a", CopySource=source, IfNoneMatch="*"),
    )
    assert sorted(got) == [(200, ""), *[FAILED] * (WRITERS - 1)]
    assert read(s3, bucket) == b"body"


def test_of_racing_completions_exactly_one_succeeds(two_workers: Gateway) -> None:
    s3 = two_workers.client("s3")
    bucket = make_bucket(s3)
    uploads = [begin(s3, bucket) for _ in range(WRITERS)]
    parts = [[send(s3, upload, 1, body_of(number, 64))] for number, upload in enumerate(uploads)]
    got = race(two_workers, lambda client, number: complete(client, uploads[number], parts[number], IfNoneMatch="*"))
    assert sorted(got) == [(200, ""), *[FAILED] * (WRITERS - 1)]
    assert read(s3, bucket) == body_of(got.index((200, "")), 64)


def test_of_racing_deletions_exactly_one_succeeds(two_workers: Gateway) -> None:
    s3 = two_workers.client("s3")
    bucket = make_bucket(s3)
    etag = put(s3, bucket)
    got = race(two_workers, lambda client, _: client.delete_object(Bucket=bucket, Key="a", IfMatch=etag))
    assert sorted(got) == [(200, ""), *[MISSING] * (WRITERS - 1)]


# Completions of uploads whose key changed meanwhile.


def test_completing_after_a_write_of_the_key_is_a_conflict(s3: Any, bucket: str) -> None:
    old = put(s3, bucket, b"old")
    upload = begin(s3, bucket)
    parts = [send(s3, upload, 1, b"part")]
    new = put(s3, bucket, b"new")
    assert refusal(complete, s3=s3, upload=upload, parts=parts, IfMatch=old) == FAILED
    error = error_of(complete, s3=s3, upload=upload, parts=parts, IfMatch=new)
    assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == CONFLICT
    assert (error["Error"]["Condition"], error["Error"]["Key"]) == ("If-Match", "a")
    assert read(s3, bucket) == b"new"
    again = begin(s3, bucket)
    complete(s3, again, [send(s3, again, 1, b"part")], IfMatch=new)
    assert read(s3, bucket) == b"part"


def test_completing_after_a_deletion_of_the_key_is_a_conflict(s3: Any, bucket: str) -> None:
    etag = put(s3, bucket)
    upload = begin(s3, bucket)
    parts = [send(s3, upload, 1, b"part")]
    assert refusal(complete, s3=s3, upload=upload, parts=parts, IfNoneMatch="*") == FAILED
    s3.delete_object(Bucket=bucket, Key="a")
    assert refusal(complete, s3=s3, upload=upload, parts=parts, IfNoneMatch="*") == CONFLICT
    assert refusal(complete, s3=s3, upload=upload, parts=parts, IfMatch=etag) == MISSING
    assert put(s3, bucket) == etag
    assert refusal(complete, s3=s3, upload=upload, parts=parts, IfMatch=etag) == CONFLICT
    complete(s3, upload, parts)
    assert read(s3, bucket) == b"part"


def test_deleting_an_older_version_disturbs_no_upload(s3: Any, versioned: str) -> None:
    older = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    etag = put(s3, versioned, b"2")
    upload = begin(s3, versioned)
    parts = [send(s3, upload, 1, b"part")]
    s3.delete_object(Bucket=versioned, Key="a", VersionId=older)
    complete(s3, upload, parts, IfMatch=etag)


# Deletions.


def test_a_deletion_on_condition_looks_at_the_newest_version(s3: Any, versioned: str) -> None:
    first = put(s3, versioned, b"1")
    second = put(s3, versioned, b"2")
    delete = {"Bucket": versioned, "Key": "a"}
    assert refusal(s3.delete_object, **delete, IfMatch=first) == FAILED
    assert s3.delete_object(**delete, IfMatch=second)["DeleteMarker"]
    for match in (first, second, "*"):
        assert refusal(s3.delete_object, **delete, IfMatch=match) == MISSING
    assert len(s3.list_object_versions(Bucket=versioned)["DeleteMarkers"]) == 1


def test_a_version_is_deleted_without_condition_or_not_at_all(s3: Any, versioned: str) -> None:
    made = s3.put_object(Bucket=versioned, Key="a", Body=b"1")
    named = {"Key": "a", "VersionId": made["VersionId"]}
    for match in (made["ETag"], "*"):
        error = error_of(s3.delete_object, Bucket=versioned, **named, IfMatch=match)
        assert (error["Error"]["Code"], error["Error"]["Header"]) == ("NotImplemented", "If-Match")
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{**named, "ETag": made["ETag"]}]})
    assert [each["Code"] for each in answer["Errors"]] == ["NotImplemented"]
    assert read(s3, versioned) == b"1"


def test_entries_of_a_bulk_delete_have_conditions_of_their_own(s3: Any, bucket: str) -> None:
    etags = {key: put(s3, bucket, key.encode(), key=key) for key in ("a", "b", "c", "d")}
    wanted = [
        {"Key": "a", "ETag": etags["a"]},
        {"Key": "b", "ETag": etags["a"]},
        {"Key": "c", "ETag": "*"},
        {"Key": "gone", "ETag": "*"},
        {"Key": "d"},
    ]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [each["Key"] for each in answer["Deleted"]] == ["a", "c", "d"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [
        ("b", "PreconditionFailed"),
        ("gone", "NoSuchKey"),
    ]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["b"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-amz-if-match-size", "4"),
        ("x-amz-if-match-last-modified-time", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("if-none-match", "*"),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ],
)
def test_conditions_that_a_deletion_does_not_take(
    s3: Any, raw: RawClient, bucket: str, header: str, value: str
) -> None:
    put(s3, bucket)
    answer = raw.request("DELETE", f"/{bucket}/a", {header: value})
    assert (answer.refusal, answer.element("Header").lower()) == (UNSERVED, header)
    assert read(s3, bucket) == b"body"


@pytest.mark.parametrize("header", ["if-match", "if-none-match", "if-unmodified-since"])
@pytest.mark.parametrize("target", ["{0}/a?uploads", "{0}/a?partNumber=1&uploadId=x", "{0}/a?uploadId=x", "{0}"])
def test_conditions_that_other_changes_do_not_take(
    s3: Any, raw: RawClient, bucket: str, target: str, header: str
) -> None:
    method = {"?uploads": "POST", "?partNumber=1&uploadId=x": "PUT", "?uploadId=x": "DELETE"}
    query = target.partition("/a")[2]
    answer = raw.request(method.get(query, "DELETE"), "/" + target.format(bucket), {header: '"x"'})
    assert answer.refusal == UNSERVED
    s3.head_bucket(Bucket=bucket)


# Permissions.


@pytest.fixture(scope="module")
def user(gateway: Gateway) -> TestUser:
    return make_user(gateway, allow("s3:PutObject", "s3:DeleteObject"))


def test_an_entity_tag_is_compared_for_those_alone_who_may_read(s3: Any, bucket: str, user: TestUser) -> None:
    client = user.client("s3")
    etag = put(client, bucket, IfNoneMatch="*")
    source = {"Bucket": bucket, "Key": "a"}
    upload = begin(client, bucket)
    parts = [send(client, upload, 1, b"part")]
    delete = {"Objects": [{"Key": "a", "ETag": etag}]}
    attempts: list[Callable[[], object]] = [
        lambda: put(client, bucket, IfMatch=etag),
        lambda: complete(client, upload, parts, IfMatch=etag),
        lambda: client.copy_object(Bucket=bucket, Key="a", CopySource=source, IfMatch=etag),
        lambda: client.delete_object(Bucket=bucket, Key="a", IfMatch=etag),
    ]
    for attempt in attempts:
        with pytest.raises(ClientError) as caught:
            attempt()
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
        assert "s3:GetObject" in caught.value.response["Error"]["Message"]
    assert client.delete_objects(Bucket=bucket, Delete=delete)["Errors"][0]["Code"] == "AccessDenied"
    assert read(s3, bucket) == b"body"
    client.delete_object(Bucket=bucket, Key="a", IfMatch="*")


def test_policies_may_demand_conditions(gateway: Gateway, s3: Any, bucket: str) -> None:
    """User Guide, "Enforce conditional writes on Amazon S3 buckets" and "Enforce conditional deletes"."""
    user = make_user(
        gateway,
        {**allow("s3:PutObject"), "Condition": {"Null": {"s3:if-none-match": "false"}}},
        {**allow("s3:PutObject"), "Condition": {"Bool": {"s3:ObjectCreationOperation": "false"}}},
        {**allow("s3:DeleteObject"), "Condition": {"StringEquals": {"s3:if-match": "*"}}},
    )
    client = user.client("s3")
    assert refusal(client.put_object, Bucket=bucket, Key="a") == (403, "AccessDenied")
    put(client, bucket, IfNoneMatch="*")
    upload = begin(client, bucket, "b")
    parts = [send(client, upload, 1, b"part")]
    assert refusal(complete, s3=client, upload=upload, parts=parts) == (403, "AccessDenied")
    complete(client, upload, parts, IfNoneMatch="*")
    assert refusal(client.delete_object, Bucket=bucket, Key="a") == (403, "AccessDenied")
    client.delete_object(Bucket=bucket, Key="a", IfMatch="*")
    answer = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "b"}, {"Key": "b", "ETag": "*"}]})
    assert [each["Code"] for each in answer["Errors"]] == ["AccessDenied"]
    assert [each["Key"] for each in answer["Deleted"]] == ["b"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_who_may_read_some_objects_compares_with_these(gateway: Gateway, s3: Any, bucket: str) -> None:
    readable = {**allow("s3:GetObject"), "Condition": {"StringEquals": {"s3:ExistingObjectTag/readable": "yes"}}}
    client = make_user(gateway, allow("s3:PutObject", "s3:DeleteObject"), readable).client("s3")
    etags = {key: put(s3, bucket, key=key, Tagging=f"readable={key}") for key in ("yes", "no")}
    assert refusal(client.put_object, Bucket=bucket, Key="no", IfMatch=etags["no"]) == (403, "AccessDenied")
    assert refusal(client.delete_object, Bucket=bucket, Key="no", IfMatch=etags["no"]) == (403, "AccessDenied")
    assert refusal(client.delete_object, Bucket=bucket, Key="yes", IfMatch=etags["no"] + "x") == FAILED
    client.delete_object(Bucket=bucket, Key="yes", IfMatch=etags["yes"])
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["no"]

"""Conditions on what a copy reads, and copies of what is being written: CopyObject and UploadPartCopy alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.clients.checks import error_of, random_bytes, refusal
from tests.clients.raw import RawClient
from tests.clients.test_multipart import begin

Copy = Callable[..., Any]
CONDITIONS: list[tuple[dict[str, str], str | None]] = [
    ({"IfMatch": "etag"}, None),
    ({"IfMatch": "bare"}, None),
    ({"IfMatch": "other"}, "If-Match"),
    ({"IfNoneMatch": "other"}, None),
    ({"IfNoneMatch": "etag"}, "If-None-Match"),
    ({"IfNoneMatch": "bare"}, "If-None-Match"),
    ({"IfModifiedSince": "before"}, None),
    ({"IfModifiedSince": "at"}, "If-Modified-Since"),
    ({"IfModifiedSince": "to come"}, None),
    ({"IfUnmodifiedSince": "at"}, None),
    ({"IfUnmodifiedSince": "to come"}, None),
    ({"IfUnmodifiedSince": "before"}, "If-Unmodified-Since"),
    # API_CopyObject: two pairs of conditions of which the first decides
    ({"IfMatch": "etag", "IfUnmodifiedSince": "before"}, None),
    ({"IfMatch": "other", "IfUnmodifiedSince": "at"}, "If-Match"),
    ({"IfNoneMatch": "etag", "IfModifiedSince": "before"}, "If-None-Match"),
    ({"IfNoneMatch": "other", "IfModifiedSince": "at"}, None),
    # the order of all four, recorded from S3
    ({"IfMatch": "other", "IfUnmodifiedSince": "before", "IfNoneMatch": "etag", "IfModifiedSince": "at"}, "If-Match"),
    ({"IfUnmodifiedSince": "before", "IfNoneMatch": "etag", "IfModifiedSince": "at"}, "If-Unmodified-Since"),
    ({"IfNoneMatch": "etag", "IfModifiedSince": "at"}, "If-None-Match"),
    ({"IfMatch": "etag", "IfNoneMatch": "other", "IfModifiedSince": "before", "IfUnmodifiedSince": "at"}, None),
]


@pytest.fixture(scope="module")
def source(s3: Any, shared_bucket: str) -> dict[str, str]:
    """A version that is not the newest one of its key."""
    s3.put_bucket_versioning(Bucket=shared_bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=shared_bucket, Key="source", Body=b"body")["VersionId"]
    s3.put_object(Bucket=shared_bucket, Key="source", Body=b"newer")
    return {"Bucket": shared_bucket, "Key": "source", "VersionId": version}


@pytest.fixture(scope="module", params=["CopyObject", "UploadPartCopy"])
def copy(s3: Any, shared_bucket: str, request: pytest.FixtureRequest) -> Copy:
    if request.param == "CopyObject":
        return lambda **parameters: s3.copy_object(Bucket=shared_bucket, Key="copy", **parameters)
    upload = begin(s3, shared_bucket, "parts")
    return lambda **parameters: s3.upload_part_copy(**upload, PartNumber=1, **parameters)


@pytest.mark.parametrize(("conditions", "failed"), CONDITIONS)
def test_conditions_are_of_the_version_that_is_named(
    s3: Any, copy: Copy, source: dict[str, str], conditions: dict[str, str], failed: str | None
) -> None:
    found = s3.head_object(**source)
    at = found["LastModified"]
    values = {
        "etag": found["ETag"],
        "bare": found["ETag"].strip('"'),
        "other": '"0123456789abcdef0123456789abcdef"',
        "before": at - timedelta(seconds=1),
        "at": at,
        "to come": at + timedelta(days=1),
    }
    wanted = {f"CopySource{name}": values[value] for name, value in conditions.items()}
    if failed is None:
        answer = copy(CopySource=source, **wanted)
        assert answer["CopySourceVersionId"] == source["VersionId"]
        return
    error = error_of(copy, CopySource=source, **wanted)
    assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (412, "PreconditionFailed")
    assert error["Error"]["Condition"] == f"x-amz-copy-source-{failed}"


def test_conditions_of_a_source_that_is_not_there(copy: Copy, shared_bucket: str) -> None:
    gone = {"Bucket": shared_bucket, "Key": "gone"}
    for condition in ({"CopySourceIfMatch": "x"}, {"CopySourceIfNoneMatch": "*"}):
        assert refusal(copy, CopySource=gone, **condition) == (404, "NoSuchKey")


RANGES = [
    "0-8",
    "bytes=1-0",
    "bytes=-1-",
    "bytes=0--1",
    "bytes=0-1,3-4,7-9",
    "bytes=-",
    "bytes=-0",
    "bytes=1-",
    "bytes=-2",
]


@pytest.mark.parametrize("value", [*RANGES, "bytes=0-100", "bytes=100-200"])
def test_ranges_that_are_refused(s3: Any, bucket: str, value: str) -> None:
    """As recorded from S3."""
    s3.put_object(Bucket=bucket, Key="ten", Body=b"0123456789")
    upload = begin(s3, bucket)
    part = {**upload, "PartNumber": 1, "CopySource": {"Bucket": bucket, "Key": "ten"}, "CopySourceRange": value}
    error = error_of(s3.upload_part_copy, **part)["Error"]
    if value == "bytes=100-200":
        assert error["Code"] == "InvalidRequest"
        assert error["Message"] == "The specified copy range is invalid for the source object size"
    else:
        assert (error["Code"], error["ArgumentName"]) == ("InvalidArgument", "x-amz-copy-source-range")
        assert error["ArgumentValue"] == value
    assert "Parts" not in s3.list_parts(**upload)


def test_a_range_is_for_parts_alone(s3: Any, raw: RawClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="ten", Body=b"0123456789")
    headers = {"x-amz-copy-source": f"{bucket}/ten", "x-amz-copy-source-range": "bytes=0-4"}
    assert raw.request("PUT", f"/{bucket}/copy", headers).refusal == (501, "NotImplemented")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["ten"]


def test_a_copy_source_without_a_key(s3: Any, bucket: str) -> None:
    error = error_of(s3.copy_object, Bucket=bucket, Key="a", CopySource="wrongformat")["Error"]
    assert (error["Code"], error["Message"]) == ("InvalidArgument", "Invalid copy source object key")


def test_copies_of_an_object_that_is_written_all_the_time_are_whole(gateway: Any, s3: Any, bucket: str) -> None:
    bodies = [random_bytes(40_000, seed=seed) for seed in range(2)]
    s3.put_object(Bucket=bucket, Key="busy", Body=bodies[0])
    is_over = threading.Event()
    client = gateway.client("s3")

    def write() -> None:
        number = 0
        while not is_over.is_set():
            number += 1
            client.put_object(Bucket=bucket, Key="busy", Body=bodies[number % 2])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(25):
            s3.copy_object(Bucket=bucket, Key=f"copy-{number}", CopySource={"Bucket": bucket, "Key": "busy"})
            assert s3.get_object(Bucket=bucket, Key=f"copy-{number}")["Body"].read() in bodies
    finally:
        is_over.set()
        writer.join(60)

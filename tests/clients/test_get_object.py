"""GetObject and HeadObject: ranges, conditions, overrides, checksums."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.clients.checks import error_of, headers_of, md5_hex, random_bytes, refusal
from tests.clients.raw import RawClient

SMALL = b"0123456789"
LARGE = random_bytes(700_001)
"""Eleven segments, three batches."""

READS = ["get_object", "head_object"]


@pytest.fixture(scope="module")
def objects(s3: Any, shared_bucket: str) -> str:
    s3.put_object(Bucket=shared_bucket, Key="small", Body=SMALL)
    s3.put_object(Bucket=shared_bucket, Key="large", Body=LARGE)
    s3.put_object(Bucket=shared_bucket, Key="empty", Body=b"")
    return shared_bucket


RANGES: list[tuple[str, slice | None]] = [
    ("bytes=0-0", slice(0, 1)),
    ("bytes=0-9", slice(0, 10)),
    ("bytes=2-5", slice(2, 6)),
    ("bytes=9-9", slice(9, 10)),
    ("bytes=5-", slice(5, 10)),
    ("bytes=5-99999", slice(5, 10)),
    ("bytes=-3", slice(7, 10)),
    ("bytes=-10", slice(0, 10)),
    ("bytes=-9999", slice(0, 10)),
    ("BYTES=1-2", slice(1, 3)),
    # Ignored: another unit, several ranges, and what is no range.
    ("bytes=5-2", None),
    ("bytes=1-2,4-5", None),
    ("bytes=a-b", None),
    ("bytes=-", None),
    ("items=0-1", None),
    ("bytes 0-1", None),
    ("", None),
]


@pytest.mark.parametrize("operation", READS)
@pytest.mark.parametrize(("asked", "part"), RANGES)
def test_range(s3: Any, objects: str, operation: str, asked: str, part: slice | None) -> None:
    got = getattr(s3, operation)(Bucket=objects, Key="small", Range=asked)
    expected = SMALL if part is None else SMALL[part]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == (200 if part is None else 206)
    assert got["ContentLength"] == len(expected)
    shown = None if part is None else f"bytes {part.start}-{part.stop - 1}/10"
    assert got.get("ContentRange") == shown
    if operation == "get_object":
        assert got["Body"].read() == expected


@pytest.mark.parametrize("start", [0, 1, 65_535, 65_536, 65_537, 262_143, 262_144, 655_360, 700_000])
@pytest.mark.parametrize("length", [1, 65_536, 262_144, 262_145, 700_001])
def test_range_across_segments_and_batches(s3: Any, objects: str, start: int, length: int) -> None:
    got = s3.get_object(Bucket=objects, Key="large", Range=f"bytes={start}-{start + length - 1}")
    assert got["Body"].read() == LARGE[start : start + length]
    assert got["ContentRange"] == f"bytes {start}-{min(start + length, len(LARGE)) - 1}/{len(LARGE)}"
    assert got["ETag"] == f'"{md5_hex(LARGE)}"'


@pytest.mark.parametrize(
    ("key", "asked"),
    [("small", "bytes=10-"), ("small", "bytes=10-20"), ("small", "bytes=-0"), ("empty", "bytes=0-"),
     ("empty", "bytes=-1"), ("small", f"bytes={10**60}-")],
)  # fmt: skip
def test_range_outside_of_the_object(s3: Any, objects: str, key: str, asked: str) -> None:
    assert refusal(s3.get_object, Bucket=objects, Key=key, Range=asked) == (416, "InvalidRange")
    assert refusal(s3.head_object, Bucket=objects, Key=key, Range=asked) == (416, "416")


def test_if_range_gives_the_whole_object_once_it_changed(s3: Any, raw: RawClient, objects: str) -> None:
    etag = s3.head_object(Bucket=objects, Key="small")["ETag"]
    asked = {"range": "bytes=0-1"}
    assert raw.request("GET", f"/{objects}/small", {**asked, "if-range": etag}).body == b"01"
    assert raw.request("GET", f"/{objects}/small", {**asked, "if-range": '"other"'}).body == SMALL


@pytest.mark.parametrize("operation", READS)
def test_conditions(s3: Any, objects: str, operation: str) -> None:
    """RFC 9110, section 13.2.2: If-Match goes before If-Unmodified-Since, If-None-Match before If-Modified-Since."""
    read = getattr(s3, operation)
    found = s3.head_object(Bucket=objects, Key="small")
    etag, at = found["ETag"], found["LastModified"]
    before, after = at - timedelta(hours=1), at + timedelta(hours=1)
    failed = (412, "PreconditionFailed" if operation == "get_object" else "412")
    unchanged = (304, "304")
    table: list[tuple[dict[str, Any], Any]] = [
        ({"IfMatch": etag}, None),
        ({"IfMatch": etag.strip('"')}, None),
        ({"IfMatch": "*"}, None),
        ({"IfMatch": f'"x", {etag}'}, None),
        ({"IfMatch": '"x"'}, failed),
        ({"IfMatch": f"W/{etag}"}, failed),
        ({"IfNoneMatch": '"x"'}, None),
        ({"IfNoneMatch": etag}, unchanged),
        ({"IfNoneMatch": f"W/{etag}"}, unchanged),
        ({"IfNoneMatch": "*"}, unchanged),
        ({"IfModifiedSince": before}, None),
        ({"IfModifiedSince": at}, unchanged),
        ({"IfUnmodifiedSince": at}, None),
        ({"IfUnmodifiedSince": before}, failed),
        ({"IfMatch": etag, "IfUnmodifiedSince": before}, None),
        ({"IfNoneMatch": '"x"', "IfModifiedSince": after}, None),
        ({"IfNoneMatch": etag, "IfModifiedSince": before}, unchanged),
        ({"IfMatch": '"x"', "IfNoneMatch": etag}, failed),
    ]
    for condition, expected in table:
        if expected is None:
            read(Bucket=objects, Key="small", **condition)
        else:
            assert refusal(read, Bucket=objects, Key="small", **condition) == expected, condition


def test_not_modified_has_no_body_and_repeats_the_etag(s3: Any, raw: RawClient, objects: str) -> None:
    etag = s3.head_object(Bucket=objects, Key="small")["ETag"]
    answer = raw.request("GET", f"/{objects}/small", {"if-none-match": etag})
    assert (answer.status, answer.headers["etag"], answer.body) == (304, etag, b"")
    assert "content-length" not in answer.headers


def test_dates_that_cannot_be_read_are_no_condition(raw: RawClient, objects: str) -> None:
    for name in ("if-modified-since", "if-unmodified-since"):
        assert raw.request("GET", f"/{objects}/small", {name: "yesterday"}).status == 200


OVERRIDES = {
    "ResponseCacheControl": ("no-store", "CacheControl"),
    "ResponseContentDisposition": ('attachment; filename="x"', "ContentDisposition"),
    "ResponseContentEncoding": ("identity", "ContentEncoding"),
    "ResponseContentLanguage": ("en", "ContentLanguage"),
    "ResponseContentType": ("text/html", "ContentType"),
    "ResponseExpires": ("Wed, 02 Jan 2030 00:00:00 GMT", "ExpiresString"),
}


@pytest.mark.parametrize("operation", READS)
def test_response_parameters_replace_headers(s3: Any, objects: str, operation: str) -> None:
    asked = {name: value for name, (value, _) in OVERRIDES.items()}
    got = getattr(s3, operation)(Bucket=objects, Key="small", **asked)
    assert {shown: got[shown] for _, shown in OVERRIDES.values()} == {shown: v for v, shown in OVERRIDES.values()}


@pytest.mark.parametrize("value", ["a%0D%0ASet-Cookie:%20x=1", "a%00b", "%E2%82%AC"])
def test_response_parameters_cannot_split_the_answer(raw: RawClient, objects: str, value: str) -> None:
    answer = raw.request("GET", f"/{objects}/small?response-content-type={value}")
    assert answer.refusal == (400, "InvalidArgument")
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("operation", READS)
def test_checksum_mode_tells_the_checksum(s3: Any, bucket: str, operation: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=SMALL, ChecksumAlgorithm="SHA256")
    read = getattr(s3, operation)
    got = read(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert (got["ChecksumSHA256"], got["ChecksumType"]) == (
        "hNiYd/DUBB77a/kaFvAkjy/Vc+avBcGflr7bn4gveII=",
        "FULL_OBJECT",
    )
    part = read(Bucket=bucket, Key="a", ChecksumMode="ENABLED", Range="bytes=0-3")
    assert not any(name.startswith("Checksum") for name in part), "the whole object's checksum is not the range's"


def test_checksums_are_not_told_unasked(raw: RawClient, objects: str) -> None:
    answer = raw.request("GET", f"/{objects}/small")
    assert not any(name.startswith("x-amz-checksum") for name in answer.headers)


def test_head_object_answers_as_get_object_does(s3: Any, objects: str) -> None:
    asked = {"Bucket": objects, "Key": "small", "ChecksumMode": "ENABLED"}
    get, head = (headers_of(getattr(s3, operation)(**asked)) for operation in READS)
    own = {"x-amz-request-id", "x-amz-id-2", "date"}
    assert {name: get[name] for name in get.keys() - own} == {name: head[name] for name in head.keys() - own}
    assert head["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("bucket_name", "key", "code"), [(None, "absent", "NoSuchKey"), ("never-created", "a", "NoSuchBucket")]
)
def test_what_is_not_there(s3: Any, objects: str, bucket_name: str | None, key: str, code: str) -> None:
    where = {"Bucket": bucket_name or objects, "Key": key}
    error = error_of(s3.get_object, **where)
    assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (404, code)
    assert error["Error"].get("Key" if code == "NoSuchKey" else "BucketName") in where.values()
    assert refusal(s3.head_object, **where) == (404, "404")


@pytest.mark.parametrize(("version", "expected"), [("null", None), ("nonsense", (400, "InvalidArgument"))])
def test_the_only_version_is_null(s3: Any, objects: str, version: str, expected: Any) -> None:
    if expected is None:
        assert s3.get_object(Bucket=objects, Key="small", VersionId=version)["Body"].read() == SMALL
    else:
        assert refusal(s3.get_object, Bucket=objects, Key="small", VersionId=version) == expected


def test_head_object_on_an_error_has_no_body(raw: RawClient, objects: str) -> None:
    answer = raw.request("HEAD", f"/{objects}/absent")
    assert (answer.status, answer.body) == (404, b"")


def test_a_client_that_leaves_in_the_middle_of_an_answer_harms_nobody(s3: Any, objects: str) -> None:
    for _ in range(3):
        stream = s3.get_object(Bucket=objects, Key="large")["Body"]
        stream.read(1000)
        stream.close()
    assert s3.get_object(Bucket=objects, Key="large")["Body"].read() == LARGE

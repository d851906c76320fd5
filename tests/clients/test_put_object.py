"""PutObject: bodies of every size, what is kept with them, conditions, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import base64_of, headers_of, md5_hex, random_bytes, refusal, stored_files
from tests.clients.raw import RawClient
from tests.harness import Gateway

SIZES = [0, 1, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 262_144, 1_048_577]
"""Around the limit of inline bodies (16 KiB of ciphertext), the segment (64 KiB) and the batch (256 KiB)."""


@pytest.mark.parametrize("size", SIZES)
def test_put_object_keeps_bodies_of_any_size(s3: Any, shared_bucket: str, size: int) -> None:
    body = random_bytes(size)
    put = s3.put_object(Bucket=shared_bucket, Key=f"size/{size}", Body=body)
    assert put["ETag"] == f'"{md5_hex(body)}"'
    got = s3.get_object(Bucket=shared_bucket, Key=f"size/{size}")
    assert (got["Body"].read(), got["ContentLength"], got["ETag"]) == (body, size, put["ETag"])


def test_put_object_replaces(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"one", Metadata={"old": "1"}, ContentType="text/plain")
    s3.put_object(Bucket=bucket, Key="a", Body=b"three")
    got = s3.get_object(Bucket=bucket, Key="a")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (b"three", {}, "binary/octet-stream")


CONTENT = {
    "CacheControl": "max-age=60, public",
    "ContentDisposition": 'attachment; filename="a b.txt"',
    "ContentEncoding": "gzip",
    "ContentLanguage": "de-CH",
    "ContentType": "text/plain; charset=utf-8",
}


@pytest.mark.parametrize("operation", ["get_object", "head_object"])
def test_put_object_keeps_content_headers_and_metadata(s3: Any, bucket: str, operation: str) -> None:
    metadata = {"colour": "red", "with-dash": "a  b", "under_score": "1", "empty": ""}
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", Expires="2030-01-02", Metadata=metadata, **CONTENT)
    got = getattr(s3, operation)(Bucket=bucket, Key="a")
    assert {name: got[name] for name in CONTENT} == CONTENT
    assert got["ExpiresString"] == "Wed, 02 Jan 2030 00:00:00 GMT"
    assert got["Metadata"] == metadata


def test_metadata_names_are_lower_case(raw: RawClient, s3: Any, bucket: str) -> None:
    signed = raw.sign("PUT", f"/{bucket}/a", {"x-amz-meta-mixed": "Value"})
    headers = {name.replace("mixed", "MiXeD"): value for name, value in signed.headers.items()}
    assert raw.send("PUT", f"/{bucket}/a", {**headers, "authorization": signed.headers["authorization"]}).status == 200
    assert s3.head_object(Bucket=bucket, Key="a")["Metadata"] == {"mixed": "Value"}


def test_metadata_beyond_ascii_comes_back_as_encoded_words(raw: RawClient, s3: Any, bucket: str) -> None:
    assert raw.request("PUT", f"/{bucket}/a", {"x-amz-meta-name": "Zürich"}).status == 200
    assert headers_of(s3.head_object(Bucket=bucket, Key="a"))["x-amz-meta-name"] == "=?UTF-8?B?WsO8cmljaA==?="


@pytest.mark.parametrize(("size", "expected"), [(2048 - 4, (200, "")), (2049 - 4, (400, "MetadataTooLarge"))])
def test_put_object_bounds_metadata(raw: RawClient, bucket: str, size: int, expected: Any) -> None:
    assert raw.request("PUT", f"/{bucket}/a", {"x-amz-meta-name": "x" * size}).refusal == expected


def test_aws_chunked_is_no_encoding_of_the_object(s3: Any, raw: RawClient, bucket: str) -> None:
    kind = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    for key, encoding in (("plain", "aws-chunked"), ("gzip", "gzip,aws-chunked"), ("both", "aws-chunked, gzip")):
        assert raw.stream(f"/{bucket}/{key}", b"1", kind=kind, headers={"content-encoding": encoding}).status == 200
    found = {key: s3.head_object(Bucket=bucket, Key=key).get("ContentEncoding") for key in ("plain", "gzip", "both")}
    assert found == {"plain": None, "gzip": "gzip", "both": "gzip"}


@pytest.mark.parametrize("storage_class", ["STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "INTELLIGENT_TIERING"])
def test_put_object_keeps_the_storage_class(s3: Any, shared_bucket: str, storage_class: str) -> None:
    s3.put_object(Bucket=shared_bucket, Key="class", Body=b"1", StorageClass=storage_class)
    shown = s3.head_object(Bucket=shared_bucket, Key="class").get("StorageClass")
    assert shown == (None if storage_class == "STANDARD" else storage_class)
    (listed,) = s3.list_objects_v2(Bucket=shared_bucket, Prefix="class")["Contents"]
    assert listed["StorageClass"] == storage_class


CONDITIONS: list[tuple[dict[str, str], bool, tuple[int, str] | None]] = [
    ({"IfNoneMatch": "*"}, False, None),
    ({"IfNoneMatch": "*"}, True, (412, "PreconditionFailed")),
    ({"IfMatch": "current"}, True, None),
    ({"IfMatch": '"0123"'}, True, (412, "PreconditionFailed")),
    ({"IfMatch": '"0123"'}, False, (404, "NoSuchKey")),
    ({"IfMatch": "*"}, True, (501, "NotImplemented")),
    ({"IfNoneMatch": '"0123"'}, True, (501, "NotImplemented")),
    ({"IfMatch": "current", "IfNoneMatch": "*"}, True, (501, "NotImplemented")),
]


@pytest.mark.parametrize(("condition", "exists", "expected"), CONDITIONS)
def test_put_object_on_condition(s3: Any, bucket: str, condition: Any, exists: bool, expected: Any) -> None:
    if exists:
        etag = s3.put_object(Bucket=bucket, Key="a", Body=b"old")["ETag"]
        condition = {name: etag if value == "current" else value for name, value in condition.items()}
    if expected is None:
        s3.put_object(Bucket=bucket, Key="a", Body=b"new", **condition)
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"new"
    else:
        assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"new", **condition) == expected
        found = [item["Size"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        assert found == ([3] if exists else [])
        if exists:
            assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"old"


def test_put_object_precondition_failed_names_the_condition(s3: Any, raw: RawClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a")
    answer = raw.request("PUT", f"/{bucket}/a", {"if-none-match": "*"})
    assert (answer.refusal, answer.element("Condition")) == ((412, "PreconditionFailed"), "If-None-Match")


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (base64_of(bytes.fromhex(md5_hex(b"body"))), (200, "")),
        (base64_of(bytes.fromhex(md5_hex(b"other"))), (400, "BadDigest")),
        (base64_of(b"short"), (400, "InvalidDigest")),
        ("not base64", (400, "InvalidDigest")),
        ("", (400, "InvalidDigest")),
    ],
)
@pytest.mark.parametrize("size", [4, 100_000])
def test_put_object_holds_content_md5_against_the_body(
    gateway: Gateway, s3: Any, raw: RawClient, bucket: str, digest: str, expected: Any, size: int
) -> None:
    body = b"body" if size == 4 else random_bytes(size)
    if size != 4 and digest == base64_of(bytes.fromhex(md5_hex(b"body"))):
        digest = base64_of(bytes.fromhex(md5_hex(body)))
    before = stored_files(gateway)
    assert raw.request("PUT", f"/{bucket}/a", {"content-md5": digest}, body).refusal == expected
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == (expected[0] == 200)
    if expected[0] != 200:
        assert stored_files(gateway) == before


REFUSED = [
    ("x-amz-storage-class", "GLACIER", (400, "InvalidStorageClass")),
    ("x-amz-storage-class", "nonsense", (400, "InvalidStorageClass")),
    ("x-amz-acl", "public-read", (400, "AccessControlListNotSupported")),
    ("x-amz-acl", "nonsense", (400, "InvalidArgument")),
    ("x-amz-grant-read", "id=1", (400, "AccessControlListNotSupported")),
    ("x-amz-tagging", "a=b=c", (400, "InvalidArgument")),
    ("x-amz-website-redirect-location", "x", (400, "InvalidRedirectLocation")),
    ("x-amz-copy-source-if-match", '"x"', (400, "InvalidRequest")),
    ("x-amz-copy-source-range", "bytes=0-0", (400, "InvalidRequest")),
    ("x-amz-mp-object-size", "4", (400, "InvalidRequest")),
    ("x-amz-source-expected-bucket-owner", "123456789012", (400, "InvalidRequest")),
    ("x-amz-object-lock-mode", "GOVERNANCE", (501, "NotImplemented")),
    ("x-amz-object-lock-retain-until-date", "2030-01-01T00:00:00Z", (501, "NotImplemented")),
    ("x-amz-object-lock-legal-hold", "ON", (501, "NotImplemented")),
    ("x-amz-write-offset-bytes", "0", (501, "NotImplemented")),
    ("x-amz-checksum-sha512", "AAAA", (400, "InvalidRequest")),
    ("x-amz-expected-bucket-owner", "999999999999", (403, "AccessDenied")),
]


@pytest.mark.parametrize(("name", "value", "expected"), REFUSED)
def test_put_object_refuses_what_it_does_not_serve(
    s3: Any, raw: RawClient, shared_bucket: str, name: str, value: str, expected: Any
) -> None:
    assert raw.request("PUT", f"/{shared_bucket}/refused", {name: value}, b"body").refusal == expected
    assert refusal(s3.head_object, Bucket=shared_bucket, Key="refused") == (404, "404")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-amz-acl", "private"),
        ("x-amz-acl", "bucket-owner-full-control"),
        ("x-amz-tagging", ""),
        ("x-amz-request-payer", "requester"),
        ("x-amz-unknown-to-everybody", "1"),
    ],
)
def test_put_object_takes_headers_that_change_nothing(
    raw: RawClient, shared_bucket: str, name: str, value: str
) -> None:
    assert raw.request("PUT", f"/{shared_bucket}/taken", {name: value}, b"body").status == 200


def test_put_object_into_no_bucket(s3: Any) -> None:
    assert refusal(s3.put_object, Bucket="never-created", Key="a", Body=b"1") == (404, "NoSuchBucket")


KEYS = [
    "a b", "a+b", "a%20b", "100%", "a//b", "//", "/", "/a", "a/", ".", "..", "a/../b", "./a", "é", "日本語",
    "🔑", "\u2028", "a?b", "a#b", "a&b=c", "<Key>&amp;</Key>", "]]>", "'\"", "a\nb", "a\tb", "~", "*",
    "a:b;c@d,e", "\\", "k" * 1024, "é" * 512,
]  # fmt: skip
"""Keys that clients and parsers get wrong."""


@pytest.mark.parametrize("key", KEYS)
def test_odd_keys_are_kept_as_they_are(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 513])
def test_keys_of_more_than_1024_bytes_are_refused(s3: Any, shared_bucket: str, key: str) -> None:
    assert refusal(s3.put_object, Bucket=shared_bucket, Key=key, Body=b"") == (400, "KeyTooLongError")


def test_put_object_answers_what_it_computed(s3: Any, bucket: str) -> None:
    answer = s3.put_object(Bucket=bucket, Key="a", Body=b"123456789")
    assert answer["ServerSideEncryption"] == "AES256"
    assert (answer["ChecksumCRC32"], answer["ChecksumType"]) == ("y/Q5Jg==", "FULL_OBJECT")

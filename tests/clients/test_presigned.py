"""Presigned URLs whose parameters stand for headers that choose the operation, name metadata, or declare the body."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import quote

import pytest

from tests.clients.checks import base64_of, md5_hex, refusal
from tests.clients.raw import STREAMING, STREAMING_UNSIGNED_TRAILER, UNSIGNED, Answer, RawClient, framed

BODY = b"presigned"
BODY_SHA256 = hashlib.sha256(BODY).hexdigest()


def put(raw: RawClient, target: str, body: bytes = BODY, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return raw.send("PUT", raw.presign("PUT", target), {"host": raw.host, **names}, body)


@pytest.mark.parametrize("name", ["x-amz-copy-source", "X-Amz-Copy-Source"])
@pytest.mark.parametrize("key", ["source", "a b+ü"])
def test_a_copy_source_in_the_query_copies(s3: Any, raw: RawClient, bucket: str, name: str, key: str) -> None:
    """Routed by its headers alone, the request was a PutObject, which made the target an empty object."""
    s3.put_object(Bucket=bucket, Key=key, Body=b"source")
    source = quote(quote(f"{bucket}/{key}"), safe="")
    answer = put(raw, f"/{bucket}/target?{name}={source}", b"")
    assert answer.status == 200, answer.body
    assert md5_hex(b"source") in answer.element("ETag")
    assert s3.get_object(Bucket=bucket, Key="target")["Body"].read() == b"source"


def test_a_copy_source_in_the_query_that_is_not_there_overwrites_nothing(s3: Any, raw: RawClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="target", Body=b"kept")
    answer = put(raw, f"/{bucket}/target?x-amz-copy-source={bucket}%2Fabsent", b"")
    assert answer.refusal == (404, "NoSuchKey")
    assert s3.get_object(Bucket=bucket, Key="target")["Body"].read() == b"kept"


@pytest.mark.parametrize(
    "name",
    [
        "x-amz-meta-a%0D%0ASet-Cookie:%20x",
        "x-amz-meta-a%0A",
        "x-amz-meta-a%00",
        "x-amz-meta-a%20b",
        "x-amz-meta-a:",
        "x-amz-meta-%C3%A9",
        "X-Amz-%7F",
        "x-amz-%E2%84%AA",
    ],
)
def test_a_parameter_that_no_header_can_be_named_stores_nothing(
    s3: Any, raw: RawClient, bucket: str, name: str
) -> None:
    """An object with a line break in the name of its metadata could never be read again."""
    assert put(raw, f"/{bucket}/k?{name}=1").refusal == (400, "InvalidArgument")
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")


@pytest.mark.parametrize(
    ("hoisted", "expected"),
    [
        ("x-amz-meta-a=b%0D%0AX:%20c", (400, "InvalidArgument")),
        ("x-amz-meta-a=" + "m" * 2048, (400, "MetadataTooLarge")),
        ("x-amz-storage-class=SHELF", (400, "InvalidStorageClass")),
        ("x-amz-checksum-crc32=AAAAAA%3D%3D", (400, "BadDigest")),
        ("x-amz-checksum-sha256=no", (400, "InvalidRequest")),
        ("x-amz-content-sha256=" + "0" * 64, (403, "SignatureDoesNotMatch")),
        ("x-amz-server-side-encryption=aws:kms&x-amz-server-side-encryption-aws-kms-key-id=alias%2Fnobody",
         (400, "KMS.NotFoundException")),
        ("x-amz-server-side-encryption-customer-algorithm=AES256", (403, "AccessDenied")),
    ],
)  # fmt: skip
def test_a_parameter_is_judged_as_its_header_is(
    s3: Any, raw: RawClient, bucket: str, hoisted: str, expected: tuple[int, str]
) -> None:
    assert put(raw, f"/{bucket}/k?{hoisted}").refusal == expected
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")


@pytest.mark.parametrize("body", [BODY, b"x" * 300_000], ids=["in its row", "in a blob"])
def test_a_body_whose_hash_was_signed_with_the_url(s3: Any, raw: RawClient, bucket: str, body: bytes) -> None:
    declared = hashlib.sha256(body).hexdigest()
    target = raw.presign("PUT", f"/{bucket}/k?X-Amz-Content-Sha256={declared}", payload_hash=declared)
    answer = raw.send("PUT", target, {"host": raw.host}, body[:-1] + b"?")
    assert answer.refusal == (400, "XAmzContentSHA256Mismatch")
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    assert raw.send("PUT", target, {"host": raw.host}, body).status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body


@pytest.mark.parametrize("value", [STREAMING, "nonsense", "0" * 64])
def test_a_payload_header_beside_a_url_that_was_signed_without(
    s3: Any, raw: RawClient, bucket: str, value: str
) -> None:
    answer = put(raw, f"/{bucket}/k", x_amz_content_sha256=value)
    assert answer.status in (400, 403), "the URL was signed for an unsigned payload"
    assert answer.code in ("InvalidArgument", "SignatureDoesNotMatch")
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")
    assert put(raw, f"/{bucket}/k", x_amz_content_sha256=UNSIGNED).status == 200


def test_a_framed_body_without_signatures(s3: Any, raw: RawClient, bucket: str) -> None:
    """The decoded length is signed with the URL as a parameter."""
    kind = STREAMING_UNSIGNED_TRAILER
    target = f"/{bucket}/k?X-Amz-Content-Sha256={kind}&x-amz-decoded-content-length={len(BODY)}"
    url = raw.presign("PUT", target, payload_hash=kind)
    assert raw.send("PUT", url, {"host": raw.host}, framed(BODY, None)).status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


@pytest.mark.parametrize(("md5", "expected"), [(BODY, (200, "")), (b"other", (400, "BadDigest"))])
def test_content_md5_beside_the_url(raw: RawClient, bucket: str, md5: bytes, expected: tuple[int, str]) -> None:
    declared = base64_of(bytes.fromhex(md5_hex(md5)))
    assert put(raw, f"/{bucket}/k", content_md5=declared).refusal == expected

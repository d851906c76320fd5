"""Every kind of x-amz-content-sha256 with real signatures, in several splits of the wire's bytes."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest

from tests.clients.checks import random_bytes, stored_files
from tests.clients.raw import (
    STREAMING,
    STREAMING_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED,
    RawClient,
)
from tests.harness import Gateway

SMALL, LARGE = random_bytes(11), random_bytes(300_000)
CHUNKS = (65_536, 100_000)


def crc32(data: bytes) -> tuple[str, str]:
    return "x-amz-checksum-crc32", base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@pytest.mark.parametrize("pieces", [None, 1000, 65_537])
@pytest.mark.parametrize("payload", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("kind", [STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER])
def test_a_framed_body_is_unframed(
    s3: Any, raw: RawClient, shared_bucket: str, kind: str, payload: bytes, pieces: int | None
) -> None:
    answer = raw.stream(
        f"/{shared_bucket}/framed",
        payload,
        kind=kind,
        chunks=CHUNKS if payload is LARGE else (),
        trailers=[] if kind == STREAMING else [crc32(payload)],
        pieces=pieces,
    )
    assert answer.status == 200, answer.body
    got = s3.get_object(Bucket=shared_bucket, Key="framed", ChecksumMode="ENABLED")
    assert got["Body"].read() == payload
    assert kind == STREAMING or got["ChecksumCRC32"] == crc32(payload)[1]
    assert "ContentEncoding" not in got


def test_an_unsigned_payload(s3: Any, raw: RawClient, shared_bucket: str) -> None:
    signed = raw.sign("PUT", f"/{shared_bucket}/unsigned", payload_hash=UNSIGNED)
    assert raw.send("PUT", f"/{shared_bucket}/unsigned", signed.headers, LARGE).status == 200
    assert s3.get_object(Bucket=shared_bucket, Key="unsigned")["Body"].read() == LARGE


@pytest.mark.parametrize(
    ("kind", "options", "code"),
    [
        (STREAMING, {"change": (LARGE[70_000:70_010], b"0123456789")}, "SignatureDoesNotMatch"),
        (STREAMING, {"change": (b"chunk-signature=", b"chunk-signaturx=")}, "SignatureDoesNotMatch"),
        (STREAMING_TRAILER, {"trailers": [crc32(b"other")]}, "BadDigest"),
        (STREAMING_TRAILER, {"trailers": [crc32(LARGE)], "change": (b"crc32:", b"crc32: ")}, None),
        (STREAMING_UNSIGNED_TRAILER, {"trailers": [crc32(b"other")]}, "BadDigest"),
        (STREAMING_UNSIGNED_TRAILER, {"trailers": [crc32(LARGE)], "change": (b"\r\n", b"\n")}, "IncompleteBody"),
        (STREAMING_UNSIGNED_TRAILER, {"trailers": [crc32(LARGE)], "decoded_length": 299_999}, "IncompleteBody"),
        (STREAMING_UNSIGNED_TRAILER, {"trailers": [crc32(LARGE)], "decoded_length": 300_001}, "IncompleteBody"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", {}, "NotImplemented"),
        ("STREAMING-NOTHING", {}, "InvalidArgument"),
    ],
)
def test_a_framed_body_that_is_not_what_was_signed_stores_nothing(
    gateway: Gateway, s3: Any, raw: RawClient, bucket: str, kind: str, options: dict[str, Any], code: str | None
) -> None:
    before = stored_files(gateway)
    answer = raw.stream(f"/{bucket}/k", LARGE, kind=kind, chunks=CHUNKS, **options)
    if code is None:
        assert answer.status == 200, "blanks around a trailer's value mean nothing"
        return
    assert answer.code == code
    assert 400 <= answer.status <= 501 and answer.status != 500
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert stored_files(gateway) == before


def test_presigned_urls(s3: Any, gateway: Gateway, raw: RawClient, bucket: str) -> None:
    put = raw.presign("PUT", f"/{bucket}/k%20k?x-amz-meta-colour=blue")
    assert raw.send("PUT", put, {"host": raw.host}, b"presigned").status == 200
    got = raw.send("GET", raw.presign("GET", f"/{bucket}/k%20k"), {"host": raw.host})
    assert (got.status, got.body, got.headers["x-amz-meta-colour"]) == (200, b"presigned", "blue")
    changed = raw.presign("GET", f"/{bucket}/k%20k").replace("k%20k", "other")
    assert raw.send("GET", changed, {"host": raw.host}).refusal == (403, "SignatureDoesNotMatch")
    longer = raw.presign("GET", f"/{bucket}/k%20k").replace("X-Amz-Expires=60", "X-Amz-Expires=6000")
    assert raw.send("GET", longer, {"host": raw.host}).refusal == (403, "SignatureDoesNotMatch")
    v4 = gateway.client("s3", signature_version="s3v4")
    url = v4.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k k"})
    target = url.removeprefix(gateway.endpoint_url)
    assert raw.send("GET", target, {"host": raw.host}).body == b"presigned"

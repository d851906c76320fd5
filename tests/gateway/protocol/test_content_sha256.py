import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.content_sha256 import (
    MAX_SINGLE_UPLOAD_BYTES,
    UNSIGNED_PAYLOAD,
    ContentSHA256,
    PayloadKind,
    payload_length,
    trailer_names,
)
from gateway.protocol.errors import S3Error

DIGEST = hashlib.sha256(b"body").digest()
KINDS = [
    # value, streaming, signed stream, trailer
    (DIGEST.hex(), False, False, False),
    ("UNSIGNED-PAYLOAD", False, False, False),
    ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", True, False, True),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", True, True, False),
    ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", True, True, True),
]


@pytest.mark.parametrize(("value", "streaming", "signed", "trailer"), KINDS)
def test_kinds(value: str, streaming: bool, signed: bool, trailer: bool) -> None:
    parsed = ContentSHA256.parse(value)
    assert (parsed.is_streaming, parsed.is_signed_stream, parsed.has_trailer) == (streaming, signed, trailer)
    assert parsed.digest == (DIGEST if parsed.kind is PayloadKind.HASH else None)


def test_every_kind_is_covered() -> None:
    assert {ContentSHA256.parse(row[0]).kind for row in KINDS} == set(PayloadKind)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "InvalidArgument"),
        ("unsigned-payload", "InvalidArgument"),
        ("hash", "InvalidArgument"),
        ("0" * 63, "InvalidArgument"),
        ("0" * 64 + "\n", "InvalidArgument"),
        ("g" * 64, "InvalidArgument"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "NotImplemented"),
        ("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER", "NotImplemented"),
    ],
)
def test_other_values(value: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        ContentSHA256.parse(value)
    assert caught.value.code == code


def test_verify_compares_declared_hashes_and_asks_for_no_other() -> None:
    ContentSHA256.parse(DIGEST.hex().upper()).verify(lambda: DIGEST)
    UNSIGNED_PAYLOAD.verify(lambda: pytest.fail("was not needed"))
    with pytest.raises(S3Error) as caught:
        ContentSHA256.parse("0" * 64).verify(lambda: DIGEST)
    assert caught.value.code == "XAmzContentSHA256Mismatch"
    assert caught.value.fields == {
        "ClientComputedContentSHA256": "0" * 64,
        "S3ComputedContentSHA256": DIGEST.hex(),
    }


STREAM = ContentSHA256(PayloadKind.STREAMING_SIGNED)


def test_payload_length() -> None:
    assert payload_length({}, UNSIGNED_PAYLOAD, 5) == 5
    assert payload_length({"x-amz-decoded-content-length": "3"}, STREAM, 99) == 3
    assert payload_length({}, UNSIGNED_PAYLOAD, MAX_SINGLE_UPLOAD_BYTES) == MAX_SINGLE_UPLOAD_BYTES


def test_transfer_encoding_in_place_of_a_length() -> None:
    with pytest.raises(S3Error) as caught:
        payload_length({"transfer-encoding": "chunked"}, UNSIGNED_PAYLOAD, None)
    assert (caught.value.code, dict(caught.value.fields)) == ("NotImplemented", {"Header": "Transfer-Encoding"})
    framed = {"transfer-encoding": "chunked", "x-amz-decoded-content-length": "3"}
    assert payload_length(framed, STREAM, None) == 3


@pytest.mark.parametrize(
    ("decoded", "content", "length", "code"),
    [
        (None, UNSIGNED_PAYLOAD, None, "MissingContentLength"),
        (None, STREAM, 99, "MissingContentLength"),
        ("", STREAM, 99, "InvalidArgument"),
        ("-1", STREAM, 99, "InvalidArgument"),
        ("٣", STREAM, 99, "InvalidArgument"),
        ("9" * 5000, STREAM, 99, "InvalidArgument"),
        (None, UNSIGNED_PAYLOAD, MAX_SINGLE_UPLOAD_BYTES + 1, "EntityTooLarge"),
        (str(MAX_SINGLE_UPLOAD_BYTES + 1), STREAM, 99, "EntityTooLarge"),
    ],
)
def test_bad_lengths(decoded: str | None, content: ContentSHA256, length: int | None, code: str) -> None:
    headers = {} if decoded is None else {"x-amz-decoded-content-length": decoded}
    with pytest.raises(S3Error) as caught:
        payload_length(headers, content, length)
    assert caught.value.code == code


def test_trailer_names() -> None:
    signed, unsigned = PayloadKind.STREAMING_SIGNED_TRAILER, PayloadKind.STREAMING_UNSIGNED_TRAILER
    headers = {"x-amz-trailer": " X-Amz-Checksum-CRC32 ,"}
    for kind in (signed, unsigned):
        assert trailer_names(headers, ContentSHA256(kind)) == ("x-amz-checksum-crc32",)
    assert trailer_names({}, ContentSHA256(unsigned)) == ()
    assert trailer_names({}, UNSIGNED_PAYLOAD) == ()
    with pytest.raises(S3Error, match="MalformedTrailerError"):
        trailer_names({}, ContentSHA256(signed))
    for content in (UNSIGNED_PAYLOAD, STREAM):
        with pytest.raises(S3Error, match="InvalidRequest"):
            trailer_names(headers, content)


@given(st.text() | st.from_regex(r"[0-9a-fA-F]{63,65}", fullmatch=True))
def test_nothing_but_s3_errors(value: str) -> None:
    try:
        parsed = ContentSHA256.parse(value)
    except S3Error:
        return
    assert parsed.digest is None or parsed.digest.hex() == value.lower()

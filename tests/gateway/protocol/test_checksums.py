import base64
import hashlib
import os
import zlib

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.checksums import (
    Algorithm,
    ChecksumExpectation,
    ChecksumType,
    PartChecksum,
    combine,
    declared_object_checksum,
    decode_digest,
    encode_digest,
    new_hasher,
    requested_algorithm,
    same_checksum,
    wants_checksums,
)
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Buffer

CRC32 = "x-amz-checksum-crc32"
SDK = "x-amz-sdk-checksum-algorithm"
BODY = b"123456789"
# Check values of the Rocksoft catalogue for "123456789", FIPS 180's functions, and XXHash as xxhash 4.1 computes them.
CHECK = {
    Algorithm.CRC32: bytes.fromhex("cbf43926"),
    Algorithm.CRC32C: bytes.fromhex("e3069283"),
    Algorithm.CRC64NVME: bytes.fromhex("ae8b14860a799888"),
    Algorithm.SHA1: hashlib.sha1(BODY).digest(),
    Algorithm.SHA256: hashlib.sha256(BODY).digest(),
    Algorithm.SHA512: hashlib.sha512(BODY).digest(),
    Algorithm.MD5: hashlib.md5(BODY).digest(),
    Algorithm.XXHASH64: bytes.fromhex("8cb841db40e6ae83"),
    Algorithm.XXHASH3: bytes.fromhex("72dcb18b67a17dff"),
    Algorithm.XXHASH128: bytes.fromhex("33119477ede5dcd5e9716427681d5860"),
}


def digest_of(algorithm: Algorithm, body: bytes) -> bytes:
    hasher = new_hasher(algorithm)
    hasher.update(body)
    return hasher.digest()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_check_values(algorithm: Algorithm) -> None:
    assert digest_of(algorithm, BODY) == CHECK[algorithm]
    assert len(CHECK[algorithm]) == algorithm.digest_size
    assert algorithm.header == f"x-amz-checksum-{algorithm.name.lower()}"


@given(st.sampled_from(list(Algorithm)), st.lists(st.binary(max_size=300), max_size=6))
def test_hashers_are_incremental_over_any_buffer(algorithm: Algorithm, pieces: list[bytes]) -> None:
    hasher = new_hasher(algorithm)
    for number, piece in enumerate(pieces):
        buffers: tuple[Buffer, ...] = (piece, bytearray(piece), memoryview(b"x" + piece)[1:])
        hasher.update(buffers[number % 3])
    assert hasher.digest() == digest_of(algorithm, b"".join(pieces))


def check_refused(headers: dict[str, str], code: str, message: str | None = None) -> None:
    with pytest.raises(S3Error) as caught:
        ChecksumExpectation.parse(headers)
    assert caught.value.code == code
    if message is not None:
        assert caught.value.message == message


def test_nothing_declared() -> None:
    expectation = ChecksumExpectation.parse({"x-amz-checksum-mode": "ENABLED", "content-type": "text/plain"})
    assert expectation == ChecksumExpectation()
    expectation.verify_body(b"anything")
    expectation.verify(b"", {})


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_value_in_a_header(algorithm: Algorithm) -> None:
    headers = {algorithm.header: encode_digest(CHECK[algorithm]), SDK: algorithm.name.lower()}
    expectation = ChecksumExpectation.parse(headers)
    assert expectation == ChecksumExpectation(algorithm, CHECK[algorithm])
    expectation.verify_body(BODY)
    with pytest.raises(S3Error) as caught:
        expectation.verify_body(BODY + b"0")
    assert caught.value.code == "BadDigest"
    assert caught.value.message == f"The {algorithm.name} you specified did not match the calculated checksum."


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_value_in_a_trailer(algorithm: Algorithm) -> None:
    expectation = ChecksumExpectation.parse({"x-amz-trailer": algorithm.header, SDK: algorithm.name})
    assert (expectation.algorithm, expectation.value) == (algorithm, None)
    expectation.verify(CHECK[algorithm], {algorithm.header: encode_digest(CHECK[algorithm])})
    wrong = bytes(algorithm.digest_size)
    for trailers, code in (
        ({}, "MalformedTrailerError"),
        ({algorithm.header: "x"}, "InvalidRequest"),
        ({algorithm.header: encode_digest(wrong)}, "BadDigest"),
    ):
        with pytest.raises(S3Error) as caught:
            expectation.verify(CHECK[algorithm], trailers)
        assert caught.value.code == code


@pytest.mark.parametrize("value", ["", "x", "AAAA", "AAAAAA", "AAAAAA==\n", "AAAAAAA=", "AAAAAA== ", "ÄAAAAA=="])
def test_malformed_values(value: str) -> None:
    check_refused({CRC32: value}, "InvalidRequest", "Value for x-amz-checksum-crc32 header is invalid.")


def test_contradictions() -> None:
    value = encode_digest(CHECK[Algorithm.CRC32])
    several = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
    check_refused({CRC32: value, "x-amz-checksum-sha1": "x"}, "InvalidRequest", several)
    check_refused({CRC32: value, "x-amz-trailer": "x-amz-checksum-sha1"}, "InvalidRequest", several)
    check_refused(
        {SDK: "CRC32"},
        "InvalidRequest",
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were "
        "found.",
    )
    invalid = "Value for x-amz-sdk-checksum-algorithm header is invalid."
    check_refused({CRC32: value, SDK: "SHA1"}, "InvalidRequest", invalid)
    check_refused({CRC32: value, SDK: "CRC31"}, "InvalidRequest", invalid)
    check_refused({"x-amz-trailer": "x-custom"}, "InvalidRequest")
    check_refused({"x-amz-checksum-crc16": "AAA="}, "InvalidRequest")


def test_algorithms_are_those_of_the_model() -> None:
    model = botocore.session.get_session().get_service_model("s3")
    assert set(Algorithm.__members__) == set(model.shape_for("ChecksumAlgorithm").enum)


def test_an_unknown_algorithm_is_told_the_valid_ones() -> None:
    with pytest.raises(S3Error) as caught:
        requested_algorithm({"x-amz-checksum-algorithm": "MD4"})
    assert caught.value.message == (
        "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, "
        "CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHASH128, XXHASH3, XXHASH64]"
    )


def test_content_md5() -> None:
    digest = hashlib.md5(BODY).digest()
    expectation = ChecksumExpectation.parse({"content-md5": encode_digest(digest)})
    assert expectation.content_md5 == digest
    expectation.verify_body(BODY)
    with pytest.raises(S3Error) as caught:
        expectation.verify_body(b"")
    assert caught.value.code == "BadDigest"
    assert caught.value.fields["ExpectedDigest"] == encode_digest(digest)
    assert ChecksumExpectation.parse_md5_only({"content-md5": encode_digest(digest), CRC32: "x"}) == expectation


@pytest.mark.parametrize("value", ["", "x", "AAAA", encode_digest(bytes(15)), encode_digest(bytes(17))])
def test_malformed_content_md5(value: str) -> None:
    check_refused({"content-md5": value}, "InvalidDigest")


COMPOSITE_ONLY = ["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"]
REQUESTED = [
    ({}, (None, None)),
    ({"algorithm": "CRC32"}, (Algorithm.CRC32, ChecksumType.COMPOSITE)),
    ({"algorithm": "crc32c", "type": "FULL_OBJECT"}, (Algorithm.CRC32C, ChecksumType.FULL_OBJECT)),
    ({"algorithm": "CRC64NVME"}, (Algorithm.CRC64NVME, ChecksumType.FULL_OBJECT)),
    ({"algorithm": "SHA256", "type": "COMPOSITE"}, (Algorithm.SHA256, ChecksumType.COMPOSITE)),
    ({"algorithm": "SHA1"}, (Algorithm.SHA1, ChecksumType.COMPOSITE)),
    ({"algorithm": "SHA1", "type": "FULL_OBJECT"}, None),
    ({"algorithm": "SHA256", "type": "FULL_OBJECT"}, None),
    *(({"algorithm": name}, (Algorithm[name], ChecksumType.COMPOSITE)) for name in COMPOSITE_ONLY),
    *(({"algorithm": name, "type": "FULL_OBJECT"}, None) for name in COMPOSITE_ONLY),
    ({"algorithm": "CRC64NVME", "type": "COMPOSITE"}, None),
    ({"algorithm": "CRC31"}, None),
    ({"algorithm": ""}, None),
    ({"algorithm": "CRC32", "type": "HALF"}, None),
    ({"type": "FULL_OBJECT"}, None),
]


@pytest.mark.parametrize(("asked", "expected"), REQUESTED)
def test_what_an_upload_may_request(
    asked: dict[str, str], expected: tuple[Algorithm | None, ChecksumType | None] | None
) -> None:
    headers = {f"x-amz-checksum-{name}": value for name, value in asked.items()}
    if expected is not None:
        assert ChecksumType.requested(headers) == expected
        return
    with pytest.raises(S3Error) as caught:
        ChecksumType.requested(headers)
    assert caught.value.code == "InvalidRequest"


CRCS = [Algorithm.CRC32, Algorithm.CRC32C, Algorithm.CRC64NVME]


@given(st.sampled_from(CRCS), st.lists(st.binary(max_size=200), min_size=1, max_size=6))
def test_a_combined_crc_is_that_of_the_whole(algorithm: Algorithm, bodies: list[bytes]) -> None:
    parts = [PartChecksum(encode_digest(digest_of(algorithm, body)), len(body)) for body in bodies]
    whole = encode_digest(digest_of(algorithm, b"".join(bodies)))
    assert combine(algorithm, ChecksumType.FULL_OBJECT, parts) == whole


def test_combining_parts_of_five_gibibytes() -> None:
    part = os.urandom(1 << 16)
    single = PartChecksum(encode_digest(zlib.crc32(part).to_bytes(4, "big")), len(part))
    value = 0
    for _ in range(3):
        value = zlib.crc32(part, value)
    assert combine(Algorithm.CRC32, ChecksumType.FULL_OBJECT, [single] * 3) == encode_digest(value.to_bytes(4, "big"))
    zeros = PartChecksum("AAAAAA==", 5 << 30)  # lengths beyond 32 bits are taken
    assert decode_digest(combine(Algorithm.CRC32, ChecksumType.FULL_OBJECT, [single, zeros]), 4)


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_composite_checksum_is_of_the_checksums(algorithm: Algorithm) -> None:
    digests = [digest_of(algorithm, body) for body in (b"a", b"b", b"c")]
    parts = [PartChecksum(encode_digest(digest), 1) for digest in digests]
    expected = encode_digest(digest_of(algorithm, b"".join(digests))) + "-3"
    assert combine(algorithm, ChecksumType.COMPOSITE, parts) == expected


def test_composite_checksums() -> None:
    digests = [hashlib.sha256(body).digest() for body in (b"a", b"b")]
    expected = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode() + "-2"
    parts = [PartChecksum(encode_digest(digest), 1) for digest in digests]
    assert combine(Algorithm.SHA256, ChecksumType.COMPOSITE, parts) == expected


@pytest.mark.parametrize(
    ("algorithm", "kind", "text"),
    [
        (Algorithm.SHA256, ChecksumType.FULL_OBJECT, encode_digest(bytes(32))),
        (Algorithm.CRC32, ChecksumType.FULL_OBJECT, encode_digest(bytes(8))),
        (Algorithm.CRC32, ChecksumType.COMPOSITE, "?"),
    ],
)
def test_what_cannot_be_combined(algorithm: Algorithm, kind: ChecksumType, text: str) -> None:
    with pytest.raises(ValueError, match=r"checksum|combined"):
        combine(algorithm, kind, [PartChecksum(text, 1)])


def test_checksums_that_complete_declares() -> None:
    assert declared_object_checksum({}) is None
    assert declared_object_checksum({CRC32: "AAAAAA=="}) == (Algorithm.CRC32, "AAAAAA==")
    assert declared_object_checksum({CRC32: "AAAAAA==-3"}) == (Algorithm.CRC32, "AAAAAA==-3")
    for value in ("", "AAAA", "AAAAAA==-x", "-3"):
        with pytest.raises(S3Error, match="InvalidRequest"):
            declared_object_checksum({CRC32: value})
    assert same_checksum("AAAAAA==", "AAAAAA==-3") and same_checksum("AAAAAA==-3", "AAAAAA==-3")
    assert not same_checksum("AAAAAA==-2", "AAAAAA==-3") and not same_checksum("AAAAAQ==", "AAAAAA==")


def test_checksum_mode() -> None:
    assert wants_checksums({"x-amz-checksum-mode": "ENABLED"}) and wants_checksums({"x-amz-checksum-mode": "enabled"})
    assert not wants_checksums({}) and not wants_checksums({"x-amz-checksum-mode": "DISABLED"})


NAMES = st.sampled_from(
    [*(a.header for a in Algorithm), SDK, "x-amz-trailer", "content-md5", "x-amz-checksum-type"]
) | st.text().map("x-amz-checksum-".__add__)
VALUES = st.text() | st.sampled_from([*(a.name for a in Algorithm), *(a.header for a in Algorithm), "AAAAAA=="])


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_nothing_but_s3_errors(headers: dict[str, str]) -> None:
    for parse in (ChecksumExpectation.parse, ChecksumType.requested, declared_object_checksum):
        try:
            parse(headers)
        except S3Error as error:
            assert error.status in (400, 501)

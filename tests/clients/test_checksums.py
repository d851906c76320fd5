"""Content-MD5 and the checksums of S3: in headers, in trailers, by default; told again; what is wrong is not stored."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import base64_of, content_md5, headers_of, random_bytes, refusal, stored_files
from tests.clients.digests import DIGESTS, checksum, header
from tests.clients.raw import STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER, UNSIGNED, Answer, RawClient
from tests.harness import Gateway

CHECK = b"123456789"
"""What catalogues of CRC algorithms show the check value of."""
LARGE = random_bytes(300_000, seed=3)
"""Too long to lie in its row; five segments."""
BODIES = pytest.mark.parametrize("body", [b"", CHECK, LARGE], ids=["empty", "small", "large"])
KINDS = pytest.mark.parametrize("kind", [STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER])


ALGORITHMS = pytest.mark.parametrize("algorithm", DIGESTS)


def shown(answer: Answer | dict[str, Any]) -> dict[str, str]:
    """Every checksum header of an answer."""
    headers = answer.headers if isinstance(answer, Answer) else headers_of(answer)
    return {name: value for name, value in headers.items() if name.startswith("x-amz-checksum")}


@pytest.mark.parametrize(
    ("algorithm", "check_value"),
    [
        ("CRC32", "cbf43926"),
        ("CRC32C", "e3069283"),
        ("CRC64NVME", "ae8b14860a799888"),
        ("XXHASH64", "8cb841db40e6ae83"),
        ("XXHASH3", "72dcb18b67a17dff"),
        ("XXHASH128", "33119477ede5dcd5e9716427681d5860"),
    ],
)
def test_the_digests_of_these_tests_are_the_published_ones(algorithm: str, check_value: str) -> None:
    assert DIGESTS[algorithm](CHECK).hex() == check_value


# In headers


@BODIES
@ALGORITHMS
def test_a_checksum_in_a_header_is_told_again(
    s3: Any, raw: RawClient, shared_bucket: str, algorithm: str, body: bytes
) -> None:
    expected = {header(algorithm): checksum(algorithm, body), "x-amz-checksum-type": "FULL_OBJECT"}
    signed = raw.sign("PUT", f"/{shared_bucket}/header", {header(algorithm): checksum(algorithm, body)}, UNSIGNED)
    put = raw.send("PUT", f"/{shared_bucket}/header", signed.headers, body)
    assert (put.status, shown(put)) == (200, expected)
    where = {"Bucket": shared_bucket, "Key": "header", "ChecksumMode": "ENABLED"}
    assert shown(s3.head_object(**where)) == expected
    got = s3.get_object(**where)
    assert (shown(got), got["Body"].read()) == (expected, body)


@BODIES
@ALGORITHMS
def test_a_wrong_checksum_in_a_header_stores_nothing(
    gateway: Gateway, s3: Any, raw: RawClient, bucket: str, algorithm: str, body: bytes
) -> None:
    before = stored_files(gateway)
    answer = raw.request("PUT", f"/{bucket}/a", {header(algorithm): checksum(algorithm, b"other")}, body)
    assert answer.refusal == (400, "BadDigest")
    assert answer.message == f"The {algorithm} you specified did not match the calculated checksum."
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert stored_files(gateway) == before


@BODIES
@pytest.mark.parametrize("algorithm", [name for name in DIGESTS if name != "MD5"])  # boto3 computes no MD5
def test_boto3_computes_and_checks_each_algorithm(s3: Any, shared_bucket: str, algorithm: str, body: bytes) -> None:
    where = {"Bucket": shared_bucket, "Key": "boto3"}
    put = s3.put_object(**where, Body=body, ChecksumAlgorithm=algorithm)
    assert put[f"Checksum{algorithm}"] == checksum(algorithm, body)
    # botocore compares the body with the checksum while it is read.
    assert s3.get_object(**where, ChecksumMode="ENABLED")["Body"].read() == body


# In trailers


@KINDS
@BODIES
@ALGORITHMS
def test_a_checksum_in_a_trailer_is_told_again(
    s3: Any, raw: RawClient, shared_bucket: str, algorithm: str, body: bytes, kind: str
) -> None:
    expected = {header(algorithm): checksum(algorithm, body), "x-amz-checksum-type": "FULL_OBJECT"}
    trailers = [(header(algorithm), checksum(algorithm, body))]
    put = raw.stream(f"/{shared_bucket}/trailer", body, kind=kind, trailers=trailers)
    assert (put.status, shown(put)) == (200, expected)
    got = s3.get_object(Bucket=shared_bucket, Key="trailer", ChecksumMode="ENABLED")
    assert (shown(got), got["Body"].read()) == (expected, body)


@KINDS
@BODIES
@ALGORITHMS
def test_a_wrong_checksum_in_a_trailer_stores_nothing(
    gateway: Gateway, s3: Any, raw: RawClient, bucket: str, algorithm: str, body: bytes, kind: str
) -> None:
    before = stored_files(gateway)
    trailers = [(header(algorithm), checksum(algorithm, b"other"))]
    assert raw.stream(f"/{bucket}/a", body, kind=kind, trailers=trailers).refusal == (400, "BadDigest")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert stored_files(gateway) == before


@pytest.mark.parametrize(
    ("trailer", "headers", "code"),
    [
        (("x-amz-checksum-crc32", "AAAA"), {}, "InvalidRequest"),
        (("x-amz-checksum-crc32", "not base64"), {}, "InvalidRequest"),
        (("x-amz-checksum-crc32", ""), {}, "InvalidRequest"),
        (("x-amz-checksum-crc16", "AAAA"), {}, "InvalidRequest"),
        (("x-amz-checksum-crc32", checksum("CRC32", CHECK)), {"x-amz-trailer": "x-amz-checksum-sha1"}, None),
        (("x-amz-checksum-crc32", checksum("CRC32", CHECK)), {header("SHA1"): checksum("SHA1", CHECK)},
         "InvalidRequest"),
        (("x-amz-checksum-crc32", checksum("CRC32", CHECK)), {"x-amz-sdk-checksum-algorithm": "SHA1"},
         "InvalidRequest"),
    ],
)  # fmt: skip
@KINDS
def test_trailers_that_cannot_be(
    s3: Any, raw: RawClient, bucket: str, kind: str, trailer: tuple[str, str], headers: Any, code: str | None
) -> None:
    answer = raw.stream(f"/{bucket}/a", CHECK, kind=kind, trailers=[trailer], headers=headers)
    assert answer.status == 400
    assert answer.code == (code or "MalformedTrailerError"), "another trailer came than was announced"
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# Without any


@BODIES
def test_the_default_is_crc64nvme(s3: Any, raw: RawClient, shared_bucket: str, body: bytes) -> None:
    expected = {header("CRC64NVME"): checksum("CRC64NVME", body), "x-amz-checksum-type": "FULL_OBJECT"}
    put = raw.request("PUT", f"/{shared_bucket}/default", body=body)
    assert (put.status, shown(put)) == (200, expected)
    assert shown(s3.head_object(Bucket=shared_bucket, Key="default", ChecksumMode="ENABLED")) == expected


# What cannot be meant


REFUSED: list[tuple[dict[str, str], tuple[int, str]]] = [
    *(({header(algorithm): value}, (400, "InvalidRequest"))
      for algorithm in DIGESTS for value in ("", "not base64", "AA==", base64_of(bytes(33)))),
    ({header("CRC32"): checksum("CRC32", CHECK), header("SHA1"): checksum("SHA1", CHECK)}, (400, "InvalidRequest")),
    ({"x-amz-checksum-crc16": "AAAA"}, (400, "InvalidRequest")),
    ({"x-amz-sdk-checksum-algorithm": "CRC32"}, (400, "InvalidRequest")),
    ({"x-amz-sdk-checksum-algorithm": "rot13"}, (400, "InvalidRequest")),
    ({"x-amz-sdk-checksum-algorithm": "SHA1", header("CRC32"): checksum("CRC32", CHECK)}, (400, "InvalidRequest")),
    ({"x-amz-sdk-checksum-algorithm": "SHA512"}, (400, "InvalidRequest")),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "expected"), REFUSED)
def test_headers_that_cannot_be(
    s3: Any, raw: RawClient, bucket: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    assert raw.request("PUT", f"/{bucket}/a", headers, CHECK).refusal == expected
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# Content-MD5 beside them, and parts


@pytest.mark.parametrize(
    ("md5_of", "checksum_of", "expected"),
    [
        (LARGE, LARGE, (200, "")),
        (b"other", LARGE, (400, "BadDigest")),
        (LARGE, b"other", (400, "BadDigest")),
    ],
    ids=["both right", "wrong MD5", "wrong checksum"],
)
@ALGORITHMS
def test_content_md5_and_a_checksum_are_both_held(
    raw: RawClient, bucket: str, algorithm: str, md5_of: bytes, checksum_of: bytes, expected: tuple[int, str]
) -> None:
    headers = {"content-md5": content_md5(md5_of), header(algorithm): checksum(algorithm, checksum_of)}
    assert raw.request("PUT", f"/{bucket}/a", headers, LARGE).refusal == expected


def test_a_wrong_content_md5_tells_both_digests(raw: RawClient, bucket: str) -> None:
    answer = raw.request("PUT", f"/{bucket}/a", {"content-md5": content_md5(b"other")}, CHECK)
    assert answer.refusal == (400, "BadDigest")
    assert (answer.element("ExpectedDigest"), answer.element("CalculatedDigest")) == (
        content_md5(b"other"),
        content_md5(CHECK),
    )


@KINDS
@ALGORITHMS
def test_parts_hold_their_trailers(s3: Any, raw: RawClient, bucket: str, algorithm: str, kind: str) -> None:
    upload = {"Bucket": bucket, "Key": "a"}
    upload |= {"UploadId": s3.create_multipart_upload(**upload, ChecksumAlgorithm=algorithm)["UploadId"]}
    target = f"/{bucket}/a?partNumber=1&uploadId={upload['UploadId']}"
    wrong = raw.stream(target, LARGE, kind=kind, trailers=[(header(algorithm), checksum(algorithm, b"other"))])
    assert wrong.refusal == (400, "BadDigest")
    assert "Parts" not in s3.list_parts(**upload)
    right = raw.stream(target, LARGE, kind=kind, trailers=[(header(algorithm), checksum(algorithm, LARGE))])
    assert (right.status, shown(right)) == (200, {header(algorithm): checksum(algorithm, LARGE)})
    (part,) = s3.list_parts(**upload)["Parts"]
    assert part[f"Checksum{algorithm}"] == checksum(algorithm, LARGE)


@pytest.mark.parametrize("declared", ["content-md5", *map(header, DIGESTS)])
def test_documents_are_held_against_their_checksums(s3: Any, raw: RawClient, bucket: str, declared: str) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    document = b"<Delete><Object><Key>kept</Key></Object></Delete>"
    algorithm = declared.removeprefix("x-amz-checksum-").upper()
    wrong, right = (
        content_md5(body) if declared == "content-md5" else checksum(algorithm, body) for body in (b"other", document)
    )
    assert raw.request("POST", f"/{bucket}?delete", {declared: wrong}, document).refusal == (400, "BadDigest")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    assert raw.request("POST", f"/{bucket}?delete", {declared: right}, document).status == 200
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


# Reading


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, False),
        ({"x-amz-checksum-mode": "ENABLED"}, True),
        ({"x-amz-checksum-mode": "enabled"}, True),
        ({"x-amz-checksum-mode": "ENABLED", "range": "bytes=0-1"}, False),
    ],
)
def test_checksum_mode(
    s3: Any, raw: RawClient, shared_bucket: str, method: str, headers: dict[str, str], told: bool
) -> None:
    s3.put_object(Bucket=shared_bucket, Key="mode", Body=CHECK, ChecksumAlgorithm="SHA1")
    answer = raw.request(method, f"/{shared_bucket}/mode", headers)
    expected = {header("SHA1"): checksum("SHA1", CHECK), "x-amz-checksum-type": "FULL_OBJECT"}
    assert (answer.status, shown(answer)) == (206 if "range" in headers else 200, expected if told else {})


def test_an_object_written_anew_has_its_own_checksum(s3: Any, bucket: str) -> None:
    for algorithm, body in (("SHA256", CHECK), ("CRC32", LARGE)):
        s3.put_object(Bucket=bucket, Key="a", Body=body, ChecksumAlgorithm=algorithm)
        found = shown(s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED"))
        assert found == {header(algorithm): checksum(algorithm, body), "x-amz-checksum-type": "FULL_OBJECT"}


def test_boto3_refuses_a_checksum_that_is_not_its_own(s3: Any, bucket: str) -> None:
    """The value is the caller's: the SDK sends it as it is, and the gateway refuses."""
    got = refusal(s3.put_object, Bucket=bucket, Key="a", Body=CHECK, ChecksumSHA256=checksum("SHA256", b"other"))
    assert got == (400, "BadDigest")


@ALGORITHMS
def test_attributes_and_listings_tell_the_algorithm(s3: Any, bucket: str, algorithm: str) -> None:
    where = {"Bucket": bucket, "Key": "a"}
    member = f"Checksum{algorithm}"
    s3.put_object(**where, Body=CHECK, **{member: checksum(algorithm, CHECK)})
    expected = {member: checksum(algorithm, CHECK), "ChecksumType": "FULL_OBJECT"}
    assert s3.get_object_attributes(**where, ObjectAttributes=["Checksum"])["Checksum"] == expected
    (listed,) = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ([algorithm], "FULL_OBJECT")


@ALGORITHMS
def test_parts_that_are_copied_have_the_checksum_of_the_upload(s3: Any, bucket: str, algorithm: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=LARGE)
    upload = {"Bucket": bucket, "Key": "a"}
    upload |= {"UploadId": s3.create_multipart_upload(**upload, ChecksumAlgorithm=algorithm)["UploadId"]}
    part = s3.upload_part_copy(**upload, PartNumber=1, CopySource={"Bucket": bucket, "Key": "source"})["CopyPartResult"]
    member = f"Checksum{algorithm}"
    assert part[member] == checksum(algorithm, LARGE)
    listed = s3.list_parts(**upload)
    assert (listed["ChecksumAlgorithm"], listed["Parts"][0][member]) == (algorithm, checksum(algorithm, LARGE))
    (begun,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert begun["ChecksumAlgorithm"] == algorithm
    parts = [{"PartNumber": 1, "ETag": part["ETag"], member: part[member]}]
    done = s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")[member] == done[member]

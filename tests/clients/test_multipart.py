"""Multipart uploads: the six operations together, and each thing that can be wrong about them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.clients.checks import base64_of, error_of, random_bytes, refusal, stored_files
from tests.clients.digests import DIGESTS, checksum
from tests.clients.raw import RawClient
from tests.harness import Gateway

MIB = 1 << 20
PART = random_bytes(5 * MIB, seed=5)
"""The smallest part that may be followed by another."""
TAIL = b"the last part may be short"


def begin(s3: Any, bucket: str, key: str = "a", **parameters: Any) -> dict[str, str]:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key, **parameters)
    return {"Bucket": bucket, "Key": key, "UploadId": upload["UploadId"]}


def send(s3: Any, upload: dict[str, str], number: int, body: bytes, **parameters: Any) -> dict[str, Any]:
    answer = s3.upload_part(**upload, PartNumber=number, Body=body, **parameters)
    return {"PartNumber": number, "ETag": answer["ETag"]}


def complete(s3: Any, upload: dict[str, str], parts: list[dict[str, Any]], **parameters: Any) -> Any:
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **parameters)


def multipart_etag(*bodies: bytes) -> str:
    digests = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in bodies)
    return f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(bodies)}"'


def read(s3: Any, upload: dict[str, str], **parameters: Any) -> bytes:
    return bytes(s3.get_object(Bucket=upload["Bucket"], Key=upload["Key"], **parameters)["Body"].read())


@pytest.fixture(scope="module")
def whole(s3: Any, shared_bucket: str) -> dict[str, str]:
    """A completed upload of three parts, sent in the wrong order, one of them twice."""
    upload = begin(s3, shared_bucket, "whole", Metadata={"colour": "red"}, ContentType="text/plain")
    last = send(s3, upload, 300, TAIL)
    send(s3, upload, 7, b"replaced by the next attempt")
    second = send(s3, upload, 7, PART[::-1])
    first = send(s3, upload, 2, PART)
    answer = complete(s3, upload, [first, second, last])
    assert answer["ETag"] == multipart_etag(PART, PART[::-1], TAIL)
    assert (answer["Bucket"], answer["Key"]) == (shared_bucket, "whole")
    assert answer["Location"].endswith(f"/{shared_bucket}/whole")
    return upload


BODY = PART + PART[::-1] + TAIL


def test_parts_come_together_in_the_order_of_their_numbers(s3: Any, whole: Any) -> None:
    assert read(s3, whole) == BODY


def test_the_object_has_what_the_upload_was_begun_with(s3: Any, whole: Any) -> None:
    found = s3.head_object(Bucket=whole["Bucket"], Key=whole["Key"])
    assert (found["Metadata"], found["ContentType"], found["ContentLength"]) == (
        {"colour": "red"},
        "text/plain",
        len(BODY),
    )
    assert found["ETag"] == multipart_etag(PART, PART[::-1], TAIL)


@pytest.mark.parametrize("start", [0, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 10 * MIB - 1, 10 * MIB, len(BODY) - 1])
@pytest.mark.parametrize("length", [1, 2, 65_537, 300_000, 5 * MIB + 2])
def test_ranges_across_parts(s3: Any, whole: Any, start: int, length: int) -> None:
    assert read(s3, whole, Range=f"bytes={start}-{start + length - 1}") == BODY[start : start + length]


def test_a_completed_upload_is_over(s3: Any, whole: Any) -> None:
    expected = (404, "NoSuchUpload")
    assert refusal(s3.list_parts, **whole) == expected
    assert refusal(s3.upload_part, **whole, PartNumber=1, Body=b"1") == expected
    assert refusal(s3.abort_multipart_upload, **whole) == expected
    parts = {"Parts": [{"PartNumber": 1, "ETag": "x"}]}
    assert refusal(s3.complete_multipart_upload, **whole, MultipartUpload=parts) == expected


def test_a_repeated_completion_is_answered_again(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, upload, 1, TAIL)]
    first, second = complete(s3, upload, parts), complete(s3, upload, parts)
    assert (first["ETag"], first["Location"]) == (second["ETag"], second["Location"])
    other = [{"PartNumber": 1, "ETag": '"' + "0" * 32 + '"'}]
    assert refusal(complete, s3=s3, upload=upload, parts=other) == (404, "NoSuchUpload")
    s3.put_object(Bucket=bucket, Key="a", Body=b"another object by now")
    assert refusal(complete, s3=s3, upload=upload, parts=parts) == (404, "NoSuchUpload")
    assert read(s3, upload) == b"another object by now"


def test_an_upload_shows_nothing_before_it_is_completed(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    part = send(s3, upload, 1, TAIL)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert refusal(s3.get_object, Bucket=bucket, Key="a") == (404, "NoSuchKey")
    complete(s3, upload, [part])
    assert read(s3, upload) == TAIL


def test_one_empty_part_makes_an_empty_object(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    answer = complete(s3, upload, [send(s3, upload, 1, b"")])
    assert answer["ETag"] == multipart_etag(b"")
    assert read(s3, upload) == b""


def test_parts_that_are_not_named_are_left_out(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    send(s3, upload, 1, b"not wanted")
    complete(s3, upload, [send(s3, upload, 2, TAIL)])
    assert read(s3, upload) == TAIL


def test_two_uploads_of_one_key_do_not_mix(s3: Any, bucket: str) -> None:
    first, second = begin(s3, bucket), begin(s3, bucket)
    parts = [send(s3, upload, 1, body) for upload, body in ((first, b"first"), (second, b"second"))]
    complete(s3, second, parts[1:])
    assert read(s3, second) == b"second"
    complete(s3, first, parts[:1])
    assert read(s3, first) == b"first"


@pytest.mark.parametrize("number", [1, 10_000])
def test_part_numbers_reach_from_1_to_10000(s3: Any, bucket: str, number: int) -> None:
    upload = begin(s3, bucket)
    complete(s3, upload, [send(s3, upload, number, TAIL)])
    assert read(s3, upload) == TAIL


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "", "1.0", "9" * 30, "%D9%A1"])
def test_other_part_numbers_are_refused(s3: Any, raw: RawClient, bucket: str, number: str) -> None:
    upload = begin(s3, bucket)
    target = f"/{bucket}/a?partNumber={number}&uploadId={upload['UploadId']}"
    assert raw.request("PUT", target, body=b"1").refusal == (400, "InvalidArgument")
    assert "Parts" not in s3.list_parts(**upload)


def test_complete_refuses_lists_of_parts_that_do_not_fit(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    small, last = send(s3, upload, 1, b"small"), send(s3, upload, 2, TAIL)
    missing = {"PartNumber": 3, "ETag": last["ETag"]}
    other = {"PartNumber": 1, "ETag": last["ETag"]}
    table: list[tuple[list[dict[str, Any]], tuple[int, str]]] = [
        ([small, last], (400, "EntityTooSmall")),
        ([last, small], (400, "InvalidPartOrder")),
        ([small, small], (400, "InvalidPartOrder")),
        ([missing], (400, "InvalidPart")),
        ([other], (400, "InvalidPart")),
        ([{"PartNumber": 1, "ETag": "nonsense"}], (400, "InvalidPart")),
        ([], (400, "MalformedXML")),
    ]
    for parts, expected in table:
        assert refusal(complete, s3=s3, upload=upload, parts=parts) == expected, parts
    assert [part["PartNumber"] for part in s3.list_parts(**upload)["Parts"]] == [1, 2], "a refusal loses nothing"
    complete(s3, upload, [last])
    assert read(s3, upload) == TAIL


def test_entity_too_small_tells_which_part(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, upload, number, b"small") for number in (4, 5)]
    error = error_of(complete, s3=s3, upload=upload, parts=parts)["Error"]
    assert (error["ProposedSize"], error["MinSizeAllowed"], error["PartNumber"]) == ("5", "5242880", "4")


@pytest.mark.parametrize(
    "document",
    [
        b"<CompleteMultipartUpload/>",
        b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>x</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><ETag>a</ETag></Part></CompleteMultipartUpload>",
        b"<Other><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></Other>",
        b"<CompleteMultipartUpload>",
    ],
)
def test_complete_refuses_malformed_documents(s3: Any, raw: RawClient, shared_bucket: str, document: bytes) -> None:
    upload = begin(s3, shared_bucket, "malformed")
    target = f"/{shared_bucket}/malformed?uploadId={upload['UploadId']}"
    assert raw.request("POST", target, body=document).refusal == (400, "MalformedXML")


def test_complete_on_condition(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"there already")["ETag"]
    upload = begin(s3, bucket)
    parts = [send(s3, upload, 1, TAIL)]
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        got = refusal(complete, s3=s3, upload=upload, parts=parts, **condition)
        assert got == (412, "PreconditionFailed")
    assert read(s3, upload) == b"there already"
    complete(s3, upload, parts, IfMatch=etag)
    assert read(s3, upload) == TAIL


@pytest.mark.parametrize(("size", "expected"), [(len(TAIL), None), (len(TAIL) + 1, (400, "InvalidRequest"))])
def test_complete_holds_the_declared_size(s3: Any, bucket: str, size: int, expected: Any) -> None:
    upload = begin(s3, bucket)
    parts = [send(s3, upload, 1, TAIL)]
    if expected is None:
        complete(s3, upload, parts, MpuObjectSize=size)
    else:
        assert refusal(complete, s3=s3, upload=upload, parts=parts, MpuObjectSize=size) == expected


@pytest.mark.parametrize("upload_id", ["", "nonsense", "A" * 22, "A" * 1000, "%00", "%C3%A9", "../x"])
def test_upload_ids_that_nobody_gave(raw: RawClient, shared_bucket: str, upload_id: str) -> None:
    target = f"/{shared_bucket}/a?uploadId={upload_id}"
    assert raw.request("GET", target).refusal == (404, "NoSuchUpload")
    assert raw.request("DELETE", target).refusal == (404, "NoSuchUpload")
    assert raw.request("PUT", f"{target}&partNumber=1", body=b"1").refusal == (404, "NoSuchUpload")


def test_no_such_upload_repeats_the_id(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    s3.abort_multipart_upload(**upload)
    for operation in (s3.list_parts, s3.abort_multipart_upload):
        assert error_of(operation, **upload)["Error"]["UploadId"] == upload["UploadId"]


def test_an_upload_belongs_to_its_key_and_bucket(s3: Any, bucket: str, shared_bucket: str) -> None:
    upload = begin(s3, bucket)
    for other in ({"Key": "b"}, {"Bucket": shared_bucket}):
        elsewhere = {**upload, **other}
        assert refusal(s3.upload_part, **elsewhere, PartNumber=1, Body=b"1") == (404, "NoSuchUpload")
        assert refusal(s3.list_parts, **elsewhere) == (404, "NoSuchUpload")
        assert refusal(s3.abort_multipart_upload, **elsewhere) == (404, "NoSuchUpload")


def test_abort_forgets_upload_and_parts(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket)
    send(s3, upload, 1, TAIL)
    assert s3.abort_multipart_upload(**upload)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.list_parts, **upload) == (404, "NoSuchUpload")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_refused_part_leaves_nothing_behind(gateway: Gateway, s3: Any, raw: RawClient, bucket: str) -> None:
    upload = begin(s3, bucket)
    kept = send(s3, upload, 1, TAIL)
    before = stored_files(gateway)
    target = f"/{bucket}/a?partNumber=1&uploadId={upload['UploadId']}"
    assert raw.request("PUT", target, {"content-md5": base64_of(bytes(16))}, PART).refusal == (400, "BadDigest")
    assert stored_files(gateway) == before
    assert [part["ETag"] for part in s3.list_parts(**upload)["Parts"]] == [kept["ETag"]]


def test_list_parts_tells_each_part(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "a b/é", StorageClass="STANDARD_IA", ChecksumAlgorithm="SHA256")
    for number, body in ((2, b"22"), (1, b"1"), (9, b"999")):
        send(s3, upload, number, body, ChecksumAlgorithm="SHA256")
    answer = s3.list_parts(**upload)
    assert [(part["PartNumber"], part["Size"]) for part in answer["Parts"]] == [(1, 1), (2, 2), (9, 3)]
    assert answer["Parts"][0]["ChecksumSHA256"] == base64_of(hashlib.sha256(b"1").digest())
    assert (answer["Key"], answer["StorageClass"]) == ("a b/é", "STANDARD_IA")
    assert (answer["ChecksumAlgorithm"], answer["ChecksumType"]) == ("SHA256", "COMPOSITE")
    assert answer["Owner"]["ID"] == answer["Initiator"]["ID"]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_pages_of_parts_joined_are_the_whole(s3: Any, shared_bucket: str, size: int) -> None:
    upload = begin(s3, shared_bucket, "pages")
    for number in (1, 3, 4, 77, 10_000):
        send(s3, upload, number, b"x")
    pages = s3.get_paginator("list_parts").paginate(**upload, PaginationConfig={"PageSize": size})
    found = [[part["PartNumber"] for part in page["Parts"]] for page in pages]
    assert [number for page in found for number in page] == [1, 3, 4, 77, 10_000]
    assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
    s3.abort_multipart_upload(**upload)


UPLOADS = ["a/1", "a/2", "a/2", "b", "c/1/x", "c/2", "é"]


@pytest.fixture(scope="module")
def many(s3: Any) -> str:
    s3.create_bucket(Bucket="uploads-in-progress")
    for key in UPLOADS:
        begin(s3, "uploads-in-progress", key)
    return "uploads-in-progress"


@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize(
    ("prefix", "delimiter", "expected"),
    [
        ("", "", UPLOADS),
        ("a/", "", ["a/1", "a/2", "a/2"]),
        ("", "/", ["a/", "b", "c/", "é"]),
        ("c/", "/", ["c/1/", "c/2"]),
        ("zzz", "/", []),
    ],
)
def test_pages_of_uploads_joined_are_the_whole(
    s3: Any, many: str, prefix: str, delimiter: str, expected: list[str], size: int
) -> None:
    paginator = s3.get_paginator("list_multipart_uploads")
    asked = {"Bucket": many, "Prefix": prefix, "Delimiter": delimiter}
    found = []
    for page in paginator.paginate(**asked, PaginationConfig={"PageSize": size}):
        names = [item["Key"] for item in page.get("Uploads", [])]
        names += [item["Prefix"] for item in page.get("CommonPrefixes", [])]
        assert len(names) <= size
        found += sorted(names)
    assert found == expected


def test_list_multipart_uploads_tells_each_upload(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, "a", StorageClass="STANDARD_IA", ChecksumAlgorithm="CRC32C")
    (found,) = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert (found["Key"], found["UploadId"], found["StorageClass"]) == ("a", upload["UploadId"], "STANDARD_IA")
    assert (found["ChecksumAlgorithm"], found["ChecksumType"]) == ("CRC32C", "COMPOSITE")
    assert found["Owner"]["ID"] == found["Initiator"]["ID"]


def test_a_key_marker_leaves_out_every_upload_of_that_key(s3: Any, many: str) -> None:
    answer = s3.list_multipart_uploads(Bucket=many, KeyMarker="a/2")
    assert [item["Key"] for item in answer["Uploads"]] == UPLOADS[3:]


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_checksums_of_the_whole_object(s3: Any, bucket: str, algorithm: str) -> None:
    member = f"Checksum{algorithm}"
    upload = begin(s3, bucket, ChecksumAlgorithm=algorithm)
    parts = []
    for number, body in ((1, PART), (2, TAIL)):
        answer = s3.upload_part(**upload, PartNumber=number, Body=body, **{member: checksum(algorithm, body)})
        assert answer[member] == checksum(algorithm, body)
        parts.append({"PartNumber": number, "ETag": answer["ETag"], member: answer[member]})
    assert [part[member] for part in s3.list_parts(**upload)["Parts"]] == [part[member] for part in parts]
    answer = complete(s3, upload, parts)
    if algorithm == "CRC64NVME":
        expected, kind = checksum(algorithm, PART + TAIL), "FULL_OBJECT"
    else:
        digests = DIGESTS[algorithm](PART) + DIGESTS[algorithm](TAIL)
        expected, kind = checksum(algorithm, digests) + "-2", "COMPOSITE"
    assert (answer[member], answer["ChecksumType"]) == (expected, kind)
    found = s3.head_object(Bucket=bucket, Key="a", ChecksumMode="ENABLED")
    assert (found[member], found["ChecksumType"]) == (answer[member], answer["ChecksumType"])
    assert read(s3, upload, ChecksumMode="ENABLED") == PART + TAIL


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME"])
def test_full_object_checksums_are_those_of_the_whole_body(s3: Any, bucket: str, algorithm: str) -> None:
    member = f"Checksum{algorithm}"
    upload = begin(s3, bucket, ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT")
    parts = [
        send(s3, upload, 1, PART, ChecksumAlgorithm=algorithm),
        send(s3, upload, 2, TAIL, ChecksumAlgorithm=algorithm),
    ]
    s3.put_object(Bucket=bucket, Key="single", Body=PART + TAIL, ChecksumAlgorithm=algorithm)
    single = s3.head_object(Bucket=bucket, Key="single", ChecksumMode="ENABLED")[member]
    wrong = {member: base64_of(bytes(8 if algorithm == "CRC64NVME" else 4))}
    asked = {"s3": s3, "upload": upload, "parts": parts, "ChecksumType": "FULL_OBJECT"}
    assert refusal(complete, **asked, **wrong) == (400, "BadDigest")
    answer = complete(s3, upload, parts, ChecksumType="FULL_OBJECT", **{member: single})
    assert (answer[member], answer["ChecksumType"]) == (single, "FULL_OBJECT")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"}, (400, "InvalidRequest")),
        ({"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"}, (400, "InvalidRequest")),
        ({"ChecksumAlgorithm": "MD4"}, (400, "InvalidRequest")),
        ({"ChecksumAlgorithm": "XXHASH3", "ChecksumType": "FULL_OBJECT"}, (400, "InvalidRequest")),
        ({"StorageClass": "GLACIER"}, (400, "InvalidStorageClass")),
        ({"ACL": "public-read"}, (400, "AccessControlListNotSupported")),
        ({"Tagging": "a=1&a=2"}, (400, "InvalidArgument")),
        ({"ObjectLockLegalHoldStatus": "ON"}, (501, "NotImplemented")),
        ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}, (403, "AccessDenied")),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/absent"}, (400, "KMS.NotFoundException")),
    ],
)
def test_create_refuses_what_it_does_not_serve(s3: Any, bucket: str, parameters: Any, expected: Any) -> None:
    assert refusal(s3.create_multipart_upload, Bucket=bucket, Key="a", **parameters) == expected
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_part_of_another_checksum_algorithm_is_refused(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    got = refusal(s3.upload_part, **upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="CRC32")
    assert got == (400, "InvalidRequest")


def test_complete_refuses_a_part_whose_checksum_is_another(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="SHA256")
    part = send(s3, upload, 1, TAIL, ChecksumAlgorithm="SHA256")
    parts = [{**part, "ChecksumSHA256": base64_of(bytes(32))}]
    assert refusal(complete, s3=s3, upload=upload, parts=parts) == (400, "InvalidPart")


def test_copies_of_multipart_objects(s3: Any, whole: Any, bucket: str) -> None:
    source = {"Bucket": whole["Bucket"], "Key": whole["Key"]}
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    found = s3.get_object(Bucket=bucket, Key="copy")
    assert found["Body"].read() == BODY
    assert found["ETag"] == f'"{hashlib.md5(BODY, usedforsecurity=False).hexdigest()}"'
    assert found["Metadata"] == {"colour": "red"}


def test_uploads_under_a_kms_key(s3: Any, bucket: str, kms_key: str) -> None:
    upload = begin(s3, bucket, ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)
    parts = [send(s3, upload, 1, PART), send(s3, upload, 2, TAIL)]
    answer = complete(s3, upload, parts)
    assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", kms_key)
    assert answer["ETag"] != multipart_etag(PART, TAIL)
    assert answer["ETag"].endswith('-2"')
    assert read(s3, upload) == PART + TAIL


def test_parts_need_the_key(s3: Any, kms: Any, bucket: str) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    upload = begin(s3, bucket, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    part = send(s3, upload, 1, TAIL)
    kms.disable_key(KeyId=key)
    assert refusal(s3.upload_part, **upload, PartNumber=2, Body=b"1") == (400, "KMS.DisabledException")
    assert refusal(complete, s3=s3, upload=upload, parts=[part]) == (400, "KMS.DisabledException")
    assert [item["PartNumber"] for item in s3.list_parts(**upload)["Parts"]] == [1]
    kms.enable_key(KeyId=key)
    complete(s3, upload, [part])
    assert read(s3, upload) == TAIL

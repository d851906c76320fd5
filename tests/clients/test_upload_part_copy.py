"""Copies of large objects by SDKs (managed transfers of UploadPartCopy), and reads of their parts."""

from __future__ import annotations

from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.clients.checks import error_of, random_bytes, refusal

MIB = 1 << 20
BODY = random_bytes(11 * MIB + 7, seed=11)
IN_PARTS = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=3)


@pytest.fixture(scope="module")
def source(s3: Any, shared_bucket: str, kms_key: str) -> dict[str, str]:
    s3.put_object(Bucket=shared_bucket, Key="source", Body=BODY, ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)
    return {"Bucket": shared_bucket, "Key": "source"}


@pytest.mark.parametrize("mode", ["AES256", "aws:kms"])
def test_a_managed_copy_in_parts(s3: Any, shared_bucket: str, source: dict[str, str], mode: str) -> None:
    target = {"Bucket": shared_bucket, "Key": f"copy-{mode}"}
    s3.copy(source, **target, ExtraArgs={"ServerSideEncryption": mode}, Config=IN_PARTS)
    found = s3.get_object(**target)
    assert found["Body"].read() == BODY
    assert found["ServerSideEncryption"] == mode
    assert found["ETag"].endswith('-3"')


def test_the_parts_of_a_copy_are_read_by_number(s3: Any, shared_bucket: str, source: dict[str, str]) -> None:
    target = {"Bucket": shared_bucket, "Key": "to-be-read"}
    s3.copy(source, **target, Config=IN_PARTS)
    count = s3.head_object(**target, PartNumber=1)["PartsCount"]
    parts = [s3.get_object(**target, PartNumber=number + 1)["Body"].read() for number in range(count)]
    assert [len(part) for part in parts] == [5 * MIB, 5 * MIB, MIB + 7]
    assert b"".join(parts) == BODY
    refused = error_of(s3.get_object, **target, PartNumber=count + 1)
    assert refused["ResponseMetadata"]["HTTPStatusCode"] == 416
    assert (refused["Error"]["Code"], refused["Error"]["ActualPartCount"]) == ("InvalidPartNumber", "3")


def test_attributes_as_sdks_read_them(s3: Any, shared_bucket: str, source: dict[str, str]) -> None:
    target = {"Bucket": shared_bucket, "Key": "with-checksums"}
    upload = s3.create_multipart_upload(**target, ChecksumAlgorithm="SHA256")["UploadId"]
    named = {**target, "UploadId": upload}
    copied = [
        s3.upload_part_copy(**named, PartNumber=number, CopySource=source, CopySourceRange=span)["CopyPartResult"]
        for number, span in [(1, f"bytes=0-{5 * MIB - 1}"), (2, "bytes=0-99")]
    ]
    parts = [
        {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}
        for number, part in enumerate(copied, 1)
    ]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    found = s3.get_object_attributes(**target, ObjectAttributes=["Checksum", "ObjectParts", "ObjectSize"])
    assert found["ObjectSize"] == 5 * MIB + 100
    assert found["Checksum"]["ChecksumType"] == "COMPOSITE"
    shown = [(part["PartNumber"], part["Size"], part["ChecksumSHA256"]) for part in found["ObjectParts"]["Parts"]]
    assert shown == [
        (1, 5 * MIB, copied[0]["ChecksumSHA256"]),
        (2, 100, copied[1]["ChecksumSHA256"]),
    ]
    part = s3.get_object(**target, PartNumber=2, ChecksumMode="ENABLED")  # botocore verifies it
    assert (part["Body"].read(), part["ChecksumSHA256"]) == (BODY[:100], copied[1]["ChecksumSHA256"])


def test_a_bucket_that_never_had_versioning(s3: Any, shared_bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=shared_bucket)
    assert refusal(s3.get_bucket_versioning, Bucket="absent-from-here") == (404, "NoSuchBucket")

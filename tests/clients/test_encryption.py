"""Which key an object ends up under: defaults of buckets, aliases that move, copies of multipart objects.

The headers of each operation are in test_encryption_headers.py, a bucket's configuration in test_bucket_encryption.py.
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest

from tests.clients.checks import base64_of, md5_hex, random_bytes, refusal

PART = random_bytes(5 << 20, seed=7)
TAIL = b"the rest"
WHOLE = PART + TAIL
CHECKSUMS = {"ChecksumCRC32", "ChecksumCRC64NVME", "ChecksumSHA256"}


def make_key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def make_alias(kms: Any, arn: str) -> str:
    name = f"alias/test-{uuid.uuid4()}"
    kms.create_alias(AliasName=name, TargetKeyId=arn)
    return name


def put_default(s3: Any, bucket: str, key_id: str | None) -> None:
    default = {"SSEAlgorithm": "aws:kms", **({"KMSMasterKeyID": key_id} if key_id else {})}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)


def under(arn: str | None) -> dict[str, str]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn} if arn else {"ServerSideEncryption": "AES256"}


def encryption_of(answer: Any) -> tuple[str, str | None]:
    return answer["ServerSideEncryption"], answer.get("SSEKMSKeyId")


def read(s3: Any, bucket: str, key: str, **parameters: Any) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key, **parameters)["Body"].read())


def put_multipart(s3: Any, where: dict[str, str], **parameters: Any) -> Any:
    """WHOLE in two parts."""
    checksum = {name: value for name, value in parameters.items() if name == "ChecksumAlgorithm"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, **parameters)["UploadId"]}
    parts = []
    for number, body in ((1, PART), (2, TAIL)):
        answer = s3.upload_part(**upload, PartNumber=number, Body=body, **checksum)
        told = {name: value for name, value in answer.items() if name == "ETag" or (checksum and name in CHECKSUMS)}
        parts.append({"PartNumber": number, **told})
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


# Defaults of buckets


@pytest.mark.parametrize("form", ["id", "arn", "alias", "alias-arn"])
def test_a_default_key_is_named_in_four_ways(s3: Any, kms: Any, bucket: str, kms_key: str, form: str) -> None:
    alias = make_alias(kms, kms_key)
    prefix, key_id = kms_key.rsplit("/", 1)
    names = {"id": key_id, "arn": kms_key, "alias": alias, "alias-arn": prefix.removesuffix("key") + alias}
    s3.put_object(Bucket=bucket, Key="before", Body=b"1")
    put_default(s3, bucket, names[form])
    answers = [
        s3.put_object(Bucket=bucket, Key="put", Body=b"1"),
        s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "before"}),
        s3.create_multipart_upload(Bucket=bucket, Key="upload"),
        s3.head_object(Bucket=bucket, Key="put"),
        s3.head_object(Bucket=bucket, Key="copy"),
    ]
    assert [encryption_of(answer) for answer in answers] == [("aws:kms", kms_key)] * 5
    assert read(s3, bucket, "copy") == b"1"


def test_a_default_that_is_a_disabled_key_refuses_writes_that_name_no_other(s3: Any, kms: Any, bucket: str) -> None:
    arn = make_key(kms)
    put_default(s3, bucket, arn)
    s3.put_object(Bucket=bucket, Key="source", Body=b"1", **under(None))
    kms.disable_key(KeyId=arn)
    target = {"Bucket": bucket, "Key": "new"}
    source = {"CopySource": {"Bucket": bucket, "Key": "source"}}
    for call, parameters in (
        (s3.put_object, {"Body": b"1"}),
        (s3.create_multipart_upload, {}),
        (s3.copy_object, source),
    ):
        assert refusal(call, **target, **parameters) == (400, "KMS.DisabledException")
    assert refusal(s3.head_object, **target) == (404, "404")
    s3.copy_object(**target, **source, **under(None))
    assert read(s3, bucket, "new") == b"1"


def test_an_upload_keeps_the_encryption_it_was_begun_with(s3: Any, kms: Any, bucket: str, kms_key: str) -> None:
    put_default(s3, bucket, kms_key)
    where = {"Bucket": bucket, "Key": "a"}
    upload = {**where, "UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    put_default(s3, bucket, make_key(kms))
    part = s3.upload_part(**upload, PartNumber=1, Body=TAIL)
    s3.delete_bucket_encryption(Bucket=bucket)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert [encryption_of(answer) for answer in (part, done, s3.head_object(**where))] == [("aws:kms", kms_key)] * 3
    assert read(s3, bucket, "a") == TAIL


# Aliases


def test_an_alias_that_moves_leaves_objects_under_their_key(s3: Any, kms: Any, bucket: str) -> None:
    first, second = make_key(kms), make_key(kms)
    alias = make_alias(kms, first)
    s3.put_object(Bucket=bucket, Key="old", Body=b"old", **under(alias))
    kms.update_alias(AliasName=alias, TargetKeyId=second)
    s3.put_object(Bucket=bucket, Key="new", Body=b"new", **under(alias))
    found = {key: s3.head_object(Bucket=bucket, Key=key)["SSEKMSKeyId"] for key in ("old", "new")}
    assert found == {"old": first, "new": second}
    kms.delete_alias(AliasName=alias)
    assert (read(s3, bucket, "old"), read(s3, bucket, "new")) == (b"old", b"new")
    assert refusal(s3.put_object, Bucket=bucket, Key="late", **under(alias)) == (400, "KMS.NotFoundException")
    kms.disable_key(KeyId=first)
    assert refusal(s3.get_object, Bucket=bucket, Key="old") == (400, "KMS.DisabledException")
    assert read(s3, bucket, "new") == b"new"


# Copies of multipart objects


@pytest.fixture(scope="module")
def other_key(kms: Any) -> str:
    return make_key(kms)


@pytest.mark.parametrize("before", ["SSE-S3", "first"])
@pytest.mark.parametrize("after", ["SSE-S3", "first", "other"])
def test_copies_of_multipart_objects_between_modes(
    s3: Any, bucket: str, kms_key: str, other_key: str, before: str, after: str
) -> None:
    keys = {"first": kms_key, "other": other_key}
    source, target = {"Bucket": bucket, "Key": "source"}, {"Bucket": bucket, "Key": "copy"}
    put_multipart(s3, source, **under(keys.get(before)))
    old = s3.head_object(**source, ChecksumMode="ENABLED")
    answer = s3.copy_object(**target, CopySource=source, **under(keys.get(after)))
    s3.delete_object(**source)
    found = s3.get_object(**target, ChecksumMode="ENABLED")
    assert found["Body"].read() == WHOLE
    border = len(PART)
    assert read(s3, bucket, "copy", Range=f"bytes={border - 2}-{border + 1}") == WHOLE[border - 2 : border + 2]
    expected = ("AES256", None) if after == "SSE-S3" else ("aws:kms", keys[after])
    assert encryption_of(answer) == encryption_of(found) == expected
    assert found["ETag"] == answer["CopyObjectResult"]["ETag"] != old["ETag"]
    assert (found["ETag"] == f'"{md5_hex(WHOLE)}"') == (after == "SSE-S3"), "a copy is one object, not parts"
    assert "-" not in found["ETag"]
    assert (found["ChecksumCRC64NVME"], found["ChecksumType"]) == (old["ChecksumCRC64NVME"], "FULL_OBJECT")


def test_a_copy_of_a_composite_checksum_is_one_of_the_whole_object(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source"}
    done = put_multipart(s3, source, ChecksumAlgorithm="SHA256")
    assert (done["ChecksumType"], done["ChecksumSHA256"][-2:]) == ("COMPOSITE", "-2")
    result = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)["CopyObjectResult"]
    expected = (base64_of(hashlib.sha256(WHOLE).digest()), "FULL_OBJECT")
    assert (result["ChecksumSHA256"], result["ChecksumType"]) == expected
    found = s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")
    assert (found["ChecksumSHA256"], found["ChecksumType"]) == expected


def test_a_copy_needs_both_keys(s3: Any, kms: Any, bucket: str) -> None:
    first, second = make_key(kms), make_key(kms)
    source, target = {"Bucket": bucket, "Key": "source"}, {"Bucket": bucket, "Key": "copy"}
    s3.put_object(**source, Body=b"1", **under(first))
    for arn, state in ((first, "the source's"), (second, "the copy's")):
        kms.disable_key(KeyId=arn)
        got = refusal(s3.copy_object, **target, CopySource=source, **under(second))
        assert got == (400, "KMS.DisabledException"), state
        assert refusal(s3.head_object, **target) == (404, "404")
        kms.enable_key(KeyId=arn)
    s3.copy_object(**target, CopySource=source, **under(second))
    kms.disable_key(KeyId=first)
    assert read(s3, bucket, "copy") == b"1", "the copy no longer needs the source's key"

"""DSSE-KMS: two layers under two keys, on every operation that S3 has it on."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import requests

from tests.clients.checks import error_of, headers_of, md5_hex, random_bytes, refusal
from tests.clients.conftest import make_bucket
from tests.clients.users import allow, make_user
from tests.harness import Gateway

SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
CONTEXT = f"{SSE}-context"
DSSE = "aws:kms:dsse"
SEGMENT = 1 << 16
OTHERS: dict[str, dict[str, Any]] = {
    "SSE-S3": {"ServerSideEncryption": "AES256"},
    "SSE-KMS": {"ServerSideEncryption": "aws:kms"},
    "bucket key": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
}


def asked(key: str, **more: Any) -> dict[str, Any]:
    return {"ServerSideEncryption": DSSE, "SSEKMSKeyId": key, **more}


def encryption_of(answer: Any) -> dict[str, str]:
    return {name: value for name, value in headers_of(answer).items() if name.startswith(SSE)}


def test_answers_of_every_operation(s3: Any, bucket: str, kms_key: str) -> None:
    expected, where = {SSE: DSSE, KEY_ID: kms_key}, {"Bucket": bucket, "Key": "a"}
    body = random_bytes(100_000)
    put = s3.put_object(**where, Body=body, **asked(kms_key))
    assert encryption_of(put) == expected
    assert put["ETag"].strip('"') not in ("", md5_hex(body))
    assert encryption_of(s3.get_object(**where)) == expected
    assert encryption_of(s3.head_object(**where)) == expected
    assert encryption_of(s3.copy_object(Bucket=bucket, Key="b", CopySource=where, **asked(kms_key))) == expected
    created = s3.create_multipart_upload(Bucket=bucket, Key="c", **asked(kms_key))
    assert encryption_of(created) == expected
    upload = {"Bucket": bucket, "Key": "c", "UploadId": created["UploadId"]}
    first = random_bytes(5 << 20)
    part = s3.upload_part(**upload, PartNumber=1, Body=first)
    assert encryption_of(part) == expected
    other = s3.upload_part_copy(**upload, PartNumber=2, CopySource=where)
    assert encryption_of(other) == expected
    etags = (part["ETag"], other["CopyPartResult"]["ETag"])
    parts = {"Parts": [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]}
    assert encryption_of(s3.complete_multipart_upload(**upload, MultipartUpload=parts)) == expected
    assert s3.get_object(Bucket=bucket, Key="c")["Body"].read() == first + body
    assert s3.get_object(Bucket=bucket, Key="c", PartNumber=2)["Body"].read() == body
    assert s3.get_object(Bucket=bucket, Key="b")["Body"].read() == body


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * SEGMENT + 7])
def test_bodies_and_ranges(s3: Any, bucket: str, kms_key: str, size: int) -> None:
    body = random_bytes(size)
    s3.put_object(Bucket=bucket, Key="k", Body=body, **asked(kms_key))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    edges = sorted({0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, size // 2, size - 1} & set(range(size)))
    for first in edges:
        for last in edges:
            if first <= last:
                answer = s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")
                assert answer["Body"].read() == body[first : last + 1]


def test_a_bucket_key_beside_it_is_taken_and_does_nothing(s3: Any, bucket: str, kms_key: str) -> None:
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked(kms_key, BucketKeyEnabled=True))
    assert encryption_of(answer) == {SSE: DSSE, KEY_ID: kms_key}


@pytest.mark.parametrize("bucket_key", [False, True])
def test_as_the_default_of_a_bucket(s3: Any, bucket: str, kms_key: str, bucket_key: bool) -> None:
    default = {"SSEAlgorithm": DSSE, "KMSMasterKeyID": kms_key}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    told = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert told["ApplyServerSideEncryptionByDefault"] == default
    assert encryption_of(s3.put_object(Bucket=bucket, Key="k", Body=b"x")) == {SSE: DSSE, KEY_ID: kms_key}
    other = s3.put_object(Bucket=bucket, Key="other", Body=b"x", ServerSideEncryption="AES256")
    assert encryption_of(other) == {SSE: "AES256"}
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_without_a_key_it_is_the_managed_one(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption=DSSE)
    answer = s3.get_object(Bucket=bucket, Key="k")
    assert answer["Body"].read() == b"x"
    assert answer["SSEKMSKeyId"].startswith("arn:aws:kms:")


def test_the_context_of_the_caller_is_bound_and_echoed_by_writes_alone(s3: Any, bucket: str, kms_key: str) -> None:
    context = base64.b64encode(json.dumps({"team": "blue"}, separators=(",", ":")).encode()).decode()
    answer = s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked(kms_key, SSEKMSEncryptionContext=context))
    assert encryption_of(answer) == {SSE: DSSE, KEY_ID: kms_key, CONTEXT: context}
    assert CONTEXT not in encryption_of(s3.get_object(Bucket=bucket, Key="k"))


@pytest.mark.parametrize("other", OTHERS)
def test_copies_from_and_to_every_mode(s3: Any, bucket: str, kms_key: str, other: str) -> None:
    body = random_bytes(3 * SEGMENT)
    s3.put_object(Bucket=bucket, Key="one", Body=body, **asked(kms_key))
    s3.copy_object(Bucket=bucket, Key="two", CopySource={"Bucket": bucket, "Key": "one"}, **OTHERS[other])
    s3.delete_object(Bucket=bucket, Key="one")
    again = {"CopySource": {"Bucket": bucket, "Key": "two"}, **asked(kms_key)}
    assert encryption_of(s3.copy_object(Bucket=bucket, Key="three", **again))[SSE] == DSSE
    assert encryption_of(s3.copy_object(Bucket=bucket, Key="two", **again))[SSE] == DSSE
    for key in ("two", "three"):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body


def test_a_key_that_is_disabled_opens_nothing(s3: Any, kms: Any, bucket: str) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="k", Body=random_bytes(100_000), **asked(key))
    kms.disable_key(KeyId=key)
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == (400, "KMS.DisabledException")
    assert refusal(s3.put_object, Bucket=bucket, Key="n", Body=b"x", **asked(key)) == (400, "KMS.DisabledException")
    assert s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == 100_000
    kms.enable_key(KeyId=key)
    assert len(s3.get_object(Bucket=bucket, Key="k")["Body"].read()) == 100_000


def test_callers_need_the_rights_of_sse_kms(gateway: Gateway, s3: Any, bucket: str, kms_key: str) -> None:
    user = make_user(gateway, allow("s3:*"))
    client = user.client("s3")
    error = error_of(client.put_object, Bucket=bucket, Key="k", Body=b"x", **asked(kms_key))["Error"]
    assert error["Code"] == "AccessDenied"
    assert "kms:GenerateDataKey" in error["Message"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked(kms_key))
    error = error_of(client.get_object, Bucket=bucket, Key="k")["Error"]
    assert error["Code"] == "AccessDenied"
    assert "kms:Decrypt" in error["Message"]
    user.put_policy(allow("s3:*"), allow("kms:GenerateDataKey", "kms:Decrypt", on=kms_key))
    client.put_object(Bucket=bucket, Key="mine", Body=b"x", **asked(kms_key))
    assert client.get_object(Bucket=bucket, Key="mine")["Body"].read() == b"x"


def test_rename_keeps_both_layers(s3: Any, bucket: str, kms_key: str) -> None:
    body = random_bytes(2 * SEGMENT)
    s3.put_object(Bucket=bucket, Key="old", Body=body, **asked(kms_key))
    s3.rename_object(Bucket=bucket, Key="new", RenameSource=f"/{bucket}/old")
    answer = s3.get_object(Bucket=bucket, Key="new")
    assert (answer["Body"].read(), encryption_of(answer)) == (body, {SSE: DSSE, KEY_ID: kms_key})


def test_forms_and_presigned_urls(gateway: Gateway, bucket: str, kms_key: str) -> None:
    s3 = gateway.client("s3", signature_version="s3v4")
    fields = {SSE: DSSE, KEY_ID: kms_key}
    form = s3.generate_presigned_post(bucket, "form", Fields=fields, Conditions=[{n: v} for n, v in fields.items()])
    answer = requests.post(form["url"], data=form["fields"], files={"file": b"by a form"}, timeout=30)
    assert (answer.status_code, answer.headers[SSE], answer.headers[KEY_ID]) == (204, DSSE, kms_key)
    assert s3.get_object(Bucket=bucket, Key="form")["Body"].read() == b"by a form"
    parameters = {"Bucket": bucket, "Key": "url", **asked(kms_key)}
    url = s3.generate_presigned_url("put_object", Params=parameters)
    answer = requests.put(url, data=b"by a URL", headers=fields, timeout=30)
    assert (answer.status_code, answer.headers[SSE]) == (200, DSSE)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "url"})
    assert requests.get(url, timeout=30).content == b"by a URL"


def test_attributes_and_checksums(s3: Any, bucket: str, kms_key: str) -> None:
    body = random_bytes(70_000)
    put = s3.put_object(Bucket=bucket, Key="k", Body=body, ChecksumAlgorithm="SHA256", **asked(kms_key))
    wanted = ["ETag", "Checksum", "ObjectSize"]
    told = s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=wanted)
    assert (told["ObjectSize"], told["Checksum"]["ChecksumSHA256"]) == (70_000, put["ChecksumSHA256"])
    assert told["ETag"] == put["ETag"].strip('"')


def test_its_encryption_is_not_updated(s3: Any, bucket: str, kms_key: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked(kms_key))
    change = {"SSEKMS": {"KMSKeyArn": kms_key}}
    assert refusal(s3.update_object_encryption, Bucket=bucket, Key="k", ObjectEncryption=change) == (
        400,
        "InvalidRequest",
    )


def test_in_another_bucket_too(s3: Any, bucket: str, kms_key: str) -> None:
    there = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", **asked(kms_key))
    s3.copy_object(Bucket=there, Key="k", CopySource={"Bucket": bucket, "Key": "k"}, **asked(kms_key))
    assert s3.get_object(Bucket=there, Key="k")["Body"].read() == b"x"

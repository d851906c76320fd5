"""Requests that nobody signed: what a bucket policy lets everyone do, and what nobody can do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.access import EVERYONE, anonymous_client, open_bucket, put_policy, statement
from tests.clients.checks import error_of, refusal
from tests.clients.raw import STREAMING, RawClient
from tests.harness import Gateway

DENIED = (403, "AccessDenied")


@pytest.fixture(scope="module")
def nobody(gateway: Gateway) -> Any:
    return anonymous_client(gateway)


@pytest.fixture
def bucket(s3: Any) -> str:
    name = open_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"body")
    return name


def let_everyone(s3: Any, bucket: str, *actions: str) -> None:
    of_bucket = {"s3:ListBucket", "s3:GetBucketLocation"}
    statements = [
        statement("Allow", EVERYONE, action, on=bucket if action in of_bucket else f"{bucket}/*") for action in actions
    ]
    put_policy(s3, bucket, *statements)


def test_without_a_policy_nobody_may_do_anything(nobody: Any, bucket: str) -> None:
    assert refusal(nobody.list_buckets) == DENIED
    assert refusal(nobody.create_bucket, Bucket="made-by-nobody") == DENIED
    assert refusal(nobody.head_bucket, Bucket=bucket) == (403, "403")
    assert refusal(nobody.list_objects_v2, Bucket=bucket) == DENIED
    assert refusal(nobody.get_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(nobody.get_object, Bucket=bucket, Key="none") == DENIED
    assert refusal(nobody.put_object, Bucket=bucket, Key="k", Body=b"x") == DENIED
    assert refusal(nobody.delete_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(nobody.get_bucket_policy, Bucket=bucket) == DENIED
    assert refusal(nobody.delete_bucket, Bucket=bucket) == DENIED


def test_that_a_bucket_is_missing_is_told_to_everyone(nobody: Any) -> None:
    assert refusal(nobody.get_object, Bucket="never-created", Key="k") == (404, "NoSuchBucket")


def test_everyone_reads(s3: Any, nobody: Any, bucket: str) -> None:
    let_everyone(s3, bucket, "s3:GetObject")
    assert nobody.get_object(Bucket=bucket, Key="k", Range="bytes=1-2")["Body"].read() == b"od"
    assert nobody.head_object(Bucket=bucket, Key="k")["ContentLength"] == 4
    assert refusal(nobody.get_object, Bucket=bucket, Key="none") == DENIED
    assert refusal(nobody.head_object, Bucket=bucket, Key="none") == (403, "403")
    assert refusal(nobody.put_object, Bucket=bucket, Key="k", Body=b"x") == DENIED
    let_everyone(s3, bucket, "s3:GetObject", "s3:ListBucket")
    assert refusal(nobody.get_object, Bucket=bucket, Key="none") == (404, "NoSuchKey")
    assert [each["Key"] for each in nobody.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]


def test_everyone_writes_and_deletes(s3: Any, nobody: Any, bucket: str) -> None:
    let_everyone(s3, bucket, "s3:PutObject", "s3:DeleteObject")
    for size in (5, 1 << 20):
        nobody.put_object(Bucket=bucket, Key="new", Body=b"x" * size, ChecksumAlgorithm="CRC32")
        assert s3.get_object(Bucket=bucket, Key="new")["Body"].read() == b"x" * size
    nobody.delete_object(Bucket=bucket, Key="new")
    assert refusal(s3.get_object, Bucket=bucket, Key="new") == (404, "NoSuchKey")


@pytest.mark.parametrize("operation", ["copy_object", "create_multipart_upload"])
def test_what_nobody_may_do_whatever_the_policy_says(s3: Any, nobody: Any, bucket: str, operation: str) -> None:
    let_everyone(s3, bucket, "s3:*")
    source = {"CopySource": {"Bucket": bucket, "Key": "k"}} if operation == "copy_object" else {}
    response = error_of(getattr(nobody, operation), Bucket=bucket, Key="new", **source)
    assert response["Error"]["Code"] == "AccessDenied"
    assert response["Error"]["Message"].endswith("Please authenticate.")


def test_response_headers_are_not_nobodys_to_choose(s3: Any, nobody: Any, bucket: str) -> None:
    let_everyone(s3, bucket, "s3:GetObject")
    asked = {"Bucket": bucket, "Key": "k", "ResponseContentType": "text/html"}
    assert refusal(nobody.get_object, **asked) == (400, "InvalidRequest")
    assert s3.get_object(**asked)["ContentType"] == "text/html"


@pytest.mark.parametrize("mode", ["aws:kms", "aws:kms:dsse"])
def test_nobody_uses_a_kms_key(s3: Any, nobody: Any, bucket: str, kms_key: str, mode: str) -> None:
    let_everyone(s3, bucket, "s3:GetObject", "s3:PutObject")
    s3.put_object(Bucket=bucket, Key="sealed", Body=b"x", ServerSideEncryption=mode, SSEKMSKeyId=kms_key)
    error = error_of(nobody.get_object, Bucket=bucket, Key="sealed")["Error"]
    assert (error["Code"], error["Message"]) == (
        "InvalidArgument",
        "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
    )
    assert nobody.head_object(Bucket=bucket, Key="sealed")["SSEKMSKeyId"] == kms_key
    new = {"Bucket": bucket, "Key": "new", "Body": b"x"}
    assert refusal(nobody.put_object, **new, ServerSideEncryption=mode) == (400, "InvalidArgument")
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": mode, "KMSMasterKeyID": kms_key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    assert refusal(nobody.put_object, **new) == (400, "InvalidArgument")
    nobody.put_object(**new, ServerSideEncryption="AES256")


def test_conditions_see_nobody(s3: Any, nobody: Any, bucket: str) -> None:
    reads = ("Allow", EVERYONE, "s3:GetObject")
    for condition, is_allowed in [
        ({"StringEquals": {"aws:PrincipalType": "Anonymous"}}, True),
        ({"StringEquals": {"aws:userid": "anonymous"}}, True),
        ({"Null": {"aws:PrincipalAccount": "true", "aws:PrincipalArn": "true", "s3:authType": "true"}}, True),
        ({"StringNotEquals": {"aws:PrincipalType": "Anonymous"}}, False),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, False),
    ]:
        put_policy(s3, bucket, statement(*reads, on=f"{bucket}/*", **condition))
        if is_allowed:
            nobody.get_object(Bucket=bucket, Key="k")
        else:
            assert refusal(nobody.get_object, Bucket=bucket, Key="k") == DENIED


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"x-amz-content-sha256": "0" * 64}, b"body", (400, "XAmzContentSHA256Mismatch")),
        ({"x-amz-content-sha256": STREAMING, "x-amz-decoded-content-length": "4"}, b"body", (400, "InvalidRequest")),
        ({"x-amz-content-sha256": "nonsense"}, b"body", (400, "InvalidArgument")),
        ({"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}, b"body", (400, "BadDigest")),
    ],
)
def test_what_nobody_declares_of_a_body_must_be_true(
    raw: RawClient, s3: Any, bucket: str, headers: dict[str, str], body: bytes, expected: tuple[int, str]
) -> None:
    let_everyone(s3, bucket, "s3:PutObject")
    sent = {"host": raw.host, "content-length": str(len(body)), **headers}
    assert raw.send("PUT", f"/{bucket}/new", sent, body).refusal == expected
    assert refusal(s3.get_object, Bucket=bucket, Key="new") == (404, "NoSuchKey")


@pytest.mark.parametrize("headers", [{"authorization": "Basic bm9ib2R5"}, {"authorization": ""}])
def test_what_looks_like_a_signature_is_never_nobodys(
    raw: RawClient, s3: Any, bucket: str, headers: dict[str, str]
) -> None:
    let_everyone(s3, bucket, "s3:GetObject")
    assert raw.send("GET", f"/{bucket}/k", {"host": raw.host}).body == b"body"
    assert raw.send("GET", f"/{bucket}/k", {"host": raw.host, **headers}).status == 400

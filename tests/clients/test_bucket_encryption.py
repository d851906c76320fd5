"""PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption, and what they do to objects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.clients.raw import RawClient


def configuration(algorithm: str, key_id: str | None = None, **rule: Any) -> dict[str, Any]:
    default = {"SSEAlgorithm": algorithm, **({"KMSMasterKeyID": key_id} if key_id else {})}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, **rule}]}


def put(s3: Any, bucket: str, value: dict[str, Any]) -> None:
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=value)


def get(s3: Any, bucket: str) -> Any:
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return rule


def test_the_default_is_sse_s3(s3: Any, bucket: str) -> None:
    rule = get(s3, bucket)
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert rule["BucketKeyEnabled"] is False


def test_delete_goes_back_to_the_default_and_is_idempotent(s3: Any, bucket: str, kms_key: str) -> None:
    put(s3, bucket, configuration("aws:kms", kms_key))
    for _ in range(2):
        answer = s3.delete_bucket_encryption(Bucket=bucket)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert get(s3, bucket)["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize("written", ["arn", "id", "alias/somewhere", "not-a-key"])
def test_the_key_is_told_as_it_was_written(s3: Any, bucket: str, kms_key: str, written: str) -> None:
    key_id = {"arn": kms_key, "id": kms_key.rpartition("/")[2]}.get(written, written)
    put(s3, bucket, configuration("aws:kms", key_id))
    assert get(s3, bucket)["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": key_id,
    }


def test_objects_without_headers_get_the_default(s3: Any, bucket: str, kms_key: str) -> None:
    put(s3, bucket, configuration("aws:kms", kms_key))
    answers = [
        s3.put_object(Bucket=bucket, Key="a", Body=b"1"),
        s3.create_multipart_upload(Bucket=bucket, Key="b"),
        s3.head_object(Bucket=bucket, Key="a"),
    ]
    assert [(answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) for answer in answers] == [("aws:kms", kms_key)] * 3


def test_headers_go_before_the_default(s3: Any, bucket: str, kms_key: str) -> None:
    put(s3, bucket, configuration("aws:kms", kms_key))
    answer = s3.put_object(Bucket=bucket, Key="a", Body=b"1", ServerSideEncryption="AES256")
    assert (answer["ServerSideEncryption"], "SSEKMSKeyId" in answer) == ("AES256", False)


def test_objects_written_before_keep_their_encryption(s3: Any, bucket: str, kms_key: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    put(s3, bucket, configuration("aws:kms", kms_key))
    assert s3.head_object(Bucket=bucket, Key="a")["ServerSideEncryption"] == "AES256"


def test_a_default_without_a_key_is_the_managed_key(s3: Any, kms: Any, bucket: str) -> None:
    put(s3, bucket, configuration("aws:kms"))
    arn = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["SSEKMSKeyId"]
    assert arn == kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]


def test_a_default_key_that_is_not_there_refuses_objects(s3: Any, bucket: str) -> None:
    put(s3, bucket, configuration("aws:kms", "alias/absent"))
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"1") == (400, "KMS.NotFoundException")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (configuration("AES256", "some-key"), (400, "InvalidArgument")),
        ({"Rules": []}, (400, "MalformedXML")),
        ({"Rules": configuration("AES256")["Rules"] * 2}, (400, "MalformedXML")),
        (configuration("rot13"), (400, "MalformedXML")),
        (configuration("aws:fsx"), (501, "NotImplemented")),
    ],
)
def test_put_refuses_what_it_cannot_do(s3: Any, bucket: str, value: Any, expected: Any) -> None:
    asked = {"Bucket": bucket, "ServerSideEncryptionConfiguration": value}
    assert refusal(s3.put_bucket_encryption, **asked) == expected
    assert get(s3, bucket)["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_a_key_with_aes256_is_refused_in_the_words_of_s3(s3: Any, bucket: str) -> None:
    value = configuration("AES256", "some-key")
    error = error_of(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration=value)["Error"]
    assert (error["Message"], error["ArgumentName"]) == (
        "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        "ApplyServerSideEncryptionByDefault",
    )


@pytest.mark.parametrize(
    "rule", [{"BucketKeyEnabled": False}, {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}]
)
def test_put_takes_what_holds_anyway(s3: Any, bucket: str, rule: Any) -> None:
    put(s3, bucket, configuration("AES256", **rule))
    assert get(s3, bucket)["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


@pytest.mark.parametrize("body", [b"", b"x", b"<Other/>", b"<ServerSideEncryptionConfiguration/>", b"\x00"])
def test_put_refuses_documents_that_are_none(raw: RawClient, bucket: str, body: bytes) -> None:
    assert raw.request("PUT", f"/{bucket}?encryption", body=body).refusal == (400, "MalformedXML")


@pytest.mark.parametrize("operation", ["put_bucket_encryption", "get_bucket_encryption", "delete_bucket_encryption"])
def test_encryption_of_no_bucket(s3: Any, operation: str) -> None:
    value = {"ServerSideEncryptionConfiguration": configuration("AES256")} if operation.startswith("put") else {}
    assert refusal(getattr(s3, operation), Bucket="never-created", **value) == (404, "NoSuchBucket")

"""CopyObject: directives, conditions, onto itself. Copies between modes of encryption: `test_copy_matrix`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.clients.checks import error_of, md5_hex, random_bytes, refusal
from tests.clients.digests import DIGESTS, checksum
from tests.clients.raw import RawClient

BODY = random_bytes(100_000)
"""Large enough for a blob of its own."""


def read(s3: Any, bucket: str, key: str) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


@pytest.fixture
def source(s3: Any, bucket: str) -> dict[str, str]:
    """An object with everything that a copy may keep or replace."""
    s3.put_object(
        Bucket=bucket,
        Key="source",
        Body=BODY,
        ContentType="text/plain",
        CacheControl="no-cache",
        Metadata={"colour": "red"},
        StorageClass="STANDARD_IA",
    )
    return {"Bucket": bucket, "Key": "source"}


def test_copy_keeps_headers_and_metadata_but_not_the_storage_class(s3: Any, bucket: str, source: Any) -> None:
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, ContentType="ignored/with-copy")
    found = s3.get_object(Bucket=bucket, Key="copy")
    assert found["Body"].read() == BODY
    assert (found["ContentType"], found["CacheControl"], found["Metadata"]) == (
        "text/plain",
        "no-cache",
        {"colour": "red"},
    )
    assert "StorageClass" not in found
    assert answer["CopyObjectResult"]["ETag"] == found["ETag"] == f'"{md5_hex(BODY)}"'
    assert answer["CopyObjectResult"]["LastModified"].replace(microsecond=0) == found["LastModified"]


def test_copy_replaces_headers_and_metadata_altogether(s3: Any, bucket: str, source: Any) -> None:
    s3.copy_object(
        Bucket=bucket,
        Key="copy",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"size": "m"},
        StorageClass="REDUCED_REDUNDANCY",
    )
    found = s3.head_object(Bucket=bucket, Key="copy")
    assert (found["ContentType"], found["Metadata"]) == ("binary/octet-stream", {"size": "m"})
    assert ("CacheControl" in found, found["StorageClass"]) == (False, "REDUCED_REDUNDANCY")


def test_copy_and_source_live_on_their_own(s3: Any, bucket: str, source: Any) -> None:
    s3.copy_object(Bucket=bucket, Key="first", CopySource=source)
    s3.copy_object(Bucket=bucket, Key="second", CopySource={"Bucket": bucket, "Key": "first"})
    s3.delete_object(**source)
    s3.delete_object(Bucket=bucket, Key="first")
    assert read(s3, bucket, "second") == BODY


def test_copy_to_another_bucket(s3: Any, bucket: str, source: Any, shared_bucket: str) -> None:
    s3.copy_object(Bucket=shared_bucket, Key="from/elsewhere", CopySource=source)
    assert read(s3, shared_bucket, "from/elsewhere") == BODY


def test_copy_over_an_object_replaces_it(s3: Any, bucket: str, source: Any) -> None:
    s3.put_object(Bucket=bucket, Key="copy", Body=b"old", Metadata={"old": "1"})
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    found = s3.head_object(Bucket=bucket, Key="copy")
    assert (found["ContentLength"], found["Metadata"]) == (len(BODY), {"colour": "red"})


@pytest.mark.parametrize("size", [0, 1, 20_000])
def test_copies_of_small_objects(s3: Any, bucket: str, size: int) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=BODY[:size])
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "source"})
    s3.delete_object(Bucket=bucket, Key="source")
    assert read(s3, bucket, "copy") == BODY[:size]


ONTO_ITSELF: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {}, False),
    ({}, {"ContentType": "text/html"}, False),
    ({}, {"Metadata": {"new": "1"}}, False),
    ({}, {"MetadataDirective": "REPLACE", "Metadata": {"new": "1"}}, True),
    ({}, {"StorageClass": "STANDARD"}, True),
    ({}, {"StorageClass": "STANDARD_IA"}, True),
    ({"StorageClass": "STANDARD_IA"}, {"StorageClass": "STANDARD_IA"}, True),
    ({}, {"ServerSideEncryption": "AES256"}, True),
    ({}, {"ServerSideEncryption": "aws:kms"}, True),
    ({"ServerSideEncryption": "aws:kms"}, {"ServerSideEncryption": "aws:kms"}, True),
    # Nothing is named, and the bucket's default takes the place of the key.
    ({"ServerSideEncryption": "aws:kms"}, {}, True),
]


@pytest.mark.parametrize(("before", "asked", "works"), ONTO_ITSELF)
def test_copy_onto_itself_must_change_something(s3: Any, bucket: str, before: Any, asked: Any, works: bool) -> None:
    source = {"Bucket": bucket, "Key": "a"}
    s3.put_object(**source, Body=BODY, **before)
    if works:
        s3.copy_object(**source, CopySource=source, **asked)
        mode = s3.head_object(**source)["ServerSideEncryption"]
        assert mode == asked.get("ServerSideEncryption", "AES256")
    else:
        assert refusal(s3.copy_object, **source, CopySource=source, **asked) == (400, "InvalidRequest")
    assert read(s3, bucket, "a") == BODY


def test_copy_onto_itself_takes_the_configuration_of_the_bucket(s3: Any, bucket: str, kms_key: str) -> None:
    source = {"Bucket": bucket, "Key": "a"}
    s3.put_object(**source, Body=BODY)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.copy_object(**source, CopySource=source)
    assert s3.head_object(**source)["SSEKMSKeyId"] == kms_key
    assert read(s3, bucket, "a") == BODY


def test_conditions_on_the_source(s3: Any, bucket: str, source: Any) -> None:
    found = s3.head_object(**source)
    etag, at = found["ETag"], found["LastModified"]
    before, after = at - timedelta(hours=1), at + timedelta(hours=1)
    table: list[tuple[dict[str, Any], bool]] = [
        ({"CopySourceIfMatch": etag}, True),
        ({"CopySourceIfMatch": '"x"'}, False),
        ({"CopySourceIfNoneMatch": '"x"'}, True),
        ({"CopySourceIfNoneMatch": etag}, False),
        ({"CopySourceIfModifiedSince": before}, True),
        ({"CopySourceIfModifiedSince": at}, False),
        ({"CopySourceIfUnmodifiedSince": after}, True),
        ({"CopySourceIfUnmodifiedSince": before}, False),
        ({"CopySourceIfMatch": etag, "CopySourceIfUnmodifiedSince": before}, True),
        ({"CopySourceIfNoneMatch": etag, "CopySourceIfModifiedSince": before}, False),
    ]
    for condition, holds in table:
        parameters = {"Bucket": bucket, "Key": "copy", "CopySource": source, **condition}
        if holds:
            s3.copy_object(**parameters)
        else:
            assert refusal(s3.copy_object, **parameters) == (412, "PreconditionFailed"), condition


def test_conditions_on_the_destination(s3: Any, bucket: str, source: Any) -> None:
    target = {"Bucket": bucket, "Key": "copy", "CopySource": source}
    etag = s3.copy_object(**target, IfNoneMatch="*")["CopyObjectResult"]["ETag"]
    assert refusal(s3.copy_object, **target, IfNoneMatch="*") == (412, "PreconditionFailed")
    assert refusal(s3.copy_object, **target, IfMatch='"x"') == (412, "PreconditionFailed")
    s3.copy_object(**target, IfMatch=etag)


KEYS = ["a b", "a+b", "a%20b", "100%", "a//b", "a?b", "é/日本", "a&b=c", "?versionId=x", ".."]


@pytest.mark.parametrize("key", KEYS)
def test_sources_with_odd_keys(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert read(s3, bucket, "copy") == key.encode()


@pytest.mark.parametrize("form", ["{0}/source", "/{0}/source", "{0}/sourc%65", "{0}/source?versionId=null"])
def test_forms_of_the_copy_source(raw: RawClient, bucket: str, source: Any, form: str) -> None:
    answer = raw.request("PUT", f"/{bucket}/copy", {"x-amz-copy-source": form.format(bucket)})
    assert (answer.status, answer.element("ETag")) == (200, f"&quot;{md5_hex(BODY)}&quot;")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("", (400, "InvalidArgument")),
        ("/", (400, "InvalidArgument")),
        ("{0}", (400, "InvalidArgument")),
        ("{0}/", (400, "InvalidArgument")),
        ("{0}/%zz", (400, "InvalidArgument")),
        ("{0}/%ff", (400, "InvalidArgument")),
        ("{0}/source?versionId=", (400, "InvalidArgument")),
        ("{0}/source?versionId=other", (400, "InvalidArgument")),
        ("{0}/" + "k" * 1025, (400, "KeyTooLongError")),
        ("arn:aws:s3:us-east-1:123456789012:accesspoint/x/object/y", (501, "NotImplemented")),
    ],
)
def test_copy_sources_that_name_nothing(raw: RawClient, bucket: str, source: Any, form: str, expected: Any) -> None:
    answer = raw.request("PUT", f"/{bucket}/copy", {"x-amz-copy-source": form.format(bucket)})
    assert answer.refusal == expected


def test_sources_that_are_not_there(s3: Any, bucket: str) -> None:
    error = error_of(s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "absent"})
    assert (error["Error"]["Code"], error["Error"]["Key"]) == ("NoSuchKey", "absent")
    error = error_of(s3.copy_object, Bucket=bucket, Key="copy", CopySource={"Bucket": "never-created", "Key": "a"})
    assert (error["Error"]["Code"], error["Error"]["BucketName"]) == ("NoSuchBucket", "never-created")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"MetadataDirective": "MERGE"}, (400, "InvalidArgument")),
        ({"StorageClass": "GLACIER"}, (400, "InvalidStorageClass")),
        ({"ACL": "public-read"}, (400, "AccessControlListNotSupported")),
        ({"Tagging": "a=b=c", "TaggingDirective": "REPLACE"}, (400, "InvalidArgument")),
        ({"TaggingDirective": "MERGE"}, (400, "InvalidArgument")),
        ({"CopySourceSSECustomerAlgorithm": "AES256", "CopySourceSSECustomerKey": "k" * 32}, (400, "InvalidRequest")),
        ({"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}, (403, "AccessDenied")),
        ({"ExpectedSourceBucketOwner": "999999999999"}, (403, "AccessDenied")),
        ({"ExpectedBucketOwner": "999999999999"}, (403, "AccessDenied")),
        ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "alias/absent"}, (400, "KMS.NotFoundException")),
        ({"TaggingDirective": "COPY"}, None),
    ],
)
def test_copy_serves_or_refuses_what_it_is_asked(
    s3: Any, bucket: str, source: Any, parameters: Any, expected: Any
) -> None:
    asked = {"Bucket": bucket, "Key": "copy", "CopySource": source, **parameters}
    if expected is None:
        s3.copy_object(**asked)
    else:
        assert refusal(s3.copy_object, **asked) == expected
        assert refusal(s3.head_object, Bucket=bucket, Key="copy") == (404, "404")


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_copy_computes_the_checksum_that_is_asked_for(s3: Any, bucket: str, source: Any, algorithm: str) -> None:
    member = f"Checksum{algorithm}"
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, ChecksumAlgorithm=algorithm)
    expected = checksum(algorithm, BODY)
    assert answer["CopyObjectResult"][member] == expected
    assert s3.head_object(Bucket=bucket, Key="copy", ChecksumMode="ENABLED")[member] == expected


def test_copy_without_headers_takes_the_default_of_the_destination(s3: Any, bucket: str, kms_key: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}}
    s3.put_object(Bucket=bucket, Key="source", Body=b"1")
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    answer = s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "source"})
    assert (answer["ServerSideEncryption"], answer["SSEKMSKeyId"]) == ("aws:kms", kms_key)


def test_copy_needs_the_key_of_the_source(s3: Any, kms: Any, bucket: str) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    source = {"Bucket": bucket, "Key": "source"}
    s3.put_object(**source, Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    kms.disable_key(KeyId=key)
    got = refusal(s3.copy_object, Bucket=bucket, Key="copy", CopySource=source, ServerSideEncryption="AES256")
    assert got == (400, "KMS.DisabledException")
    kms.enable_key(KeyId=key)
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=source, ServerSideEncryption="AES256")
    kms.disable_key(KeyId=key)
    assert read(s3, bucket, "copy") == b"1"

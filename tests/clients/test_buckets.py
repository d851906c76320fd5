"""CreateBucket, HeadBucket, GetBucketLocation, DeleteBucket."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import error_of, headers_of, refusal
from tests.clients.raw import RawClient


def test_create_bucket_answers_its_location(s3: Any) -> None:
    assert s3.create_bucket(Bucket="created-once")["Location"] == "/created-once"


def test_create_bucket_again_is_no_error_in_us_east_1(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Upper-case", "under_score", "192.168.1.1", "-begins", "ends-", "two..dots", "xn--puny",
             "an-s3alias", "a%20b", "a.b.", "%C3%A9t%C3%A9"]
)  # fmt: skip
def test_create_bucket_refuses_illegal_names(raw: RawClient, name: str) -> None:
    assert raw.request("PUT", f"/{name}").refusal == (400, "InvalidBucketName")


@pytest.mark.parametrize("name", ["abc", "a" * 63, "with.dots.in.it", "1-2-3", "0x0"])
def test_create_bucket_takes_legal_names(s3: Any, name: str) -> None:
    s3.create_bucket(Bucket=name)
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    ("constraint", "code"),
    [("us-east-1", "InvalidLocationConstraint"), ("eu-west-1", "IllegalLocationConstraintException")],
)
def test_create_bucket_refuses_other_locations(s3: Any, constraint: str, code: str) -> None:
    configuration = {"LocationConstraint": constraint}
    got = refusal(s3.create_bucket, Bucket="somewhere-else", CreateBucketConfiguration=configuration)
    assert got == (400, code)
    assert refusal(s3.head_bucket, Bucket="somewhere-else") == (404, "404")


def test_create_bucket_takes_an_empty_configuration(s3: Any) -> None:
    s3.create_bucket(Bucket="configured", CreateBucketConfiguration={})


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"ACL": "private"}, None),
        ({"ObjectOwnership": "BucketOwnerEnforced"}, None),
        ({"ObjectLockEnabledForBucket": False}, None),
        ({"ACL": "public-read"}, (400, "InvalidBucketAclWithObjectOwnership")),
        ({"GrantRead": "id=1"}, (400, "InvalidBucketAclWithObjectOwnership")),
        ({"ObjectOwnership": "ObjectWriter"}, None),
        ({"ObjectLockEnabledForBucket": True}, (501, "NotImplemented")),
        ({"CreateBucketConfiguration": {"Tags": [{"Key": "a", "Value": "b"}]}}, None),
        ({"CreateBucketConfiguration": {"Bucket": {"Type": "Directory"}}}, (501, "NotImplemented")),
    ],
)
def test_create_bucket_serves_or_refuses_what_it_is_asked(s3: Any, parameters: Any, expected: Any) -> None:
    name = "asked-for-more"
    if expected is None:
        s3.create_bucket(Bucket=name, **parameters)
        s3.delete_bucket(Bucket=name)
    else:
        assert refusal(s3.create_bucket, Bucket=name, **parameters) == expected
        assert refusal(s3.head_bucket, Bucket=name) == (404, "404")


@pytest.mark.parametrize(
    "document",
    [
        b"<CreateBucketConfiguration>",
        b"<Other/>",
        b"<CreateBucketConfiguration><Unknown/></CreateBucketConfiguration>",
        b'<!DOCTYPE x [<!ENTITY e "a">]><CreateBucketConfiguration>&e;</CreateBucketConfiguration>',
        b"\xff\xfe",
        b"{}",
    ],
)
def test_create_bucket_refuses_malformed_documents(raw: RawClient, document: bytes) -> None:
    assert raw.request("PUT", "/malformed-one", body=document).refusal == (400, "MalformedXML")


def test_head_bucket_tells_the_region(s3: Any, bucket: str) -> None:
    answer = s3.head_bucket(Bucket=bucket)
    assert (answer["BucketRegion"], answer["AccessPointAlias"]) == ("us-east-1", False)


def test_get_bucket_location_of_us_east_1_is_empty(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None


@pytest.mark.parametrize(
    ("operation", "code"),
    [("head_bucket", "404"), ("get_bucket_location", "NoSuchBucket"), ("delete_bucket", "NoSuchBucket"),
     ("list_objects_v2", "NoSuchBucket"), ("get_bucket_encryption", "NoSuchBucket")],
)  # fmt: skip
def test_a_bucket_that_is_not_there(s3: Any, operation: str, code: str) -> None:
    assert refusal(getattr(s3, operation), Bucket="never-created") == (404, code)


def test_no_such_bucket_names_the_bucket(s3: Any) -> None:
    assert error_of(s3.list_objects_v2, Bucket="never-created")["Error"]["BucketName"] == "never-created"


@pytest.mark.parametrize("operation", ["head_bucket", "get_bucket_location", "list_objects_v2", "delete_bucket"])
def test_the_expected_owner_must_own_the_bucket(s3: Any, bucket: str, operation: str) -> None:
    got = refusal(getattr(s3, operation), Bucket=bucket, ExpectedBucketOwner="999999999999")
    assert got == (403, "403" if operation == "head_bucket" else "AccessDenied")


def test_delete_bucket(s3: Any, bucket: str) -> None:
    assert s3.delete_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.delete_bucket, Bucket=bucket) == (404, "NoSuchBucket")


def test_delete_bucket_refuses_while_objects_are_in_it(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    assert refusal(s3.delete_bucket, Bucket=bucket) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=bucket, Key="a")
    s3.delete_bucket(Bucket=bucket)


def test_delete_bucket_takes_uploads_in_progress_with_it(s3: Any, bucket: str) -> None:
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="a")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="a", UploadId=upload_id, PartNumber=1, Body=b"1")
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    assert refusal(s3.list_parts, Bucket=bucket, Key="a", UploadId=upload_id) == (404, "NoSuchUpload")


def test_a_bucket_made_anew_is_empty_and_has_default_encryption(s3: Any, bucket: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    answer = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert answer["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_every_answer_has_its_identifiers(s3: Any, bucket: str) -> None:
    first, second = (headers_of(s3.head_bucket(Bucket=bucket)) for _ in range(2))
    assert first["x-amz-request-id"] != second["x-amz-request-id"]
    assert first["x-amz-id-2"] != second["x-amz-id-2"]
    error = error_of(s3.get_bucket_location, Bucket="never-created")["ResponseMetadata"]
    assert error["RequestId"] == error["HTTPHeaders"]["x-amz-request-id"]

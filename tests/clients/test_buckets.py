"""CreateBucket, HeadBucket, GetBucketLocation, DeleteBucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.clients.checks import error_of, headers_of, refusal
from tests.clients.raw import RawClient
from tests.clients.users import accounts, allow, make_user, told
from tests.harness import Gateway, running_gateway


def test_create_bucket_answers_its_location(s3: Any) -> None:
    answer = s3.create_bucket(Bucket="created-once")
    assert (answer["Location"], answer["BucketArn"]) == ("/created-once", "arn:aws:s3:::created-once")


def test_create_bucket_again_is_no_error_in_us_east_1(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    s3.create_bucket(Bucket=bucket)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize(
    "name", ["ab", "a" * 64, "Upper-case", "under_score", "192.168.1.1", "-begins", "ends-", "two..dots", "xn--puny",
             "sthree-x", "sthree-configurator", "amzn-s3-demo-x", "an-s3alias", "a--ol-s3", "a.mrap", "a--x-s3",
             "a--table-s3", "a-.b", "a.-b", "titan-an", "a%20b", "a.b.", ".a.b", "999.0.0.1", "%C3%A9t%C3%A9"]
)  # fmt: skip
def test_create_bucket_refuses_illegal_names(raw: RawClient, name: str) -> None:
    assert raw.request("PUT", f"/{name}").refusal == (400, "InvalidBucketName")


@pytest.mark.parametrize(
    "name", ["abc", "a" * 63, "with.dots.in.it", "1-2-3", "0x0", "1.2.3", "1.2.3.4.5", "a.b-c.d", "s3alias", "a--b"]
)
def test_create_bucket_takes_legal_names(s3: Any, name: str) -> None:
    s3.create_bucket(Bucket=name)
    assert s3.head_bucket(Bucket=name)["BucketRegion"] == "us-east-1"
    s3.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    ("constraint", "code"),
    [
        ("us-east-1", "InvalidLocationConstraint"),
        ("foo", "InvalidLocationConstraint"),
        ("us_east_1", "InvalidLocationConstraint"),
        ("eu-west-1", "IllegalLocationConstraintException"),
        ("EU", "IllegalLocationConstraintException"),
    ],
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
    assert answer["BucketArn"] == f"arn:aws:s3:::{bucket}"
    assert headers_of(answer)["content-type"] == "application/xml"


def test_a_refused_head_bucket_tells_the_region_all_the_same(gateway: Gateway, raw: RawClient, bucket: str) -> None:
    """SDKs that were configured for another region find the right one by it."""
    refused = [
        raw.request("HEAD", f"/{bucket}", region="eu-central-1"),
        RawClient(gateway, secret="x" * 40).request("HEAD", f"/{bucket}"),
        raw.send("HEAD", f"/{bucket}", {"host": raw.host}),
        raw.request("HEAD", f"/{bucket}", {"x-amz-expected-bucket-owner": "999999999999"}),
    ]
    assert [answer.status for answer in refused] == [400, 403, 403, 403]
    assert {answer.headers.get("x-amz-bucket-region") for answer in refused} == {"us-east-1"}
    for target in ("/never-created", f"/{bucket}/key"):
        assert "x-amz-bucket-region" not in raw.request("HEAD", target, region="eu-central-1").headers


def test_boto3_finds_the_region_by_itself(gateway: Gateway, bucket: str) -> None:
    elsewhere = boto3.client(
        "s3",
        endpoint_url=gateway.endpoint_url,
        region_name="eu-central-1",
        aws_access_key_id=gateway.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=gateway.credentials["AWS_SECRET_ACCESS_KEY"],
        config=Config(s3={"addressing_style": "path"}),
    )
    assert elsewhere.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"
    elsewhere.put_object(Bucket=bucket, Key="k", Body=b"found")
    assert elsewhere.get_object(Bucket=bucket, Key="k")["Body"].read() == b"found"


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


def test_delete_bucket_refuses_while_versions_are_in_it(s3: Any, bucket: str) -> None:
    def told() -> str:
        error = error_of(s3.delete_bucket, Bucket=bucket)["Error"]
        assert (error["Code"], error["BucketName"]) == ("BucketNotEmpty", bucket)
        return str(error["Message"])

    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    assert told() == "The bucket you tried to delete is not empty"
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    every_version = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
    assert told() == every_version
    s3.delete_object(Bucket=bucket, Key="a", VersionId="null")
    assert told() == every_version  # the delete marker is left
    s3.delete_object(Bucket=bucket, Key="a", VersionId=marker)
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


def test_names_of_the_accounts_own_namespace(gateway: Gateway, s3: Any) -> None:
    own = f"mine-{accounts(gateway)[0]}-us-east-1-an"
    s3.create_bucket(Bucket=own, BucketNamespace="account-regional")
    assert s3.head_bucket(Bucket=own)["BucketRegion"] == "us-east-1"
    for name, namespace in (
        (f"other-{accounts(gateway)[0]}-us-east-1-an", "global"),
        ("mine-123456789012-us-east-1-an", "account-regional"),
        (f"mine-{accounts(gateway)[0]}-eu-west-1-an", "account-regional"),
        (f"{accounts(gateway)[0]}-us-east-1-an", "account-regional"),
        ("plain", "account-regional"),
    ):
        got = refusal(s3.create_bucket, Bucket=name, BucketNamespace=namespace)
        assert got == (400, "InvalidBucketName"), (name, namespace)
    assert refusal(s3.create_bucket, Bucket="plain", BucketNamespace="other") == (400, "InvalidArgument")


def test_a_name_that_another_account_has(gateway: Gateway, s3: Any, bucket: str) -> None:
    other = told(gateway, "account", "create", str(gateway.data), "neighbour")["AccountId"]
    theirs = make_user(gateway, allow("s3:*"), account_id=other).client("s3")
    error = error_of(theirs.create_bucket, Bucket=bucket)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert (error["Error"]["Code"], error["Error"]["BucketName"]) == ("BucketAlreadyExists", bucket)
    assert bucket not in {each["Name"] for each in theirs.list_buckets()["Buckets"]}


@pytest.mark.parametrize("owner", ["invalid", "1234", "12345678901a", "1234567890123", "%20", "arn:aws:iam::1:root"])
def test_an_expected_owner_that_is_no_account(raw: RawClient, bucket: str, owner: str) -> None:
    answer = raw.request("GET", f"/{bucket}", {"x-amz-expected-bucket-owner": owner})
    assert answer.refusal == (400, "InvalidBucketOwnerAWSAccountID")
    expected = f"The value of the expected bucket owner parameter must be an AWS Account ID... [{owner}]"
    assert answer.message == expected


# Another region


@pytest.fixture(scope="module")
def ireland(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    options: Any = {"region": "eu-west-1", "environment": {"SEALGATE_STORAGE_BUCKETS_PER_ACCOUNT": "5"}}
    with running_gateway(tmp_path_factory.mktemp("ireland"), root="file", **options) as made:
        yield made


def location(constraint: str) -> bytes:
    content = f"<LocationConstraint>{constraint}</LocationConstraint>"
    return f"<CreateBucketConfiguration>{content}</CreateBucketConfiguration>".encode()


@pytest.mark.parametrize("constraint", ["eu-west-1", "EU"])
def test_the_region_in_its_old_and_new_name(ireland: Gateway, constraint: str) -> None:
    raw, name = RawClient(ireland), f"named-{constraint.lower()}"
    assert raw.request("PUT", f"/{name}", body=location(constraint), region="eu-west-1").status == 200
    told = raw.request("GET", f"/{name}?location", region="eu-west-1")
    assert told.element("LocationConstraint") == "" and f">{constraint}</LocationConstraint>".encode() in told.body
    assert raw.request("HEAD", f"/{name}", region="eu-west-1").headers["x-amz-bucket-region"] == "eu-west-1"
    listed = raw.request("GET", f"/?prefix={name}&bucket-region=eu-west-1", region="eu-west-1")
    assert listed.element("BucketRegion") == "eu-west-1"
    again = raw.request("PUT", f"/{name}", body=location(constraint), region="eu-west-1")
    assert again.refusal == (409, "BucketAlreadyOwnedByYou")


@pytest.mark.parametrize("constraint", ["", "us-east-1", "us-west-2", "bar"])
def test_another_region_takes_its_own_name_alone(ireland: Gateway, constraint: str) -> None:
    raw = RawClient(ireland)
    answer = raw.request("PUT", "/elsewhere", body=location(constraint), region="eu-west-1")
    assert answer.refusal == (400, "IllegalLocationConstraintException")
    expected = f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint"
    assert answer.message == f"{expected} this request was sent to."
    answer = raw.request("PUT", "/elsewhere", region="eu-west-1")
    assert answer.message.startswith("The unspecified location constraint")
    answer = raw.request("PUT", "/elsewhere", region="us-east-1")
    assert (answer.refusal, answer.element("Region")) == ((400, "AuthorizationHeaderMalformed"), "eu-west-1")


def test_an_account_has_so_many_buckets(ireland: Gateway) -> None:
    raw, made = RawClient(ireland), []
    body = location("eu-west-1")
    while (answer := raw.request("PUT", f"/one-of-{len(made)}", body=body, region="eu-west-1")).status == 200:
        made.append(f"/one-of-{len(made)}")
        assert len(made) <= 5
    assert answer.refusal == (400, "TooManyBuckets")
    for path in made:
        assert raw.request("DELETE", path, region="eu-west-1").status == 204
    assert made
    assert raw.request("PUT", made[0], body=body, region="eu-west-1").status == 200
    raw.request("DELETE", made[0], region="eu-west-1")

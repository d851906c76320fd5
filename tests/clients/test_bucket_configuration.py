"""Configurations of a bucket: those that are kept, and those that a bucket never has here, as tools ask for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.clients.access import anonymous_client, open_bucket, put_policy, statement
from tests.clients.checks import error_of, headers_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.users import TestUser, allow, make_user, told
from tests.harness import Gateway

NOT_THERE = "never-created"


def without_metadata(answer: Any) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


# Request payment


def test_the_owner_pays_unless_told_otherwise(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    for payer in ("Requester", "BucketOwner"):
        s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": payer})
        assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == payer


def test_nobody_else_can_pay(s3: Any, bucket: str) -> None:
    for payer in ("requester", "Somebody", ""):
        configuration = {"Payer": payer}
        got = refusal(s3.put_bucket_request_payment, Bucket=bucket, RequestPaymentConfiguration=configuration)
        assert got == (400, "MalformedXML")
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"


def test_the_owner_of_a_requester_pays_bucket_is_not_charged(s3: Any, bucket: str) -> None:
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"own")
    for asked in ({}, {"RequestPayer": "requester"}):
        answer = s3.get_object(Bucket=bucket, Key="k", **asked)
        assert answer["Body"].read() == b"own"
        assert "RequestCharged" not in answer


@pytest.fixture(scope="module")
def neighbour(gateway: Gateway) -> TestUser:
    """A user of another account, who may do in S3 whatever others let it do."""
    other = told(gateway, "account", "create", str(gateway.data), "neighbour")["AccountId"]
    return make_user(gateway, allow("s3:*"), account_id=other)


def test_others_must_say_that_they_pay(gateway: Gateway, s3: Any, neighbour: TestUser) -> None:
    bucket = open_bucket(s3)
    put_policy(s3, bucket, statement("Allow", "*", "s3:*", on=[bucket, f"{bucket}/*"]))
    s3.put_object(Bucket=bucket, Key="k", Body=b"shared")
    theirs, nobody = neighbour.client("s3"), anonymous_client(gateway)
    where = {"Bucket": bucket, "Key": "k"}
    for client in (theirs, nobody):
        answer = client.get_object(**where, RequestPayer="requester")
        assert answer["Body"].read() == b"shared"
        assert "RequestCharged" not in answer  # it is the owner's to pay
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    for call, asked in (
        (theirs.get_object, where),
        (theirs.put_object, where),
        (theirs.list_objects_v2, {"Bucket": bucket}),
        (theirs.delete_objects, {"Bucket": bucket, "Delete": {"Objects": [{"Key": "none"}]}}),
        (theirs.create_multipart_upload, where),
        (theirs.get_object_tagging, where),
    ):
        assert refusal(call, **asked) == (403, "AccessDenied")
        answer = call(**asked, RequestPayer="requester")
        assert headers_of(answer)["x-amz-request-charged"] == "requester"
    assert refusal(theirs.get_object, **where, RequestPayer="owner") == (403, "AccessDenied")
    assert refusal(nobody.get_object, **where, RequestPayer="requester") == (403, "AccessDenied")
    missing = error_of(theirs.get_object, Bucket=bucket, Key="none", RequestPayer="requester")
    assert missing["Error"]["Code"] == "NoSuchKey"
    assert "x-amz-request-charged" not in headers_of(missing)
    raw = RawClient(gateway, neighbour.access_key_id, neighbour.secret_access_key)
    url = raw.presign("GET", f"/{bucket}/k?x-amz-request-payer=requester")
    answer = raw.send("GET", url, {"host": raw.host})
    assert (answer.status, answer.headers["x-amz-request-charged"]) == (200, "requester")


def test_the_source_of_a_copy_may_be_paid_for(s3: Any, neighbour: TestUser) -> None:
    bucket = open_bucket(s3)
    theirs = neighbour.client("s3")
    target = make_bucket(theirs)
    put_policy(s3, bucket, statement("Allow", "*", "s3:*", on=[bucket, f"{bucket}/*"]))
    s3.put_object(Bucket=bucket, Key="k", Body=b"shared")
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    copy = {"Bucket": target, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "k"}}
    assert refusal(theirs.copy_object, **copy) == (403, "AccessDenied")
    assert theirs.copy_object(**copy, RequestPayer="requester")["RequestCharged"] == "requester"
    answer = theirs.get_object(Bucket=target, Key="copy")
    assert (answer["Body"].read(), answer.get("RequestCharged")) == (b"shared", None)


# Transfer acceleration


def test_acceleration_is_told_as_it_was_put(s3: Any, bucket: str) -> None:
    assert without_metadata(s3.get_bucket_accelerate_configuration(Bucket=bucket)) == {}
    for status in ("Enabled", "Suspended"):
        s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": status})
        assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == status
    got = refusal(s3.put_bucket_accelerate_configuration, Bucket=bucket, AccelerateConfiguration={"Status": "Off"})
    assert got == (400, "MalformedXML")


def test_acceleration_is_not_for_names_with_periods(s3: Any) -> None:
    s3.create_bucket(Bucket="with.periods")
    configuration = {"Status": "Enabled"}
    error = error_of(
        s3.put_bucket_accelerate_configuration, Bucket="with.periods", AccelerateConfiguration=configuration
    )
    assert error["Error"]["Code"] == "InvalidRequest"
    message = "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names"
    assert error["Error"]["Message"] == message
    assert without_metadata(s3.get_bucket_accelerate_configuration(Bucket="with.periods")) == {}
    s3.delete_bucket(Bucket="with.periods")


# Access by tags


def test_abac_is_disabled_and_stays_so(s3: Any, bucket: str) -> None:
    assert s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == {"Status": "Disabled"}
    s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Disabled"})
    assert refusal(s3.put_bucket_abac, Bucket=bucket, AbacStatus={"Status": "Enabled"}) == (501, "NotImplemented")
    assert s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == {"Status": "Disabled"}


def test_settings_leave_each_other_alone(s3: Any, bucket: str) -> None:
    s3.put_bucket_request_payment(Bucket=bucket, RequestPaymentConfiguration={"Payer": "Requester"})
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Enabled"})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "Requester"
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


# What a bucket never has

ONE_OF_A_KIND = {
    "get_bucket_lifecycle_configuration": (
        "NoSuchLifecycleConfiguration",
        "The lifecycle configuration does not exist",
    ),
    "get_bucket_replication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    "get_bucket_website": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "get_object_lock_configuration": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    "get_bucket_metadata_configuration": (
        "MetadataConfigurationNotFound",
        "The metadata configuration does not exist",
    ),
    "get_bucket_metadata_table_configuration": (
        "MetadataConfigurationNotFound",
        "The metadata configuration does not exist",
    ),
}


@pytest.mark.parametrize("operation", ONE_OF_A_KIND)
def test_configurations_of_which_there_is_one(s3: Any, bucket: str, operation: str) -> None:
    get = getattr(s3, operation)
    error = error_of(get, Bucket=bucket)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert (error["Error"]["Code"], error["Error"]["Message"]) == ONE_OF_A_KIND[operation]
    assert error["Error"]["BucketName"] == bucket
    assert refusal(get, Bucket=NOT_THERE) == (404, "NoSuchBucket")


@pytest.mark.parametrize(
    "operation",
    [
        "delete_bucket_lifecycle",
        "delete_bucket_replication",
        "delete_bucket_website",
        "delete_bucket_metadata_configuration",
        "delete_bucket_metadata_table_configuration",
    ],
)
def test_removing_what_is_not_there(s3: Any, bucket: str, operation: str) -> None:
    delete = getattr(s3, operation)
    for _ in range(2):
        assert delete(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(delete, Bucket=NOT_THERE) == (404, "NoSuchBucket")


@pytest.mark.parametrize("kind", ["analytics", "intelligent_tiering", "inventory", "metrics"])
def test_configurations_of_which_there_are_many(s3: Any, bucket: str, kind: str) -> None:
    listing = getattr(s3, f"list_bucket_{kind}_configurations")
    assert without_metadata(listing(Bucket=bucket)) == {"IsTruncated": False}
    assert refusal(listing, Bucket=NOT_THERE) == (404, "NoSuchBucket")
    assert refusal(listing, Bucket=bucket, ContinuationToken="forged") == (400, "InvalidArgument")
    for verb in ("get", "delete"):
        call = getattr(s3, f"{verb}_bucket_{kind}_configuration")
        error = error_of(call, Bucket=bucket, Id="one")
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 404
        assert error["Error"]["Code"] == "NoSuchConfiguration"
        assert error["Error"]["Message"] == "The specified configuration does not exist."
        assert refusal(call, Bucket=NOT_THERE, Id="one") == (404, "NoSuchBucket")


def test_logging_is_off_and_can_be_switched_off(s3: Any, bucket: str) -> None:
    for _ in range(2):
        assert without_metadata(s3.get_bucket_logging(Bucket=bucket)) == {}
        s3.put_bucket_logging(Bucket=bucket, BucketLoggingStatus={})
    enabled = {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": ""}}
    assert refusal(s3.put_bucket_logging, Bucket=bucket, BucketLoggingStatus=enabled) == (501, "NotImplemented")
    assert without_metadata(s3.get_bucket_logging(Bucket=bucket)) == {}


def test_notifications_are_none_and_can_be_switched_off(s3: Any, bucket: str) -> None:
    put = s3.put_bucket_notification_configuration
    for _ in range(2):
        assert without_metadata(s3.get_bucket_notification_configuration(Bucket=bucket)) == {}
        put(Bucket=bucket, NotificationConfiguration={})
    for asked in (
        {"EventBridgeConfiguration": {}},
        {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": ["s3:ObjectCreated:*"]}]},
    ):
        assert refusal(put, Bucket=bucket, NotificationConfiguration=asked) == (501, "NotImplemented")
    assert without_metadata(s3.get_bucket_notification_configuration(Bucket=bucket)) == {}


@pytest.mark.parametrize("parameter", ["logging", "notification"])
def test_documents_that_are_none(raw: RawClient, bucket: str, parameter: str) -> None:
    for body in (b"", b"<Other/>", b"<BucketLoggingStatus>", b"{}", b"<a>" * 9000):
        assert raw.request("PUT", f"/{bucket}?{parameter}", body=body).refusal == (400, "MalformedXML")


def test_objects_have_no_retention_and_no_legal_hold(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")
    for call in (s3.get_object_retention, s3.get_object_legal_hold):
        error = error_of(call, Bucket=bucket, Key="k")
        assert (error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"]) == (400, "InvalidRequest")
        assert error["Error"]["Message"] == "Bucket is missing Object Lock Configuration"


# What Terraform's aws_s3_bucket reads of a bucket that it has just made: none of it may break the plan.

READ_BY_TERRAFORM: list[tuple[str, str | None]] = [
    ("head_bucket", None),
    ("get_bucket_location", None),
    ("get_bucket_cors", "NoSuchCORSConfiguration"),
    ("get_bucket_website", "NoSuchWebsiteConfiguration"),
    ("get_bucket_versioning", None),
    ("get_bucket_accelerate_configuration", None),
    ("get_bucket_request_payment", None),
    ("get_bucket_logging", None),
    ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
    ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
    ("get_bucket_encryption", None),
    ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
    ("get_bucket_notification_configuration", None),
    ("get_bucket_policy", "NoSuchBucketPolicy"),
    ("get_bucket_tagging", "NoSuchTagSet"),
    ("get_public_access_block", None),
    ("get_bucket_ownership_controls", None),
]


@pytest.mark.parametrize(("operation", "code"), READ_BY_TERRAFORM)
def test_what_terraform_reads(s3: Any, bucket: str, operation: str, code: str | None) -> None:
    call: Callable[..., Any] = getattr(s3, operation)
    if code is None:
        assert headers_of(call(Bucket=bucket))
    else:
        assert refusal(call, Bucket=bucket) == (404, code)

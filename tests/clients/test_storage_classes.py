"""Storage classes: told again wherever S3 tells them, and what cannot be had is refused in its words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import error_of, headers_of, refusal
from tests.clients.raw import RawClient
from tests.clients.test_multipart import begin, complete, send
from tests.clients.users import allow, make_user
from tests.harness import Gateway

CLASSES = ["STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"]
OTHERS = ["GLACIER", "DEEP_ARCHIVE", "OUTPOSTS", "EXPRESS_ONEZONE", "SNOW", "FSX_OPENZFS", "standard", "Cold"]
RESTORE = {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}


def told(s3: Any, bucket: str, key: str) -> set[str | None]:
    """What each operation that tells a storage class says of an object's."""
    read = [
        headers_of(answer).get("x-amz-storage-class", "STANDARD")
        for answer in (s3.head_object(Bucket=bucket, Key=key), s3.get_object(Bucket=bucket, Key=key))
    ]
    listings = (
        s3.list_objects(Bucket=bucket)["Contents"],
        s3.list_objects_v2(Bucket=bucket)["Contents"],
        s3.list_object_versions(Bucket=bucket)["Versions"],
    )
    listed = [item["StorageClass"] for listing in listings for item in listing if item["Key"] == key]
    attributes = s3.get_object_attributes(Bucket=bucket, Key=key, ObjectAttributes=["StorageClass"])
    assert len(listed) == 3
    return {*read, *listed, attributes["StorageClass"]}


@pytest.mark.parametrize("storage_class", CLASSES)
def test_a_class_is_told_wherever_one_is(s3: Any, bucket: str, storage_class: str) -> None:
    s3.put_object(Bucket=bucket, Key="put", StorageClass=storage_class)
    assert told(s3, bucket, "put") == {storage_class}
    source = {"Bucket": bucket, "Key": "put"}
    s3.copy_object(Bucket=bucket, Key="copied", CopySource=source, StorageClass=storage_class)
    assert told(s3, bucket, "copied") == {storage_class}
    s3.copy_object(Bucket=bucket, Key="plain", CopySource=source)
    assert told(s3, bucket, "plain") == {"STANDARD"}, "a copy is of the class that it is asked to be of"
    upload = begin(s3, bucket, "parts", StorageClass=storage_class)
    [listed] = s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    part = send(s3, upload, 1, b"part")
    assert (listed["StorageClass"], s3.list_parts(**upload)["StorageClass"]) == (storage_class, storage_class)
    complete(s3, upload, [part])
    assert told(s3, bucket, "parts") == {storage_class}


def test_the_standard_class_has_no_header(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", StorageClass="STANDARD")
    for answer in (s3.head_object(Bucket=bucket, Key="a"), s3.get_object(Bucket=bucket, Key="a")):
        assert "x-amz-storage-class" not in headers_of(answer)


@pytest.mark.parametrize("storage_class", OTHERS)
def test_other_classes_are_refused(s3: Any, bucket: str, storage_class: str) -> None:
    s3.put_object(Bucket=bucket, Key="source")
    named = {"Bucket": bucket, "Key": "a", "StorageClass": storage_class}
    error = error_of(s3.put_object, **named)["Error"]
    assert (error["Code"], error["StorageClassRequested"]) == ("InvalidStorageClass", storage_class)
    assert refusal(s3.create_multipart_upload, **named) == (400, "InvalidStorageClass")
    source = {"Bucket": bucket, "Key": "source"}
    assert refusal(s3.copy_object, **named, CopySource=source) == (400, "InvalidStorageClass")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["source"]


@pytest.mark.parametrize("storage_class", ["STANDARD", "GLACIER_IR"])
def test_no_object_can_be_restored(s3: Any, bucket: str, storage_class: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", StorageClass=storage_class)
    answer = error_of(s3.restore_object, Bucket=bucket, Key="a", RestoreRequest=RESTORE)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert answer["Error"]["Code"] == "InvalidObjectState"
    assert answer["Error"]["Message"] == "Restore is not allowed for the object's current storage class"
    assert answer["StorageClass"] == storage_class
    assert "Restore" not in s3.head_object(Bucket=bucket, Key="a")


def test_what_is_not_there_is_not_restored_either(s3: Any, raw: RawClient, bucket: str) -> None:
    restore = {"Bucket": bucket, "Key": "a", "RestoreRequest": RESTORE}
    assert refusal(s3.restore_object, **restore) == (404, "NoSuchKey")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="a")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    assert refusal(s3.restore_object, **restore) == (404, "NoSuchKey")
    assert refusal(s3.restore_object, **restore, VersionId=marker) == (405, "MethodNotAllowed")
    assert refusal(s3.restore_object, **restore, VersionId=version) == (403, "InvalidObjectState")
    assert raw.request("POST", f"/{bucket}/a?restore", body=b"<Restore/>").refusal == (400, "MalformedXML")
    assert raw.request("POST", f"/{bucket}/a?restore").refusal == (400, "MissingRequestBodyError")


def test_restoring_needs_its_own_permission(gateway: Gateway, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a")
    restore = {"Bucket": bucket, "RestoreRequest": RESTORE}
    client = make_user(gateway, allow("s3:GetObject")).client("s3")
    assert refusal(client.restore_object, Key="a", **restore) == (403, "AccessDenied")
    client = make_user(gateway, allow("s3:RestoreObject")).client("s3")
    assert refusal(client.restore_object, Key="a", **restore) == (403, "InvalidObjectState")
    assert refusal(client.restore_object, Key="gone", **restore) == (403, "AccessDenied")


def test_select_is_not_for_new_customers(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1,2\n")
    got = refusal(
        s3.select_object_content,
        Bucket=bucket,
        Key="a",
        Expression="SELECT * FROM S3Object",
        ExpressionType="SQL",
        InputSerialization={"CSV": {}},
        OutputSerialization={"CSV": {}},
    )
    assert got == (405, "MethodNotAllowed")


def test_appending_is_refused(s3: Any, raw: RawClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    answer = raw.request("PUT", f"/{bucket}/a", {"x-amz-write-offset-bytes": "1"}, b"2")
    assert (answer.refusal, answer.element("Header")) == ((501, "NotImplemented"), "x-amz-write-offset-bytes")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"

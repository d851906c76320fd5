"""Versioning through boto3: states, null versions, delete markers, listings, copies, multipart, conditions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient

NOT_A_VERSION = "A" * 32
MALFORMED = "no version id"


@pytest.fixture
def versioned(s3: Any, bucket: str) -> str:
    set_versioning(s3, bucket, "Enabled")
    return bucket


def set_versioning(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put(s3: Any, bucket: str, body: bytes, key: str = "k", **parameters: Any) -> str | None:
    version_id: str | None = s3.put_object(Bucket=bucket, Key=key, Body=body, **parameters).get("VersionId")
    return version_id


def read(s3: Any, bucket: str, key: str = "k", **parameters: Any) -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key, **parameters)["Body"].read())


def listed(s3: Any, bucket: str, **parameters: Any) -> list[tuple[str, str, bool, bool]]:
    """(key, version id, is it a marker, is it the latest), versions before markers."""
    page = s3.list_object_versions(Bucket=bucket, **parameters)
    return [
        (each["Key"], each["VersionId"], is_marker, each["IsLatest"])
        for is_marker, members in ((False, page.get("Versions", [])), (True, page.get("DeleteMarkers", [])))
        for each in members
    ]


# The bucket's state


def test_a_new_bucket_has_no_versioning(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert put(s3, bucket, b"1") is None
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert listed(s3, bucket) == [("k", "null", False, True)]
    assert read(s3, bucket, VersionId="null") == b"1"
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId=NOT_A_VERSION) == (400, "InvalidArgument")
    assert refusal(s3.delete_object, Bucket=bucket, Key="k", VersionId=NOT_A_VERSION) == (400, "InvalidArgument")
    gone = s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert "VersionId" not in gone and "DeleteMarker" not in gone


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_the_state_is_told(s3: Any, bucket: str, status: str) -> None:
    set_versioning(s3, bucket, status)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    s3.delete_bucket_encryption(Bucket=bucket)
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == status, "another setting leaves it alone"


def test_states_that_are_refused(s3: Any, bucket: str, raw: RawClient) -> None:
    for document, expected in (
        (b"<VersioningConfiguration/>", (400, "IllegalVersioningConfigurationException")),
        (b"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>", (400, "MalformedXML")),
        (b"<VersioningConfiguration><Status>Enabled</Status><X/></VersioningConfiguration>", (400, "MalformedXML")),
        (b"<Versioning/>", (400, "MalformedXML")),
        (
            b"<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"
            b"</VersioningConfiguration>",
            (501, "NotImplemented"),
        ),
    ):
        signed = raw.sign_body("PUT", f"/{bucket}?versioning", {}, document)
        assert raw.send("PUT", f"/{bucket}?versioning", signed.headers, document).refusal == expected
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


# Versions


def test_each_write_is_a_version(s3: Any, versioned: str) -> None:
    ids = [put(s3, versioned, b"%d" % n, Metadata={"n": str(n)}) for n in range(3)]
    assert len({*ids, None}) == 4
    for n, version_id in enumerate(ids):
        answer = s3.get_object(Bucket=versioned, Key="k", VersionId=version_id)
        assert (answer["Body"].read(), answer["VersionId"], answer["Metadata"]) == (
            b"%d" % n,
            version_id,
            {"n": str(n)},
        )
        assert s3.head_object(Bucket=versioned, Key="k", VersionId=version_id)["ContentLength"] == 1
    assert s3.head_object(Bucket=versioned, Key="k")["VersionId"] == ids[2]
    assert read(s3, versioned, VersionId=ids[1], Range="bytes=0-0") == b"1"
    assert listed(s3, versioned) == [("k", each, False, each == ids[2]) for each in reversed(ids)]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=versioned)["Contents"]] == ["k"]


def test_versions_that_are_not_there(s3: Any, versioned: str) -> None:
    put(s3, versioned, b"1")
    for key in ("k", "never was"):
        error = error_of(s3.get_object, Bucket=versioned, Key=key, VersionId=NOT_A_VERSION)
        assert (error["Error"]["Code"], error["Error"]["VersionId"]) == ("NoSuchVersion", NOT_A_VERSION)
    assert refusal(s3.head_object, Bucket=versioned, Key="k", VersionId=NOT_A_VERSION) == (404, "404")
    assert refusal(s3.get_object, Bucket=versioned, Key="k", VersionId=MALFORMED) == (400, "InvalidArgument")
    assert refusal(s3.delete_object, Bucket=versioned, Key="k", VersionId=MALFORMED) == (400, "InvalidArgument")
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=NOT_A_VERSION)
    assert (gone["ResponseMetadata"]["HTTPStatusCode"], gone["VersionId"]) == (204, NOT_A_VERSION)
    assert read(s3, versioned) == b"1"


def test_deleting_puts_a_marker_and_deleting_the_marker_brings_the_object_back(s3: Any, versioned: str) -> None:
    version_id = put(s3, versioned, b"1")
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert marker["DeleteMarker"] is True
    error = error_of(s3.get_object, Bucket=versioned, Key="k")
    headers = error["ResponseMetadata"]["HTTPHeaders"]
    assert error["Error"]["Code"] == "NoSuchKey"
    assert (headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("true", marker["VersionId"])
    assert refusal(s3.head_object, Bucket=versioned, Key="k") == (404, "404")
    error = error_of(s3.get_object, Bucket=versioned, Key="k", VersionId=marker["VersionId"])
    headers = error["ResponseMetadata"]["HTTPHeaders"]
    assert (error["Error"]["Code"], headers["x-amz-delete-marker"], headers["allow"]) == (
        "MethodNotAllowed",
        "true",
        "DELETE",
    )
    assert refusal(s3.head_object, Bucket=versioned, Key="k", VersionId=marker["VersionId"]) == (405, "405")
    assert "Contents" not in s3.list_objects_v2(Bucket=versioned)
    assert read(s3, versioned, VersionId=version_id) == b"1"
    assert listed(s3, versioned) == [
        ("k", version_id, False, False),
        ("k", marker["VersionId"], True, True),
    ]
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=marker["VersionId"])
    assert (gone["DeleteMarker"], gone["VersionId"]) == (True, marker["VersionId"])
    assert read(s3, versioned) == b"1"


def test_deleting_a_version_is_for_good(s3: Any, versioned: str) -> None:
    ids = [put(s3, versioned, b"%d" % n) for n in range(3)]
    gone = s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[2])
    assert gone["VersionId"] == ids[2] and "DeleteMarker" not in gone
    assert read(s3, versioned) == b"1"
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[0])
    assert listed(s3, versioned) == [("k", ids[1], False, True)]
    s3.delete_object(Bucket=versioned, Key="k", VersionId=ids[1])
    assert refusal(s3.get_object, Bucket=versioned, Key="k") == (404, "NoSuchKey")
    s3.delete_bucket(Bucket=versioned)


def test_a_bucket_with_versions_or_markers_is_not_empty(s3: Any, versioned: str) -> None:
    marker = s3.delete_object(Bucket=versioned, Key="never was")
    assert refusal(s3.delete_bucket, Bucket=versioned) == (409, "BucketNotEmpty")
    s3.delete_object(Bucket=versioned, Key="never was", VersionId=marker["VersionId"])
    s3.delete_bucket(Bucket=versioned)


# Null versions


def test_what_was_there_before_is_the_null_version(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"before")
    set_versioning(s3, bucket, "Enabled")
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    newer = put(s3, bucket, b"after")
    assert read(s3, bucket, VersionId="null") == b"before"
    assert listed(s3, bucket) == [("k", newer, False, True), ("k", "null", False, False)]
    s3.delete_object(Bucket=bucket, Key="k", VersionId="null")
    assert read(s3, bucket) == b"after"
    assert refusal(s3.get_object, Bucket=bucket, Key="k", VersionId="null") == (404, "NoSuchVersion")


def test_while_suspended_writes_replace_the_null_version(s3: Any, versioned: str) -> None:
    kept = put(s3, versioned, b"kept")
    set_versioning(s3, versioned, "Suspended")
    assert put(s3, versioned, b"null 1") is None
    assert put(s3, versioned, b"null 2") is None
    assert s3.get_object(Bucket=versioned, Key="k")["VersionId"] == "null"
    assert listed(s3, versioned) == [("k", "null", False, True), ("k", kept, False, False)]
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert (marker["DeleteMarker"], marker["VersionId"]) == (True, "null")
    assert listed(s3, versioned) == [("k", kept, False, False), ("k", "null", True, True)]
    set_versioning(s3, versioned, "Enabled")
    newest = put(s3, versioned, b"newest")
    assert listed(s3, versioned) == [
        ("k", newest, False, True),
        ("k", kept, False, False),
        ("k", "null", True, False),
    ]


# DeleteObjects


def test_delete_objects_tells_versions_and_markers(s3: Any, versioned: str) -> None:
    ids = {key: put(s3, versioned, b"x", key) for key in ("a", "b", "c")}
    old_marker = s3.delete_object(Bucket=versioned, Key="c")["VersionId"]
    answer = s3.delete_objects(
        Bucket=versioned,
        Delete={
            "Objects": [
                {"Key": "a"},
                {"Key": "b", "VersionId": ids["b"]},
                {"Key": "c", "VersionId": old_marker},
                {"Key": "never was"},
                {"Key": "a", "VersionId": MALFORMED},
            ]
        },
    )
    by_key = {each["Key"]: each for each in answer["Deleted"]}
    assert by_key["a"]["DeleteMarker"] is True and "VersionId" not in by_key["a"]
    assert by_key["b"] == {"Key": "b", "VersionId": ids["b"]}
    assert by_key["c"] == {
        "Key": "c",
        "VersionId": old_marker,
        "DeleteMarker": True,
        "DeleteMarkerVersionId": old_marker,
    }
    assert by_key["never was"]["DeleteMarker"] is True
    assert [(each["Key"], each["VersionId"], each["Code"]) for each in answer["Errors"]] == [
        ("a", MALFORMED, "NoSuchVersion")
    ]
    assert read(s3, versioned, "c") == b"x"
    assert read(s3, versioned, "a", VersionId=ids["a"]) == b"x"
    assert {key for key, _, is_marker, _ in listed(s3, versioned) if is_marker} == {"a", "never was"}


def test_a_bucket_is_emptied_as_boto3_does_it(gateway: Any, s3: Any, versioned: str) -> None:
    for n in range(7):
        put(s3, versioned, b"x", f"k{n % 3}")
    s3.delete_object(Bucket=versioned, Key="k0")
    paginator = s3.get_paginator("list_object_versions")
    for page in paginator.paginate(Bucket=versioned, PaginationConfig={"PageSize": 2}):
        members = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        s3.delete_objects(
            Bucket=versioned,
            Delete={"Objects": [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in members]},
        )
    s3.delete_bucket(Bucket=versioned)


# Listing


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize(("prefix", "delimiter"), [("", ""), ("", "/"), ("d/", ""), ("d/", "/"), ("ä", "")])
def test_pages_joined_are_the_whole_listing(s3: Any, history: str, prefix: str, delimiter: str, size: int) -> None:
    whole = s3.list_object_versions(Bucket=history, Prefix=prefix, Delimiter=delimiter)
    assert whole["IsTruncated"] is False
    joined: dict[str, list[Any]] = {"Versions": [], "DeleteMarkers": [], "CommonPrefixes": []}
    paginator = s3.get_paginator("list_object_versions")
    pages = paginator.paginate(Bucket=history, Prefix=prefix, Delimiter=delimiter, PaginationConfig={"PageSize": size})
    for page in pages:
        assert sum(len(page.get(member, [])) for member in joined) <= size
        for member in joined:
            joined[member] += page.get(member, [])
    assert joined == {member: whole.get(member, []) for member in joined}


@pytest.fixture(scope="module")
def history(s3: Any) -> str:
    """A bucket with several versions, null ones and markers among them."""
    name = make_bucket(s3)
    put(s3, name, b"null", "d/a")
    set_versioning(s3, name, "Enabled")
    for n, key in enumerate(("a", "d/a", "d/b", "d/e/f", "ä/1", "a", "d/b")):
        put(s3, name, b"%d" % n, key)
    for key in ("a", "d/b", "gone"):
        s3.delete_object(Bucket=name, Key=key)
    put(s3, name, b"again", "a")
    return name


def test_markers_of_a_listing(s3: Any, history: str) -> None:
    page = s3.list_object_versions(Bucket=history, MaxKeys=2)
    assert (page["NextKeyMarker"], page["IsTruncated"]) == ("a", True)
    after = s3.list_object_versions(Bucket=history, KeyMarker="a")
    assert {each["Key"] for each in after["Versions"]} == {"d/a", "d/b", "d/e/f", "ä/1"}
    assert (after["KeyMarker"], after.get("VersionIdMarker", "")) == ("a", "")
    nothing = s3.list_object_versions(Bucket=history, MaxKeys=0)
    assert nothing["IsTruncated"] is False and "Versions" not in nothing
    for parameters in (
        {"VersionIdMarker": NOT_A_VERSION},
        {"KeyMarker": "a", "VersionIdMarker": MALFORMED},
    ):
        assert refusal(s3.list_object_versions, Bucket=history, **parameters) == (400, "InvalidArgument")


def test_entries_say_what_they_are(s3: Any, versioned: str) -> None:
    put(s3, versioned, b"12345", ChecksumAlgorithm="SHA256")
    [entry] = s3.list_object_versions(Bucket=versioned)["Versions"]
    assert (entry["Size"], entry["StorageClass"], entry["ChecksumAlgorithm"]) == (5, "STANDARD", ["SHA256"])
    assert entry["ETag"] == s3.head_object(Bucket=versioned, Key="k")["ETag"]
    assert entry["Owner"]["ID"] == s3.list_buckets()["Owner"]["ID"]


# Copies, multipart uploads, encryption, conditions


def test_copies_of_versions(s3: Any, versioned: str, bucket: str) -> None:
    first = put(s3, versioned, b"first")
    second = put(s3, versioned, b"second")
    source = {"Bucket": versioned, "Key": "k", "VersionId": first}
    copied = s3.copy_object(Bucket=versioned, Key="copy", CopySource=source)
    assert copied["CopySourceVersionId"] == first
    assert read(s3, versioned, "copy", VersionId=copied["VersionId"]) == b"first"
    restored = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert read(s3, versioned) == b"first"
    assert len({first, second, restored["VersionId"]}) == 3
    assert s3.copy_object(Bucket=versioned, Key="c2", CopySource=f"{versioned}/k")["CopySourceVersionId"]
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    for version_id, expected in (
        (marker, (400, "InvalidRequest")),
        (NOT_A_VERSION, (404, "NoSuchVersion")),
        (MALFORMED, (400, "InvalidArgument")),
    ):
        named = {"Bucket": versioned, "Key": "k", "VersionId": version_id}
        assert refusal(s3.copy_object, Bucket=versioned, Key="x", CopySource=named) == expected
    assert refusal(s3.copy_object, Bucket=versioned, Key="x", CopySource=f"{versioned}/k") == (404, "NoSuchKey")


def test_versions_of_multipart_uploads(s3: Any, versioned: str) -> None:
    earlier = put(s3, versioned, b"earlier")
    upload = s3.create_multipart_upload(Bucket=versioned, Key="k")["UploadId"]
    between = put(s3, versioned, b"between")
    part = s3.upload_part_copy(
        Bucket=versioned,
        Key="k",
        UploadId=upload,
        PartNumber=1,
        CopySource={"Bucket": versioned, "Key": "k", "VersionId": earlier},
    )
    assert part["CopySourceVersionId"] == earlier
    done = s3.complete_multipart_upload(
        Bucket=versioned,
        Key="k",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]},
    )
    assert read(s3, versioned) == b"earlier"
    assert listed(s3, versioned) == [
        ("k", done["VersionId"], False, True),
        ("k", between, False, False),
        ("k", earlier, False, False),
    ]
    assert read(s3, versioned, VersionId=done["VersionId"]) == b"earlier"
    assert s3.head_object(Bucket=versioned, Key="k", PartNumber=1)["VersionId"] == done["VersionId"]


def test_versions_keep_their_own_encryption(s3: Any, kms: Any, versioned: str) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    closed = put(s3, versioned, b"under a key", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    opened = put(s3, versioned, b"under the service's")
    kms.disable_key(KeyId=key)
    assert read(s3, versioned, VersionId=opened) == b"under the service's"
    assert refusal(s3.get_object, Bucket=versioned, Key="k", VersionId=closed) == (400, "KMS.DisabledException")
    assert s3.head_object(Bucket=versioned, Key="k", VersionId=closed)["SSEKMSKeyId"] == key
    assert len(listed(s3, versioned)) == 2


def test_conditions_look_at_the_newest_version(s3: Any, versioned: str) -> None:
    put(s3, versioned, b"1")
    etag = s3.head_object(Bucket=versioned, Key="k")["ETag"]
    assert refusal(put, s3=s3, bucket=versioned, body=b"2", IfNoneMatch="*") == (412, "PreconditionFailed")
    put(s3, versioned, b"2", IfMatch=etag)
    assert refusal(put, s3=s3, bucket=versioned, body=b"3", IfMatch=etag) == (412, "PreconditionFailed")
    s3.delete_object(Bucket=versioned, Key="k")
    put(s3, versioned, b"4", IfNoneMatch="*")
    s3.delete_object(Bucket=versioned, Key="k")
    assert refusal(put, s3=s3, bucket=versioned, body=b"5", IfMatch=etag) == (404, "NoSuchKey")


def test_attributes_of_a_version(s3: Any, versioned: str) -> None:
    first = put(s3, versioned, b"1")
    put(s3, versioned, b"22")
    answer = s3.get_object_attributes(
        Bucket=versioned, Key="k", VersionId=first, ObjectAttributes=["ObjectSize", "ETag"]
    )
    assert (answer["ObjectSize"], answer["VersionId"]) == (1, first)

"""GetObjectAttributes through real clients: which attributes, parts by pages, and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.raw import RawClient

PARTS = [b"x" * (5 << 20), b"y" * (5 << 20), b"z" * (5 << 20), b"end"]
EVERYTHING = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


@pytest.fixture(scope="module")
def in_parts(s3: Any, shared_bucket: str) -> dict[str, str]:
    """An object of four parts with a composite checksum."""
    named = {"Bucket": shared_bucket, "Key": "parts"}
    upload = {**named, "UploadId": s3.create_multipart_upload(**named, ChecksumAlgorithm="SHA256")["UploadId"]}
    parts = []
    for number, body in enumerate(PARTS, 1):
        part = s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]})
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
    return named


def members(answer: dict[str, Any]) -> set[str]:
    return set(answer) - {"ResponseMetadata", "LastModified"}


def test_what_is_asked_for_is_told_and_no_more(s3: Any, in_parts: dict[str, str]) -> None:
    for name in EVERYTHING:
        assert members(s3.get_object_attributes(**in_parts, ObjectAttributes=[name])) == {name}
    told = s3.get_object_attributes(**in_parts, ObjectAttributes=EVERYTHING)
    assert members(told) == set(EVERYTHING)
    assert (told["ObjectSize"], told["StorageClass"]) == (sum(map(len, PARTS)), "STANDARD")
    head = s3.head_object(**in_parts, ChecksumMode="ENABLED")
    assert (f'"{told["ETag"]}"', told["LastModified"]) == (head["ETag"], head["LastModified"])
    assert f"{told['Checksum']['ChecksumSHA256']}-{len(PARTS)}" == head["ChecksumSHA256"]
    assert told["Checksum"]["ChecksumType"] == "COMPOSITE"


def test_an_object_in_one_piece_has_no_parts(s3: Any, shared_bucket: str) -> None:
    s3.put_object(Bucket=shared_bucket, Key="whole", Body=b"data")
    told = s3.get_object_attributes(Bucket=shared_bucket, Key="whole", ObjectAttributes=EVERYTHING)
    assert members(told) == set(EVERYTHING) - {"ObjectParts"}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 1000])
def test_pages_of_parts_join_to_all_of_them(s3: Any, in_parts: dict[str, str], size: int) -> None:
    asked = {**in_parts, "ObjectAttributes": ["ObjectParts"]}
    found, marker = [], 0
    while True:
        page = s3.get_object_attributes(**asked, MaxParts=size, PartNumberMarker=marker)["ObjectParts"]
        assert (page["TotalPartsCount"], page["PartNumberMarker"], page["MaxParts"]) == (len(PARTS), marker, size)
        assert len(page["Parts"]) <= size
        found += page["Parts"]
        assert page["NextPartNumberMarker"] == found[-1]["PartNumber"]
        if not page["IsTruncated"]:
            break
        marker = page["NextPartNumberMarker"]
    assert [(part["PartNumber"], part["Size"]) for part in found] == list(enumerate(map(len, PARTS), 1))
    whole = s3.get_object_attributes(**asked)["ObjectParts"]
    assert (whole["Parts"], whole["IsTruncated"], whole["MaxParts"]) == (found, False, 1000)
    assert len({part["ChecksumSHA256"] for part in found}) == len(PARTS)


@pytest.mark.parametrize("marker", [4, 5, 10_000, 2147483647])
def test_a_page_behind_the_last_part_is_empty(s3: Any, in_parts: dict[str, str], marker: int) -> None:
    asked = {**in_parts, "ObjectAttributes": ["ObjectParts"], "PartNumberMarker": marker}
    page = s3.get_object_attributes(**asked)["ObjectParts"]
    assert (page.get("Parts", []), page["IsTruncated"], page["TotalPartsCount"]) == ([], False, len(PARTS))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (400, "InvalidRequest")),
        ({"x-amz-object-attributes": ""}, (400, "InvalidRequest")),
        ({"x-amz-object-attributes": "Nonsense"}, (400, "InvalidArgument")),
        ({"x-amz-object-attributes": "ETag,Nonsense"}, (400, "InvalidArgument")),
        ({"x-amz-object-attributes": "etag"}, (400, "InvalidArgument")),
        ({"x-amz-object-attributes": "ETag, ObjectSize"}, (200, "")),
        ({"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": "x"}, (400, "InvalidArgument")),
        ({"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": "-1"}, (400, "InvalidArgument")),
        ({"x-amz-object-attributes": "ObjectParts", "x-amz-max-parts": "9" * 25}, (400, "InvalidArgument")),
        (
            {"x-amz-object-attributes": "ObjectParts", "x-amz-part-number-marker": "2147483648"},
            (400, "InvalidArgument"),
        ),
        ({"x-amz-object-attributes": "ETag", "x-amz-part-number-marker": str(2**31)}, (400, "InvalidArgument")),
        ({"x-amz-object-attributes": "ObjectParts", "x-amz-part-number-marker": "-1"}, (400, "InvalidArgument")),
        ({"x-amz-object-attributes": "ETag", "if-match": '"x"'}, (412, "PreconditionFailed")),
        ({"x-amz-object-attributes": "ETag", "x-amz-expected-bucket-owner": "9" * 12}, (403, "AccessDenied")),
    ],
)
def test_refusals(raw: RawClient, in_parts: dict[str, str], headers: dict[str, str], expected: tuple[int, str]) -> None:
    answer = raw.request("GET", f"/{in_parts['Bucket']}/{in_parts['Key']}?attributes", headers)
    assert answer.refusal == expected


def test_what_is_not_there_has_no_attributes(s3: Any, bucket: str) -> None:
    asked = {"ObjectAttributes": ["ETag"]}
    assert refusal(s3.get_object_attributes, Bucket=bucket, Key="absent", **asked) == (404, "NoSuchKey")
    nowhere = {"Bucket": "never-created-anywhere", "Key": "k"}
    assert refusal(s3.get_object_attributes, **nowhere, **asked) == (404, "NoSuchBucket")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="k", Body=b"data")
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    assert refusal(s3.get_object_attributes, Bucket=bucket, Key="k", **asked) == (404, "NoSuchKey")
    marked = {"Bucket": bucket, "Key": "k", "VersionId": marker}
    assert refusal(s3.get_object_attributes, **marked, **asked) == (405, "MethodNotAllowed")

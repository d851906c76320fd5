"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.checks import base64_of, md5_hex, refusal
from tests.clients.raw import RawClient


def keys_in(s3: Any, bucket: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def test_delete_object_is_204_whether_the_object_was_there_or_not(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    for _ in range(2):
        assert s3.delete_object(Bucket=bucket, Key="a")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_object, Bucket=bucket, Key="a") == (404, "NoSuchKey")


def test_delete_object_in_no_bucket(s3: Any) -> None:
    assert refusal(s3.delete_object, Bucket="never-created", Key="a") == (404, "NoSuchBucket")


@pytest.mark.parametrize(
    ("match", "expected"),
    [("current", None), ("*", None), ('"other"', (412, "PreconditionFailed")), ("absent", (404, "NoSuchKey"))],
)
def test_delete_object_on_condition(s3: Any, bucket: str, match: str, expected: Any) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["ETag"]
    key = "b" if match == "absent" else "a"
    match = {"current": etag, "absent": etag}.get(match, match)
    if expected is None:
        s3.delete_object(Bucket=bucket, Key=key, IfMatch=match)
        assert keys_in(s3, bucket) == []
    else:
        assert refusal(s3.delete_object, Bucket=bucket, Key=key, IfMatch=match) == expected
        assert keys_in(s3, bucket) == ["a"]


def test_delete_object_of_the_null_version(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert refusal(s3.delete_object, Bucket=bucket, Key="a", VersionId="other") == (400, "InvalidArgument")
    s3.delete_object(Bucket=bucket, Key="a", VersionId="null")
    assert keys_in(s3, bucket) == []


def test_delete_objects_tells_each_key(s3: Any, bucket: str) -> None:
    keys = ["a b", "<x>&amp;", "é/日本", "a//b", "line\nbreak", "]]>"]
    for key in keys[:3]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.put_object(Bucket=bucket, Key="kept", Body=b"1")
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert [item["Key"] for item in answer["Deleted"]] == keys, "absent keys count as deleted"
    assert "Errors" not in answer
    assert keys_in(s3, bucket) == ["kept"]


def test_delete_objects_quietly_tells_errors_alone(s3: Any, bucket: str) -> None:
    for key in ("a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    objects = [{"Key": "a"}, {"Key": "b", "ETag": '"other"'}, {"Key": "k" * 1025}, {"Key": "a", "VersionId": "zzz"}]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    assert "Deleted" not in answer
    assert [(error["Key"][:5], error["Code"]) for error in answer["Errors"]] == [
        ("b", "PreconditionFailed"),
        ("kkkkk", "KeyTooLongError"),
        ("a", "NoSuchVersion"),
    ]
    assert keys_in(s3, bucket) == ["b"]


def test_delete_objects_on_condition(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="a", Body=b"1")["ETag"]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a", "ETag": etag}]})
    assert [item["Key"] for item in answer["Deleted"]] == ["a"]
    assert keys_in(s3, bucket) == []


def test_delete_objects_takes_a_thousand_and_no_more(s3: Any, bucket: str) -> None:
    objects = [{"Key": f"k{number}"} for number in range(1001)]
    assert len(s3.delete_objects(Bucket=bucket, Delete={"Objects": objects[:1000]})["Deleted"]) == 1000
    assert refusal(s3.delete_objects, Bucket=bucket, Delete={"Objects": objects}) == (400, "MalformedXML")


DOCUMENT = b"<Delete><Object><Key>a</Key></Object></Delete>"


@pytest.mark.parametrize(
    ("document", "headers", "expected"),
    [
        (DOCUMENT, {}, (400, "InvalidRequest")),
        (DOCUMENT, {"content-md5": base64_of(bytes.fromhex(md5_hex(DOCUMENT)))}, (200, "")),
        (DOCUMENT, {"content-md5": base64_of(bytes(16))}, (400, "BadDigest")),
        (DOCUMENT, {"x-amz-checksum-crc32": "AAAAAA=="}, (400, "BadDigest")),
        (DOCUMENT, {"x-amz-checksum-crc32": "AAAA"}, (400, "InvalidRequest")),
        (b"", None, (400, "MissingRequestBodyError")),
        (b"<Delete/>", None, (400, "MalformedXML")),
        (b"<Delete><Object/></Delete>", None, (400, "MalformedXML")),
        (b"<Delete><Object><Key/></Object></Delete>", None, (400, "MalformedXML")),
        (b"<Delete><Object><Key>a</Key></Object>", None, (400, "MalformedXML")),
        (b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>", None, (400, "MalformedXML")),
        (b"<Delete><Quiet>perhaps</Quiet><Object><Key>a</Key></Object></Delete>", None, (400, "MalformedXML")),
        (b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&b;</Key></Object></Delete>',
         None, (400, "MalformedXML")),
        (b"<Delete>" * 300, None, (400, "MalformedXML")),
    ],
)  # fmt: skip
def test_delete_objects_refuses_bad_documents(
    raw: RawClient, s3: Any, bucket: str, document: bytes, headers: dict[str, str] | None, expected: Any
) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"1")
    if headers is None:
        headers = {"content-md5": base64_of(bytes.fromhex(md5_hex(document)))}
    assert raw.request("POST", f"/{bucket}?delete", headers, document).refusal == expected
    assert keys_in(s3, bucket) == ([] if expected[0] == 200 else ["a"])


def test_delete_objects_in_no_bucket(s3: Any) -> None:
    got = refusal(s3.delete_objects, Bucket="never-created", Delete={"Objects": [{"Key": "a"}]})
    assert got == (404, "NoSuchBucket")


def test_delete_objects_keeps_blanks_around_keys(s3: Any, bucket: str) -> None:
    for key in (" a ", "a"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": " a "}]})
    assert keys_in(s3, bucket) == ["a"]

"""Object tags through boto3: put, read, deleted, brought along by writes and copies, on every kind of version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.clients.checks import content_md5, error_of, headers_of, md5_hex, random_bytes, refusal
from tests.clients.raw import Answer, RawClient

PART = random_bytes(5 << 20, seed=11)
"""The smallest part that may be followed by another."""
NOT_A_VERSION = "A" * 32
TEN = {f"key-{number}": f"value {number}" for number in range(8)} | {"k" * 128: "文" * 256, "ü +-=._:/@": ""}
DELETE_MARKER = (405, "MethodNotAllowed")


def tagging(tags: dict[str, str]) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def put_tags(s3: Any, bucket: str, tags: dict[str, str], key: str = "k", **parameters: Any) -> Any:
    return s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tagging(tags), **parameters)


def tags_of(s3: Any, bucket: str, key: str = "k", **parameters: Any) -> dict[str, str]:
    found = s3.get_object_tagging(Bucket=bucket, Key=key, **parameters)["TagSet"]
    return {each["Key"]: each["Value"] for each in found}


def set_versioning(s3: Any, bucket: str, status: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def put_document(raw: RawClient, bucket: str, body: bytes) -> Answer:
    return raw.request("PUT", f"/{bucket}/k?tagging", {"content-md5": content_md5(body)}, body)


def document(inner: str) -> bytes:
    return f"<Tagging><TagSet>{inner}</TagSet></Tagging>".encode()


# Put, get, delete


def test_an_object_without_tags_has_an_empty_set(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    answer = s3.get_object_tagging(Bucket=bucket, Key="k")
    assert answer["TagSet"] == []
    assert "VersionId" not in answer
    assert "TagCount" not in s3.head_object(Bucket=bucket, Key="k")


def test_tags_are_put_read_replaced_and_deleted(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    answer = put_tags(s3, bucket, TEN)
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert "VersionId" not in answer
    assert list(tags_of(s3, bucket).items()) == list(TEN.items()), "in their order"
    put_tags(s3, bucket, {"only": "one"})
    assert tags_of(s3, bucket) == {"only": "one"}
    for _ in range(2):
        assert s3.delete_object_tagging(Bucket=bucket, Key="k")["ResponseMetadata"]["HTTPStatusCode"] == 204
        assert tags_of(s3, bucket) == {}
    put_tags(s3, bucket, {"a": "b"})
    put_tags(s3, bucket, {})
    assert tags_of(s3, bucket) == {}


def test_tags_change_nothing_else(s3: Any, bucket: str) -> None:
    s3.put_object(
        Bucket=bucket, Key="k", Body=b"body", ContentType="text/x", Metadata={"a": "b"}, StorageClass="GLACIER_IR"
    )
    whole = {"Bucket": bucket, "Key": "k", "ChecksumMode": "ENABLED"}
    before = s3.head_object(**whole)
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    put_tags(s3, bucket, {"a": "b", "c": ""})
    after = s3.get_object(**whole)
    assert after.pop("Body").read() == b"body"
    assert after.pop("TagCount") == 2
    assert headers_of(after)["x-amz-tagging-count"] == "2"
    del before["ResponseMetadata"], after["ResponseMetadata"]
    assert after == before
    assert s3.head_object(**whole)["TagCount"] == 2
    assert s3.list_object_versions(Bucket=bucket)["Versions"] == listed
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    assert "TagCount" not in s3.head_object(**whole)


def test_an_object_written_anew_has_no_tags_of_the_old_one(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="a=1")
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    assert tags_of(s3, bucket) == {}
    put_tags(s3, bucket, {"b": "2"})
    s3.delete_object(Bucket=bucket, Key="k")
    s3.put_object(Bucket=bucket, Key="k", Body=b"3")
    assert tags_of(s3, bucket) == {}


@pytest.mark.parametrize("size", [0, 100, 300_000])
def test_a_tagged_object_is_still_read(s3: Any, kms_key: str, bucket: str, size: int) -> None:
    body = random_bytes(size)
    for key, mode in (("s3", {}), ("kms", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key})):
        s3.put_object(Bucket=bucket, Key=key, Body=body, **mode)
        for number in range(3):
            put_tags(s3, bucket, {"n": str(number)}, key)
        found = s3.get_object(Bucket=bucket, Key=key)
        assert (found["Body"].read(), found["TagCount"]) == (body, 1)
        assert tags_of(s3, bucket, key) == {"n": "2"}


def test_tagging_asks_no_kms(s3: Any, kms: Any, bucket: str) -> None:
    """Tags lie in the row, as metadata does: they can be changed while the object's key cannot be used."""
    key_id = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id, Tagging="a=1")
    kms.disable_key(KeyId=key_id)
    assert tags_of(s3, bucket) == {"a": "1"}
    put_tags(s3, bucket, {"b": "2"})
    assert tags_of(s3, bucket) == {"b": "2"}
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == (400, "KMS.DisabledException")


def test_writers_that_meet_are_all_served_and_the_last_one_stays(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: put_tags(s3, bucket, {"n": str(n), f"of-{n}": ""}), range(24)))
    assert all(answer["ResponseMetadata"]["HTTPStatusCode"] == 200 for answer in answers)
    found = tags_of(s3, bucket)
    assert set(found) == {"n", f"of-{found['n']}"}, "one whole set"


# Tags that come with a write


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("foo=bar&bar", {"bar": "", "foo": "bar"}),
        ("key1&&&key2", {"key1": "", "key2": ""}),
        ("a+b=c%2Bd&e%20f=%3D", {"a b": "c+d", "e f": "="}),
        ("%C3%BC=%E6%96%87", {"ü": "文"}),
        ("", {}),
    ],
)
def test_put_object_brings_tags(s3: Any, bucket: str, header: str, tags: dict[str, str]) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging=header)
    assert list(tags_of(s3, bucket).items()) == list(tags.items())
    assert s3.head_object(Bucket=bucket, Key="k").get("TagCount", 0) == len(tags)


def test_a_presigned_put_brings_tags(s3: Any, raw: RawClient, bucket: str) -> None:
    answer = raw.send("PUT", raw.presign("PUT", f"/{bucket}/k?x-amz-tagging=a%3Db%26c%3Dd"), {"host": raw.host}, b"1")
    assert answer.status == 200
    assert tags_of(s3, bucket) == {"a": "b", "c": "d"}


REFUSED_HEADERS = [
    ("key1=val1&key1=val2", "InvalidArgument"),
    ("key1=val1,key2=val2", "InvalidArgument"),
    ("=1", "InvalidArgument"),
    ("a=%zz", "InvalidArgument"),
    ("a,b=1", "InvalidTag"),
    ("aws:a=1", "InvalidTag"),
    ("&".join(f"k{number}=" for number in range(11)), "BadRequest"),
    ("k" * 129, "InvalidTag"),
    ("k=" + "v" * 257, "InvalidTag"),
]


@pytest.mark.parametrize(("header", "code"), REFUSED_HEADERS)
def test_writes_refuse_tags_that_are_none(s3: Any, shared_bucket: str, header: str, code: str) -> None:
    s3.put_object(Bucket=shared_bucket, Key="source", Body=b"1")
    where = {"Bucket": shared_bucket, "Key": "refused", "Tagging": header}
    copy = {"CopySource": {"Bucket": shared_bucket, "Key": "source"}, "TaggingDirective": "REPLACE"}
    assert refusal(s3.put_object, **where, Body=b"1") == (400, code)
    assert refusal(s3.create_multipart_upload, **where) == (400, code)
    assert refusal(s3.copy_object, **where, **copy) == (400, code)
    assert refusal(s3.head_object, Bucket=shared_bucket, Key="refused") == (404, "404")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=shared_bucket)


def test_the_refusal_of_a_header_is_worded_as_at_aws(s3: Any, bucket: str) -> None:
    error = error_of(s3.put_object, Bucket=bucket, Key="k", Body=b"1", Tagging="key1=val1&key1=val2")["Error"]
    del error["Resource"]
    assert error == {
        "Code": "InvalidArgument",
        "Message": "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without "
        "tag name duplicates.",
        "ArgumentName": "x-amz-tagging",
        "ArgumentValue": "key1=val1&key1=val2",
    }


def test_a_multipart_upload_brings_tags(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k", Tagging="a=1&b=2")
    where = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**where, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, PART), (2, b"tail"))
    ]
    etag = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})["ETag"]
    assert tags_of(s3, bucket) == {"a": "1", "b": "2"}
    put_tags(s3, bucket, {"c": "3"})
    assert tags_of(s3, bucket) == {"c": "3"}
    found = s3.get_object(Bucket=bucket, Key="k")
    assert (found["Body"].read(), found["ETag"], found["TagCount"]) == (PART + b"tail", etag, 1)
    second = s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    assert (second["Body"].read(), second["PartsCount"]) == (b"tail", 2), "the part table was sealed anew"
    again = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert again["ETag"] == etag
    assert tags_of(s3, bucket) == {"c": "3"}, "a repeated completion writes nothing"


# Copies


@pytest.mark.parametrize(
    ("parameters", "tags"),
    [
        ({}, {"a": "1"}),
        ({"Tagging": "b=2"}, {"a": "1"}),
        ({"TaggingDirective": "COPY", "Tagging": "b=2"}, {"a": "1"}),
        ({"TaggingDirective": "REPLACE", "Tagging": "b=2"}, {"b": "2"}),
        ({"TaggingDirective": "REPLACE", "Tagging": ""}, {}),
        ({"TaggingDirective": "REPLACE"}, {}),
        ({"MetadataDirective": "REPLACE", "Metadata": {"x": "y"}}, {"a": "1"}),
    ],
)
def test_copies_keep_or_replace_tags(s3: Any, bucket: str, parameters: Any, tags: dict[str, str]) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"1", Tagging="a=1")
    source = {"Bucket": bucket, "Key": "source"}
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source, **parameters)
    assert tags_of(s3, bucket) == tags
    put_tags(s3, bucket, {"own": ""})
    assert tags_of(s3, bucket, "source") == {"a": "1"}


def test_a_copy_has_the_tags_as_they_are_now(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="source", Body=b"1", Tagging="a=1")
    put_tags(s3, bucket, {"b": "2"}, "source")
    s3.copy_object(Bucket=bucket, Key="k", CopySource={"Bucket": bucket, "Key": "source"})
    assert tags_of(s3, bucket) == {"b": "2"}


def test_a_copy_of_a_version_has_its_tags(s3: Any, bucket: str) -> None:
    set_versioning(s3, bucket, "Enabled")
    first = s3.put_object(Bucket=bucket, Key="source", Body=b"1", Tagging="v=1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="source", Body=b"2", Tagging="v=2")
    source = {"Bucket": bucket, "Key": "source"}
    s3.copy_object(Bucket=bucket, Key="k", CopySource=source)
    assert tags_of(s3, bucket) == {"v": "2"}
    s3.copy_object(Bucket=bucket, Key="k", CopySource={**source, "VersionId": first})
    assert tags_of(s3, bucket) == {"v": "1"}


def test_new_tags_alone_are_no_reason_to_copy_onto_itself(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="a=1")
    itself = {"Bucket": bucket, "Key": "k", "CopySource": {"Bucket": bucket, "Key": "k"}}
    replaced = {"TaggingDirective": "REPLACE", "Tagging": "b=2"}
    assert refusal(s3.copy_object, **itself, **replaced) == (400, "InvalidRequest")
    s3.copy_object(**itself, MetadataDirective="REPLACE")
    assert tags_of(s3, bucket) == {"a": "1"}
    s3.copy_object(**itself, MetadataDirective="REPLACE", **replaced)
    assert tags_of(s3, bucket) == {"b": "2"}


# Versions


def test_each_version_has_tags_of_its_own(s3: Any, bucket: str) -> None:
    set_versioning(s3, bucket, "Enabled")
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="v=1")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"2")["VersionId"]
    assert put_tags(s3, bucket, {"v": "2"})["VersionId"] == second
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["VersionId"] == second
    assert tags_of(s3, bucket, VersionId=first) == {"v": "1"}
    assert put_tags(s3, bucket, {"old": ""}, VersionId=first)["VersionId"] == first
    assert (tags_of(s3, bucket, VersionId=first), tags_of(s3, bucket)) == ({"old": ""}, {"v": "2"})
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=first)["Body"].read() == b"1"
    assert s3.head_object(Bucket=bucket, Key="k", VersionId=first)["TagCount"] == 1
    assert s3.delete_object_tagging(Bucket=bucket, Key="k", VersionId=first)["VersionId"] == first
    assert s3.delete_object_tagging(Bucket=bucket, Key="k")["VersionId"] == second
    assert (tags_of(s3, bucket, VersionId=first), tags_of(s3, bucket)) == ({}, {})
    listed = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(each["VersionId"], each["IsLatest"]) for each in listed] == [(second, True), (first, False)]


def test_the_null_version_is_tagged_while_versioning_is_suspended(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"null", Tagging="of=null")
    set_versioning(s3, bucket, "Enabled")
    version_id = s3.put_object(Bucket=bucket, Key="k", Body=b"own", Tagging="of=own")["VersionId"]
    set_versioning(s3, bucket, "Suspended")
    assert tags_of(s3, bucket, VersionId="null") == {"of": "null"}
    assert put_tags(s3, bucket, {"n": "1"}, VersionId="null")["VersionId"] == "null"
    assert tags_of(s3, bucket, VersionId=version_id) == {"of": "own"}
    s3.put_object(Bucket=bucket, Key="k", Body=b"new null")
    answer = s3.get_object_tagging(Bucket=bucket, Key="k")
    assert (answer["TagSet"], answer["VersionId"]) == ([], "null")
    assert put_tags(s3, bucket, {"n": "2"})["VersionId"] == "null"
    assert (tags_of(s3, bucket), tags_of(s3, bucket, VersionId=version_id)) == ({"n": "2"}, {"of": "own"})


def test_a_delete_marker_has_no_tags(s3: Any, raw: RawClient, bucket: str) -> None:
    set_versioning(s3, bucket, "Enabled")
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="a=1")["VersionId"]
    marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
    for version in ({}, {"VersionId": marker}):
        where = {"Bucket": bucket, "Key": "k", **version}
        assert refusal(s3.get_object_tagging, **where) == DELETE_MARKER
        assert refusal(s3.delete_object_tagging, **where) == DELETE_MARKER
        error = error_of(s3.put_object_tagging, **where, Tagging=tagging({"a": "b"}))["Error"]
        assert (error["Code"], error["Method"], error["ResourceType"]) == ("MethodNotAllowed", "PUT", "DeleteMarker")
    assert tags_of(s3, bucket, VersionId=first) == {"a": "1"}


def test_what_is_not_there(s3: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "absent"}
    body = {"Tagging": tagging({"a": "b"})}
    for call, parameters in (
        (s3.get_object_tagging, {}),
        (s3.delete_object_tagging, {}),
        (s3.put_object_tagging, body),
    ):
        error = error_of(call, **where, **parameters)
        assert (error["Error"]["Code"], error["Error"]["Key"]) == ("NoSuchKey", "absent")
        assert refusal(call, Bucket="never-created", Key="k", **parameters) == (404, "NoSuchBucket")
        assert refusal(call, **where, VersionId=NOT_A_VERSION, **parameters) == (400, "InvalidArgument")
        assert refusal(call, **where, ExpectedBucketOwner="999999999999", **parameters) == (403, "AccessDenied")
    set_versioning(s3, bucket, "Enabled")
    gone = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"2")
    s3.delete_object(Bucket=bucket, Key="k", VersionId=gone)
    named = {"Bucket": bucket, "Key": "k", "VersionId": gone}
    assert refusal(s3.get_object_tagging, **named) == (404, "NoSuchVersion")
    assert refusal(s3.delete_object_tagging, **named) == (404, "NoSuchVersion")
    assert refusal(s3.put_object_tagging, **named, **body) == (404, "NoSuchVersion")


# Refusals


@pytest.mark.parametrize(
    ("tags", "code", "message", "fields"),
    [
        ([("a", "1"), ("a", "2")], "InvalidTag", "Cannot provide multiple Tags with the same key", {"TagKey": "a"}),
        ([("a,b", "")], "InvalidTag", "The TagKey you have provided is invalid", {"TagKey": "a,b"}),
        ([("k" * 129, "")], "InvalidTag", "The TagKey you have provided is invalid", {}),
        ([("😀", "")], "InvalidTag", "The TagKey you have provided is invalid", {"TagKey": "😀"}),
        (
            [("k", "a;b")],
            "InvalidTag",
            "The TagValue you have provided is invalid",
            {"TagKey": "k", "TagValue": "a;b"},
        ),
        ([("k", "v" * 257)], "InvalidTag", "The TagValue you have provided is invalid", {"TagKey": "k"}),
        ([("aws:x", "")], "InvalidTag", "Your TagKey cannot be prefixed with aws:", {"TagKey": "aws:x"}),
        ([(str(n), "") for n in range(11)], "BadRequest", "Object tags cannot be greater than 10", {}),
    ],
)
def test_tags_that_are_none(
    s3: Any, shared_bucket: str, tags: list[tuple[str, str]], code: str, message: str, fields: dict[str, str]
) -> None:
    s3.put_object(Bucket=shared_bucket, Key="k", Body=b"1", Tagging="kept=1")
    body = {"TagSet": [{"Key": key, "Value": value} for key, value in tags]}
    response = error_of(s3.put_object_tagging, Bucket=shared_bucket, Key="k", Tagging=body)
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error = response["Error"]
    assert (error["Code"], error["Message"]) == (code, message)
    assert {name: error[name] for name in fields} == fields
    assert tags_of(s3, shared_bucket) == {"kept": "1"}


@pytest.mark.parametrize(
    "body",
    [
        b"<Tagging><TagSet>",
        b"<Tags><TagSet/></Tags>",
        b"<Tagging><TagSet/><TagSet/></Tagging>",
        b"<Tagging><Tag><Key>a</Key><Value/></Tag></Tagging>",
        document("<Tag><Key>a</Key></Tag>"),
        document("<Tag><Value>a</Value></Tag>"),
        document("<Tag><Key>a</Key><Key>b</Key><Value/></Tag>"),
        document("<Tag><Key>a</Key><Value/></Tag>" * 5000),
        b'<!DOCTYPE x [<!ENTITY e "a">]>' + document("<Tag><Key>&e;</Key><Value/></Tag>"),
    ],
)
def test_documents_that_are_none(s3: Any, raw: RawClient, shared_bucket: str, body: bytes) -> None:
    s3.put_object(Bucket=shared_bucket, Key="k", Body=b"1", Tagging="kept=1")
    assert put_document(raw, shared_bucket, body).refusal == (400, "MalformedXML")
    assert tags_of(s3, shared_bucket) == {"kept": "1"}


def test_a_tag_without_a_key_is_refused(raw: RawClient, s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    answer = put_document(raw, bucket, document("<Tag><Key/><Value>v</Value></Tag>"))
    assert (answer.refusal, answer.message) == ((400, "InvalidTag"), "The TagKey you have provided is invalid")


def test_a_document_without_a_tag_set_deletes_the_tags(s3: Any, raw: RawClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="a=1")
    assert put_document(raw, bucket, b"<Tagging/>").status == 200
    assert tags_of(s3, bucket) == {}


@pytest.mark.parametrize(
    ("body", "expected"),
    [(b"", (400, "MissingRequestBodyError")), (b"<Tagging/>", (400, "InvalidRequest"))],
)
def test_a_document_needs_a_digest(s3: Any, raw: RawClient, bucket: str, body: bytes, expected: Any) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="a=1")
    assert raw.request("PUT", f"/{bucket}/k?tagging", {}, body).refusal == expected
    assert raw.request("PUT", f"/{bucket}?tagging", {}, body).refusal == expected
    assert tags_of(s3, bucket) == {"a": "1"}


def test_a_document_with_a_wrong_digest_is_refused(s3: Any, raw: RawClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", Tagging="a=1")
    body = document("<Tag><Key>b</Key><Value/></Tag>")
    wrong = {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert raw.request("PUT", f"/{bucket}/k?tagging", wrong, body).refusal == (400, "BadDigest")
    assert tags_of(s3, bucket) == {"a": "1"}


def test_tags_are_not_the_object(s3: Any, bucket: str) -> None:
    """DELETE and PUT with ?tagging leave the body alone."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    put_tags(s3, bucket, {"a": "b"})
    s3.delete_object_tagging(Bucket=bucket, Key="k")
    found = s3.get_object(Bucket=bucket, Key="k")
    assert (found["Body"].read(), found["ETag"]) == (b"body", f'"{md5_hex(b"body")}"')

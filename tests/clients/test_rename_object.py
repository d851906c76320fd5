"""RenameObject: one object under another name, all of it, in one step; its conditions, and its repetition."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import error_of, headers_of, random_bytes, refusal, stored_files
from tests.clients.raw import RawClient
from tests.clients.test_multipart import PART, TAIL, begin, complete
from tests.clients.users import allow, deny, make_user
from tests.harness import Gateway

FAILED = (412, "PreconditionFailed")
BIG = random_bytes(300_000)


def put(s3: Any, bucket: str, body: bytes = b"body", key: str = "a", **parameters: Any) -> str:
    return str(s3.put_object(Bucket=bucket, Key=key, Body=body, **parameters)["ETag"])


def rename(s3: Any, bucket: str, source: str = "a", key: str = "b", **parameters: Any) -> Any:
    return s3.rename_object(Bucket=bucket, Key=key, RenameSource=source, **parameters)


def read(s3: Any, bucket: str, key: str = "b") -> bytes:
    return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())


def keys_in(s3: Any, bucket: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]


def described(s3: Any, bucket: str, key: str) -> dict[str, Any]:
    """All that HEAD tells of an object."""
    answer = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    told = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return {**told, "Tags": s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}


@pytest.mark.parametrize("body", [b"", b"small", BIG], ids=["empty", "inline", "blob"])
@pytest.mark.parametrize("mode", ["AES256", "aws:kms"])
def test_an_object_keeps_all_but_its_name(s3: Any, bucket: str, kms_key: str, body: bytes, mode: str) -> None:
    encryption: dict[str, Any] = {"ServerSideEncryption": mode}
    if mode == "aws:kms":
        encryption |= {"SSEKMSKeyId": kms_key, "SSEKMSEncryptionContext": "eyJpbnZvaWNlIjoiNDcxMSJ9"}
    put(
        s3, bucket, body, Metadata={"colour": "red"}, ContentType="text/plain", StorageClass="STANDARD_IA",
        Tagging="team=blue", ChecksumAlgorithm="SHA256", **encryption,
    )  # fmt: skip
    before = described(s3, bucket, "a")
    rename(s3, bucket)
    assert described(s3, bucket, "b") == before
    assert read(s3, bucket) == body
    assert keys_in(s3, bucket) == ["b"]
    assert refusal(s3.get_object, Bucket=bucket, Key="a") == (404, "NoSuchKey")
    rename(s3, bucket, "b", "c/d")
    assert (described(s3, bucket, "c/d"), read(s3, bucket, "c/d")) == (before, body)


def test_a_multipart_object_keeps_its_parts(s3: Any, bucket: str) -> None:
    upload = begin(s3, bucket, ChecksumAlgorithm="CRC32C")
    answers = [
        s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32C")
        for number, body in ((1, PART), (2, TAIL))
    ]
    parts = [
        {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32C": answer["ChecksumCRC32C"]}
        for number, answer in enumerate(answers, 1)
    ]
    complete(s3, upload, parts)
    wanted = ["ETag", "Checksum", "ObjectParts", "ObjectSize"]
    before = s3.get_object_attributes(Bucket=bucket, Key="a", ObjectAttributes=wanted)
    rename(s3, bucket)
    after = s3.get_object_attributes(Bucket=bucket, Key="b", ObjectAttributes=wanted)
    assert {name: after[name] for name in wanted} == {name: before[name] for name in wanted}
    assert s3.get_object(Bucket=bucket, Key="b", PartNumber=2)["Body"].read() == TAIL
    assert read(s3, bucket) == PART + TAIL


def test_no_data_moves(gateway: Gateway, s3: Any, bucket: str) -> None:
    put(s3, bucket, BIG)

    def big_files() -> set[Path]:
        return {path for path in stored_files(gateway) if path.stat().st_size > len(BIG)}

    before = big_files()
    rename(s3, bucket)
    assert big_files() == before


def test_what_has_the_new_name_is_replaced(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"old", "b")
    put(s3, bucket, b"new")
    rename(s3, bucket)
    assert (keys_in(s3, bucket), read(s3, bucket)) == (["b"], b"new")


KEYS = ["a b", "a+b", "100%", "é/日本", "?versionId=x", "a//b"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("form", ["{key}", "{bucket}/{key}", "/{bucket}/{key}"])
def test_forms_of_the_source(s3: Any, bucket: str, key: str, form: str) -> None:
    put(s3, bucket, key.encode(), key)
    rename(s3, bucket, form.format(bucket=bucket, key=quote(key)), "new")
    assert (keys_in(s3, bucket), read(s3, bucket, "new")) == (["new"], key.encode())


def test_a_key_that_begins_as_the_bucket_is_called_is_meant_first(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"plain", "a")
    put(s3, bucket, b"qualified", f"{bucket}/a")
    rename(s3, bucket, f"{bucket}/a", "first")
    rename(s3, bucket, f"{bucket}/a", "second")
    assert (read(s3, bucket, "first"), read(s3, bucket, "second")) == (b"qualified", b"plain")


def test_what_cannot_be_renamed(s3: Any, raw: RawClient, bucket: str) -> None:
    put(s3, bucket)
    put(s3, bucket, key="folder/")
    assert refusal(rename, s3=s3, bucket=bucket, source="gone") == (404, "NoSuchKey")
    assert error_of(rename, s3=s3, bucket=bucket, source="gone")["Error"]["Key"] == "gone"
    for source, key in (("a", "a"), ("a", "b/"), ("folder/", "b"), ("", "b")):
        assert refusal(rename, s3=s3, bucket=bucket, source=source, key=key)[0] == 400
    assert refusal(rename, s3=s3, bucket=bucket, source="k" * 1025) == (400, "KeyTooLongError")
    assert refusal(rename, s3=s3, bucket="never-created") == (404, "NoSuchBucket")
    assert raw.request("PUT", f"/{bucket}/b?renameObject").refusal == (400, "InvalidRequest")
    assert keys_in(s3, bucket) == ["a", "folder/"]


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_buckets_with_versions_are_not_for_renaming(s3: Any, bucket: str, status: str) -> None:
    put(s3, bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    assert refusal(rename, s3=s3, bucket=bucket) == (409, "InvalidBucketState")
    assert keys_in(s3, bucket) == ["a"]


def test_conditions_on_the_source(s3: Any, bucket: str) -> None:
    etag = put(s3, bucket)
    at = s3.head_object(Bucket=bucket, Key="a")["LastModified"]
    before = at - timedelta(hours=1)
    for condition in (
        {"SourceIfMatch": '"other"'},
        {"SourceIfNoneMatch": etag},
        {"SourceIfNoneMatch": "*"},
        {"SourceIfModifiedSince": at},
        {"SourceIfUnmodifiedSince": before},
    ):
        assert refusal(rename, s3=s3, bucket=bucket, **condition) == FAILED, condition
    rename(
        s3, bucket, SourceIfMatch=etag, SourceIfNoneMatch='"x"', SourceIfModifiedSince=before,
        SourceIfUnmodifiedSince=at,
    )  # fmt: skip
    assert keys_in(s3, bucket) == ["b"]


def test_conditions_on_the_new_name(s3: Any, bucket: str) -> None:
    put(s3, bucket, b"new")
    etag = put(s3, bucket, b"old", "b")
    at = s3.head_object(Bucket=bucket, Key="b")["LastModified"]
    before = at - timedelta(hours=1)
    for condition in (
        {"DestinationIfNoneMatch": "*"},
        {"DestinationIfMatch": '"other"'},
        {"DestinationIfModifiedSince": at},
        {"DestinationIfUnmodifiedSince": before},
    ):
        assert refusal(rename, s3=s3, bucket=bucket, **condition) == FAILED, condition
    for condition in ({"DestinationIfMatch": etag}, {"DestinationIfModifiedSince": before}):
        assert refusal(rename, s3=s3, bucket=bucket, key="free", **condition) == FAILED, condition
    for condition in ({"DestinationIfNoneMatch": etag}, {"DestinationIfMatch": "*"}):
        assert refusal(rename, s3=s3, bucket=bucket, **condition) == (501, "NotImplemented"), condition
    assert (keys_in(s3, bucket), read(s3, bucket)) == (["a", "b"], b"old")
    rename(s3, bucket, DestinationIfMatch=etag, DestinationIfUnmodifiedSince=at)
    assert (keys_in(s3, bucket), read(s3, bucket)) == (["b"], b"new")
    rename(s3, bucket, "b", "free", DestinationIfNoneMatch="*")


def test_a_repeated_request_is_done_once(s3: Any, bucket: str) -> None:
    token = str(uuid.uuid4())
    put(s3, bucket, b"first")
    rename(s3, bucket, ClientToken=token)
    put(s3, bucket, b"second")
    answer = rename(s3, bucket, ClientToken=token)
    assert headers_of(answer).get("content-length", "0") == "0"
    assert (read(s3, bucket, "a"), read(s3, bucket, "b")) == (b"second", b"first")
    for other in ({"key": "c"}, {"source": "c"}, {"DestinationIfNoneMatch": "*"}, {"SourceIfMatch": '"x"'}):
        got = refusal(rename, s3=s3, bucket=bucket, ClientToken=token, **other)
        assert got == (400, "IdempotencyParameterMismatch"), other
    rename(s3, bucket, ClientToken=str(uuid.uuid4()))
    assert (keys_in(s3, bucket), read(s3, bucket)) == (["b"], b"second")


def test_a_refused_request_uses_no_token(s3: Any, bucket: str) -> None:
    token = str(uuid.uuid4())
    assert refusal(rename, s3=s3, bucket=bucket, ClientToken=token) == (404, "NoSuchKey")
    put(s3, bucket)
    rename(s3, bucket, ClientToken=token)
    assert keys_in(s3, bucket) == ["b"]
    for wrong in ("", "x" * 65, "a b"):
        assert refusal(rename, s3=s3, bucket=bucket, ClientToken=wrong)[0] == 400


def test_of_racing_renames_one_takes_the_object(gateway: Gateway, s3: Any, bucket: str) -> None:
    writers = 8
    put(s3, bucket, b"one")
    gate = threading.Barrier(writers)
    clients = [gateway.client("s3") for _ in range(writers)]

    def attempt(number: int) -> str:
        gate.wait(30)
        try:
            rename(clients[number], bucket, key=f"to-{number}")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ""

    with ThreadPoolExecutor(writers) as pool:
        got = list(pool.map(attempt, range(writers)))
    assert sorted(got) == ["", *["NoSuchKey"] * (writers - 1)]
    assert keys_in(s3, bucket) == [f"to-{got.index('')}"]
    assert read(s3, bucket, f"to-{got.index('')}") == b"one"


def test_a_rename_reads_and_deletes_under_the_one_key_and_writes_under_the_other(
    gateway: Gateway, s3: Any, bucket: str, kms_key: str
) -> None:
    put(s3, bucket, Tagging="a=b", ServerSideEncryption="aws:kms", SSEKMSKeyId=kms_key)
    rights = ("s3:GetObject", "s3:DeleteObject", "s3:GetObjectTagging")
    targets = ("s3:PutObject", "s3:PutObjectTagging")
    keys = ("kms:Decrypt", "kms:GenerateDataKey")
    source, target = f"arn:aws:s3:::{bucket}/a", f"arn:aws:s3:::{bucket}/b"
    everything = [allow(*rights, on=source), allow(*targets, on=target), allow(*keys), allow("s3:ListBucket")]
    user = make_user(gateway, *everything)
    client = user.client("s3")
    for missing in (*rights, *targets, *keys):
        user.put_policy(*everything, deny(missing))
        error = error_of(rename, s3=client, bucket=bucket)
        assert error["Error"]["Code"] == "AccessDenied"
        assert missing in error["Error"]["Message"]
    user.put_policy(*everything)
    etag = s3.head_object(Bucket=bucket, Key="a")["ETag"]
    conditions: list[Callable[[], Any]] = [
        lambda: rename(client, bucket, DestinationIfMatch=etag),
        lambda: rename(client, bucket, DestinationIfUnmodifiedSince="2030-01-01T00:00:00Z"),
    ]
    for attempt in conditions:
        assert refusal(attempt) == (403, "AccessDenied"), "these tell of an object that the user may not read"
    assert keys_in(s3, bucket) == ["a"]
    rename(client, bucket, DestinationIfNoneMatch="*")
    assert read(s3, bucket) == b"body"
    user.put_policy(*everything[:3])
    assert refusal(rename, s3=client, bucket=bucket) == (403, "AccessDenied"), "nothing is told to who may not list"


def test_a_disabled_key_renames_nothing(s3: Any, kms: Any, bucket: str) -> None:
    key = kms.create_key()["KeyMetadata"]["Arn"]
    put(s3, bucket, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    kms.disable_key(KeyId=key)
    assert refusal(rename, s3=s3, bucket=bucket) == (400, "KMS.DisabledException")
    assert keys_in(s3, bucket) == ["a"]


def test_tags_decide_about_the_object_that_is_renamed(gateway: Gateway, s3: Any, bucket: str) -> None:
    held = {
        **deny("s3:DeleteObject", "s3:GetObject"),
        "Condition": {"StringEquals": {"s3:ExistingObjectTag/hold": "on"}},
    }
    client = make_user(gateway, allow("s3:*"), held).client("s3")
    put(s3, bucket, key="held", Tagging="hold=on")
    put(s3, bucket, key="free", Tagging="hold=off")
    assert refusal(rename, s3=client, bucket=bucket, source="held", key="a") == (403, "AccessDenied")
    rename(client, bucket, "free", "b")
    assert keys_in(s3, bucket) == ["b", "held"]

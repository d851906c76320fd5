"""Objects under keys that the client brings (SSE-C): what each operation takes, answers and refuses.

Answers are those that were recorded from S3, where there is a record.
"""

from __future__ import annotations

import base64
import itertools
import re
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from tests.clients.access import (
    EVERYONE,
    anonymous_client,
    open_bucket,
    policy_text,
    put_policy,
    statement,
    take_customer_keys,
)
from tests.clients.checks import base64_of, content_md5, error_of, md5_hex, random_bytes, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.test_encryption_headers import encryption_of
from tests.clients.test_multipart import PART, TAIL
from tests.clients.test_post_object import post, sign
from tests.harness import Gateway, wait_until

SSE = "x-amz-server-side-encryption"
ALGORITHM, KEY, KEY_MD5 = (f"{SSE}-customer-{name}" for name in ("algorithm", "key", "key-md5"))
SIZES = {"empty": 0, "inline": 900, "blob": 300_000}

STORED = (
    "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve "
    "the object."
)
WRONG = "Requests specifying Server Side Encryption with Customer provided keys must provide the correct secret key."
NOT_APPLICABLE = "The encryption parameters are not applicable to this object."
INITIATED = (
    "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
    "encryption parameters."
)
NOT_THE_SAME = "The provided encryption parameters did not match the ones used originally."


@dataclass(frozen=True)
class CustomerKey:
    secret: bytes

    @property
    def md5(self) -> str:
        return content_md5(self.secret)

    @property
    def base64(self) -> str:
        return base64_of(self.secret)

    @property
    def asked(self) -> dict[str, str]:
        """For an object that is written or read, by boto3."""
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self.base64, "SSECustomerKeyMD5": self.md5}

    @property
    def of_source(self) -> dict[str, str]:
        return {f"CopySource{name}": value for name, value in self.asked.items()}

    @property
    def headers(self) -> dict[str, str]:
        return {ALGORITHM: "AES256", KEY: self.base64, KEY_MD5: self.md5}

    @property
    def told(self) -> dict[str, str]:
        """What answers say of it."""
        return {ALGORITHM: "AES256", KEY_MD5: self.md5}


A, B = CustomerKey(random_bytes(32, 1)), CustomerKey(random_bytes(32, 2))


@pytest.fixture
def taking(s3: Any, bucket: str) -> str:
    """A bucket of the test's own that takes customers' keys."""
    return take_customer_keys(s3, bucket)


@pytest.fixture(scope="module")
def shared(s3: Any) -> str:
    return take_customer_keys(s3, make_bucket(s3))


def refused(call: Any, **parameters: Any) -> tuple[int, str, str]:
    response = error_of(call, **parameters)
    error = response["Error"]
    return response["ResponseMetadata"]["HTTPStatusCode"], error["Code"], error["Message"]


def read(s3: Any, bucket: str, name: str, key: CustomerKey | None = None, **parameters: Any) -> bytes:
    asked = key.asked if key else {}
    return bytes(s3.get_object(Bucket=bucket, Key=name, **asked, **parameters)["Body"].read())


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_an_object_comes_back_by_its_key(s3: Any, taking: str, size: int) -> None:
    body, where = random_bytes(size), {"Bucket": taking, "Key": "a"}
    answer = s3.put_object(**where, Body=body, Metadata={"colour": "red"}, **A.asked)
    assert encryption_of(answer) == A.told
    assert answer["ETag"].strip('"') != md5_hex(body)
    assert len(answer["ETag"]) == 34
    for call in (s3.head_object, s3.get_object):
        found = call(**where, ChecksumMode="ENABLED", **A.asked)
        assert encryption_of(found) == A.told
        assert (found["ETag"], found["ContentLength"]) == (answer["ETag"], size)
        assert found["Metadata"] == {"colour": "red"}
        assert found["ChecksumCRC32"] == answer["ChecksumCRC32"]
    assert read(s3, taking, "a", A) == body
    assert [item["Size"] for item in s3.list_objects_v2(Bucket=taking)["Contents"]] == [size]


def test_the_same_body_under_the_same_key_is_told_by_no_etag(s3: Any, taking: str) -> None:
    etags = {s3.put_object(Bucket=taking, Key="a", Body=b"same", **A.asked)["ETag"] for _ in range(3)}
    assert len(etags) == 3


def test_content_md5_is_held(raw: RawClient, taking: str) -> None:
    target = f"/{taking}/a"
    assert raw.request("PUT", target, {**A.headers, "content-md5": content_md5(b"body")}, b"body").status == 200
    answer = raw.request("PUT", target, {**A.headers, "content-md5": content_md5(b"other")}, b"body")
    assert answer.refusal == (400, "BadDigest")


READS = ["get_object", "head_object", "get_object_attributes"]


def as_read(name: str, expected: tuple[int, str, str]) -> tuple[int, str, str]:
    """A HEAD has no body to say it in; what boto3 makes of that."""
    if name != "head_object":
        return expected
    return expected[0], str(expected[0]), {400: "Bad Request", 403: "Forbidden"}[expected[0]]


@pytest.mark.parametrize("name", READS)
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, (400, "InvalidRequest", STORED)),
        (B.asked, (403, "AccessDenied", WRONG)),
        (CustomerKey(A.secret[:31]).asked, (403, "AccessDenied", WRONG)),
        (CustomerKey(A.base64.encode()).asked, (403, "AccessDenied", WRONG)),
        (
            {**A.asked, "SSECustomerAlgorithm": "KMS"},
            (
                400,
                "InvalidEncryptionAlgorithmError",
                "The Encryption request you specified is not valid. Supported value: AES256.",
            ),
        ),
        (
            {**A.asked, "SSECustomerKeyMD5": B.md5},
            (
                400,
                "InvalidArgument",
                "The calculated MD5 hash of the key did not match the hash that was provided.",
            ),
        ),
    ],
    ids=["none", "another", "a part of it", "encoded twice", "algorithm", "MD5"],
)
def test_reads_without_the_key(
    s3: Any, shared: str, name: str, asked: dict[str, str], expected: tuple[int, str, str]
) -> None:
    s3.put_object(Bucket=shared, Key="read", Body=b"secret", **A.asked)
    more = {"ObjectAttributes": ["ETag", "ObjectSize"]} if name == "get_object_attributes" else {}
    assert refused(getattr(s3, name), Bucket=shared, Key="read", **more, **asked) == as_read(name, expected)


@pytest.mark.parametrize("name", READS)
def test_a_key_for_an_object_that_has_none(s3: Any, shared: str, name: str) -> None:
    s3.put_object(Bucket=shared, Key="plain", Body=b"1")
    more = {"ObjectAttributes": ["ETag"]} if name == "get_object_attributes" else {}
    expected = as_read(name, (400, "InvalidRequest", NOT_APPLICABLE))
    assert refused(getattr(s3, name), Bucket=shared, Key="plain", **more, **A.asked) == expected


def test_a_key_for_an_object_that_is_not_there(s3: Any, shared: str) -> None:
    assert refusal(s3.get_object, Bucket=shared, Key="absent", **A.asked) == (404, "NoSuchKey")


def test_without_the_key_no_condition_is_answered(s3: Any, shared: str) -> None:
    etag = s3.put_object(Bucket=shared, Key="conditions", Body=b"1", **A.asked)["ETag"]
    where = {"Bucket": shared, "Key": "conditions"}
    for condition in ({"IfMatch": '"other"'}, {"IfNoneMatch": etag}, {"IfMatch": etag}):
        assert refusal(s3.get_object, **where, **condition) == (400, "InvalidRequest")
        assert refusal(s3.get_object, **where, **condition, **B.asked) == (403, "AccessDenied")
    assert refusal(s3.get_object, **where, IfMatch='"other"', **A.asked) == (412, "PreconditionFailed")


def test_attributes(s3: Any, taking: str) -> None:
    etag = s3.put_object(Bucket=taking, Key="a", Body=b"12345", **A.asked)["ETag"]
    found = s3.get_object_attributes(
        Bucket=taking, Key="a", ObjectAttributes=["ETag", "Checksum", "ObjectSize", "StorageClass"], **A.asked
    )
    assert (found["ETag"], found["ObjectSize"], found["StorageClass"]) == (etag.strip('"'), 5, "STANDARD")
    assert found["Checksum"]["ChecksumType"] == "FULL_OBJECT"
    assert encryption_of(found) == {}


def test_each_version_has_a_key_of_its_own(s3: Any, taking: str) -> None:
    s3.put_bucket_versioning(Bucket=taking, VersioningConfiguration={"Status": "Enabled"})
    put = [s3.put_object(Bucket=taking, Key="a", Body=key.secret, **key.asked)["VersionId"] for key in (A, B)]
    assert [read(s3, taking, "a", key, VersionId=id) for key, id in zip((A, B), put, strict=True)] == [
        A.secret,
        B.secret,
    ]
    assert read(s3, taking, "a", B) == B.secret
    assert refused(s3.get_object, Bucket=taking, Key="a", VersionId=put[0], **B.asked) == (403, "AccessDenied", WRONG)
    assert refused(s3.get_object, Bucket=taking, Key="a", VersionId=put[1]) == (400, "InvalidRequest", STORED)


def test_tags_acls_and_deletion_need_no_key(s3: Any, taking: str) -> None:
    where = {"Bucket": taking, "Key": "a"}
    s3.put_object(**where, Body=b"1", Tagging="a=b", **A.asked)
    assert s3.get_object_tagging(**where)["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.put_object_tagging(**where, Tagging={"TagSet": [{"Key": "c", "Value": "d"}]})
    assert read(s3, taking, "a", A) == b"1"
    assert s3.delete_object(**where)["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_renamed_object_keeps_its_key(s3: Any, taking: str) -> None:
    bodies = {"inline": random_bytes(10), "blob": random_bytes(200_000)}
    for name, body in bodies.items():
        s3.put_object(Bucket=taking, Key=name, Body=body, **A.asked)
        s3.rename_object(Bucket=taking, Key=f"{name}-2", RenameSource=name)
        s3.rename_object(Bucket=taking, Key=f"{name}-3", RenameSource=f"{name}-2")
        assert read(s3, taking, f"{name}-3", A) == body
        assert refusal(s3.get_object, Bucket=taking, Key=f"{name}-3", **B.asked) == (403, "AccessDenied")


def test_selecting_is_refused_to_whoever_has_the_key_too(s3: Any, taking: str) -> None:
    s3.put_object(Bucket=taking, Key="a", Body=b"1", **A.asked)
    asked = {
        "Expression": "SELECT * FROM S3Object",
        "ExpressionType": "SQL",
        "InputSerialization": {"CSV": {}},
        "OutputSerialization": {"CSV": {}},
    }
    assert refusal(s3.select_object_content, Bucket=taking, Key="a", **asked, **A.asked) == (405, "MethodNotAllowed")


# Copies

MODES = ["AES256", "aws:kms", "A", "B"]


def written(mode: str, kms_key: str) -> dict[str, str]:
    if mode in ("A", "B"):
        return {"A": A, "B": B}[mode].asked
    return {"ServerSideEncryption": mode, **({"SSEKMSKeyId": kms_key} if mode == "aws:kms" else {})}


def key_of(mode: str) -> CustomerKey | None:
    return {"A": A, "B": B}.get(mode)


@pytest.mark.parametrize("size", [0, 900, 300_000])
@pytest.mark.parametrize(("old", "new"), [pair for pair in itertools.product(MODES, MODES) if {"A", "B"} & {*pair}])
def test_copies_from_every_mode_to_every_mode(
    s3: Any, shared: str, kms_key: str, size: int, old: str, new: str
) -> None:
    body, source = random_bytes(size, size), {"Bucket": shared, "Key": f"from {old} to {new}"}
    s3.put_object(**source, Body=body, Metadata={"colour": "red"}, **written(old, kms_key))
    target = {"Bucket": shared, "Key": f"to {new} from {old}"}
    of_source = key_of(old).of_source if key_of(old) else {}  # type: ignore[union-attr]
    copied = s3.copy_object(**target, CopySource=source, **of_source, **written(new, kms_key))
    key = key_of(new)
    found = s3.get_object(**target, **(key.asked if key else {}))
    assert found["Body"].read() == body
    assert found["Metadata"] == {"colour": "red"}
    assert encryption_of(found) == encryption_of(copied)
    if key:
        assert encryption_of(copied) == key.told
    else:
        assert copied["ServerSideEncryption"] == new
    etag = copied["CopyObjectResult"]["ETag"].strip('"')
    assert found["ETag"].strip('"') == etag
    assert (etag == md5_hex(body)) == (new == "AES256")
    assert (
        copied["CopyObjectResult"]["ChecksumCRC32"]
        == s3.head_object(**target, ChecksumMode="ENABLED", **(key.asked if key else {}))["ChecksumCRC32"]
    )
    s3.delete_object(**source)
    assert read(s3, shared, target["Key"], key) == body


def test_a_copy_takes_the_buckets_default_and_not_the_key_of_its_source(s3: Any, taking: str) -> None:
    s3.put_object(Bucket=taking, Key="a", Body=b"1", **A.asked)
    copied = s3.copy_object(Bucket=taking, Key="b", CopySource=f"{taking}/a", **A.of_source)
    assert encryption_of(copied) == {SSE: "AES256"}
    assert read(s3, taking, "b") == b"1"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, (400, "InvalidRequest", STORED)),
        (A.asked, (400, "InvalidRequest", STORED)),
        (B.of_source, (403, "AccessDenied", WRONG)),
        ({**A.of_source, **A.asked, "ServerSideEncryption": "AES256"}, (400, "InvalidArgument", None)),
        ({**A.of_source, "CopySourceSSECustomerAlgorithm": "KMS"}, (400, "InvalidEncryptionAlgorithmError", None)),
        ({**A.of_source, **A.asked, "SSECustomerAlgorithm": "KMS"}, (400, "InvalidEncryptionAlgorithmError", None)),
        ({**A.of_source, "CopySourceSSECustomerKeyMD5": B.md5}, (400, "InvalidArgument", None)),
    ],
)
def test_copies_without_the_key(s3: Any, shared: str, asked: dict[str, str], expected: Any) -> None:
    s3.put_object(Bucket=shared, Key="kept", Body=b"1", **A.asked)
    got = refused(s3.copy_object, Bucket=shared, Key="never", CopySource=f"{shared}/kept", **asked)
    assert got[:2] == expected[:2]
    assert expected[2] in (None, got[2])
    assert refusal(s3.head_object, Bucket=shared, Key="never") == (404, "404")


def test_a_key_for_a_source_that_has_none(s3: Any, shared: str) -> None:
    s3.put_object(Bucket=shared, Key="plain", Body=b"1")
    got = refused(s3.copy_object, Bucket=shared, Key="never", CopySource=f"{shared}/plain", **A.of_source)
    assert got == (400, "InvalidRequest", NOT_APPLICABLE)


def test_a_key_is_changed_by_a_copy_onto_itself(s3: Any, taking: str) -> None:
    where, body = {"Bucket": taking, "Key": "a"}, random_bytes(100_000)
    s3.put_object(**where, Body=body, Metadata={"colour": "red"}, **A.asked)
    s3.copy_object(**where, CopySource=where, **A.of_source, **B.asked)
    assert read(s3, taking, "a", B) == body
    assert refusal(s3.get_object, **where, **A.asked) == (403, "AccessDenied")
    s3.copy_object(**where, CopySource=where, **B.of_source)
    assert read(s3, taking, "a") == body
    assert s3.head_object(**where)["Metadata"] == {"colour": "red"}


# Uploads in parts


def begin(s3: Any, bucket: str, name: str = "parts", **asked: Any) -> dict[str, str]:
    created = s3.create_multipart_upload(Bucket=bucket, Key=name, **asked)
    return {"Bucket": bucket, "Key": name, "UploadId": created["UploadId"]}


def finish(s3: Any, upload: dict[str, str], etags: list[str], **asked: Any) -> Any:
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}, **asked)


@pytest.mark.parametrize("brings_key", [True, False])
def test_an_upload_in_parts(s3: Any, taking: str, *, brings_key: bool) -> None:
    """Recorded: who completes or lists an upload that was begun without a checksum may leave its key out."""
    created = s3.create_multipart_upload(Bucket=taking, Key="parts", Metadata={"colour": "red"}, **A.asked)
    assert encryption_of(created) == A.told
    upload = {"Bucket": taking, "Key": "parts", "UploadId": created["UploadId"]}
    bodies = [PART, random_bytes(len(PART), 3), TAIL]
    s3.upload_part(**upload, PartNumber=1, Body=random_bytes(70_000), **A.asked)  # and again, with other bytes
    sent = [s3.upload_part(**upload, PartNumber=n, Body=body, **A.asked) for n, body in enumerate(bodies, 1)]
    assert [encryption_of(part) for part in sent] == [A.told] * 3
    assert not {part["ETag"].strip('"') for part in sent} & {md5_hex(body) for body in bodies}
    asked = A.asked if brings_key else {}
    listed = s3.list_parts(**upload, **asked)
    assert [part["ETag"] for part in listed["Parts"]] == [part["ETag"] for part in sent]
    assert encryption_of(listed) == {}
    done = finish(s3, upload, [part["ETag"] for part in sent], **asked)
    assert encryption_of(done) == {}
    where, whole = {"Bucket": taking, "Key": "parts"}, b"".join(bodies)
    assert read(s3, taking, "parts", A) == whole
    assert s3.head_object(**where, **A.asked)["Metadata"] == {"colour": "red"}
    for number, body in enumerate(bodies, 1):
        part = s3.get_object(**where, PartNumber=number, **A.asked)
        assert (part["Body"].read(), part["PartsCount"], part["ETag"]) == (body, 3, done["ETag"])
    around = f"bytes={len(PART) - 2}-{len(PART) + 1}"
    assert read(s3, taking, "parts", A, Range=around) == whole[len(PART) - 2 : len(PART) + 2]
    assert refused(s3.get_object, **where) == (400, "InvalidRequest", STORED)
    assert refused(s3.get_object, **where, PartNumber=1, **B.asked) == (403, "AccessDenied", WRONG)


@pytest.mark.parametrize(
    ("begun", "asked", "message"),
    [
        (A.asked, {}, INITIATED),
        (A.asked, B.asked, NOT_THE_SAME),
        ({}, A.asked, INITIATED),
        ({"ServerSideEncryption": "aws:kms"}, A.asked, INITIATED),
    ],
)
def test_parts_bring_the_key_of_their_upload(s3: Any, shared: str, begun: Any, asked: Any, message: str) -> None:
    upload = begin(s3, shared, **begun)
    s3.put_object(Bucket=shared, Key="source", Body=b"1")
    source = {"CopySource": f"{shared}/source"}
    expected = (400, "InvalidRequest", message)
    assert refused(s3.upload_part, **upload, PartNumber=1, Body=b"1", **asked) == expected
    assert refused(s3.upload_part_copy, **upload, PartNumber=1, **source, **asked) == expected
    if asked:
        assert refused(s3.list_parts, **upload, **asked) == expected
        own = begun if begun == A.asked else {}
        etag = s3.upload_part(**upload, PartNumber=1, Body=b"1", **own)["ETag"]
        parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        assert refused(s3.complete_multipart_upload, **upload, MultipartUpload=parts, **asked) == expected
    s3.abort_multipart_upload(**upload)


def test_an_upload_with_checksums_is_listed_and_completed_by_its_key(s3: Any, taking: str) -> None:
    """API_CompleteMultipartUpload, API_ListParts: needed where the upload was begun with a checksum algorithm."""
    upload = begin(s3, taking, ChecksumAlgorithm="SHA256", **A.asked)
    part = s3.upload_part(**upload, PartNumber=1, Body=b"1", ChecksumAlgorithm="SHA256", **A.asked)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]}
    assert refused(s3.list_parts, **upload) == (400, "InvalidRequest", INITIATED)
    got = refused(s3.complete_multipart_upload, **upload, MultipartUpload=parts)
    assert got == (400, "InvalidRequest", INITIATED)
    assert s3.list_parts(**upload, **A.asked)["Parts"][0]["ChecksumSHA256"] == part["ChecksumSHA256"]
    s3.complete_multipart_upload(**upload, MultipartUpload=parts, **A.asked)
    assert read(s3, taking, "parts", A) == b"1"


@pytest.mark.parametrize(("old", "new"), [("AES256", "A"), ("A", "AES256"), ("A", "aws:kms"), ("A", "A"), ("A", "B")])
def test_parts_copied_from_one_mode_to_another(s3: Any, shared: str, kms_key: str, old: str, new: str) -> None:
    body, source = random_bytes(300_000, 7), {"Bucket": shared, "Key": f"source {old}"}
    s3.put_object(**source, Body=body, **written(old, kms_key))
    upload = begin(s3, shared, f"{old} to {new}", **written(new, kms_key))
    old_key, new_key = key_of(old), key_of(new)
    of_source = old_key.of_source if old_key else {}
    asked = new_key.asked if new_key else {}
    span = {"CopySource": source, "CopySourceRange": "bytes=1000-200999"}
    part = s3.upload_part_copy(**upload, PartNumber=1, **span, **of_source, **asked)
    if new_key:
        assert encryption_of(part) == new_key.told
    if old_key:
        assert refused(s3.upload_part_copy, **upload, PartNumber=1, **span, **asked) == (400, "InvalidRequest", STORED)
        wrong = refused(
            s3.upload_part_copy, **upload, PartNumber=1, **span, **asked, **CustomerKey(bytes(32)).of_source
        )
        assert wrong == (403, "AccessDenied", WRONG)
    finish(s3, upload, [part["CopyPartResult"]["ETag"]], **asked)
    assert read(s3, shared, f"{old} to {new}", new_key) == body[1000:201_000]


# Forms and presigned URLs


def test_a_browser_form_brings_the_key(s3: Any, raw: RawClient, taking: str) -> None:
    conditions = [{"bucket": taking}, ["starts-with", "$key", ""]]
    named = [["starts-with", f"${name}", ""] for name in A.headers]
    form = {"key": "form", **A.headers, **sign(raw, *conditions, *named)}
    answer = post(raw, taking, form, b"from a form")
    assert answer.status == 204
    assert {name: value for name, value in answer.headers.items() if name.startswith(SSE)} == A.told
    assert read(s3, taking, "form", A) == b"from a form"
    unnamed = {"key": "other", **A.headers, **sign(raw, *conditions)}
    assert post(raw, taking, unnamed, b"1").refusal == (403, "AccessDenied")
    both = {"key": "other", SSE: "AES256", **A.headers, **sign(raw, *conditions, *named, {SSE: "AES256"})}
    assert post(raw, taking, both, b"1").refusal == (400, "InvalidArgument")
    assert refusal(s3.head_object, Bucket=taking, Key="other") == (404, "404")


def test_a_presigned_url_goes_with_the_headers_of_the_key(
    s3: Any, gateway: Gateway, raw: RawClient, taking: str
) -> None:
    client = gateway.client("s3", signature_version="s3v4")
    where = {"Bucket": taking, "Key": "url"}
    for operation, method in (("put_object", "PUT"), ("get_object", "GET")):
        url = client.generate_presigned_url(operation, {**where, **A.asked})
        target = url.removeprefix(gateway.endpoint_url)
        assert A.base64 not in url and quote(A.base64, safe="") not in url
        assert raw.send(method, target, {"host": raw.host}).status == 403, "its headers were signed"
        answer = raw.send(method, target, {"host": raw.host, **A.headers}, b"body" if method == "PUT" else b"")
        assert answer.status == 200
        assert answer.headers[KEY_MD5] == A.md5
    assert answer.body == b"body"
    swapped = raw.send("GET", target, {"host": raw.host, **B.headers})
    assert swapped.refusal == (403, "SignatureDoesNotMatch")
    assert read(s3, taking, "url", A) == b"body"


def test_a_key_in_a_presigned_url_is_in_no_log(gateway: Gateway, raw: RawClient, s3: Any, taking: str) -> None:
    """As Signature Version 2 had it, and as some clients still make them."""
    key = CustomerKey(random_bytes(32, 99))
    query = "&".join(f"{name}={quote(value, safe='')}" for name, value in key.headers.items())
    target = raw.presign("PUT", f"/{taking}/hoisted?{query}")
    assert raw.send("PUT", target, {"host": raw.host}, b"body").status == 200
    assert read(s3, taking, "hoisted", key) == b"body"

    def lines() -> list[str]:
        text = gateway.log_path.read_text(errors="replace")
        return [line for line in text.splitlines() if f'"bucket":"{taking}","key":"hoisted"' in line]

    written = wait_until(lambda: len(lines()) == 2 and lines(), "both requests are logged")
    assert all('"mode":"SSE-C"' in line for line in written)
    log = gateway.log_path.read_text(errors="replace")
    for text in (key.base64, quote(key.base64, safe=""), key.secret.hex(), key.md5):
        assert text not in log


# Policies


def test_policies_ask_for_the_algorithm(s3: Any, gateway: Gateway, kms: Any) -> None:
    bucket = take_customer_keys(s3, make_bucket(s3))
    named = "s3:x-amz-server-side-encryption-customer-algorithm"
    put_policy(s3, bucket, statement("Deny", EVERYONE, "s3:PutObject", on=f"{bucket}/*", Null={named: "true"}))
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"1") == (403, "AccessDenied")
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", **A.asked)
    put_policy(
        s3, bucket, statement("Deny", EVERYONE, "s3:PutObject", on=f"{bucket}/*", StringNotEquals={named: "AES256"})
    )
    asked = {**A.asked, "SSECustomerAlgorithm": "AES192"}
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"1", **asked) == (403, "AccessDenied")
    s3.put_object(Bucket=bucket, Key="a", Body=b"2", **A.asked)
    put_policy(s3, bucket, statement("Deny", EVERYONE, "s3:PutObject", on=f"{bucket}/*", Null={named: "false"}))
    assert refusal(s3.put_object, Bucket=bucket, Key="a", Body=b"3", **A.asked) == (403, "AccessDenied")
    assert read(s3, bucket, "a", A) == b"2"


def test_whoever_may_read_reads_by_the_key_alone(s3: Any, gateway: Gateway) -> None:
    bucket = take_customer_keys(s3, open_bucket(s3))
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy=policy_text(statement("Allow", EVERYONE, "s3:GetObject", "s3:PutObject", on=f"{bucket}/*")),
    )
    nobody = anonymous_client(gateway)
    nobody.put_object(Bucket=bucket, Key="a", Body=b"1", **A.asked)
    assert read(nobody, bucket, "a", A) == b"1"
    assert refused(nobody.get_object, Bucket=bucket, Key="a") == (400, "InvalidRequest", STORED)
    assert refused(nobody.get_object, Bucket=bucket, Key="a", **B.asked) == (403, "AccessDenied", WRONG)


# Blocking


def get_rule(s3: Any, bucket: str) -> Any:
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return rule


def is_blocked(s3: Any, bucket: str) -> bool:
    (told,) = get_rule(s3, bucket)["BlockedEncryptionTypes"]["EncryptionType"]
    assert told in ("NONE", "SSE-C")
    return bool(told == "SSE-C")


def test_a_new_bucket_blocks_customers_keys(s3: Any, bucket: str, raw: RawClient, gateway: Gateway) -> None:
    assert is_blocked(s3, bucket)
    principal = gateway.client("sts").get_caller_identity()["Arn"]
    s3.put_object(Bucket=bucket, Key="source", Body=b"1")

    def message(operation: str) -> str:
        return (
            f'User: {principal} is not authorized to perform: s3:{operation} on resource: "arn:aws:s3:::{bucket}/a" '
            "because this bucket has blocked upload requests that specify Server Side Encryption with Customer "
            "provided keys (SSE-C). Please specify a different server-side encryption type"
        )

    where = {"Bucket": bucket, "Key": "a"}
    for call, operation, more in (
        (s3.put_object, "PutObject", {"Body": b"1"}),
        (s3.copy_object, "CopyObject", {"CopySource": f"{bucket}/source"}),
        (s3.create_multipart_upload, "CreateMultipartUpload", {}),
    ):
        assert refused(call, **where, **more, **A.asked) == (403, "AccessDenied", message(operation))
    wrong = {**A.asked, "SSECustomerKeyMD5": B.md5}
    assert refused(s3.put_object, **where, Body=b"1", **wrong) == (403, "AccessDenied", message("PutObject"))
    named = [["starts-with", f"${name}", ""] for name in A.headers]
    form = {"key": "a", **A.headers, **sign(raw, {"bucket": bucket}, {"key": "a"}, *named)}
    answer = post(raw, bucket, form, b"1")
    assert (answer.status, answer.message.replace("&quot;", '"')) == (403, message("PostObject"))
    assert refusal(s3.head_object, **where) == (404, "404")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_a_block_stops_writes_and_leaves_what_is_there(s3: Any, taking: str) -> None:
    assert not is_blocked(s3, taking)
    s3.put_object(Bucket=taking, Key="a", Body=b"1", **A.asked)
    upload = begin(s3, taking, **A.asked)
    etag = s3.upload_part(**upload, PartNumber=1, Body=b"1", **A.asked)["ETag"]
    take_customer_keys(s3, taking, take=False)
    assert is_blocked(s3, taking)
    assert read(s3, taking, "a", A) == b"1"
    assert s3.head_object(Bucket=taking, Key="a", **A.asked)["ContentLength"] == 1
    s3.copy_object(Bucket=taking, Key="copy", CopySource=f"{taking}/a", **A.of_source)
    assert read(s3, taking, "copy") == b"1"
    for call, more in (
        (s3.put_object, {"Bucket": taking, "Key": "a", "Body": b"2"}),
        (s3.upload_part, {**upload, "PartNumber": 2, "Body": b"2"}),
        (s3.upload_part_copy, {**upload, "PartNumber": 2, "CopySource": f"{taking}/copy"}),
        (s3.complete_multipart_upload, {**upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": etag}]}}),
    ):
        assert refusal(call, **more, **A.asked) == (403, "AccessDenied")
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    assert refusal(s3.complete_multipart_upload, **upload, MultipartUpload=parts) == (403, "AccessDenied")
    assert read(s3, taking, "a", A) == b"1"
    assert len(s3.list_parts(**upload)["Parts"]) == 1
    s3.abort_multipart_upload(**upload)
    take_customer_keys(s3, taking)
    s3.put_object(Bucket=taking, Key="a", Body=b"3", **A.asked)


@pytest.mark.parametrize("take", [True, False])
def test_what_does_not_speak_of_the_block_leaves_it(s3: Any, bucket: str, kms_key: str, *, take: bool) -> None:
    take_customer_keys(s3, bucket, take=take)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    assert is_blocked(s3, bucket) is not take
    take_customer_keys(s3, bucket, take=not take)
    assert is_blocked(s3, bucket) is take
    assert get_rule(s3, bucket)["ApplyServerSideEncryptionByDefault"] == default, "nor does the block speak of it"
    s3.delete_bucket_encryption(Bucket=bucket)
    assert is_blocked(s3, bucket) is take
    assert get_rule(s3, bucket)["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_another_account_is_not_told_how_a_bucket_is_set_up(s3: Any, gateway: Gateway) -> None:
    bucket = open_bucket(s3)
    put_policy(s3, bucket, statement("Allow", EVERYONE, "s3:PutObject", on=f"{bucket}/*"))
    nobody = anonymous_client(gateway)
    got = refused(nobody.put_object, Bucket=bucket, Key="a", Body=b"1", **A.asked)
    assert got == (403, "AccessDenied", "Access Denied")


def counted(gateway: Gateway, outcome: str) -> float:
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=60) as reply:
        text = reply.read().decode()
    found = re.search(rf'^sealgate_customer_key_writes_total\{{outcome="{outcome}"\}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_operators_are_told_of_writes_under_customers_keys(s3: Any, gateway: Gateway, taking: str) -> None:
    before = {outcome: counted(gateway, outcome) for outcome in ("written", "blocked")}
    s3.put_object(Bucket=taking, Key="a", Body=b"1", **A.asked)
    read(s3, taking, "a", A)
    take_customer_keys(s3, taking, take=False)
    assert refusal(s3.put_object, Bucket=taking, Key="a", Body=b"1", **A.asked) == (403, "AccessDenied")
    for outcome, count in before.items():
        wait_until(lambda outcome=outcome, count=count: counted(gateway, outcome) == count + 1, outcome)


# By whom, and from where


def test_keys_are_decoded_strictly(raw: RawClient, shared: str) -> None:
    """What is no Base64 is no key, and is told as that, not as a fault."""
    for bad in (
        "*" * 44,
        A.base64[:-1],
        f"{A.base64}=",
        "ä",
        " " * 44,
        base64.urlsafe_b64encode(b"\xff" * 32).decode(),
    ):
        answer = raw.request("PUT", f"/{shared}/never", {**A.headers, KEY: bad}, b"1")
        assert answer.refusal == (400, "InvalidArgument")


@pytest.mark.parametrize("missing", [ALGORITHM, KEY, KEY_MD5])
def test_a_third_of_the_headers_is_missing(s3: Any, raw: RawClient, shared: str, missing: str) -> None:
    message = {
        ALGORITHM: "Requests specifying Server Side Encryption with Customer provided keys must provide a valid "
        "encryption algorithm.",
        KEY: "Requests specifying Server Side Encryption with Customer provided keys must provide an appropriate "
        "secret key.",
        KEY_MD5: "The secret key was invalid for the specified algorithm.",
    }[missing]
    headers = {name: value for name, value in A.headers.items() if name != missing}
    answer = raw.request("PUT", f"/{shared}/never", headers, b"1")
    assert (*answer.refusal, answer.message) == (400, "InvalidArgument", message)
    assert (answer.element("ArgumentName"), answer.element("ArgumentValue")) == (SSE, "null")
    assert refusal(s3.head_object, Bucket=shared, Key="never") == (404, "404")

"""Server-side encryption headers: which operation takes which, what it answers, and what is refused.

Every x-amz-server-side-encryption header of the S3 model is honoured or refused, never ignored.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.clients.access import take_customer_keys
from tests.clients.checks import base64_of, error_of, headers_of, random_bytes, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient, head
from tests.clients.test_post_object import post, sign

SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
CONTEXT = f"{SSE}-context"
BUCKET_KEY = f"{SSE}-bucket-key-enabled"


@pytest.fixture(scope="module")
def shared_bucket(s3: Any) -> str:
    """One that does not refuse customers' keys whatever they are."""
    return take_customer_keys(s3, make_bucket(s3))


def encoded(context: Any) -> str:
    return base64_of(json.dumps(context).encode())


def encryption_of(answer: Any) -> dict[str, str]:
    """The SSE headers of an answer, all of them."""
    headers = answer.headers if hasattr(answer, "headers") else headers_of(answer)
    return {name: value for name, value in headers.items() if name.startswith(SSE)}


@pytest.fixture(scope="module")
def names(kms: Any, kms_key: str) -> dict[str, str]:
    """The four ways to name one key."""
    alias = f"alias/headers-{uuid.uuid4()}"
    kms.create_alias(AliasName=alias, TargetKeyId=kms_key)
    arn, key_id = kms_key.rsplit("/", 1)
    return {"id": key_id, "arn": kms_key, "alias": alias, "alias-arn": f"{arn.removesuffix('key')}{alias}"}


@pytest.mark.parametrize("form", ["id", "arn", "alias", "alias-arn"])
def test_a_key_is_named_in_four_ways_and_told_by_its_arn(
    s3: Any, shared_bucket: str, kms_key: str, names: dict[str, str], form: str
) -> None:
    named = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": names[form]}
    s3.put_object(Bucket=shared_bucket, Key=form, Body=b"1", **named)
    expected = {SSE: "aws:kms", KEY_ID: kms_key}
    assert encryption_of(s3.head_object(Bucket=shared_bucket, Key=form)) == expected
    assert s3.get_object(Bucket=shared_bucket, Key=form)["Body"].read() == b"1"


def test_aws_kms_without_a_key_makes_the_managed_key_once(s3: Any, kms: Any, bucket: str) -> None:
    answers = [s3.put_object(Bucket=bucket, Key=key, Body=b"1", ServerSideEncryption="aws:kms") for key in ("a", "b")]
    (arn,) = {answer["SSEKMSKeyId"] for answer in answers}
    key = kms.describe_key(KeyId=arn)["KeyMetadata"]
    assert (key["KeyManager"], key["KeyState"]) == ("AWS", "Enabled")
    (alias,) = [a for a in kms.list_aliases()["Aliases"] if a["AliasName"] == "alias/aws/s3"]
    assert alias["TargetKeyId"] == key["KeyId"]
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"


@pytest.mark.parametrize("size", [1, 100_000])
def test_etags_are_opaque_under_a_kms_key(s3: Any, bucket: str, size: int) -> None:
    body = random_bytes(size)
    etags = {s3.put_object(Bucket=bucket, Key="a", Body=body, ServerSideEncryption="aws:kms")["ETag"] for _ in range(2)}
    assert len(etags) == 2
    assert all(len(etag) == 34 for etag in etags)
    assert f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"' not in etags


@pytest.mark.parametrize("size", [1, 100_000])
def test_content_md5_is_held_under_a_kms_key(raw: RawClient, bucket: str, size: int) -> None:
    body = random_bytes(size)
    good = base64_of(hashlib.md5(body, usedforsecurity=False).digest())
    target = f"/{bucket}/a"
    assert raw.request("PUT", target, {SSE: "aws:kms", "content-md5": good}, body).status == 200
    wrong = base64_of(bytes(16))
    assert raw.request("PUT", target, {SSE: "aws:kms", "content-md5": wrong}, body).refusal == (400, "BadDigest")


CUSTOMER_KEY = base64_of(b"k" * 32)
CUSTOMER_MD5 = base64_of(hashlib.md5(b"k" * 32, usedforsecurity=False).digest())
CUSTOMER = {
    f"{SSE}-customer-algorithm": "AES256",
    f"{SSE}-customer-key": CUSTOMER_KEY,
    f"{SSE}-customer-key-md5": CUSTOMER_MD5,
}

REFUSED_WRITES: list[tuple[dict[str, str], tuple[int, str]]] = [
    ({SSE: "aws:fsx"}, (501, "NotImplemented")),
    ({SSE: "aes256"}, (400, "InvalidArgument")),
    ({SSE: "AES128"}, (400, "InvalidArgument")),
    ({SSE: ""}, (400, "InvalidArgument")),
    ({KEY_ID: "alias/any"}, (400, "InvalidArgument")),
    ({SSE: "AES256", KEY_ID: "alias/any"}, (400, "InvalidArgument")),
    ({CONTEXT: encoded({"a": "b"})}, (400, "InvalidArgument")),
    ({SSE: "AES256", CONTEXT: encoded({"a": "b"})}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", KEY_ID: ""}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", KEY_ID: "k" * 2049}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", KEY_ID: "alias/absent"}, (400, "KMS.NotFoundException")),
    ({SSE: "aws:kms", KEY_ID: "alias/with blank"}, (400, "KMS.NotFoundException")),
    ({SSE: "aws:kms", KEY_ID: "alias/" + "k" * 2000}, (400, "KMS.NotFoundException")),
    ({SSE: "aws:kms", KEY_ID: "not-a-key"}, (400, "KMS.NotFoundException")),
    ({SSE: "aws:kms", KEY_ID: "arn:aws:kms:eu-west-1:111122223333:key/x"}, (400, "KMS.NotFoundException")),
    ({SSE: "aws:kms", KEY_ID: "arn:nonsense"}, (400, "KMS.NotFoundException")),
    ({SSE: "aws:kms", CONTEXT: "not base64!"}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: base64_of(b"not json")}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: encoded(["a"])}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: encoded({"a": 1})}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: encoded({"a": {"b": "c"}})}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: encoded({"a": None})}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: encoded({"": "c"})}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: base64_of(b"[" * 3000)}, (400, "InvalidArgument")),
    ({SSE: "aws:kms:dsse", CONTEXT: "not base64!"}, (400, "InvalidArgument")),
    ({SSE: "aws:kms:dsse", KEY_ID: "alias/absent"}, (400, "KMS.NotFoundException")),
    ({SSE: "AES256,aws:kms"}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: base64_of(b'{"a":"1","a":"2"}')}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: encoded({"aws:s3:arn": "arn:aws:s3:::other"})}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", CONTEXT: encoded({"a": "x" * 8192})}, (400, "InvalidArgument")),
    ({SSE: "AES256", BUCKET_KEY: "true"}, (400, "InvalidArgument")),
    ({BUCKET_KEY: "true"}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", BUCKET_KEY: "yes"}, (400, "InvalidArgument")),
    ({SSE: "aws:kms", BUCKET_KEY: ""}, (400, "InvalidArgument")),
    ({SSE: "aws:kms:dsse", BUCKET_KEY: "yes"}, (400, "InvalidArgument")),
    ({f"{SSE}-of-tomorrow": "1"}, (501, "NotImplemented")),
    ({**CUSTOMER, SSE: "AES256"}, (400, "InvalidArgument")),
    ({**CUSTOMER, SSE: "aws:kms"}, (400, "InvalidArgument")),
    ({**CUSTOMER, SSE: "aws:kms:dsse"}, (400, "InvalidArgument")),
    ({**CUSTOMER, KEY_ID: "alias/any"}, (400, "InvalidArgument")),
    ({**CUSTOMER, CONTEXT: encoded({"a": "b"})}, (400, "InvalidArgument")),
    ({**CUSTOMER, BUCKET_KEY: "true"}, (400, "InvalidArgument")),
    ({**CUSTOMER, f"{SSE}-customer-algorithm": "AES"}, (400, "InvalidEncryptionAlgorithmError")),
    ({**CUSTOMER, f"{SSE}-customer-key": base64_of(b"short")}, (400, "InvalidArgument")),
    ({**CUSTOMER, f"{SSE}-customer-key-md5": base64_of(bytes(16))}, (400, "InvalidArgument")),
    ({f"{SSE}-customer-algorithm": "AES256"}, (400, "InvalidArgument")),
    ({f"{SSE}-customer-key": CUSTOMER_KEY}, (400, "InvalidArgument")),
]


@pytest.mark.parametrize(("headers", "expected"), REFUSED_WRITES)
def test_writes_refuse_what_is_wrong_or_not_served(
    s3: Any, raw: RawClient, shared_bucket: str, headers: dict[str, str], expected: Any
) -> None:
    s3.put_object(Bucket=shared_bucket, Key="source", Body=b"1")
    copy = {"x-amz-copy-source": f"{shared_bucket}/source"}
    presigned = raw.presign("PUT", f"/{shared_bucket}/refused?{urlencode(headers, quote_via=quote)}")
    fields = {**headers, "key": "refused"}
    form = {**fields, **sign(raw, {"bucket": shared_bucket}, *({name: value} for name, value in fields.items()))}
    answers = [
        raw.request("PUT", f"/{shared_bucket}/refused", headers, b"body"),
        raw.request("PUT", f"/{shared_bucket}/refused", {**headers, **copy}),
        raw.request("POST", f"/{shared_bucket}/refused?uploads", headers),
        raw.send("PUT", presigned, {"host": raw.host}, b"body"),
        post(raw, shared_bucket, form),
    ]
    # What stands before the file of a form is bounded, and the policy says the context again.
    of_form = (400, "MaxPostPreDataLengthExceeded") if len(headers.get(CONTEXT, "")) > 10_000 else expected
    assert [answer.refusal for answer in answers] == [*[expected] * 4, of_form]
    assert refusal(s3.head_object, Bucket=shared_bucket, Key="refused") == (404, "404")
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=shared_bucket, Prefix="refused")
    assert not any(CUSTOMER_KEY.encode() in answer.body for answer in answers), "a key is never repeated"


def test_a_header_that_comes_twice_with_two_values_chooses_neither(s3: Any, raw: RawClient, shared_bucket: str) -> None:
    """Two lines of one name are one list (RFC 9110 §5.3), which is no algorithm."""
    target = f"/{shared_bucket}/twice"
    for first, second in (("AES256", "aws:kms"), ("aws:kms", "AES256"), ("AES256", "AES256")):
        signed = raw.sign_body("PUT", target, {SSE: f"{first},{second}"}, b"body").headers
        both = head("PUT", target, {**signed, "content-length": "4"}).replace(
            f"{SSE}: {first},{second}\r\n".encode(), f"{SSE}: {first}\r\n{SSE}: {second}\r\n".encode()
        )
        with raw.connect() as connection:
            connection.send(both + b"body")
            assert connection.answer("PUT").refusal == (400, "InvalidArgument")
    assert refusal(s3.head_object, Bucket=shared_bucket, Key="twice") == (404, "404")


WORDS: list[tuple[dict[str, str], str]] = [
    (
        {**CUSTOMER, SSE: "AES256"},
        "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
    ),
    ({SSE: "rot13"}, "The encryption method specified is not supported"),
    (
        {KEY_ID: "alias/any"},
        "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
    ),
    (
        {f"{SSE}-customer-key": CUSTOMER_KEY},
        "Requests specifying Server Side Encryption with Customer provided keys must provide a valid encryption "
        "algorithm.",
    ),
]


@pytest.mark.parametrize(("headers", "message"), WORDS)
def test_what_is_wrong_is_told_in_the_words_of_s3(
    raw: RawClient, shared_bucket: str, headers: dict[str, str], message: str
) -> None:
    answer = raw.request("PUT", f"/{shared_bucket}/refused", headers, b"body")
    assert (answer.code, answer.message, answer.element("ArgumentName")) == ("InvalidArgument", message, SSE)
    assert answer.element("ArgumentValue") == headers.get(SSE, "null")


def test_taking_no_bucket_key_is_no_error(raw: RawClient, bucket: str) -> None:
    headers = {SSE: "aws:kms", f"{SSE}-bucket-key-enabled": "false"}
    answer = raw.request("PUT", f"/{bucket}/a", headers, b"body")
    assert answer.status == 200
    assert f"{SSE}-bucket-key-enabled" not in answer.headers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({SSE: "AES256"}, (400, "InvalidArgument")),
        ({SSE: "aws:kms"}, (400, "InvalidArgument")),
        ({KEY_ID: "alias/any"}, (400, "InvalidArgument")),
        (CUSTOMER, (400, "InvalidRequest")),
        ({f"{SSE}-customer-algorithm": "AES256", f"{SSE}-customer-key": CUSTOMER_KEY}, (403, "AccessDenied")),
    ],
)
def test_reads_refuse_encryption_headers(
    s3: Any, raw: RawClient, shared_bucket: str, method: str, headers: dict[str, str], expected: Any
) -> None:
    s3.put_object(Bucket=shared_bucket, Key="read", Body=b"1")
    answer = raw.request(method, f"/{shared_bucket}/read", headers)
    assert answer.refusal == (expected if method == "GET" else (expected[0], ""))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({SSE: "aws:kms"}, (200, "")),
        ({SSE: "AES256"}, (200, "")),
        ({SSE: "rot13"}, (400, "InvalidArgument")),
        (CUSTOMER, (400, "InvalidRequest")),
    ],
)
def test_parts_take_what_the_upload_was_begun_with(
    s3: Any, raw: RawClient, shared_bucket: str, kms_key: str, headers: dict[str, str], expected: Any
) -> None:
    """Clients repeat the headers of the upload on its parts and its completion; its own encryption holds."""
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
    upload_id = s3.create_multipart_upload(Bucket=shared_bucket, Key="parts", **asked)["UploadId"]
    answer = raw.request("PUT", f"/{shared_bucket}/parts?partNumber=1&uploadId={upload_id}", headers, b"body")
    assert answer.refusal == expected
    own = {SSE: "aws:kms", KEY_ID: kms_key}
    if answer.status == 200:
        assert encryption_of(answer) == own
    etag = s3.upload_part(Bucket=shared_bucket, Key="parts", UploadId=upload_id, PartNumber=1, Body=b"1")["ETag"]
    parts = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    document = f"{parts}</CompleteMultipartUpload>".encode()
    done = raw.request("POST", f"/{shared_bucket}/parts?uploadId={upload_id}", headers, document)
    assert done.refusal == expected
    if done.status == 200:
        assert encryption_of(done) == encryption_of(raw.request("HEAD", f"/{shared_bucket}/parts")) == own


STATES = [
    ("disable_key", "KMS.DisabledException", "{arn} is disabled."),
    ("schedule_key_deletion", "KMS.KMSInvalidStateException", "{arn} is pending deletion."),
]


@pytest.mark.parametrize(("operation", "code", "message"), STATES)
def test_a_key_that_cannot_be_used(s3: Any, kms: Any, bucket: str, operation: str, code: str, message: str) -> None:
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": arn}
    for key, size in (("small", 10), ("large", 300_000)):
        s3.put_object(Bucket=bucket, Key=key, Body=random_bytes(size), **asked)
    getattr(kms, operation)(KeyId=arn)
    expected = (400, code, message.format(arn=arn))
    for call, parameters in (
        (s3.get_object, {"Key": "small"}),
        (s3.get_object, {"Key": "large", "Range": "bytes=0-1"}),
        (s3.put_object, {"Key": "new", "Body": b"1", **asked}),
        (s3.create_multipart_upload, {"Key": "new", **asked}),
        (s3.copy_object, {"Key": "new", "CopySource": {"Bucket": bucket, "Key": "small"}}),
    ):
        error = error_of(call, Bucket=bucket, **parameters)
        got = error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]
        assert got == expected, parameters
    assert s3.head_object(Bucket=bucket, Key="large")["ContentLength"] == 300_000
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["large", "small"]


def test_an_unknown_key_is_told_in_the_words_of_the_kms(s3: Any, bucket: str) -> None:
    for key_id, message in (
        ("fake-key-id", "Invalid keyId 'fake-key-id'"),
        ("arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-000000000000", "Invalid arn eu-west-1"),
    ):
        asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id}
        error = error_of(s3.put_object, Bucket=bucket, Key="a", Body=b"1", **asked)["Error"]
        assert (error["Code"], error["Message"]) == ("KMS.NotFoundException", message)


def test_the_context_is_part_of_the_encryption(s3: Any, bucket: str, kms_key: str) -> None:
    """The same object again without its context, then with another: each is read with its own."""
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
    for context in ({}, {"a": "b"}, {"é": "ü", "empty": ""}):
        more = {"SSEKMSEncryptionContext": encoded(context)} if context else {}
        answer = s3.put_object(Bucket=bucket, Key="a", Body=b"1", **asked, **more)
        shown = answer.get("SSEKMSEncryptionContext")
        assert (json.loads(base64.b64decode(shown)) if shown else {}) == context
        assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"1"

"""Uploads from browser forms: forms signed by boto3, and forms that no SDK would sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.clients.access import EVERYONE, open_bucket, put_policy, statement
from tests.clients.checks import random_bytes, refusal
from tests.clients.raw import Answer, RawClient
from tests.clients.users import TestUser, allow, make_user
from tests.harness import REGION, Gateway

BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"
Fields = dict[str, str]


def encode_form(fields: Fields, data: bytes, filename: str = "photo.jpg", after: Fields | None = None) -> bytes:
    """A form as browsers write it: the fields, the file, and what a page has behind it."""

    def part(name: str, value: bytes, more: str = "") -> bytes:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        return head.encode() + value + b"\r\n"

    parts = [part(name, value.encode()) for name, value in fields.items()]
    parts.append(part("file", data, f'; filename="{filename}"\r\nContent-Type: application/octet-stream'))
    parts += [part(name, value.encode()) for name, value in (after or {}).items()]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def send(raw: RawClient, bucket: str, body: bytes, content_type: str | None = None, **headers: str) -> Answer:
    kind = f"multipart/form-data; boundary={BOUNDARY}" if content_type is None else content_type
    return raw.send("POST", f"/{bucket}", {"host": raw.host, "content-type": kind, **headers}, body)


def post(raw: RawClient, bucket: str, fields: Fields, data: bytes = b"data", **options: Any) -> Answer:
    return send(raw, bucket, encode_form(fields, data, **options))


def sign(
    raw: RawClient, *conditions: Any, expires: timedelta = timedelta(minutes=5), now: datetime | None = None
) -> Fields:
    """The fields that sign a policy with these conditions, by nothing of the gateway's."""
    moment = now or datetime.now(UTC)
    scope = f"{moment:%Y%m%d}/{REGION}/s3/aws4_request"
    signing = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{raw.access_key_id}/{scope}",
        "x-amz-date": f"{moment:%Y%m%dT%H%M%SZ}",
    }
    document = {
        "expiration": f"{moment + expires:%Y-%m-%dT%H:%M:%S.000Z}",
        "conditions": [*conditions, *({name: value} for name, value in signing.items())],
    }
    policy = base64.b64encode(json.dumps(document).encode()).decode()
    signature = hmac.new(raw.signing_key(scope), policy.encode(), hashlib.sha256).hexdigest()
    return {**signing, "policy": policy, "x-amz-signature": signature}


@pytest.fixture
def signed(raw: RawClient, bucket: str) -> Fields:
    """A form that may put any key into the bucket."""
    return {"key": "k", **sign(raw, {"bucket": bucket}, ["starts-with", "$key", ""])}


# With boto3's forms


def test_a_form_of_boto3_is_taken(s3: Any, gateway: Gateway, raw: RawClient, bucket: str) -> None:
    client = gateway.client("s3", signature_version="s3v4")
    form = client.generate_presigned_post(
        bucket,
        "user/${filename}",
        Fields={"acl": "private", "Content-Type": "image/jpeg", "x-amz-meta-colour": "blue"},
        Conditions=[
            {"acl": "private"},
            ["starts-with", "$Content-Type", "image/"],
            ["starts-with", "$x-amz-meta-colour", ""],
            ["content-length-range", 1, 1 << 20],
        ],
    )
    assert form["url"].endswith(f"/{bucket}")
    answer = post(
        raw, bucket, form["fields"], b"\x00picture\r\n", filename="C:\\Pictures\\x ü.jpg", after={"submit": "Go"}
    )
    assert (answer.status, answer.body) == (204, b"")
    found = s3.get_object(Bucket=bucket, Key="user/x ü.jpg")
    assert found["Body"].read() == b"\x00picture\r\n"
    assert (found["ContentType"], found["Metadata"]) == ("image/jpeg", {"colour": "blue"})
    assert answer.headers["etag"] == found["ETag"]
    assert answer.headers["location"] == f"{gateway.endpoint_url}/{bucket}/user/x%20%C3%BC.jpg"
    assert answer.headers["x-amz-server-side-encryption"] == "AES256"


@pytest.mark.parametrize("size", [0, 1, 65_536, 5_000_000])
def test_files_of_any_size(s3: Any, raw: RawClient, bucket: str, signed: Fields, size: int) -> None:
    data = random_bytes(size)
    assert post(raw, bucket, signed, data).status == 204
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


def test_under_a_kms_key(s3: Any, raw: RawClient, bucket: str, kms_key: str) -> None:
    chosen = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": kms_key}
    conditions = [{"bucket": bucket}, {"key": "k"}, *({name: value} for name, value in chosen.items())]
    answer = post(raw, bucket, {"key": "k", **chosen, **sign(raw, *conditions)})
    assert (answer.status, answer.headers["x-amz-server-side-encryption-aws-kms-key-id"]) == (204, kms_key)
    assert s3.head_object(Bucket=bucket, Key="k")["SSEKMSKeyId"] == kms_key


def test_versions(s3: Any, raw: RawClient, bucket: str, signed: Fields) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    versions = [post(raw, bucket, signed, data).headers["x-amz-version-id"] for data in (b"one", b"two")]
    bodies = [s3.get_object(Bucket=bucket, Key="k", VersionId=each)["Body"].read() for each in versions]
    assert bodies == [b"one", b"two"]


def test_tags_come_as_a_document(s3: Any, raw: RawClient, bucket: str) -> None:
    tags = "<Tagging><TagSet><Tag><Key>a b</Key><Value>1=2</Value></Tag></TagSet></Tagging>"
    fields = {"key": "k", "tagging": tags, **sign(raw, {"bucket": bucket}, {"key": "k"}, {"tagging": tags})}
    assert post(raw, bucket, fields).status == 204
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a b", "Value": "1=2"}]
    fields = {
        "key": "k",
        "tagging": "<Tagging",
        **sign(raw, {"bucket": bucket}, {"key": "k"}, ["starts-with", "$tagging", ""]),
    }
    assert post(raw, bucket, fields).refusal == (400, "MalformedXML")


def test_a_checksum_is_held_against_the_file(s3: Any, raw: RawClient, bucket: str) -> None:
    right = base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    for declared, data, expected in ((right, b"data", 204), (right, b"other", 400)):
        field = {"x-amz-checksum-sha256": declared}
        answer = post(raw, bucket, {"key": "k", **field, **sign(raw, {"bucket": bucket}, {"key": "k"}, field)}, data)
        assert answer.status == expected
    assert answer.code == "BadDigest"
    assert s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["ChecksumSHA256"] == right


# How a success is answered


@pytest.mark.parametrize(("asked", "status"), [("200", 200), ("204", 204), ("404", 204)])
def test_success_action_status(raw: RawClient, bucket: str, asked: str, status: int) -> None:
    fields = {"key": "k", "success_action_status": asked}
    fields |= sign(raw, {"bucket": bucket}, {"key": "k"}, {"success_action_status": asked})
    answer = post(raw, bucket, fields)
    assert (answer.status, answer.body) == (status, b"")


def test_success_action_status_201_is_a_document(gateway: Gateway, raw: RawClient, bucket: str) -> None:
    fields = {"key": "a/b", "success_action_status": "201"}
    answer = post(raw, bucket, fields | sign(raw, {"bucket": bucket}, {"key": "a/b"}, {"success_action_status": "201"}))
    assert (answer.status, answer.headers["content-type"]) == (201, "application/xml")
    document = ElementTree.fromstring(answer.body)
    assert {child.tag: child.text for child in document} == {
        "Location": f"{gateway.endpoint_url}/{bucket}/a/b",
        "Bucket": bucket,
        "Key": "a/b",
        "ETag": answer.headers["etag"],
    }
    assert document.tag == "PostResponse"


def test_success_action_redirect(raw: RawClient, bucket: str) -> None:
    url = "http://localhost/done?x=1"
    fields = {"key": "k", "success_action_redirect": url}
    answer = post(raw, bucket, fields | sign(raw, {"bucket": bucket}, {"key": "k"}, {"success_action_redirect": url}))
    etag = answer.headers["etag"].strip('"')
    assert answer.status == 303
    assert answer.headers["location"] == f"{url}&bucket={bucket}&key=k&etag=%22{etag}%22"


# What the policy forbids


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ([{"key": "other"}], 'Policy Condition failed: ["eq", "$key", "other"]'),
        ([["starts-with", "$key", "user/"]], 'Policy Condition failed: ["starts-with", "$key", "user/"]'),
        ([{"key": "k"}, {"acl": "private"}], 'Policy Condition failed: ["eq", "$acl", "private"]'),
        ([{"key": "k"}, {"bucket": "another"}], 'Policy Condition failed: ["eq", "$bucket", "another"]'),
        ([], "Extra input fields: key"),
    ],
)
def test_a_form_that_its_policy_does_not_allow(
    s3: Any, raw: RawClient, bucket: str, conditions: list[Any], message: str
) -> None:
    answer = post(raw, bucket, {"key": "k", **sign(raw, {"bucket": bucket}, *conditions)})
    assert answer.refusal == (403, "AccessDenied")
    assert answer.message.replace("&quot;", '"') == f"Invalid according to Policy: {message}"
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_a_policy_that_expired(raw: RawClient, bucket: str) -> None:
    fields = sign(raw, {"bucket": bucket}, {"key": "k"}, expires=timedelta(minutes=-1))
    answer = post(raw, bucket, {"key": "k", **fields})
    assert answer.refusal == (403, "AccessDenied")
    assert answer.message == "Invalid according to Policy: Policy expired."


@pytest.mark.parametrize(
    ("size", "code"),
    [(9, "EntityTooSmall"), (10, None), (100_000, None), (100_001, "EntityTooLarge"), (300_000, "EntityTooLarge")],
)
def test_the_length_of_the_file(s3: Any, raw: RawClient, bucket: str, size: int, code: str | None) -> None:
    fields = sign(raw, {"bucket": bucket}, {"key": "k"}, ["content-length-range", 10, 100_000])
    answer = post(raw, bucket, {"key": "k", **fields}, b"x" * size)
    if code is None:
        assert answer.status == 204
    else:
        assert answer.refusal == (400, code)
        bound = ("MinSizeAllowed", "10") if code == "EntityTooSmall" else ("MaxSizeAllowed", "100000")
        assert answer.element(bound[0]) == bound[1]
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


# Who signed it


def test_a_changed_policy_or_signature(raw: RawClient, bucket: str, signed: Fields) -> None:
    wider = sign(raw, {"bucket": bucket}, ["starts-with", "$key", ""], expires=timedelta(days=9))["policy"]
    for field, value in (("policy", wider), ("x-amz-signature", "0" * 64), ("x-amz-signature", "ü")):
        assert post(raw, bucket, {**signed, field: value}).refusal == (403, "SignatureDoesNotMatch")


def test_an_unknown_access_key(raw: RawClient, gateway: Gateway, bucket: str) -> None:
    unknown = RawClient(gateway, "AKIAUNKNOWNUNKNOWN00", "secret")
    answer = post(raw, bucket, {"key": "k", **sign(unknown, {"bucket": bucket}, {"key": "k"})})
    assert answer.refusal == (403, "InvalidAccessKeyId")


@pytest.mark.parametrize("missing", ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"])
def test_a_signature_without_one_of_its_fields(raw: RawClient, bucket: str, signed: Fields, missing: str) -> None:
    answer = post(raw, bucket, {name: value for name, value in signed.items() if name != missing})
    assert answer.refusal == (400, "InvalidArgument")
    assert answer.element("ArgumentName") == missing


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("x-amz-algorithm", "AWS4-HMAC-SHA1"),
        ("x-amz-credential", "nonsense"),
        ("x-amz-credential", "AKIA/20260101/eu-north-1/s3/aws4_request"),
        ("x-amz-date", "yesterday"),
        ("x-amz-date", "20200101T000000Z"),
    ],
)
def test_a_malformed_signature(raw: RawClient, bucket: str, signed: Fields, field: str, value: str) -> None:
    answer = post(raw, bucket, {**signed, field: value})
    assert (*answer.refusal, answer.element("ArgumentName")) == (400, "InvalidArgument", field)


def test_version_2_is_refused_clearly(raw: RawClient, bucket: str) -> None:
    answer = post(raw, bucket, {"key": "k", "AWSAccessKeyId": raw.access_key_id, "signature": "x", "policy": "e30="})
    assert answer.code in ("InvalidPolicyDocument", "InvalidRequest")
    policy = sign(raw, {"bucket": bucket})["policy"]
    answer = post(raw, bucket, {"key": "k", "AWSAccessKeyId": raw.access_key_id, "signature": "x", "policy": policy})
    assert answer.refusal == (400, "InvalidRequest")
    assert "AWS4-HMAC-SHA256" in answer.message


def test_a_form_with_a_signed_header_besides(raw: RawClient, bucket: str, signed: Fields) -> None:
    body = encode_form(signed, b"data")
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    headers = raw.sign_body("POST", f"/{bucket}", {"content-type": kind}, body).headers
    assert raw.send("POST", f"/{bucket}", headers, body).refusal == (400, "InvalidArgument")


def test_the_signer_needs_the_right_to_put(gateway: Gateway, raw: RawClient, bucket: str) -> None:
    user: TestUser = make_user(gateway)
    signer = RawClient(gateway, user.access_key_id, user.secret_access_key)
    fields = {"key": "k", **sign(signer, {"bucket": bucket}, {"key": "k"})}
    assert post(raw, bucket, fields).refusal == (403, "AccessDenied")
    user.put_policy(allow("s3:PutObject", on=f"arn:aws:s3:::{bucket}/k"))
    assert post(raw, bucket, fields).status == 204


def test_nobody_signed(s3: Any, raw: RawClient, bucket: str) -> None:
    assert post(raw, bucket, {"key": "k"}).refusal == (403, "AccessDenied")
    opened = open_bucket(s3)
    put_policy(s3, opened, statement("Allow", EVERYONE, "s3:PutObject", on=f"{opened}/drop/*"))
    assert post(raw, opened, {"key": "drop/${filename}"}).status == 204
    assert s3.get_object(Bucket=opened, Key="drop/photo.jpg")["Body"].read() == b"data"
    assert post(raw, opened, {"key": "elsewhere"}).refusal == (403, "AccessDenied")


# What is no form


def test_another_content_type(raw: RawClient, bucket: str) -> None:
    answer = send(raw, bucket, b"key=k&file=data", "application/x-www-form-urlencoded")
    assert answer.refusal == (412, "PreconditionFailed")
    assert answer.element("Condition") == "Bucket POST must be of the enclosure-type multipart/form-data"


@pytest.mark.parametrize("body", [b"", b"no form", encode_form({"key": "k"}, b"data")[:200]])
def test_a_broken_form(raw: RawClient, bucket: str, body: bytes) -> None:
    assert send(raw, bucket, body).refusal == (400, "MalformedPOSTRequest")


def test_a_form_without_a_key(raw: RawClient, bucket: str) -> None:
    answer = post(raw, bucket, sign(raw, {"bucket": bucket}))
    assert (*answer.refusal, answer.element("ArgumentName")) == (400, "InvalidArgument", "key")


def test_a_key_that_is_too_long(raw: RawClient, bucket: str, signed: Fields) -> None:
    assert post(raw, bucket, {**signed, "key": "k" * 1025}).refusal == (400, "KeyTooLongError")


def test_fields_that_are_too_long(raw: RawClient, bucket: str, signed: Fields) -> None:
    answer = post(raw, bucket, {**signed, "x-ignore-me": "x" * 20_480})
    assert answer.refusal == (400, "MaxPostPreDataLengthExceeded")


def test_a_bucket_that_does_not_exist(raw: RawClient) -> None:
    fields = {"key": "k", **sign(raw, ["starts-with", "$key", ""], ["starts-with", "$bucket", ""])}
    assert post(raw, "no-such-bucket-here", fields).refusal == (404, "NoSuchBucket")


def test_what_is_not_served_is_refused(s3: Any, raw: RawClient, bucket: str) -> None:
    field = {"x-amz-object-lock-mode": "GOVERNANCE"}
    answer = post(raw, bucket, {"key": "k", **field, **sign(raw, {"bucket": bucket}, {"key": "k"}, field)})
    assert answer.refusal == (501, "NotImplemented")
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == (404, "404")


def test_a_form_that_ends_early_stores_nothing(s3: Any, raw: RawClient, bucket: str, signed: Fields) -> None:
    body = encode_form(signed, random_bytes(300_000))
    with raw.connect() as connection:
        head = f"POST /{bucket} HTTP/1.1\r\nhost: {raw.host}\r\ncontent-length: {len(body)}\r\n"
        connection.send(
            f"{head}content-type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode() + body[:200_000]
        )
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)

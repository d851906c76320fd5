"""Every parameter and header of every served operation with odd values, rightly signed: refused or served, no fault."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

import botocore.session
import pytest

from gateway.operations.rows import SERVED
from gateway.operations.table import Target
from gateway.protocol.errors import CATALOGUE
from tests.clients.checks import base64_of
from tests.clients.raw import Session

ODD = [
    "", " ", "0", "1", "-1", "00", "1.5", "1e9", "9" * 25, "2147483648", "null", "true", "*", '"', '""', "'", "/", "//",
    "..", "?", "&", "=", "%", "%00", "%zz", "a,b", ",", ";", ":", "<>&", "]]>", "é", "\u2028", "😀", "\x01", "\x7f",
    "\t", "x" * 1500, "bytes=0-", "bytes=-1", "AAAA", "AAAA====", "=?UTF-8?B?w6k=?=", "Wed, 02 Jan 2030 00:00:00 GMT",
    "2030-01-01T00:00:00Z", "Thu, 32 Foo 99999 25:61:61 GMT", "arn:aws:s3:::x", "arn:aws:kms:us-east-1:1:key/x",
    "AES256", "aws:kms", "aws:kms:dsse", "STANDARD", "SHA256", "COMPOSITE", "REPLACE", "url", "e30=", "W10=",
]  # fmt: skip

STEP = 4
"""Each member gets every fourth of them, neighbours different ones."""

MODEL = botocore.session.get_session().get_service_model("s3")
OPERATIONS = {row.name: row for row in SERVED if row.name in MODEL.operation_names}
"""What is served and in the model: all but forms, which `test_post_object` has."""

FOR_ALL = ["if-match", "range", "x-amz-request-payer", "x-amz-server-side-encryption"]
FOR_BODIES = ["content-type", "content-encoding", "x-amz-trailer", "x-amz-decoded-content-length"]
"""Headers that the model does not give the operations to which they come along."""

KEYS = {"CopyObject": "copy", "DeleteObject": "absent", "RenameObject": "renamed", "CreateBucket": ""}
UPLOADED = "upload"
CONSUMING = {"AbortMultipartUpload", "CompleteMultipartUpload", "RenameObject"}
"""After one success nothing is left for the next request to do, unless it is made anew."""

POLICY = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::{0}/*"}
BODIES = {
    "CompleteMultipartUpload": "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    "</CompleteMultipartUpload>",
    "DeleteObjects": "<Delete><Object><Key>x</Key></Object></Delete>",
    "PutBucketAbac": "<AbacStatus><Status>Disabled</Status></AbacStatus>",
    "PutBucketAccelerateConfiguration": "<AccelerateConfiguration><Status>Enabled</Status></AccelerateConfiguration>",
    "PutBucketCors": "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"
    "</CORSRule></CORSConfiguration>",
    "PutBucketEncryption": "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>"
    "<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>"
    "</ServerSideEncryptionConfiguration>",
    "PutBucketLifecycleConfiguration": "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration>"
    "<Days>9</Days></Expiration></Rule></LifecycleConfiguration>",
    "PutBucketLogging": "<BucketLoggingStatus/>",
    "PutBucketNotificationConfiguration": "<NotificationConfiguration/>",
    "PutBucketOwnershipControls": "<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>"
    "</OwnershipControls>",
    "PutBucketPolicy": json.dumps({"Version": "2012-10-17", "Statement": [POLICY]}),
    "PutBucketRequestPayment": "<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>",
    "PutBucketTagging": "<Tagging><TagSet/></Tagging>",
    "PutBucketVersioning": "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    "PutObject": "body",
    "PutObjectTagging": "<Tagging><TagSet/></Tagging>",
    "UpdateObjectEncryption": (
        "<ObjectEncryption><SSE-KMS><KMSKeyArn>arn:aws:kms:us-east-1:123456789012:key/of-another-account</KMSKeyArn>"
        "</SSE-KMS></ObjectEncryption>"
    ),
    "PutPublicAccessBlock": "<PublicAccessBlockConfiguration/>",
    "RestoreObject": "<RestoreRequest><Days>1</Days></RestoreRequest>",
    "UploadPart": "body",
}
"""Right ones. Where there is none the body is empty."""

Right = dict[str, str]


def members(name: str) -> tuple[list[str], list[str]]:
    """The parameters and the headers that the model gives an operation, and headers that it does not."""
    shape = MODEL.operation_model(name).input_shape
    parameters, headers = [], [*FOR_ALL, *(FOR_BODIES if name in BODIES else ())]
    for member in shape.members.values() if shape else ():
        called = member.serialization.get("name", "")
        if member.serialization.get("location") == "querystring":
            parameters.append(called)
        elif member.serialization.get("location") in ("header", "headers"):
            headers.append(called.lower() + ("a" if called.endswith("-") else ""))
    return parameters, list(dict.fromkeys(headers))


def right_values(s3: Any, name: str, bucket: str) -> Right:
    """What each operation needs, with a new upload and a new source of a renaming."""
    upload = {"Bucket": bucket, "Key": UPLOADED}
    upload_id = s3.create_multipart_upload(**upload)["UploadId"] if "uploadId" in members(name)[0] else ""
    right = {
        "uploadId": upload_id,
        "partNumber": "1",
        "id": "one",
        "x-amz-acl": "private",
        "x-amz-object-attributes": "ETag",
    }
    if "Copy" in name:
        right["x-amz-copy-source"] = f"{bucket}/k"
    if name == "RenameObject":
        s3.put_object(Bucket=bucket, Key="r", Body=b"renamed")
        right["x-amz-rename-source"] = f"{bucket}/r"
    if name == "CompleteMultipartUpload":
        right["etag"] = s3.upload_part(**upload, UploadId=upload_id, PartNumber=1, Body=b"part")["ETag"]
    return right


def request(name: str, bucket: str, right: Right, odd: str = "", value: str = "") -> tuple[str, str, Right, bytes]:
    """Method, target, headers, body: right, but for the member `odd`."""
    row, (parameters, headers) = OPERATIONS[name], members(name)
    body = BODIES.get(name, "").replace("{0}", bucket).replace("{etag}", right.get("etag", "")).encode()
    given = {**right, "content-md5": base64_of(hashlib.md5(body, usedforsecurity=False).digest())}
    if odd.startswith("x-amz-grant-"):
        del given["x-amz-acl"]
    if odd:
        given[odd] = value
    needed = [member for member in ("uploadId", "partNumber", "id") if member in parameters and member in row.query]
    needed += [odd] if odd in parameters else []
    query = [f"{member}={quote(given[member], safe='')}" for member in dict.fromkeys(needed)]
    own = [item for item in row.query if item not in needed]
    target = "/" if row.target is Target.SERVICE else f"/{bucket}"
    if row.target is Target.OBJECT:
        target += "/" + (UPLOADED if "uploadId" in parameters else KEYS.get(name, "k"))
    if name == "CreateBucket":
        target += "-made"
    asked = "&".join([*own, *query])
    wanted = {*headers, "content-md5"} if body else headers
    if name in ("PutObject", "CreateMultipartUpload", "CopyObject", "CreateBucket") and odd != "x-amz-acl":
        given.pop("x-amz-acl", None)
    kept = {member: given[member] for member in wanted if member in given}
    return row.method, f"{target}?{asked}" if asked else target, kept, body


ANSWERED = {
    "DeleteBucket": (409, "BucketNotEmpty"),
    "GetObjectLegalHold": (400, "InvalidRequest"),
    "GetObjectRetention": (400, "InvalidRequest"),
    "RestoreObject": (403, "InvalidObjectState"),
    "SelectObjectContent": (405, "MethodNotAllowed"),
    "UpdateObjectEncryption": (403, "AccessDenied"),
}
"""What refuses even a right request; all others answer it, or say that there is no such configuration."""


@pytest.mark.parametrize("name", OPERATIONS)
def test_s3(session: Session, s3: Any, bucket: str, name: str) -> None:
    """Every member of every served operation: served or refused by an error of the catalogue, with its status."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    s3.delete_public_access_block(Bucket=bucket)
    if name != "RenameObject":  # which there is in buckets without ACLs alone
        writer = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=writer)
    plain = session.ask(*request(name, bucket, right_values(s3, name, bucket)))
    assert plain.refusal == ANSWERED[name] if name in ANSWERED else plain.status in (200, 204, 404), plain.refusal
    right, faults = right_values(s3, name, bucket), []
    parameters, headers = members(name)
    for place, odd in enumerate([*parameters, *headers]):
        for value in ODD[place % STEP :: STEP]:
            asked = request(name, bucket, right, odd, value)
            answer = session.ask(*asked)
            if answer.status >= 300 and answer.body and CATALOGUE.get(answer.code, (0,))[0] != answer.status:
                faults.append((answer.refusal, asked))
            if answer.status >= 500 and answer.status != 501:
                faults.append((answer.refusal, asked))
            if answer.status < 300 and name in CONSUMING:
                right = right_values(s3, name, bucket)
    assert faults == []
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


KEY_OPERATIONS: dict[str, dict[str, Any]] = {
    "CreateKey": {"Description": "", "KeySpec": "x", "KeyUsage": "x", "Origin": "x", "Tags": [], "MultiRegion": False},
    "DescribeKey": {"KeyId": "k", "GrantTokens": []},
    "ListKeys": {"Limit": 1, "Marker": "m"},
    "CreateAlias": {"AliasName": "alias/never", "TargetKeyId": "k"},
    "UpdateAlias": {"AliasName": "alias/never", "TargetKeyId": "k"},
    "DeleteAlias": {"AliasName": "alias/never"},
    "ListAliases": {"KeyId": "k", "Limit": 1, "Marker": "m"},
    "EnableKey": {"KeyId": "k"},
    "DisableKey": {"KeyId": "k"},
    "ScheduleKeyDeletion": {"KeyId": "k", "PendingWindowInDays": 7},
    "CancelKeyDeletion": {"KeyId": "k"},
    "Encrypt": {"KeyId": "{key}", "Plaintext": "AAAA", "EncryptionContext": {"a": "b"}, "EncryptionAlgorithm": "x"},
    "Decrypt": {"CiphertextBlob": "AAAA", "KeyId": "k", "EncryptionContext": {"a": "b"}, "DryRun": True},
    "ReEncrypt": {"CiphertextBlob": "AAAA", "DestinationKeyId": "k", "SourceEncryptionContext": {}},
    "GenerateDataKey": {"KeyId": "{key}", "KeySpec": "AES_256", "NumberOfBytes": 1, "EncryptionContext": {}},
    "GenerateDataKeyWithoutPlaintext": {"KeyId": "{key}", "KeySpec": "AES_256", "NumberOfBytes": 1},
    "GenerateRandom": {"NumberOfBytes": 1, "CustomKeyStoreId": "x"},
}
ODD_JSON: list[Any] = [
    *ODD, None, True, 0, 1, -1, 1.5, 1e308, 2**31, 2**63, 2**64, 10**30, [], [[]], ["a"], {}, {"a": {}}, {"a": None},
    {"": ""}, {"a": "x" * 10_000}, "\ud800", "A" * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("name", KEY_OPERATIONS)
def test_kms(session: Session, kms_key: str, name: str) -> None:
    members = {member: kms_key if value == "{key}" else value for member, value in KEY_OPERATIONS[name].items()}
    headers = {"x-amz-target": f"TrentService.{name}", "content-type": "application/x-amz-json-1.1"}
    faults = []
    for member in members:
        for value in ODD_JSON:
            body = json.dumps({**members, member: value}).encode()
            answer = session.ask("POST", "/", headers, body, service="kms")
            if answer.status >= 500:
                faults.append((answer.refusal, body))
    assert faults == []

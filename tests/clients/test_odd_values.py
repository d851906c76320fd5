"""Every parameter and header of every served operation with odd values, rightly signed: refused or served, no fault."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.clients.checks import base64_of
from tests.clients.raw import Session

ODD = [
    "", " ", "0", "1", "-1", "00", "1.5", "1e9", "9" * 25, "2147483648", "null", "true", "*", '"', '""', "'", "/", "//",
    "..", "?", "&", "=", "%", "%00", "%zz", "a,b", ",", ";", ":", "<>&", "]]>", "é", "\u2028", "😀", "\x01", "\x7f",
    "\t", "x" * 1500, "bytes=0-", "bytes=-1", "AAAA", "AAAA====", "=?UTF-8?B?w6k=?=", "Wed, 02 Jan 2030 00:00:00 GMT",
    "2030-01-01T00:00:00Z", "Thu, 32 Foo 99999 25:61:61 GMT", "arn:aws:s3:::x", "arn:aws:kms:us-east-1:1:key/x",
    "AES256", "aws:kms", "STANDARD", "SHA256", "COMPOSITE", "REPLACE", "url", "e30=", "W10=",
]  # fmt: skip

STEP = 4
"""Each member gets every fourth of them, neighbours different ones; all of them found nothing more."""

COMMON = [
    "x-amz-expected-bucket-owner", "x-amz-request-payer", "content-md5", "content-type", "if-match", "if-none-match",
    "x-amz-checksum-crc32", "x-amz-checksum-sha256", "x-amz-checksum-algorithm", "x-amz-sdk-checksum-algorithm",
    "x-amz-trailer", "x-amz-server-side-encryption", "x-amz-server-side-encryption-context",
    "x-amz-server-side-encryption-aws-kms-key-id",
]  # fmt: skip
WRITING = [
    "cache-control", "content-encoding", "expires", "x-amz-meta-a", "x-amz-storage-class", "x-amz-acl", "x-amz-tagging",
    "x-amz-website-redirect-location", "x-amz-checksum-type", "x-amz-mp-object-size", "x-amz-decoded-content-length",
]  # fmt: skip
READING = ["range", "if-range", "if-modified-since", "if-unmodified-since", "x-amz-checksum-mode"]
COPYING = [
    "x-amz-metadata-directive",
    "x-amz-tagging-directive",
    "x-amz-copy-source-if-match",
    "x-amz-copy-source-if-modified-since",
]
OVERRIDES = ["response-content-type", "response-expires"]
LISTING = ["prefix", "delimiter", "max-keys", "encoding-type"]

OPERATIONS: dict[str, tuple[str, str, list[str], list[str], bytes]] = {
    "ListBuckets": ("GET", "/", ["prefix", "continuation-token", "max-buckets", "bucket-region"], COMMON, b""),
    "HeadBucket": ("HEAD", "/{0}", [], COMMON, b""),
    "GetBucketLocation": ("GET", "/{0}?location", ["location"], COMMON, b""),
    "GetBucketEncryption": ("GET", "/{0}?encryption", [], COMMON, b""),
    "ListObjects": ("GET", "/{0}", [*LISTING, "marker"], COMMON, b""),
    "ListObjectsV2": (
        "GET", "/{0}?list-type=2", [*LISTING, "start-after", "continuation-token", "fetch-owner"], COMMON, b"",
    ),
    "ListMultipartUploads": ("GET", "/{0}?uploads", [*LISTING, "key-marker", "upload-id-marker"], [], b""),
    "GetObject": ("GET", "/{0}/k", ["versionId", "partNumber", *OVERRIDES], [*COMMON, *READING], b""),
    "HeadObject": ("HEAD", "/{0}/k", ["versionId", "partNumber", *OVERRIDES], [*COMMON, *READING], b""),
    "PutObject": ("PUT", "/{0}/k", ["versionId"], [*COMMON, *WRITING], b"body"),
    "CopyObject": ("PUT", "/{0}/copy", [], [*COMMON, *WRITING, *COPYING, "x-amz-copy-source"], b""),
    "DeleteObject": ("DELETE", "/{0}/absent", ["versionId"], COMMON, b""),
    "CreateMultipartUpload": ("POST", "/{0}/m?uploads", [], [*COMMON, *WRITING], b""),
    "UploadPart": ("PUT", "/{0}/k", ["partNumber", "uploadId"], COMMON, b"body"),
    "ListParts": ("GET", "/{0}/k", ["uploadId", "max-parts", "part-number-marker"], COMMON, b""),
    "AbortMultipartUpload": ("DELETE", "/{0}/k", ["uploadId"], COMMON, b""),
    "GetObjectTagging": ("GET", "/{0}/k?tagging", ["versionId"], COMMON, b""),
    "PutObjectTagging": ("PUT", "/{0}/k?tagging", ["versionId"], COMMON, b"<Tagging><TagSet/></Tagging>"),
    "DeleteObjectTagging": ("DELETE", "/{0}/k?tagging", ["versionId"], COMMON, b""),
    "GetBucketTagging": ("GET", "/{0}?tagging", [], COMMON, b""),
    "DeleteObjects": (
        "POST", "/{0}?delete", ["delete"], COMMON, b"<Delete><Object><Key>x</Key></Object></Delete>",
    ),
}  # fmt: skip
"""Method, target, parameters, headers, body."""


def requests(name: str, bucket: str, upload_id: str) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """One request for each odd value; what the operation needs besides is right."""
    method, target, parameters, headers, body = OPERATIONS[name]
    right = {
        "uploadId": upload_id,
        "partNumber": "1",
        "x-amz-copy-source": f"{bucket}/k",
        "content-md5": base64_of(hashlib.md5(body, usedforsecurity=False).digest()),
    }
    for place, odd in enumerate([*parameters, *headers]):
        for value in ODD[place % STEP :: STEP]:
            given = {**right, odd: value}
            query = [f"{member}={quote(given[member], safe='')}" for member in parameters if member in given]
            path = target.format(bucket)
            full = path + (("&" if "?" in path else "?") + "&".join(query) if query else "")
            yield method, full, {member: given[member] for member in headers if member in given}, body


@pytest.mark.parametrize("name", OPERATIONS)
def test_s3(session: Session, s3: Any, bucket: str, name: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"body")
    upload_id = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    faults = []
    for method, target, headers, body in requests(name, bucket, upload_id):
        answer = session.ask(method, target, headers, body)
        if answer.status >= 500 and answer.status != 501:
            faults.append((answer.refusal, method, target, headers))
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

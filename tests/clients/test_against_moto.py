"""The same calls to the gateway and to moto, a widely used stand-in for AWS: status, error code and telling fields.

Where the two differ and AWS's documentation is with us, the case is listed with its reason, and must go on differing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.harness import REGION, Gateway, clean_environment, wait_until

Calls = list[tuple[str, dict[str, Any]]]

MIB = 1 << 20
BODY = {"Body": b"0123456789"}

S3_CASES: dict[str, Calls] = {
    "put and get": [("put_object", {"Key": "k", **BODY}), ("get_object", {"Key": "k"}), ("head_object", {"Key": "k"})],
    "put with headers": [
        (
            "put_object",
            {"Key": "k", **BODY, "ContentType": "text/x", "CacheControl": "no-cache", "Metadata": {"a": "b"}},
        ),
        ("head_object", {"Key": "k"}),
    ],
    "get what is not there": [("get_object", {"Key": "k"}), ("head_object", {"Key": "k"})],
    "delete twice": [
        ("put_object", {"Key": "k", **BODY}),
        ("delete_object", {"Key": "k"}),
        ("delete_object", {"Key": "k"}),
        ("get_object", {"Key": "k"}),
    ],
    "ranges": [
        ("put_object", {"Key": "k", **BODY}),
        *(("get_object", {"Key": "k", "Range": f"bytes={asked}"}) for asked in ("0-0", "2-5", "5-", "-3", "5-99")),
        ("get_object", {"Key": "k", "Range": "bytes=10-"}),
        ("get_object", {"Key": "k", "Range": "bytes=5-2"}),
    ],
    "conditions": [
        ("put_object", {"Key": "k", **BODY}),
        ("get_object", {"Key": "k", "IfMatch": "$ETag"}),
        ("get_object", {"Key": "k", "IfMatch": '"x"'}),
        ("get_object", {"Key": "k", "IfNoneMatch": "$ETag"}),
        ("get_object", {"Key": "k", "IfNoneMatch": '"x"'}),
        ("put_object", {"Key": "k", "IfNoneMatch": "*", **BODY}),
        ("put_object", {"Key": "new", "IfNoneMatch": "*", **BODY}),
    ],
    "create a bucket again": [("create_bucket", {})],
    "delete a bucket": [("delete_bucket", {}), ("head_bucket", {}), ("delete_bucket", {}), ("list_objects_v2", {})],
    "delete a bucket with objects": [("put_object", {"Key": "k", **BODY}), ("delete_bucket", {})],
    "location": [("get_bucket_location", {}), ("head_bucket", {})],
    "encryption": [
        ("get_bucket_encryption", {}),
        (
            "put_bucket_encryption",
            {
                "ServerSideEncryptionConfiguration": {
                    "Rules": [
                        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}}
                    ]
                }
            },
        ),
        ("get_bucket_encryption", {}),
        ("delete_bucket_encryption", {}),
    ],
    "listing": [
        *(("put_object", {"Key": key, **BODY}) for key in ("a", "a/1", "a/2", "b c", "b+d", "é/x", "z")),
        ("list_objects_v2", {}),
        ("list_objects_v2", {"Prefix": "a"}),
        ("list_objects_v2", {"Delimiter": "/"}),
        ("list_objects_v2", {"Prefix": "a/", "Delimiter": "/"}),
        ("list_objects_v2", {"StartAfter": "a/1"}),
        ("list_objects_v2", {"MaxKeys": 2}),
        ("list_objects", {}),
        ("list_objects", {"Marker": "a/2"}),
        ("list_objects", {"Delimiter": "/", "Prefix": "é"}),
    ],
    "delete many": [
        ("put_object", {"Key": "a", **BODY}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "a"}, {"Key": "absent"}]}}),
        ("delete_objects", {"Delete": {"Objects": [{"Key": "a"}], "Quiet": True}}),
        ("list_objects_v2", {}),
    ],
    "copy": [
        ("put_object", {"Key": "k", **BODY, "Metadata": {"a": "b"}, "ContentType": "text/x"}),
        ("copy_object", {"Key": "copy", "CopySource": "$Bucket/k"}),
        ("head_object", {"Key": "copy"}),
        ("copy_object", {"Key": "k", "CopySource": "$Bucket/k"}),
        ("copy_object", {"Key": "other", "CopySource": "$Bucket/k", "MetadataDirective": "REPLACE", "Metadata": {}}),
        ("head_object", {"Key": "other"}),
        ("copy_object", {"Key": "none", "CopySource": "$Bucket/absent"}),
        ("copy_object", {"Key": "none", "CopySource": "never-created-anywhere/k"}),
    ],
    "multipart": [
        ("create_multipart_upload", {"Key": "k"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 1, "Body": b"x" * (5 * MIB)}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 2, "Body": b"tail"}),
        ("list_parts", {"Key": "k", "UploadId": "$UploadId"}),
        ("list_multipart_uploads", {}),
        ("complete_multipart_upload", {"Key": "k", "UploadId": "$UploadId", "MultipartUpload": {"Parts": "$Parts"}}),
        ("head_object", {"Key": "k"}),
        ("get_object", {"Key": "k", "Range": f"bytes={5 * MIB - 2}-{5 * MIB + 1}"}),
        ("list_multipart_uploads", {}),
    ],
    "multipart gone wrong": [
        ("create_multipart_upload", {"Key": "k"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 1, "Body": b"small"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 2, "Body": b"tail"}),
        ("complete_multipart_upload", {"Key": "k", "UploadId": "$UploadId", "MultipartUpload": {"Parts": "$Parts"}}),
        (
            "complete_multipart_upload",
            {"Key": "k", "UploadId": "$UploadId", "MultipartUpload": {"Parts": [{"PartNumber": 9, "ETag": '"x"'}]}},
        ),
        ("abort_multipart_upload", {"Key": "k", "UploadId": "$UploadId"}),
        ("abort_multipart_upload", {"Key": "k", "UploadId": "$UploadId"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 1, "Body": b"late"}),
        ("list_parts", {"Key": "k", "UploadId": "$UploadId"}),
    ],
    "part numbers out of range": [
        ("create_multipart_upload", {"Key": "k"}),
        ("upload_part", {"Key": "k", "UploadId": "$UploadId", "PartNumber": 10_001, "Body": b"x"}),
    ],
    "checksums": [
        ("put_object", {"Key": "k", **BODY, "ChecksumAlgorithm": "SHA256"}),
        ("head_object", {"Key": "k", "ChecksumMode": "ENABLED"}),
    ],
    "content-md5": [
        ("put_object", {"Key": "k", **BODY, "ContentMD5": "eB5eJF1ptWaXm4bijSPyxw=="}),
        ("put_object", {"Key": "k", **BODY, "ContentMD5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        ("put_object", {"Key": "k", **BODY, "ContentMD5": "nonsense"}),
    ],
    "object tags": [
        ("put_object", {"Key": "k", **BODY, "Tagging": "a=1&b=2"}),
        ("get_object_tagging", {"Key": "k"}),
        ("head_object", {"Key": "k"}),
        (
            "put_object_tagging",
            {"Key": "k", "Tagging": {"TagSet": [{"Key": "z", "Value": ""}, {"Key": "c", "Value": "d"}]}},
        ),
        ("get_object_tagging", {"Key": "k"}),
        ("get_object", {"Key": "k"}),
        ("copy_object", {"Key": "copy", "CopySource": "$Bucket/k"}),
        ("get_object_tagging", {"Key": "copy"}),
        ("copy_object", {"Key": "other", "CopySource": "$Bucket/k", "TaggingDirective": "REPLACE", "Tagging": "x=y"}),
        ("get_object_tagging", {"Key": "other"}),
        ("delete_object_tagging", {"Key": "k"}),
        ("get_object_tagging", {"Key": "k"}),
        ("get_object_tagging", {"Key": "absent"}),
        ("put_object_tagging", {"Key": "absent", "Tagging": {"TagSet": []}}),
        ("delete_object_tagging", {"Key": "absent"}),
    ],
    "object tags that are none": [
        ("put_object", {"Key": "k", **BODY}),
        *(
            ("put_object_tagging", {"Key": "k", "Tagging": {"TagSet": [{"Key": key, "Value": value}]}})
            for key, value in (("aws:x", ""), ("k" * 129, ""), ("k", "v" * 257), ("a,b", ""), ("k", "a;b"))
        ),
        ("put_object_tagging", {"Key": "k", "Tagging": {"TagSet": [{"Key": "a", "Value": "1"}] * 2}}),
        ("put_object_tagging", {"Key": "k", "Tagging": {"TagSet": [{"Key": str(n), "Value": ""} for n in range(11)]}}),
        ("put_object", {"Key": "k", **BODY, "Tagging": "a=1&a=2"}),
        ("get_object_tagging", {"Key": "k"}),
    ],
    "bucket tags": [
        ("get_bucket_tagging", {}),
        ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "z", "Value": ""}, {"Key": "c", "Value": "d"}]}}),
        ("get_bucket_tagging", {}),
        ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "a", "Value": "1"}] * 2}}),
        ("put_bucket_tagging", {"Tagging": {"TagSet": [{"Key": "aws:x", "Value": ""}]}}),
        ("delete_bucket_tagging", {}),
        ("get_bucket_tagging", {}),
        ("delete_bucket_tagging", {}),
    ],
    "storage classes": [
        ("put_object", {"Key": "k", **BODY, "StorageClass": "STANDARD_IA"}),
        ("head_object", {"Key": "k"}),
        ("put_object", {"Key": "k", **BODY, "StorageClass": "SHELF"}),
    ],
    "keys": [
        ("put_object", {"Key": "k" * 1024, **BODY}),
        ("put_object", {"Key": "k" * 1025, **BODY}),
        *(("put_object", {"Key": key, **BODY}) for key in ("//", "a b+c%20", "<&>", "../x")),
        ("list_objects_v2", {}),
    ],
    "no bucket": [
        ("get_object", {"Bucket": "never-created-anywhere", "Key": "k"}),
        ("put_object", {"Bucket": "never-created-anywhere", "Key": "k", **BODY}),
        ("list_objects_v2", {"Bucket": "never-created-anywhere"}),
        ("create_multipart_upload", {"Bucket": "never-created-anywhere", "Key": "k"}),
    ],
}

KMS_CASES: dict[str, Calls] = {
    "make and describe": [
        ("create_key", {"Description": "a key"}),
        ("describe_key", {"KeyId": "$KeyId"}),
        ("describe_key", {"KeyId": "00000000-0000-4000-8000-000000000000"}),
        ("describe_key", {"KeyId": "alias/absent"}),
    ],
    "encrypt and decrypt": [
        ("create_key", {}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret", "EncryptionContext": {"a": "b"}}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob", "EncryptionContext": {"a": "b"}}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob"}),
        ("decrypt", {"CiphertextBlob": b"nonsense"}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"x" * 4097}),
    ],
    "disable and enable": [
        ("create_key", {}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret"}),
        ("disable_key", {"KeyId": "$KeyId"}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret"}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob"}),
        ("enable_key", {"KeyId": "$KeyId"}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob"}),
    ],
    "schedule and cancel deletion": [
        ("create_key", {}),
        ("schedule_key_deletion", {"KeyId": "$KeyId", "PendingWindowInDays": 7}),
        ("describe_key", {"KeyId": "$KeyId"}),
        ("cancel_key_deletion", {"KeyId": "$KeyId"}),
        ("describe_key", {"KeyId": "$KeyId"}),
    ],
    "aliases": [
        ("create_key", {}),
        ("create_alias", {"AliasName": "alias/$Unique", "TargetKeyId": "$KeyId"}),
        ("create_alias", {"AliasName": "alias/$Unique", "TargetKeyId": "$KeyId"}),
        ("describe_key", {"KeyId": "alias/$Unique"}),
        ("create_alias", {"AliasName": "no-prefix", "TargetKeyId": "$KeyId"}),
        ("create_alias", {"AliasName": "alias/aws/mine", "TargetKeyId": "$KeyId"}),
        ("list_aliases", {"KeyId": "$KeyId"}),
        ("delete_alias", {"AliasName": "alias/$Unique"}),
        ("delete_alias", {"AliasName": "alias/$Unique"}),
    ],
    "data keys": [
        ("create_key", {}),
        ("generate_data_key", {"KeyId": "$KeyId", "KeySpec": "AES_128"}),
        ("generate_data_key", {"KeyId": "$KeyId", "NumberOfBytes": 64}),
        ("generate_data_key", {"KeyId": "$KeyId"}),
        ("generate_data_key", {"KeyId": "$KeyId", "KeySpec": "AES_256", "NumberOfBytes": 32}),
        ("generate_data_key_without_plaintext", {"KeyId": "$KeyId", "KeySpec": "AES_256"}),
        ("generate_random", {"NumberOfBytes": 32}),
        ("generate_random", {"NumberOfBytes": 1025}),
    ],
    "re-encrypt": [
        ("create_key", {}),
        ("encrypt", {"KeyId": "$KeyId", "Plaintext": b"secret"}),
        ("create_key", {}),
        ("re_encrypt", {"CiphertextBlob": "$CiphertextBlob", "DestinationKeyId": "$KeyId"}),
        ("decrypt", {"CiphertextBlob": "$CiphertextBlob", "KeyId": "$KeyId"}),
    ],
}

DIFFERENT: dict[tuple[str, int], str] = {
    ("encryption", 0): "every bucket has a default since January 2023: moto says that there is none",
    ("delete many", 2): "quietly means errors alone: moto tells what it deleted",
    ("multipart gone wrong", 7): "an upload that is gone is NoSuchUpload: moto fails",
    ("content-md5", 1): "a body must have its Content-MD5: moto does not look",
    ("content-md5", 2): "a Content-MD5 must be one: moto does not look",
    ("object tags", 14): "an object that is not there has no tags to delete: moto fails",
    ("object tags that are none", 6): "a key stands once in a tag set: moto takes it twice",
    ("object tags that are none", 8): "and in a header: moto takes one of the two",
    ("object tags that are none", 9): "so that nothing was written",
    ("bucket tags", 2): "an empty value is told: moto leaves it out",
    ("keys", 1): "a key has at most 1024 bytes: moto takes more",
    ("keys", 6): "and lists it",
    ("disable and enable", 3): "a disabled key encrypts nothing: moto's does",
    ("disable and enable", 4): "nor does it decrypt",
    ("aliases", 5): "alias/aws/ is AWS's own: moto gives it away",
}
"""Calls, by case and place, in which moto is not as AWS documents itself, with the reason."""


class Endpoint:
    """One of the two, with the values that later calls of a case take from earlier answers."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._values: dict[str, Any] = {}

    def run(self, calls: Calls, bucket: str | None) -> list[Any]:
        self._values = {"$Unique": uuid.uuid4().hex, "$Parts": []}
        if bucket is not None:
            self._values["$Bucket"] = bucket
            self._client.create_bucket(Bucket=bucket)
        return [self._run(operation, parameters, bucket) for operation, parameters in calls]

    def _run(self, operation: str, parameters: dict[str, Any], bucket: str | None) -> Any:
        given = self._filled({"Bucket": bucket, **parameters} if bucket is not None else parameters)
        try:
            answer = getattr(self._client, operation)(**given)
        except ClientError as error:
            return operation, error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]
        self._remember(operation, given, answer)
        return operation, answer["ResponseMetadata"]["HTTPStatusCode"], telling(answer)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(each) for name, each in value.items()}
        if isinstance(value, str) and "$" in value:
            if value in self._values:
                return self._values[value]
            return re.sub(r"\$\w+", lambda name: str(self._values[name[0]]), value)
        return value

    def _remember(self, operation: str, given: dict[str, Any], answer: dict[str, Any]) -> None:
        for name in ("ETag", "UploadId", "CiphertextBlob"):
            if name in answer:
                self._values[f"${name}"] = answer[name]
        if operation == "create_key":
            self._values["$KeyId"] = answer["KeyMetadata"]["KeyId"]
        if operation == "upload_part":
            self._values["$Parts"].append({"PartNumber": given["PartNumber"], "ETag": answer["ETag"]})


PLAIN = {
    "AcceptRanges", "CacheControl", "ContentLength", "ContentRange", "ContentType", "ETag", "Metadata", "StorageClass",
    "KeyCount", "IsTruncated", "MaxKeys", "Prefix", "Delimiter", "StartAfter", "LocationConstraint", "ChecksumSHA256",
    "ServerSideEncryptionConfiguration", "TagCount", "TagSet",
}  # fmt: skip
"""Members whose values the two must agree on; an empty one is as none. Others moto leaves out."""


def telling(answer: dict[str, Any]) -> dict[str, Any]:
    found = {name: answer[name] for name in sorted(PLAIN & answer.keys()) if answer[name] != ""}
    if "Body" in answer:
        found["Body"] = answer["Body"].read()
    for name, member in (("Contents", "Key"), ("CommonPrefixes", "Prefix"), ("Deleted", "Key"), ("Uploads", "Key")):
        if name in answer:
            found[name] = [item[member] for item in answer[name]]
    if "Parts" in answer:
        found["Parts"] = [(part["PartNumber"], part["Size"], part["ETag"]) for part in answer["Parts"]]
    if "KeyMetadata" in answer:
        names = ("KeyState", "Enabled", "KeyManager", "KeySpec", "Origin", "Description")
        found["KeyMetadata"] = {name: answer["KeyMetadata"].get(name) for name in names}
    if "Plaintext" in answer:
        is_known = answer["Plaintext"] == b"secret"
        found["Plaintext"] = answer["Plaintext"] if is_known else len(answer["Plaintext"])
    return found


@pytest.fixture(scope="module")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log_path: Path = tmp_path_factory.mktemp("moto") / "log"
    with log_path.open("wb") as log:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, env=clean_environment(), stdout=log, stderr=log)
    try:
        said = wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", log_path.read_text()), "moto is ready", 60)
        yield said[0]
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def pairs(gateway: Gateway, moto_url: str) -> dict[str, tuple[Endpoint, Endpoint]]:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    access = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}
    return {
        service: (
            Endpoint(gateway.client(service)),
            Endpoint(boto3.client(service, endpoint_url=moto_url, config=config, **access)),
        )
        for service in ("s3", "kms")
    }


@pytest.mark.parametrize("name", S3_CASES)
def test_s3(pairs: dict[str, tuple[Endpoint, Endpoint]], name: str) -> None:
    bucket = f"moto-{uuid.uuid4()}"
    ours, theirs = (endpoint.run(S3_CASES[name], bucket) for endpoint in pairs["s3"])
    check(name, ours, theirs)


@pytest.mark.parametrize("name", KMS_CASES)
def test_kms(pairs: dict[str, tuple[Endpoint, Endpoint]], name: str) -> None:
    ours, theirs = (endpoint.run(KMS_CASES[name], None) for endpoint in pairs["kms"])
    check(name, ours, theirs)


def check(name: str, ours: list[Any], theirs: list[Any]) -> None:
    for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        if (name, place) in DIFFERENT:
            assert our != their, f"moto agrees by now: take call {place} from the list"
        else:
            assert our == their, f"call {place}"

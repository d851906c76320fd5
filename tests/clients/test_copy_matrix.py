"""Copies from each mode to each other one by boto3: of the whole matrix, one of each pair of encryptions.

All of it, and what lies underneath, is `tests/gateway/operations/test_copy_matrix.py`, by the same model.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.checks import headers_of, random_bytes, refusal
from tests.clients.conftest import make_bucket
from tests.clients.digests import checksum
from tests.clients.test_sse_c import CustomerKey
from tests.gateway.operations.copy_model import (
    BY_CUSTOMER,
    BY_KMS,
    CONTEXT,
    ELSEWHERE,
    Case,
    Encryption,
    cases,
    is_etag,
)
from tests.properties.encryption import BUCKET_KEY, MODES, SSE

BODY = random_bytes(300_000)
"""Of several segments, and of more than is sealed at a time."""

HEADERS = {"ContentType": "text/x-source", "Metadata": {"from": "source"}, "CacheControl": "max-age=60"}
OTHER_HEADERS = {"ContentType": "text/x-request", "Metadata": {"from": "request"}}
TOLD = ("ContentType", "Metadata", "CacheControl")


def chosen() -> Iterator[Case]:
    """One case of each pair, in one account, with all the rest at random, and the same at each run."""
    choosing = random.Random(6)
    for mode in MODES:
        by_target: dict[Encryption, list[Case]] = {}
        for case in cases(mode, is_rotated=False):
            if case.place != "another account" and not case.is_illegal:
                by_target.setdefault(case.target, []).append(case)
        yield from map(choosing.choice, by_target.values())


@pytest.fixture(scope="module")
def keys(kms: Any) -> dict[int, str]:
    return {number: kms.create_key()["KeyMetadata"]["Arn"] for number in (1, 2)}


@pytest.fixture(scope="module")
def buckets(s3: Any) -> dict[tuple[bool, bool], str]:
    """By whether they have versions, and whether copies come from elsewhere."""
    made = {}
    for is_versioned in (False, True):
        for is_elsewhere in (False, True):
            made[is_versioned, is_elsewhere] = name = make_bucket(s3)
            rule = {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
            if is_versioned:
                s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return made


def customer_key(encryption: Encryption, *, of_source: bool = False) -> dict[str, Any]:
    """For reads and parts, or for the source of a copy."""
    if encryption.secret is None:
        return {}
    key = CustomerKey(encryption.secret)
    return key.of_source if of_source else key.asked


def asked(encryption: Encryption, keys: dict[int, str]) -> dict[str, Any]:
    """For writes."""
    if encryption.mode is None or encryption.mode == BY_CUSTOMER:
        return customer_key(encryption)
    mode = "aws:kms" if encryption.mode == BUCKET_KEY else encryption.mode
    parameters: dict[str, Any] = {"ServerSideEncryption": mode}
    if encryption.mode in BY_KMS:
        parameters["SSEKMSKeyId"] = keys[encryption.key]
        if encryption.context is not None:
            parameters["SSEKMSEncryptionContext"] = base64.b64encode(json.dumps(CONTEXT).encode()).decode()
    if encryption.mode == BUCKET_KEY:
        parameters["BucketKeyEnabled"] = True
    return parameters


def put(s3: Any, named: dict[str, str], case: Case, keys: dict[int, str]) -> Any:
    """The source; a multipart upload has one part."""
    written = {**HEADERS, **asked(case.source, keys)}
    if not case.is_multipart:
        return s3.put_object(**named, Body=BODY, **written)
    begun = s3.create_multipart_upload(**named, ChecksumAlgorithm="SHA256", **written)["UploadId"]
    brought = customer_key(case.source)
    upload = {**named, "UploadId": begun, **brought}
    part = s3.upload_part(**upload, PartNumber=1, Body=BODY, ChecksumAlgorithm="SHA256")
    parts = [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": part["ChecksumSHA256"]}]
    return s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def encryption_in(answer: Any) -> dict[str, str]:
    return {name: value for name, value in headers_of(answer).items() if name.startswith(SSE)}


@pytest.mark.parametrize("case", list(chosen()), ids=str)
def test_a_copy(s3: Any, buckets: dict[tuple[bool, bool], str], keys: dict[int, str], case: Case) -> None:
    is_elsewhere = case.place in ELSEWHERE
    source = {"Bucket": buckets[case.is_versioned, False], "Key": str(case)}
    target = {
        "Bucket": buckets[case.is_target_versioned, is_elsewhere],
        "Key": source["Key"] + ("" if case.is_itself else "/copy"),
    }
    made = put(s3, source, case, keys)
    given = {"MetadataDirective": "REPLACE", **OTHER_HEADERS} if case.replaces else {}
    copying = {**target, "CopySource": source, **given, **asked(case.target, keys)}
    if case.source.mode == BY_CUSTOMER:
        assert refusal(s3.copy_object, **copying) == (400, "InvalidRequest")

    answer = s3.copy_object(**copying, **customer_key(case.source, of_source=True))
    told = encryption_in(answer)
    context = told.pop(f"{SSE}-context", None)
    assert (json.loads(base64.b64decode(context)) if context else None) == case.target.context
    assert told == case.target.echoed(keys)
    assert answer.get("CopySourceVersionId") == made.get("VersionId")
    assert ("VersionId" in answer) == case.is_target_versioned
    result = answer["CopyObjectResult"]
    assert is_etag(result["ETag"], BODY, case.target)
    algorithm = f"Checksum{'SHA256' if case.is_multipart else 'CRC32'}"  # boto3's default is a CRC32
    assert (result["ChecksumType"], result[algorithm]) == ("FULL_OBJECT", checksum(algorithm[8:], BODY))

    if not case.is_itself:
        s3.delete_object(**source, **({"VersionId": made["VersionId"]} if case.is_versioned else {}))
    brought = customer_key(case.target)
    found = s3.get_object(**target, **brought, ChecksumMode="ENABLED")
    assert found["Body"].read() == BODY  # botocore verifies the checksum, too
    assert {name: found[name] for name in TOLD if name in found} == (OTHER_HEADERS if case.replaces else HEADERS)
    assert encryption_in(found) == case.target.echoed(keys)
    assert (found["ETag"], found[algorithm]) == (result["ETag"], result[algorithm])
    assert found.get("VersionId") == answer.get("VersionId")
    head = s3.head_object(**target, **brought, ChecksumMode="ENABLED")
    attributes = s3.get_object_attributes(**target, **brought, ObjectAttributes=["ETag", "Checksum", "ObjectParts"])
    assert encryption_in(head) == case.target.echoed(keys)
    assert (head["ETag"], head[algorithm]) == (result["ETag"], result[algorithm])
    assert attributes["ETag"] == result["ETag"].strip('"')
    assert attributes["Checksum"] == {algorithm: result[algorithm], "ChecksumType": "FULL_OBJECT"}
    assert "ObjectParts" not in attributes, "a copy is of one piece, whatever its source was made of"
    span = s3.get_object(**target, **brought, Range="bytes=65530-262150")
    assert span["Body"].read() == BODY[65530:262151]

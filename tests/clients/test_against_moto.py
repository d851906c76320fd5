"""The same calls to the gateway and to moto, a widely used stand-in for AWS: status, error code, values, members.

Where the two differ and AWS's documentation is with us, the call or the member is listed with its reason, and must go
on differing.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError

from tests.clients.moto_cases import KMS_CASES, S3_CASES, Calls
from tests.clients.moto_iam_cases import IAM_CASES
from tests.harness import REGION, Gateway
from tests.moto_server import moto_server

DIFFERENT: dict[tuple[str, int], str] = {
    ("encryption", 0): "every bucket has a default since January 2023: moto says that there is none",
    ("encryption", 2): "what a bucket blocks is told since April 2026: moto tells what was put",
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
    ("multipart", 5): "a bucket that never had versioning tells no versions: moto tells null",
    ("versions", 9): "the null version is told once there was versioning: moto leaves it out",
    ("versions", 18): "a delete marker can be deleted and no more: moto has no such version",
    ("versions", 21): "what was deleted was a delete marker: moto does not say so",
    ("versions", 31): "suspended, a write replaces the null version alone: moto forgets the others",
    ("versions", 32): "a status is one of two: moto takes anything",
    ("copies and deletions of versions", 7): "a version id has a form: moto looks for it",
    ("copies and deletions of versions", 9): "tags were put on a version: moto does not say on which",
    ("copies and deletions of versions", 13): "a listing begins after its marker: moto begins with it",
    ("parts that are copied", 5): "as multipart 5",
    ("parts that cannot be copied", 2): "a key that is not there is NoSuchKey: moto has no code",
    ("parts that cannot be copied", 4): "a range ends in the object: moto cuts it",
    ("parts that cannot be copied", 5): "an upload that is not there is NoSuchUpload: moto fails",
    ("parts that cannot be copied", 6): "so that there is no part",
    ("list buckets", 0): "a prefix that was asked for is told again: moto leaves it out",
    ("list buckets", 1): "the same",
    ("list buckets", 2): "the same",
    ("bucket policy", 2): "answered without content: moto says 200",
    ("bucket policy", 5): "a policy is JSON: moto takes anything",
    ("bucket policy", 6): "with statements: moto takes anything",
    ("bucket policy", 7): "so that the first is still there",
    ("public access block", 0): "every new bucket has one since April 2023: moto says that there is none",
    ("ownership controls", 0): "every new bucket has them since April 2023: moto says that there are none",
    ("ownership controls", 3): "there are three: moto takes anything",
    ("access control lists", 7): "a canned ACL has one of seven names: moto fails",
    ("redirections", 4): "a redirection is not copied: moto's is",
    ("redirections", 5): "a redirection is a path or a URL: moto takes anything",
    ("disable and enable", 3): "a disabled key encrypts nothing: moto's does",
    ("disable and enable", 4): "nor does it decrypt",
    ("aliases", 5): "alias/aws/ is AWS's own: moto gives it away",
    ("users", 7): "users have permissions boundaries since 2018: moto fails",
    ("users", 8): "and can be given one: moto fails",
    ("groups", 13): "one who is not in a group is not taken from it, and nothing is said: moto forgets who was",
    ("roles", 2): "a trust policy has principals: moto makes the role",
    ("roles", 4): "so that it is not there",
}
"""Calls, by case and place, in which moto is not as AWS documents itself, with the reason."""


ENCRYPTED = "every object is encrypted since January 2023"
CHECKSUMS = "every object has a checksum since December 2024"
BOUNDARIES = "users have permissions boundaries since 2018"
MATERIAL = "told since keys can be rotated on demand"

LEFT_OUT: dict[str, tuple[str, str]] = {
    "AccessPointAlias": ("head_bucket", "says that the name is none"),
    "Aliases.CreationDate": ("list_aliases", "told since 2020"),
    "Aliases.LastUpdatedDate": ("list_aliases", "told since 2020"),
    "BucketArn": ("create_bucket head_bucket", "told since 2025"),
    "Buckets.BucketArn": ("list_buckets", "told since 2025"),
    "Buckets.BucketRegion": ("list_buckets", "told to who asks for pages"),
    "Checksum.ChecksumType": ("get_object_attributes", CHECKSUMS),
    "ChecksumCRC64NVME": ("complete_multipart_upload", CHECKSUMS),
    "ChecksumType": ("complete_multipart_upload get_object head_object put_object", CHECKSUMS),
    "Contents.ChecksumAlgorithm": ("list_objects", CHECKSUMS),
    "Contents.ChecksumType": ("list_objects list_objects_v2", CHECKSUMS),
    "CopyObjectResult.ChecksumType": ("copy_object", CHECKSUMS),
    "DestinationEncryptionAlgorithm": ("re_encrypt", "told since keys can be asymmetric"),
    "DestinationKeyMaterialId": ("re_encrypt", MATERIAL),
    "EncodingType": ("list_object_versions", "told where it was asked for, as botocore does"),
    "EncryptionAlgorithm": ("decrypt encrypt", "told since keys can be asymmetric"),
    "Grants.Grantee.DisplayName": ("get_bucket_acl get_object_acl", "accounts have names here"),
    "IsTruncated": (
        "get_group list_access_keys list_group_policies list_groups list_instance_profiles_for_role "
        "list_policy_versions",
        "told of every listing",
    ),
    "KeyMaterialId": ("decrypt generate_data_key generate_data_key_without_plaintext", MATERIAL),
    "KeyMetadata.CurrentKeyMaterialId": ("create_key describe_key", MATERIAL),
    "KeyMetadata.KeyUsage": ("create_key describe_key", "has a default"),
    "KeyMetadata.MultiRegion": ("create_key describe_key", "has a default"),
    "KeyState": ("schedule_key_deletion", "told since 2021"),
    "Marker": ("list_objects", "told where it was asked for"),
    "PendingWindowInDays": ("schedule_key_deletion", "told since 2021"),
    "Policies.PermissionsBoundaryUsageCount": ("list_policies", BOUNDARIES),
    "Policy.PermissionsBoundaryUsageCount": ("create_policy get_policy", BOUNDARIES),
    "ServerSideEncryption": (
        "complete_multipart_upload copy_object create_multipart_upload get_object head_object put_object upload_part "
        "upload_part_copy",
        ENCRYPTED,
    ),
    "SourceEncryptionAlgorithm": ("re_encrypt", "told since keys can be asymmetric"),
    "SourceKeyMaterialId": ("re_encrypt", MATERIAL),
    "User.PermissionsBoundary": ("create_user get_user", BOUNDARIES),
    "User.PermissionsBoundary.PermissionsBoundaryArn": ("create_user get_user", BOUNDARIES),
    "User.PermissionsBoundary.PermissionsBoundaryType": ("create_user get_user", BOUNDARIES),
    "Versions.ChecksumAlgorithm": ("list_object_versions", CHECKSUMS),
    "Versions.ChecksumType": ("list_object_versions", CHECKSUMS),
}
"""Members that AWS tells and moto never does: of the answers to which calls, and why they are to be there."""


TOLD_BY_MOTO_ALONE = {
    ("create_role", "Role.Description"): "GetRole tells it",
    ("create_role", "Role.MaxSessionDuration"): "the same",
    ("create_role", "Role.RoleLastUsed"): "the same",
    ("update_role_description", "Role.MaxSessionDuration"): "the same",
    ("update_role_description", "Role.PermissionsBoundary"): "the same",
    ("update_role_description", "Role.RoleLastUsed"): "the same",
    ("update_role_description", "Role.Tags"): "the same",
    ("create_policy_version", "PolicyVersion.Document"): "GetPolicyVersion tells it",
    ("list_policy_versions", "Versions.Document"): "the same",
}
"""Members with all that they have in them."""


def left_out_of(operation: str) -> set[str]:
    return {member for member, (operations, _) in LEFT_OUT.items() if operation in operations.split()}


class Endpoint:
    """One of the two, with the values that later calls of a case take from earlier answers."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._values: dict[str, Any] = {}
        self._versions = 0

    def run(self, calls: Calls, bucket: str | None) -> list[Any]:
        self._values = {"$Unique": uuid.uuid4().hex, "$Parts": []}
        self._versions = 0
        if bucket is not None:
            self._values["$Bucket"] = bucket
            self._client.create_bucket(Bucket=bucket)
        return [self._run(operation, parameters, bucket) for operation, parameters in calls]

    def _run(self, operation: str, parameters: dict[str, Any], bucket: str | None) -> Any:
        given = self._filled({"Bucket": bucket, **parameters} if bucket is not None else parameters)
        try:
            answer = getattr(self._client, operation)(**given)
        except ClientError as error:
            refused = error.response
            return operation, refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"], set()
        except ResponseParserError:  # moto answers IAM's clients in HTML where it fails
            return operation, 500, "", set()
        self._remember(operation, given, answer)
        values = {name: value for name, value in telling(answer).items() if name not in left_out_of(operation)}
        return operation, answer["ResponseMetadata"]["HTTPStatusCode"], values, members(answer)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._filled(each) for name, each in value.items() if each is not None}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if isinstance(value, str) and "$" in value:
            if value in self._values:
                return self._values[value]
            return re.sub(r"\$[A-Z]\w*", lambda name: str(self._values[name[0]]), value)
        return value

    def _remember(self, operation: str, given: dict[str, Any], answer: dict[str, Any]) -> None:
        for name in ("ETag", "UploadId", "CiphertextBlob"):
            if name in answer:
                self._values[f"${name}"] = answer[name]
        if operation == "create_policy":
            self._values["$PolicyArn"] = answer["Policy"]["Arn"]
        if operation == "create_key":
            self._values["$KeyId"] = answer["KeyMetadata"]["KeyId"]
        if operation == "upload_part":
            self._values["$Parts"].append({"PartNumber": given["PartNumber"], "ETag": answer["ETag"]})
        if operation == "upload_part_copy":
            etag = answer["CopyPartResult"]["ETag"]
            self._values["$Parts"].append({"PartNumber": given["PartNumber"], "ETag": etag})
        if operation in MAKING_VERSIONS and "VersionId" in answer and "VersionId" not in given:
            self._versions += 1
            self._values[f"$V{self._versions}"] = answer["VersionId"]


MAKING_VERSIONS = {"put_object", "copy_object", "complete_multipart_upload", "delete_object"}

PLAIN = {
    "AcceptRanges", "CacheControl", "ContentLength", "ContentRange", "ContentType", "ETag", "Metadata", "StorageClass",
    "KeyCount", "IsTruncated", "MaxKeys", "Prefix", "Delimiter", "StartAfter", "LocationConstraint", "ChecksumSHA256",
    "ServerSideEncryptionConfiguration", "TagCount", "TagSet", "DeleteMarker", "OwnershipControls",
    "PublicAccessBlockConfiguration", "PolicyStatus", "ObjectSize", "ObjectParts", "Status", "WebsiteRedirectLocation",
}  # fmt: skip
"""Members whose values the two must agree on; an empty one is as none. Others moto leaves out."""


def telling(answer: dict[str, Any]) -> dict[str, Any]:
    found = {name: answer[name] for name in sorted(PLAIN & answer.keys()) if answer[name] != ""}
    if "Body" in answer:
        found["Body"] = answer["Body"].read()
    for name, member in (("Contents", "Key"), ("CommonPrefixes", "Prefix"), ("Deleted", "Key"), ("Uploads", "Key")):
        if name in answer:
            found[name] = [item[member] for item in answer[name]]
    for name in ("Versions", "DeleteMarkers"):
        if name in answer:
            found[name] = [
                (each["Key"], each["IsLatest"], each.get("Size"), known(each)) for each in answer[name] if "Key" in each
            ]
    for name in ("Buckets", "Errors"):
        if name in answer:
            found[name] = [each.get("Name", each.get("Code")) for each in answer[name]]
    if "VersionId" in answer:
        found["VersionId"] = known(answer)
    if isinstance(answer.get("Policy"), str):
        found["Policy"] = json.loads(answer["Policy"])
    if "Grants" in answer:
        grants = [(each["Grantee"], each["Permission"]) for each in answer["Grants"]]
        found["Grants"] = sorted((grantee["Type"], grantee.get("URI", ""), right) for grantee, right in grants)
    if "Parts" in answer:
        found["Parts"] = [(part["PartNumber"], part["Size"], part["ETag"]) for part in answer["Parts"]]
    if "KeyMetadata" in answer:
        names = ("KeyState", "Enabled", "KeyManager", "KeySpec", "Origin", "Description")
        found["KeyMetadata"] = {name: answer["KeyMetadata"].get(name) for name in names}
    if "Plaintext" in answer:
        is_known = answer["Plaintext"] == b"secret"
        found["Plaintext"] = answer["Plaintext"] if is_known else len(answer["Plaintext"])
    return found


def known(answer: dict[str, Any]) -> str:
    """The version told, where its name is not of the server's own choice."""
    return "null" if answer["VersionId"] == "null" else "one of its own"


def members(value: Any, path: str = "") -> set[str]:
    """The names of all members of an answer, at any depth; those of a list's entries together."""
    if isinstance(value, list):
        return set().union(*(members(each, path) for each in value))
    if not isinstance(value, dict):
        return set()
    names = {name: f"{path}.{name}" if path else name for name in value if name != "ResponseMetadata"}
    told = {at for name, at in names.items() if value[name] not in ("", [])}
    if path == "Metadata":
        return told
    return told.union(*(members(value[name], at) for name, at in names.items()))


@pytest.fixture(scope="module")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture(scope="module")
def pairs(gateway: Gateway, moto_url: str) -> dict[str, tuple[Endpoint, Endpoint]]:
    config = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})
    access = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": REGION}
    return {
        service: (
            Endpoint(gateway.client(service)),
            Endpoint(boto3.client(service, endpoint_url=moto_url, config=config, **access)),
        )
        for service in ("s3", "kms", "iam")
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


@pytest.mark.parametrize("name", IAM_CASES)
def test_iam(pairs: dict[str, tuple[Endpoint, Endpoint]], name: str) -> None:
    ours, theirs = (endpoint.run(IAM_CASES[name], None) for endpoint in pairs["iam"])
    check(name, ours, theirs)


def check(name: str, ours: list[Any], theirs: list[Any]) -> None:
    for place, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        if (name, place) in DIFFERENT:
            assert our[:3] != their[:3], f"moto agrees by now: take call {place} from the list"
            continue
        assert our[:3] == their[:3], f"call {place}"
        operation, _, _, told = our
        left_out = left_out_of(operation)
        assert not left_out & their[3], f"moto tells them by now, in call {place}"
        theirs_alone = tuple(member for of, member in TOLD_BY_MOTO_ALONE if of == operation)
        their_told = {member for member in their[3] if not (theirs_alone and member.startswith(theirs_alone))}
        assert told - left_out == their_told, f"call {place}"

"""Bucket policies: what S3 asks of one besides the grammar, when it is put.

Resources lie in the bucket itself, and each action can be done to some resource of its statement: those of objects to
objects, all others to the bucket. Sources: S3 User Guide, "Policies and permissions in Amazon S3"; Service
Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from iam.policy.document import Policy, PolicyKind
from iam.policy.errors import Fault, PolicyError
from iam.policy.match import glob_matcher, tokenise
from iam.policy.parse import parse_policy

OBJECT_ACTIONS = frozenset(
    {
        "s3:AbortMultipartUpload",
        "s3:BypassGovernanceRetention",
        "s3:DeleteObject",
        "s3:DeleteObjectAnnotation",
        "s3:DeleteObjectTagging",
        "s3:DeleteObjectVersion",
        "s3:DeleteObjectVersionAnnotation",
        "s3:DeleteObjectVersionTagging",
        "s3:GetObject",
        "s3:GetObjectAcl",
        "s3:GetObjectAnnotation",
        "s3:GetObjectAttributes",
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectTagging",
        "s3:GetObjectTorrent",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionAnnotation",
        "s3:GetObjectVersionAnnotationForReplication",
        "s3:GetObjectVersionAttributes",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging",
        "s3:GetObjectVersionTorrent",
        "s3:InitiateReplication",
        "s3:ListMultipartUploadParts",
        "s3:ListObjectAnnotations",
        "s3:ListObjectVersionAnnotations",
        "s3:ObjectOwnerOverrideToBucketOwner",
        "s3:PutObject",
        "s3:PutObjectAcl",
        "s3:PutObjectAnnotation",
        "s3:PutObjectLegalHold",
        "s3:PutObjectRetention",
        "s3:PutObjectTagging",
        "s3:PutObjectVersionAcl",
        "s3:PutObjectVersionAnnotation",
        "s3:PutObjectVersionTagging",
        "s3:ReplicateDelete",
        "s3:ReplicateObject",
        "s3:ReplicateObjectAnnotation",
        "s3:ReplicateTags",
        "s3:RestoreObject",
        "s3:UpdateObjectEncryption",
    }
)
"""The actions whose resource is an object; every other one's is the bucket."""

_OF_OBJECTS = frozenset(action.lower() for action in OBJECT_ACTIONS)
_PREFIX = "arn:aws:s3:::"


def parse_bucket_policy(text: str, bucket: str) -> Policy:
    """The policy that `text` writes for `bucket`. Raises PolicyError with S3's message (MalformedPolicy)."""
    if not text.startswith("{"):
        raise PolicyError(PolicyKind.BUCKET, Fault.NOT_JSON)
    policy = parse_policy(text, PolicyKind.BUCKET)
    statements = json.loads(text)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        _check_statement(statement, bucket)
    return policy


def _check_statement(statement: Mapping[str, object], bucket: str) -> None:
    resources = _texts(statement.get("Resource", statement.get("NotResource")))
    for resource in resources:
        if not _lies_in(resource, bucket):
            raise PolicyError(PolicyKind.BUCKET, Fault.INVALID_RESOURCE, resource)
    # NotAction and NotResource name what is left out, which may be anything.
    if "Action" not in statement or "Resource" not in statement:
        return
    for action in _texts(statement["Action"]):
        if action != "*" and not action.lower().startswith("s3:"):
            raise PolicyError(PolicyKind.BUCKET, Fault.INVALID_ACTION, action)
        if not any(_applies(action.lower(), resource) for resource in resources):
            raise PolicyError(PolicyKind.BUCKET, Fault.ACTION_RESOURCE, action)


def _lies_in(resource: str, bucket: str) -> bool:
    """Whether the bucket, or a key in it, can be what the pattern means."""
    if not resource.startswith(_PREFIX):
        return False
    name, _, _ = resource.removeprefix(_PREFIX).partition("/")
    return bool(glob_matcher(tokenise(name))(bucket))


def _applies(action: str, resource: str) -> bool:
    """Whether `action`, a pattern in lower case, holds one that can be done to what `resource` means."""
    means_objects = "/" in resource.removeprefix(_PREFIX) or resource.endswith("*")
    means_buckets = "/" not in resource.removeprefix(_PREFIX)
    if "*" in action or "?" in action:
        # A pattern may hold actions of buckets that are not listed here.
        matches = glob_matcher(tokenise(action))
        return means_buckets or any(matches(each) for each in _OF_OBJECTS)
    return means_objects if action in _OF_OBJECTS else means_buckets


def _texts(value: object) -> Sequence[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]

"""Bucket policies: what S3 asks of one besides the grammar, when it is put.

Resources lie in the bucket itself. Each action is one of S3's, can be done to some resource of its statement (those of
objects to objects, those of buckets to the bucket), and knows each condition key that is one of S3's. Sources: S3 User
Guide, "Policies and permissions in Amazon S3"; Service Authorization Reference, "Actions, resources, and condition keys
for Amazon S3"; what is refused together was tried out against S3 by others.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence

from iam.policy.document import Policy, PolicyKind
from iam.policy.errors import Fault, PolicyError
from iam.policy.match import glob_matcher, tokenise
from iam.policy.parse import parse_policy
from iam.policy.s3_reference import BUCKET_ACTIONS, actions_of_key

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
"""The actions whose resource is an object."""

_ACTIONS = OBJECT_ACTIONS | BUCKET_ACTIONS | {"s3:ListAllMyBuckets"}
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
    keys = _keys_of_s3(statement.get("Condition") or {})
    for action in _texts(statement.get("Action", statement.get("NotAction"))):
        if action != "*" and not _matched(action):
            raise PolicyError(PolicyKind.BUCKET, Fault.INVALID_ACTION, action)
    # NotAction and NotResource name what is left out, which may be anything.
    if "Action" not in statement or "Resource" not in statement:
        return
    means_objects = any("/" in _key_part(each) or each.endswith("*") for each in resources)
    means_buckets = any("/" not in _key_part(each) for each in resources)
    for action in _texts(statement["Action"]):
        applicable = {
            each
            for each in _matched(action)
            if (means_objects and each in OBJECT_ACTIONS) or (means_buckets and each in BUCKET_ACTIONS)
        }
        if not applicable:
            raise PolicyError(PolicyKind.BUCKET, Fault.ACTION_RESOURCE, action)
        if any(actions is not None and applicable.isdisjoint(actions) for actions in keys):
            raise PolicyError(PolicyKind.BUCKET, Fault.CONDITION_ACTION, action)


def _keys_of_s3(conditions: object) -> list[frozenset[str] | None]:
    """For each key of S3 that is asked for the actions that know it, None for all. Raises PolicyError."""
    assert isinstance(conditions, dict), "the grammar was checked"
    keys = {key.lower() for keys in conditions.values() for key in keys}
    try:
        return [actions_of_key(key) for key in keys if key.startswith("s3:")]
    except KeyError:
        raise PolicyError(PolicyKind.BUCKET, Fault.CONDITION_KEY) from None


@functools.lru_cache(1024)
def _matched(pattern: str) -> frozenset[str]:
    """The actions of S3 that `pattern` means."""
    matches = glob_matcher(tokenise(pattern.lower()))
    return frozenset(each for each in _ACTIONS if matches(each.lower()))


def _key_part(resource: str) -> str:
    return resource.removeprefix(_PREFIX)


def _lies_in(resource: str, bucket: str) -> bool:
    """Whether the bucket, or a key in it, can be what the pattern means."""
    if not resource.startswith(_PREFIX):
        return False
    name, _, _ = _key_part(resource).partition("/")
    return bool(glob_matcher(tokenise(name))(bucket))


def _texts(value: object) -> Sequence[str]:
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]

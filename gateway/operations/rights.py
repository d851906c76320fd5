"""What each operation of S3 may ask for: what its row says, and for SSE-KMS what the KMS is asked for the caller.

Sources: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3"; User Guide, "Required
permissions for Amazon S3 API operations"; the API Reference, "Permissions" of each operation.
"""

from __future__ import annotations

from gateway.operations.authorisation import BY_OBJECT_OWNER, OF_UPLOADS, action_on
from gateway.operations.table import VERSION_ID, Operation, Target
from iam.policy.bucket import OBJECT_ACTIONS
from iam.rights import ANY, Right

_SOURCE = "the source"
_NAMED = "a version is named"
_UNDER_KMS = "SSE-KMS, DSSE-KMS"

DECRYPTS = Right("kms:Decrypt", "key", when=_UNDER_KMS)
ENCRYPTS = Right("kms:GenerateDataKey", "key", when=_UNDER_KMS)

TELLS_MISSING = Right("s3:ListBucket", "bucket", when="there is no such object", is_optional=True)
"""Who may not list the bucket is told AccessDenied in place of NoSuchKey."""

TELLS_TAG_COUNT = (
    Right("s3:GetObjectTagging", "object", when="the object has tags", is_optional=True),
    Right("s3:GetObjectVersionTagging", "object", when="and a version is named", is_optional=True),
)

SETS_TAGS = Right("s3:PutObjectTagging", "object", when="tags")
SETS_ACL = Right("s3:PutObjectAcl", "object", when="an ACL, where ACLs are enabled")
COMPARES = Right("s3:GetObject", "object", when="If-Match with an entity tag")

BEGINS_UPLOAD = (SETS_TAGS, SETS_ACL, ENCRYPTS)
"""Besides s3:PutObject: of a form, and of a multipart upload that begins, which have no conditions."""

WRITES = (*BEGINS_UPLOAD, COMPARES)
"""Besides s3:PutObject, where a request makes an object of one body."""

READS_SOURCE = (
    Right("s3:GetObject", "object", of=_SOURCE),
    Right("s3:GetObjectVersion", "object", of=_SOURCE, when=f"{_NAMED}, in place of s3:GetObject"),
    Right("s3:ListBucket", "bucket", of=_SOURCE, when="there is no such object", is_optional=True),
    Right("kms:Decrypt", "key", of=_SOURCE, when=_UNDER_KMS),
)

COPIES_TAGS = (
    Right("s3:GetObjectTagging", "object", of=_SOURCE, when="tags are copied"),
    Right("s3:GetObjectVersionTagging", "object", of=_SOURCE, when=f"{_NAMED}, in place of s3:GetObjectTagging"),
)

RENAMES = (
    Right("s3:GetObject", "object", of=_SOURCE),
    Right("s3:DeleteObject", "object", of=_SOURCE),
    Right("s3:GetObjectTagging", "object", of=_SOURCE, when="the object has tags"),
    Right("s3:PutObjectTagging", "object", when="the object has tags"),
    Right("s3:ListBucket", "bucket", when="there is no such object", is_optional=True),
    Right("s3:GetObject", "object", when="a condition on the object of the new name"),
    DECRYPTS,
    ENCRYPTS,
)
REWRAPS = (
    Right("kms:Decrypt", "key", when="the object is by SSE-KMS"),
    Right("kms:GenerateDataKey", "key"),
)
PASSES_ROLE = (Right("iam:PassRole", "role"),)
"""Of the role that a job of S3 Batch Operations acts as: what it does then is a matter of that role's rights."""

MAKES_BUCKET = (
    Right("s3:TagResource", "bucket", when="tags"),
    Right("s3:PutBucketOwnershipControls", "bucket", when="x-amz-object-ownership"),
    Right("s3:PutBucketAcl", "bucket", when="an ACL that gives others anything"),
)

READS_ATTRIBUTES = (
    Right("s3:GetObject", "object"),
    Right("s3:GetObjectVersion", "object", when=f"{_NAMED}, in place of s3:GetObject"),
)

_OF_NO_BUCKET = frozenset(
    {
        "s3:CreateJob",
        "s3:GetAccountPublicAccessBlock",
        "s3:ListAllMyBuckets",
        "s3:ListJobs",
        "s3:PutAccountPublicAccessBlock",
    }
)
_OF_JOBS = frozenset({"s3:DescribeJob", "s3:UpdateJobPriority", "s3:UpdateJobStatus"})


def rights_of(row: Operation) -> tuple[Right, ...]:
    """All that the operation may ask for, the action of its row first; nothing for one that is not served."""
    if row.handler is None:
        return ()
    kind = _kind(row.action)
    own = [Right(row.action, kind)]
    of_version = action_on(row.action, is_version_named=True)
    if of_version != row.action and (VERSION_ID in row.accepts or row.authorises_each):
        own.append(Right(of_version, kind, when=f"{_NAMED}, in place of {row.action}"))
    tells = (TELLS_MISSING,) if _tells_missing(row) else ()
    return (*own, *row.also, *tells)


def _kind(action: str) -> str:
    if action in _OF_NO_BUCKET:
        return ANY
    if action in _OF_JOBS:
        return "job"
    return "object" if action in OBJECT_ACTIONS else "bucket"


def _tells_missing(row: Operation) -> bool:
    """Whether the answer may be that there is no such object: to readers, and where an object's owner is looked for."""
    if row.target is not Target.OBJECT or row.action in OF_UPLOADS:
        return False
    return row.method in {"GET", "HEAD"} or row.action in BY_OBJECT_OWNER

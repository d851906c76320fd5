"""The condition keys of an S3 request: what policies can ask about who sends it and what it asks for.

Who owns the resource is added where a resource is decided about (`gateway.operations.authorisation`). Sources: IAM User
Guide, "AWS global condition context keys"; Service Authorization Reference, "Actions, resources, and condition keys for
Amazon S3".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request
from gateway.protocol.query import Query
from gateway.protocol.tags import is_tagging_replaced, tags_of_header
from iam.policy.global_keys import global_keys
from iam.policy.variables import Context
from iam.principals import Caller
from iam.scope import Form

_FROM_QUERY = {"s3:prefix": "prefix", "s3:delimiter": "delimiter", "s3:max-keys": "max-keys"}
_FROM_VERSION = {"s3:versionid": "versionId"}
_FROM_HEADERS = (
    "if-match",
    "if-none-match",
    "x-amz-acl",
    "x-amz-bucket-namespace",
    "x-amz-content-sha256",
    "x-amz-copy-source",
    "x-amz-grant-full-control",
    "x-amz-grant-read",
    "x-amz-grant-read-acp",
    "x-amz-grant-write",
    "x-amz-grant-write-acp",
    "x-amz-metadata-directive",
    "x-amz-object-ownership",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-storage-class",
)
_CREATES_OBJECT = {
    "CompleteMultipartUpload": "true",
    "CopyObject": "true",
    "CreateMultipartUpload": "false",
    "PostObject": "true",
    "PutObject": "true",
    "RenameObject": "true",
    "UploadPart": "false",
    "UploadPartCopy": "false",
}
"""Of the operations of s3:PutObject, those that take conditions, and those that a policy which demands some has to
leave out (User Guide, "Enforce conditional writes on Amazon S3 buckets")."""
_BRINGS_TAGS = frozenset({"CopyObject", "CreateMultipartUpload", "PostObject", "PutObject"})
"""The operations that take `x-amz-tagging`, or a form's field that becomes it."""

EXISTING_TAGS = "s3:existingobjecttag/"
REQUESTED_TAGS = "s3:requestobjecttag"
"""What the keys begin with that ask for the tags of an object, and for those that a request sets."""

ASKED_FOR_EXISTING_TAGS = frozenset(
    {
        "s3:DeleteObjectTagging",
        "s3:GetObject",
        "s3:GetObjectAcl",
        "s3:GetObjectAttributes",
        "s3:GetObjectTagging",
        "s3:PutObjectAcl",
        "s3:PutObjectTagging",
    }
)
"""The actions, and those on a version with them, that know the object's tags. Writing and deleting an object do not
(User Guide, "Tagging and access control policies"; measured)."""

_AUTH_TYPES = {Form.QUERY: "REST-QUERY-STRING", Form.HEADER: "REST-HEADER", Form.POST: "POST"}


@dataclass(frozen=True, slots=True)
class Signing:
    """How a request was signed. `version` is AWS4-HMAC-SHA256 or AWS; `signed_at` None: the signature does not tell."""

    form: Form
    version: str
    signed_at: datetime | None

    def age(self, now: datetime) -> str | None:
        """Milliseconds since the signature was made, none if its clock is ahead."""
        if self.signed_at is None:
            return None
        return str(max((now - self.signed_at) // timedelta(milliseconds=1), 0))


def condition_keys(
    caller: Caller,
    request: Request,
    query: Query,
    *,
    operation: str,
    now: datetime,
    signing: Signing | None,
) -> Context:
    """The condition keys of a request, in lower case. Headers that a presigned URL carries must be in `request`.

    `operation` is the name in the S3 model; `signing` is None if the request was not signed.
    """
    values: dict[str, str | None] = {
        "aws:referer": request.headers.get("referer"),
        "s3:authtype": None if signing is None else _AUTH_TYPES[signing.form],
        "s3:objectcreationoperation": _CREATES_OBJECT.get(operation),
        "s3:signatureage": None if signing is None else signing.age(now),
        "s3:signatureversion": None if signing is None else signing.version,
        "s3:tlsversion": request.tls_version,
    }
    values |= {name: query.get(parameter) for name, parameter in (_FROM_QUERY | _FROM_VERSION).items()}
    values |= {f"s3:{name}": request.headers.get(name) for name in _FROM_HEADERS}
    known = {name: (value,) for name, value in values.items() if value is not None}
    return {**global_keys(caller, now), **known, **requested_tags(_header_tags(request, operation))}


def existing_tags(tags: Mapping[str, str]) -> Context:
    """What an action of ASKED_FOR_EXISTING_TAGS knows about the object's tags."""
    return _by_key(EXISTING_TAGS, tags)


def requested_tags(tags: Mapping[str, str]) -> Context:
    """What is known about the tags that a request sets."""
    if not tags:
        return {}
    return {**_by_key(f"{REQUESTED_TAGS}/", tags), f"{REQUESTED_TAGS}keys": tuple(tags)}


def _by_key(prefix: str, tags: Mapping[str, str]) -> Context:
    """Condition keys know no case, tag keys do: two that differ by it alone are one key with two values."""
    found: dict[str, tuple[str, ...]] = {}
    for key, value in tags.items():
        name = prefix + key.lower()
        found[name] = (*found.get(name, ()), value)
    return found


def _header_tags(request: Request, operation: str) -> Mapping[str, str]:
    """A header that is none says nothing: its request is refused for it, whatever is decided."""
    headers = request.headers
    try:
        if operation not in _BRINGS_TAGS or (operation == "CopyObject" and not is_tagging_replaced(headers)):
            return {}
        return tags_of_header(headers)
    except S3Error:
        return {}

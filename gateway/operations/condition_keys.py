"""The condition keys of an S3 request: what policies can ask about who sends it and what it asks for.

Who owns the resource is added where a resource is decided about (`gateway.operations.authorisation`). Sources: IAM User
Guide, "AWS global condition context keys"; Service Authorization Reference, "Actions, resources, and condition keys for
Amazon S3".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request
from gateway.protocol.query import Query
from gateway.protocol.tags import is_tagging_replaced, tags_of_header
from iam.policy.global_keys import CallerContext, pairs
from iam.policy.variables import NOTHING_KNOWN, Context, Values
from iam.principals import Caller
from iam.quickly_made import quickly_made
from iam.scope import Form

_OF_ENCRYPTION = (
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
)
ENCRYPTION = f"s3:{_OF_ENCRYPTION[0]}"
"""What the keys begin with that ask how an object is to be encrypted."""
_FROM_HEADERS = (
    *_OF_ENCRYPTION,
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
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
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


@quickly_made
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


class RequestContext(CallerContext):
    """The condition keys of a request. Headers that a presigned URL carries must be in `request`.

    `operation` is the name in the S3 model; `signing` is None if the request was not signed; `region` is that of the
    endpoint; `known` is what is known of one decision besides.
    """

    __slots__ = ("_tags", "operation", "query", "region", "request", "signing")

    def __init__(
        self,
        caller: Caller,
        request: Request,
        query: Query,
        *,
        operation: str,
        now: datetime,
        signing: Signing | None,
        region: str,
        known: Context = NOTHING_KNOWN,
    ) -> None:
        super().__init__(caller, now, known)
        self.region = region
        self.request = request
        self.query = query
        self.operation = operation
        self.signing = signing
        self._tags: Context | None = None

    def _compute(self, name: str) -> Values:
        compute = _KEYS.get(name)
        if compute is not None:
            value = compute(self)
            return () if value is None else (value,)
        if name.startswith(REQUESTED_TAGS):
            return self._requested_tags().get(name, ())
        return super()._compute(name)

    def _names(self) -> Iterator[str]:
        yield from super()._names()
        yield from _KEYS
        yield from self._requested_tags()

    def _requested_tags(self) -> Context:
        if self._tags is None:
            self._tags = requested_tags(_header_tags(self.request, self.operation))
        return self._tags


def _parameter(name: str) -> Callable[[RequestContext], str | None]:
    return lambda context: context.query.get(name)


def _header(name: str) -> Callable[[RequestContext], str | None]:
    return lambda context: context.request.headers.get(name)


_KEYS: dict[str, Callable[[RequestContext], str | None]] = {
    "aws:referer": _header("referer"),
    "aws:requestedregion": lambda context: context.region,
    "s3:authtype": lambda context: None if context.signing is None else _AUTH_TYPES[context.signing.form],
    "s3:objectcreationoperation": lambda context: _CREATES_OBJECT.get(context.operation),
    "s3:signatureage": lambda context: None if context.signing is None else context.signing.age(context.now),
    "s3:signatureversion": lambda context: None if context.signing is None else context.signing.version,
    "s3:tlsversion": lambda context: context.request.tls_version,
    "s3:versionid": _parameter("versionId"),
    **{f"s3:{name}": _parameter(name) for name in ("prefix", "delimiter", "max-keys")},
    **{f"s3:{name}": _header(name) for name in _FROM_HEADERS},
}


def asked_encryption(headers: Mapping[str, str]) -> dict[str, str]:
    """What a request says of encryption that policies can ask about."""
    return {name: headers[name] for name in _OF_ENCRYPTION if name in headers}


def encryption_of_upload(asked: Mapping[str, str]) -> Context:
    """What is known about the encryption of a part, or of a completion: what the request that began the upload asked
    for (`asked_encryption`), and nothing that a later one says."""
    return {f"s3:{name}": (asked[name],) if name in asked else () for name in _OF_ENCRYPTION}


def existing_tags(tags: Mapping[str, str]) -> Context:
    """What an action of ASKED_FOR_EXISTING_TAGS knows about the object's tags."""
    return pairs(EXISTING_TAGS, tags)


def requested_tags(tags: Mapping[str, str]) -> Context:
    """What is known about the tags that a request sets."""
    if not tags:
        return {}
    return {**pairs(f"{REQUESTED_TAGS}/", tags), f"{REQUESTED_TAGS}keys": tuple(tags)}


def tags_of_resource(tags: Mapping[str, str]) -> Context:
    """What is known about the tags of a bucket that a request sets: by the keys that all services have."""
    return {**pairs("aws:requesttag/", tags), **tag_keys(tags)} if tags else {}


def tag_keys(keys: Iterable[str]) -> Context:
    return {"aws:tagkeys": tuple(keys)}


def _header_tags(request: Request, operation: str) -> Mapping[str, str]:
    """A header that is none says nothing: its request is refused for it, whatever is decided."""
    headers = request.headers
    try:
        if operation not in _BRINGS_TAGS or (operation == "CopyObject" and not is_tagging_replaced(headers)):
            return {}
        return tags_of_header(headers)
    except S3Error:
        return {}

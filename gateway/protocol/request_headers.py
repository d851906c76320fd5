"""What becomes of every x-amz header of a request: one table, so that none is ignored by oversight.

A header that changes the meaning of a request is served or refused (design, "What must always hold"). Three kinds:
served (read by the module that knows it), tolerated (means nothing here, as the comment says why), and limited to
the values whose meaning is what the gateway does anyway. Everything else that S3 knows is refused with NotImplemented.
Headers that S3 does not know are ignored, as S3 does, unless they belong to a family of which none may be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import filterfalse

from gateway.protocol.checksums import Algorithm, unknown_checksum_header
from gateway.protocol.conditions import CONDITIONS
from gateway.protocol.encryption import CHOOSING, COPY_CUSTOMER, SSE, parse_encryption
from gateway.protocol.errors import S3Error, not_implemented

MAX_USER_AGENT_CHARACTERS = 1024
"""CloudTrail cuts userAgent at 1 KB."""

SERVED = frozenset(
    {
        "x-amz-bucket-namespace",
        *(algorithm.header for algorithm in Algorithm),
        "x-amz-acl",
        "x-amz-checksum-algorithm",
        "x-amz-checksum-mode",
        "x-amz-checksum-type",
        "x-amz-client-token",
        "x-amz-confirm-remove-self-bucket-access",
        "x-amz-content-sha256",
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-if-modified-since",
        "x-amz-copy-source-if-none-match",
        "x-amz-copy-source-if-unmodified-since",
        "x-amz-copy-source-range",
        "x-amz-date",
        "x-amz-decoded-content-length",
        "x-amz-expected-bucket-owner",
        "x-amz-grant-full-control",
        "x-amz-grant-read",
        "x-amz-grant-read-acp",
        "x-amz-grant-write",
        "x-amz-grant-write-acp",
        "x-amz-max-parts",
        "x-amz-metadata-directive",
        "x-amz-mp-object-size",
        "x-amz-object-attributes",
        "x-amz-object-ownership",
        "x-amz-part-number-marker",
        "x-amz-rename-source",
        "x-amz-rename-source-if-match",
        "x-amz-rename-source-if-modified-since",
        "x-amz-rename-source-if-none-match",
        "x-amz-rename-source-if-unmodified-since",
        "x-amz-request-payer",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-security-token",
        "x-amz-source-expected-bucket-owner",
        "x-amz-storage-class",
        "x-amz-tagging",
        "x-amz-tagging-directive",
        "x-amz-trailer",
        "x-amz-website-redirect-location",
    }
)
"""Read elsewhere."""

ENCRYPTION_FAMILIES = (SSE, COPY_CUSTOMER)
SERVED_FAMILIES = ("x-amz-meta-", *ENCRYPTION_FAMILIES)
"""x-amz-meta-* is `object_headers`'s; the SSE families are `encryption`'s, and read here for the operations that do not
choose an encryption: they tolerate or refuse them."""

TOLERATED = frozenset(
    {
        "x-amz-bypass-governance-retention",  # nothing is under retention
        "x-amz-mfa",  # no bucket asks for MFA on delete
        "x-amz-optional-object-attributes",  # RestoreStatus, which objects in no archive do not have
        "x-amz-user-agent",  # browsers' SDKs, where User-Agent cannot be set
    }
)

LIMITED: dict[str, frozenset[str]] = {
    "x-amz-bucket-object-lock-enabled": frozenset({"false"}),
    "x-amz-object-annotation-directive": frozenset({"copy"}),  # nothing has annotations
}
"""Values, in lower case, that ask for what happens anyway."""

_WRITE_CONDITIONS = frozenset({"if-match", "if-none-match"})
CONDITIONAL: dict[str, frozenset[str]] = {
    "CompleteMultipartUpload": _WRITE_CONDITIONS,
    "CopyObject": _WRITE_CONDITIONS,
    "DeleteObject": frozenset({"if-match"}),
    "PutObject": _WRITE_CONDITIONS,
    "RenameObject": CONDITIONS,
}
"""Which conditions the operations take that change something: all others are refused, since to ignore one would be to
do what the client forbade. What only reads may ignore them."""

_COPIES = frozenset({"CopyObject", "UploadPartCopy"})
_RENAMES = frozenset({"RenameObject"})
DEMANDS: dict[str, frozenset[str]] = {
    "x-amz-copy-source-if-match": _COPIES,
    "x-amz-copy-source-if-modified-since": _COPIES,
    "x-amz-copy-source-if-none-match": _COPIES,
    "x-amz-copy-source-if-unmodified-since": _COPIES,
    "x-amz-copy-source-range": _COPIES,
    "x-amz-mp-object-size": frozenset({"CompleteMultipartUpload"}),
    "x-amz-rename-source-if-match": _RENAMES,
    "x-amz-rename-source-if-modified-since": _RENAMES,
    "x-amz-rename-source-if-none-match": _RENAMES,
    "x-amz-rename-source-if-unmodified-since": _RENAMES,
    "x-amz-source-expected-bucket-owner": _COPIES,
}
"""Headers that say what must be so, or how much of a source is meant, and the operations that see to it: a change of
another kind would be made without. What only chooses among a source's properties (`x-amz-metadata-directive`,
`x-amz-tagging-directive`) asks for nothing where there is no source, and is ignored there, as on S3."""

_READS = ("Get", "Head", "List")

REFUSED = frozenset(
    {
        "x-amz-if-match-initiated-time",
        "x-amz-if-match-last-modified-time",
        "x-amz-if-match-size",
        "x-amz-write-offset-bytes",
    }
)
REFUSED_FAMILIES = (
    "x-amz-copy-source-",
    "x-amz-fwd-",
    "x-amz-grant-",
    "x-amz-if-",
    "x-amz-object-lock-",
    "x-amz-rename-source-",
)
"""Of these, what is not served is refused even if S3 added it after this was written."""

_ACCOUNT_ID = re.compile("[0-9]{12}")
_CHECKSUMS = "x-amz-checksum-"


_UNREMARKABLE = SERVED | {
    "accept",
    "accept-encoding",
    "authorization",
    "content-length",
    "content-md5",
    "content-type",
    "expect",
    "host",
    "user-agent",
}
"""What most requests have and nothing is to be said of here: passed over without a step for each."""


def check_request_headers(headers: Mapping[str, str], operation: str) -> None:
    """Refuse what is not served. `operation` is the name in the S3 model.

    Raises S3Error NotImplemented, InvalidArgument, InvalidRequest (a checksum that S3 does not have, a demand that the
    operation does not see to), or what `parse_encryption` does.
    """
    names_encryption = False
    if not operation.startswith(_READS):
        if not CONDITIONS.isdisjoint(headers):
            _check_conditions(headers, operation)
        if not DEMANDS.keys().isdisjoint(headers):
            _check_demands(headers, operation)
    for name in filterfalse(_UNREMARKABLE.__contains__, headers):
        if not name.startswith("x-amz-"):
            continue
        if name.startswith(SERVED_FAMILIES):
            names_encryption = names_encryption or name.startswith(ENCRYPTION_FAMILIES)
            continue
        if name in LIMITED:
            if headers[name].strip().lower() not in LIMITED[name]:
                raise not_implemented(name)
        elif name in REFUSED or name.startswith(REFUSED_FAMILIES):
            raise not_implemented(name)
        elif name.startswith(_CHECKSUMS):
            raise unknown_checksum_header()
    if names_encryption and operation not in CHOOSING:
        parse_encryption(headers, operation)


def _check_conditions(headers: Mapping[str, str], operation: str) -> None:
    taken = CONDITIONAL.get(operation, frozenset())
    for name in sorted(CONDITIONS):
        if name in headers and name not in taken:
            raise not_implemented(name.title())


def _check_demands(headers: Mapping[str, str], operation: str) -> None:
    for name, operations in DEMANDS.items():
        if name in headers and operation not in operations:
            raise S3Error("InvalidRequest", f"{name} header is not supported for this operation.")


def expected_owner(headers: Mapping[str, str], name: str) -> str | None:
    """The account that must own a bucket, by the header `name`. Raises S3Error InvalidBucketOwnerAWSAccountID."""
    account_id = headers.get(name)
    if account_id is not None and not _ACCOUNT_ID.fullmatch(account_id):
        message = "The value of the expected bucket owner parameter must be an AWS Account ID..."
        raise S3Error("InvalidBucketOwnerAWSAccountID", f"{message} [{account_id[:64]}]")
    return account_id


def user_agent(headers: Mapping[str, str]) -> str:
    """What the client calls itself, for the audit trail and for conditions; bytes that are no UTF-8 become "?"."""
    named = headers.get("user-agent", "")[:MAX_USER_AGENT_CHARACTERS]
    return named if named.isascii() else named.encode("utf-8", "replace").decode("utf-8")

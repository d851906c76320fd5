"""The server-side-encryption headers of S3: what a request asks for, and what a response says.

Every SSE header is honoured or refused, never ignored: those of SSE-S3, SSE-KMS with and without bucket keys, DSSE-KMS
and SSE-C; the encryption of file systems and backups, which S3 knows as well, is refused with NotImplemented.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.protocol.errors import S3Error, invalid_argument, not_implemented
from gateway.protocol.modes import Mode, Wrap
from iam.quickly_made import quickly_made

SSE = "x-amz-server-side-encryption"
KEY_ID = f"{SSE}-aws-kms-key-id"
CONTEXT = f"{SSE}-context"
BUCKET_KEY = f"{SSE}-bucket-key-enabled"
CUSTOMER = f"{SSE}-customer-"
COPY_CUSTOMER = "x-amz-copy-source-server-side-encryption-customer-"
CUSTOMER_ALGORITHM = f"{CUSTOMER}algorithm"
CUSTOMER_KEY_BYTES = 32

MAX_CONTEXT_BYTES = 8192
"""Of the context's JSON, as the KMS allows (API_Encrypt, "EncryptionContext")."""

MAX_KEY_ID_CHARACTERS = 2048
"""API_Encrypt, "KeyId"."""

RESERVED_CONTEXT_KEY = "aws:s3:arn"
"""Added by the gateway, with the object's ARN: a caller must not be able to put another one in its place."""

CHOOSING = frozenset({"PutObject", "CopyObject", "CreateMultipartUpload", "PostObject"})
"""The operations that choose an encryption; all others refuse the headers, but for those of an upload in parts."""

_TOLERATING = frozenset({"UploadPart", "UploadPartCopy", "CompleteMultipartUpload"})
"""Clients repeat the SSE headers of CreateMultipartUpload on what follows; the upload's own hold."""
_READING = frozenset({"GetObject", "GetObjectAttributes", "HeadObject"})

CUSTOMER_KEYS = CHOOSING | _TOLERATING | _READING | {"ListParts", "SelectObjectContent"}
SOURCE_CUSTOMER_KEYS = frozenset({"CopyObject", "UploadPartCopy"})
"""The operations that take a customer's key, for what they write or read, and for the source of a copy."""

BLOCKED_ENCRYPTION = "blocked encryption types"
"""What decided, in the access log, where a bucket refuses customers' keys."""

_BY_KMS = {"aws:kms": Mode.SSE_KMS, "aws:kms:dsse": Mode.DSSE_KMS}

_KEY_NEEDS_KMS = (
    "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
)
_BAD_CONTEXT = (
    f"The header '{CONTEXT}' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map"
)
_CUSTOMER_PREFACE = "Requests specifying Server Side Encryption with Customer provided keys must"
_BAD_CUSTOMER_KEY = "The secret key was invalid for the specified algorithm."
_CUSTOMER_NAMES = {
    prefix: frozenset({f"{prefix}algorithm", f"{prefix}key", f"{prefix}key-md5"})
    for prefix in (CUSTOMER, COPY_CUSTOMER)
}

_NO_CONTEXT: Mapping[str, str] = MappingProxyType({})
_FAMILIES = (SSE, COPY_CUSTOMER)


@dataclass(frozen=True, slots=True, eq=False)
class CustomerKey:
    """The key that a request brings (SSE-C), which is never kept. Blank in `repr`, and compared with nothing.

    `secret` has 32 bytes; where an object is read it may have any number, and is then a wrong key like another one.
    `md5` is its MD5 in Base64, which answers repeat.
    """

    secret: bytes = field(repr=False)
    md5: str = field(repr=False)


@quickly_made
@dataclass(frozen=True, slots=True)
class EncryptionRequest:
    """What a request asks for; `mode` None: nothing, so the bucket's default holds.

    `kms_key_id` is as the client wrote it (id, ARN, alias name or alias ARN); None with SSE_KMS means `alias/aws/s3`.
    `context` is the caller's own, without the ARN that the gateway adds. `customer_key` is there for SSE_C.
    `has_bucket_key` says whether SSE-KMS, whoever asks for it, is with a bucket key; None: as the bucket says. Beside
    DSSE-KMS, which has none, S3 takes it and does nothing (observed).
    """

    mode: Mode | None = None
    kms_key_id: str | None = None
    context: Mapping[str, str] = field(default_factory=lambda: _NO_CONTEXT)
    customer_key: CustomerKey | None = None
    has_bucket_key: bool | None = None


_NOTHING_ASKED = EncryptionRequest()


def parse_encryption(headers: Mapping[str, str], operation: str) -> EncryptionRequest:
    """Read and check the SSE headers of `operation` (its name in the S3 model).

    Customer's keys are checked in every operation, but told by those alone that choose an encryption; the others have
    `parse_customer_key`. Raises S3Error InvalidArgument, InvalidEncryptionAlgorithmError, AccessDenied (recorded
    cases), or NotImplemented.
    """
    named = [name for name in headers if name.startswith(_FAMILIES)]
    if not named:
        return _NOTHING_ASKED
    _refuse_unknown(named)
    customer_key = parse_customer_key(headers, operation)
    parse_source_customer_key(headers, operation)
    if operation in CHOOSING:
        asked = _asked(headers)
        if customer_key is None:
            return asked
        if asked.has_bucket_key:
            raise bucket_key_without_kms()
        return EncryptionRequest(Mode.SSE_C, customer_key=customer_key)
    if operation in _TOLERATING:
        _asked(headers)
        return _NOTHING_ASKED
    for name in (SSE, KEY_ID, CONTEXT, BUCKET_KEY):
        if name in headers:
            raise invalid_argument(name, headers[name], f"{name} header is not supported for this operation.")
    return _NOTHING_ASKED


def encryption_response_headers(
    wrap: Wrap, context: Mapping[str, str] | None = None, customer_key: CustomerKey | None = None
) -> dict[str, str]:
    """How an object is encrypted. `context` is echoed by PutObject, CopyObject and CreateMultipartUpload alone.

    Of SSE-C it is told which key the request brought; where it brought none, nothing.
    """
    if wrap.mode is Mode.SSE_S3:
        return {SSE: "AES256"}
    if wrap.mode is Mode.SSE_C:
        if customer_key is None:
            return {}
        return {CUSTOMER_ALGORITHM: "AES256", f"{CUSTOMER}key-MD5": customer_key.md5}
    headers = {SSE: "aws:kms:dsse" if wrap.mode is Mode.DSSE_KMS else "aws:kms"}
    if wrap.key_arn is not None:
        headers[KEY_ID] = wrap.key_arn
    if wrap.mode is Mode.SSE_KMS_BUCKET_KEY:
        headers[BUCKET_KEY] = "true"
    if context:
        headers[CONTEXT] = format_context(context)
    return headers


def format_context(context: Mapping[str, str]) -> str:
    """The header that `parse_context` reads as this."""
    text = json.dumps(dict(context), ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(text.encode()).decode()


def parse_context(text: str) -> Mapping[str, str]:
    """Base64 of a JSON object of strings, each name once. Raises S3Error InvalidArgument."""
    try:
        document = base64.b64decode(text.encode("ascii"), validate=True)
        if len(document) > MAX_CONTEXT_BYTES:
            raise ValueError("too long")
        context = json.loads(document.decode(), object_pairs_hook=_unique_strings)
        if not isinstance(context, dict) or RESERVED_CONTEXT_KEY in context:
            raise ValueError("no map, or a reserved name")
    except (binascii.Error, UnicodeError, ValueError, RecursionError):
        raise invalid_argument(CONTEXT, text, _BAD_CONTEXT) from None
    return context


def _unique_strings(pairs: list[tuple[str, object]]) -> dict[str, str]:
    context: dict[str, str] = {}
    for name, value in pairs:
        if name in context or not name or not isinstance(value, str):
            raise ValueError("a name twice, an empty one, or a value that is no string")
        (name + value).encode()  # JSON can spell lone surrogates, which are no text
        context[name] = value
    return context


def _asked(headers: Mapping[str, str]) -> EncryptionRequest:
    method = headers.get(SSE)
    has_bucket_key = _has_bucket_key(headers)
    if method in _BY_KMS:
        key_id = headers.get(KEY_ID)
        if key_id is not None and not 1 <= len(key_id) <= MAX_KEY_ID_CHARACTERS:
            raise invalid_argument(KEY_ID, key_id, "The KMS key id has 1 to 2048 characters.")
        context = headers.get(CONTEXT)
        return EncryptionRequest(
            _BY_KMS[method],
            key_id,
            _NO_CONTEXT if context is None else parse_context(context),
            has_bucket_key=has_bucket_key,
        )
    if method in ("aws:fsx", "aws:backup"):
        raise not_implemented(SSE, f"Server-side encryption with {method} is not implemented.")
    if method not in (None, "AES256"):
        raise invalid_argument(SSE, str(method), "The encryption method specified is not supported")
    for name in (KEY_ID, CONTEXT):
        if name in headers:
            raise invalid_argument(SSE, method or "null", _KEY_NEEDS_KMS)
    if method == "AES256":
        if has_bucket_key:
            raise bucket_key_without_kms()
        return EncryptionRequest(Mode.SSE_S3)
    return _NOTHING_ASKED if has_bucket_key is None else EncryptionRequest(has_bucket_key=has_bucket_key)


def bucket_key_without_kms() -> S3Error:
    """A bucket key is asked for, of an object that is not by SSE-KMS; AWS's own words for this are not public."""
    return invalid_argument(BUCKET_KEY, "true", "Bucket keys are for server-side encryption with aws:kms alone.")


def _has_bucket_key(headers: Mapping[str, str]) -> bool | None:
    value = headers.get(BUCKET_KEY)
    if value is None:
        return None
    if value.lower() not in ("true", "false"):
        raise invalid_argument(BUCKET_KEY, value, f"{BUCKET_KEY} must be true or false.")
    return value.lower() == "true"


def _refuse_unknown(names: Iterable[str]) -> None:
    known = (SSE, KEY_ID, CONTEXT, BUCKET_KEY)
    for name in names:
        if name.startswith(SSE) and name not in known and name not in _CUSTOMER_NAMES[CUSTOMER]:
            raise not_implemented(name)
        if name.startswith(COPY_CUSTOMER) and name not in _CUSTOMER_NAMES[COPY_CUSTOMER]:
            raise not_implemented(name)


def names_customer_key(headers: Mapping[str, str]) -> bool:
    """Whether a request says anything of a customer's key for what it writes or reads."""
    return not _CUSTOMER_NAMES[CUSTOMER].isdisjoint(headers)


def parse_customer_key(headers: Mapping[str, str], operation: str) -> CustomerKey | None:
    """The key that `operation` brings for what it writes or reads. Raises S3Error as `parse_encryption` does."""
    if not names_customer_key(headers):
        return None
    if operation not in CUSTOMER_KEYS:
        raise _not_taken(CUSTOMER)
    if SSE in headers or KEY_ID in headers:
        message = (
            "Server Side Encryption with Customer provided key is incompatible with the encryption method specified"
        )
        raise invalid_argument(SSE, headers.get(SSE, "null"), message)
    return _customer_key(headers, CUSTOMER, is_reading=operation in _READING)


def parse_source_customer_key(headers: Mapping[str, str], operation: str) -> CustomerKey | None:
    """The key that `operation` brings for the source of its copy. Raises S3Error as `parse_encryption` does."""
    if _CUSTOMER_NAMES[COPY_CUSTOMER].isdisjoint(headers):
        return None
    if operation not in SOURCE_CUSTOMER_KEYS:
        raise _not_taken(COPY_CUSTOMER)
    return _customer_key(headers, COPY_CUSTOMER, is_reading=True)


def _customer_key(headers: Mapping[str, str], prefix: str, *, is_reading: bool) -> CustomerKey:
    """The three headers of SSE-C, with the errors that were recorded from S3, in its order.

    A key of another length is refused where something is written; where something is read it is a wrong key.
    """
    algorithm = headers.get(f"{prefix}algorithm")
    key = headers.get(f"{prefix}key")
    digest = headers.get(f"{prefix}key-md5")
    if algorithm is None:
        raise _customer_error(f"{_CUSTOMER_PREFACE} provide a valid encryption algorithm.")
    if algorithm != "AES256":
        fields = {"ArgumentName": SSE, "ArgumentValue": algorithm[:64]}
        raise S3Error("InvalidEncryptionAlgorithmError", fields=fields)
    if not key:
        raise _customer_error(f"{_CUSTOMER_PREFACE} provide an appropriate secret key.")
    if digest is None and is_reading:
        raise wrong_customer_key()
    try:
        secret = base64.b64decode(key.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError):
        raise _customer_error(_BAD_CUSTOMER_KEY) from None
    if digest is None:
        raise _customer_error(_BAD_CUSTOMER_KEY)
    md5 = base64.b64encode(hashlib.md5(secret, usedforsecurity=False).digest())
    if not hmac.compare_digest(md5, digest.encode("utf-8", "surrogateescape")):
        raise _customer_error("The calculated MD5 hash of the key did not match the hash that was provided.")
    if len(secret) != CUSTOMER_KEY_BYTES and not is_reading:
        raise _customer_error(_BAD_CUSTOMER_KEY)
    return CustomerKey(secret, md5.decode())


def wrong_customer_key() -> S3Error:
    """What a read gets that brings another key than the object's."""
    return S3Error(
        "AccessDenied",
        f"{_CUSTOMER_PREFACE} provide the correct secret key.",
        decided_by="customer key",
        reason="refused because the request lacks the customer's key, or part of it, or brings another",
    )


def insecure_customer_key() -> S3Error:
    """What a request gets that brings a key where others can read along."""
    return S3Error("InvalidRequest", f"{_CUSTOMER_PREFACE} be made over a secure connection.")


def _customer_error(message: str) -> S3Error:
    """The value is never told: the headers hold a key."""
    return invalid_argument(SSE, "null", message)


def _not_taken(prefix: str) -> S3Error:
    """As for the other headers of encryption; the value may be a key, and is not told."""
    name = f"{prefix}algorithm"
    return invalid_argument(name, "null", f"{name} header is not supported for this operation.")

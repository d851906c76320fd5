"""The keys that customers bring (SSE-C): over which connections, to which objects and uploads, and where none may.

The key of an object or upload is told by the commitment in its wrap; the key itself is kept nowhere. Sources: S3 User
Guide, "Using server-side encryption with customer-provided keys (SSE-C)" and "Blocking or unblocking SSE-C for a
general purpose bucket"; answers as recorded from S3.
"""

from __future__ import annotations

import ipaddress

from gateway.operations.context import Call
from gateway.operations.documents import BucketDocument
from gateway.protocol.encryption import (
    BLOCKED_ENCRYPTION,
    CustomerKey,
    insecure_customer_key,
    names_customer_key,
    parse_customer_key,
    parse_source_customer_key,
    wrong_customer_key,
)
from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration
from gateway.sealing.customer_keys import WrongCustomerKey, check_customer_key
from gateway.storage.index.records import BucketRow, UploadRow
from kms.api.secrets import SecretBytes


def secret_of(key: CustomerKey | None) -> SecretBytes | None:
    return None if key is None else SecretBytes(key.secret)


def key_of_object(call: Call, bucket: BucketRow, wrap: Wrap) -> CustomerKey | None:
    """The key that the request brings for the object that it reads, checked; None for an object without one.

    Raises S3Error InvalidRequest for an object of the other kind, AccessDenied for another key, and what
    `parse_customer_key` does.
    """
    require_private_connection(call)
    key = parse_customer_key(call.request.headers, call.operation_name)
    _require(bucket, wrap, key)
    return key


def key_of_source(call: Call, bucket: BucketRow, wrap: Wrap) -> CustomerKey | None:
    """The same for the source of a copy, by its own headers."""
    key = parse_source_customer_key(call.request.headers, call.operation_name)
    if key is not None and not _is_private(call):
        raise insecure_customer_key()
    _require(bucket, wrap, key)
    return key


def key_of_upload(
    call: Call, bucket: BucketRow, upload: UploadRow, *, is_needed: bool, is_writing: bool = True
) -> CustomerKey | None:
    """The key that the request brings for a multipart upload, checked; None if it brings none and `is_needed` is off.

    Raises S3Error AccessDenied where something is written and the bucket blocks SSE-C, InvalidRequest for an upload of
    the other kind or another key, and what `parse_customer_key` does.
    """
    is_encrypted = upload.wrap.mode is Mode.SSE_C
    if is_writing:
        refuse_blocked(call, bucket, is_asked=is_encrypted or names_customer_key(call.request.headers))
    require_private_connection(call)
    key = parse_customer_key(call.request.headers, call.operation_name)
    if (key is not None and not is_encrypted) or (key is None and is_encrypted and is_needed):
        raise S3Error(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
            "encryption parameters.",
        )
    if key is not None and not _is_key_of(bucket, upload.wrap, key):
        raise S3Error("InvalidRequest", "The provided encryption parameters did not match the ones used originally.")
    return key


def require_private_connection(call: Call) -> None:
    """A key that went over a network in the clear is nobody's secret any more.

    Raises S3Error InvalidRequest if the request brings one otherwise than by TLS, up to here or to a proxy that is
    trusted, or from this very machine.
    """
    if names_customer_key(call.request.headers) and not _is_private(call):
        raise insecure_customer_key()


def refuse_blocked(call: Call, bucket: BucketRow, *, is_asked: bool | None = None) -> None:
    """Nothing is written under a customer's key into a bucket that blocks SSE-C, whatever the key.

    `is_asked` says whether it would be; None: as the request's headers say. Raises S3Error AccessDenied.
    """
    if is_asked is None:
        is_asked = names_customer_key(call.request.headers)
    if not is_asked or takes_customer_keys(call.services.rows.open_bucket(bucket)):
        return
    principal = call.caller.principal
    message = (
        f"User: {principal.arn} is not authorized to perform: s3:{call.operation_name} on resource: "
        f'"{call.object_arn}" because this bucket has blocked upload requests that specify Server Side Encryption '
        "with Customer provided keys (SSE-C). Please specify a different server-side encryption type"
    )
    raise S3Error(
        "AccessDenied",
        # Other accounts, and who is nobody, are not told how the bucket is set up.
        None if call.is_anonymous or principal.account_id != bucket.account_id else message,
        decided_by=BLOCKED_ENCRYPTION,
        reason="refused because the bucket blocks SSE-C",
    )


def takes_customer_keys(bucket: BucketDocument) -> bool:
    """Whether objects may be written under customers' keys.

    A bucket of the time before there was SSE-C takes none, as none of its objects has one, unless its owner has said so
    since, or said so already then.
    """
    if bucket.takes_customer_keys is not None:
        return bucket.takes_customer_keys
    if bucket.encryption is None:
        return False
    return ServerSideEncryptionConfiguration.parse(bucket.encryption.encode()).takes_customer_keys is True


def _require(bucket: BucketRow, wrap: Wrap, key: CustomerKey | None) -> None:
    if wrap.mode is not Mode.SSE_C:
        if key is not None:
            raise S3Error("InvalidRequest", "The encryption parameters are not applicable to this object.")
        return
    if key is None:
        raise S3Error(
            "InvalidRequest",
            "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to "
            "retrieve the object.",
        )
    if not _is_key_of(bucket, wrap, key):
        raise wrong_customer_key()


def _is_key_of(bucket: BucketRow, wrap: Wrap, key: CustomerKey) -> bool:
    secret = SecretBytes(key.secret)
    try:
        check_customer_key(secret, wrap.wrapped, account_id=bucket.account_id, bucket_id=bucket.bucket_id)
    except WrongCustomerKey:
        return False
    return True


def _is_private(call: Call) -> bool:
    if call.request.is_secure:
        return True
    try:
        return ipaddress.ip_address(call.request.remote_ip).is_loopback
    except ValueError:
        return False  # the peer of a Unix socket, where a proxy sits that did not say how it was reached

"""Which encryption a new object gets, and the data keys of objects, as handlers ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.operations.context import Call
from gateway.operations.customer_keys import refuse_blocked, require_private_connection, secret_of
from gateway.operations.documents import BucketDocument
from gateway.protocol.encryption import CustomerKey, bucket_key_without_kms, parse_encryption
from gateway.protocol.errors import invalid_argument
from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration
from gateway.sealing.body_key import BodyKey
from gateway.storage.index.records import BucketRow
from iam.quickly_made import quickly_made

DEFAULT_ENCRYPTION = ServerSideEncryptionConfiguration(Mode.SSE_S3)
"""Of a bucket without a configuration of its own: since 2023 there is no request without encryption."""


@quickly_made
@dataclass(frozen=True, slots=True)
class EncryptionChoice:
    """A mode, with the KMS key (None: `alias/aws/s3`) and the caller's encryption context, or with the
    customer's key."""

    mode: Mode
    kms_key_id: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    customer_key: CustomerKey | None = None


def choose_encryption(call: Call, bucket: BucketRow) -> EncryptionChoice:
    """The request's headers, else the bucket's default, else SSE-S3.

    Raises S3Error for headers that are malformed, or ask for what is not served or for what the bucket blocks.
    """
    refuse_blocked(call, bucket)
    require_private_connection(call)
    asked = parse_encryption(call.request.headers, call.operation_name)
    rule = default_encryption(call.services.rows.open_bucket(bucket))
    has_bucket_key = rule.has_bucket_keys if asked.has_bucket_key is None else asked.has_bucket_key
    if asked.mode is not None:
        mode = _with_bucket_key(asked.mode, has_bucket_key=has_bucket_key)
        return EncryptionChoice(mode, asked.kms_key_id, asked.context, asked.customer_key)
    mode = _with_bucket_key(rule.mode or Mode.SSE_S3, has_bucket_key=has_bucket_key)
    if asked.has_bucket_key and mode not in {Mode.SSE_KMS_BUCKET_KEY, Mode.DSSE_KMS}:
        raise bucket_key_without_kms()
    return EncryptionChoice(mode, rule.kms_key_id)


def default_encryption(bucket: BucketDocument) -> ServerSideEncryptionConfiguration:
    """What a bucket says about objects of which requests say nothing."""
    if bucket.encryption is None:
        return DEFAULT_ENCRYPTION
    return ServerSideEncryptionConfiguration.parse(bucket.encryption.encode())


def _with_bucket_key(mode: Mode, *, has_bucket_key: bool) -> Mode:
    return Mode.SSE_KMS_BUCKET_KEY if has_bucket_key and mode is Mode.SSE_KMS else mode


def require_signature(call: Call, mode: Mode) -> None:
    """Whoever uses a KMS key must be somebody. Raises S3Error InvalidArgument, as AWS does."""
    if call.is_anonymous and mode not in {Mode.SSE_S3, Mode.SSE_C}:
        raise invalid_argument(
            "Authorization",
            "null",
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
        )


async def new_data_key(call: Call, bucket: BucketRow, row_uid: bytes, choice: EncryptionChoice) -> tuple[BodyKey, Wrap]:
    """A fresh data key for the object that the call writes, wrapped as chosen."""
    require_signature(call, choice.mode)
    epoch = call.key_epoch()
    data_key, wrap = await call.services.data_keys.create(
        call.caller,
        choice.mode,
        kms_key_id=choice.kms_key_id,
        context=choice.context,
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=row_uid,
        object_arn=call.object_arn,
        customer_key=secret_of(choice.customer_key),
    )
    call.note_key(wrap, epoch)
    return data_key, wrap


async def open_data_key(
    call: Call,
    bucket: BucketRow,
    row_uid: bytes,
    wrap: Wrap,
    context: Mapping[str, str] | None,
    *,
    customer_key: CustomerKey | None = None,
) -> BodyKey:
    """The data key of the object or upload that the call names; a customer's key was checked to be its own."""
    require_signature(call, wrap.mode)
    epoch = call.key_epoch()
    data_key = await call.services.data_keys.open(
        call.caller,
        wrap,
        context=context or {},
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=row_uid,
        object_arn=call.object_arn,
        customer_key=secret_of(customer_key),
    )
    call.note_key(wrap, epoch)
    return data_key


async def new_manifest_key(call: Call, bucket: BucketRow, row_uid: bytes) -> tuple[BodyKey, Wrap]:
    """A data key for the manifest of an object by SSE-C, of the gateway's own.

    Requests that do not bring the customer's key write manifests, too, and these say no more than the index does.
    """
    return await new_data_key(call, bucket, row_uid, EncryptionChoice(Mode.SSE_S3))


async def rewrap(call: Call, bucket: BucketRow, row_uid: bytes, choice: EncryptionChoice, data_key: BodyKey) -> Wrap:
    """The wrap of an existing data key for the object that the call writes (a copy that shares blobs)."""
    return await call.services.data_keys.rewrap(
        call.caller,
        data_key,
        choice.mode,
        kms_key_id=choice.kms_key_id,
        context=choice.context,
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=row_uid,
        object_arn=call.object_arn,
    )

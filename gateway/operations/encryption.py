"""Which encryption a new object gets, and the data keys of objects, as handlers ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.operations.context import Call
from gateway.protocol.encryption import parse_encryption
from gateway.protocol.errors import invalid_argument
from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration
from gateway.storage.index.records import BucketRow
from kms.api.secrets import SecretBytes


@dataclass(frozen=True, slots=True)
class EncryptionChoice:
    """A mode that is served, with the KMS key (None: `alias/aws/s3`) and the caller's encryption context."""

    mode: Mode
    kms_key_id: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)


def choose_encryption(call: Call, bucket: BucketRow) -> EncryptionChoice:
    """The request's headers, else the bucket's default, else SSE-S3.

    Raises S3Error for headers that are malformed or ask for a mode that is not served.
    """
    asked = parse_encryption(call.request.headers, call.operation_name)
    if asked.mode is not None:
        return EncryptionChoice(asked.mode, asked.kms_key_id, asked.context)
    default = call.services.rows.open_bucket(bucket).encryption
    if default is None:
        return EncryptionChoice(Mode.SSE_S3)
    rule = ServerSideEncryptionConfiguration.parse(default.encode())
    return EncryptionChoice(rule.mode, rule.kms_key_id)


def require_signature(call: Call, mode: Mode) -> None:
    """Whoever uses a KMS key must be somebody. Raises S3Error InvalidArgument, as AWS does."""
    if call.is_anonymous and mode is not Mode.SSE_S3:
        raise invalid_argument(
            "Authorization",
            "null",
            "Requests specifying Server Side Encryption with AWS KMS managed keys require AWS Signature Version 4.",
        )


async def new_data_key(
    call: Call, bucket: BucketRow, row_uid: bytes, choice: EncryptionChoice
) -> tuple[SecretBytes, Wrap]:
    """A fresh data key for the object that the call writes, wrapped as chosen."""
    require_signature(call, choice.mode)
    return await call.services.data_keys.create(
        call.caller,
        choice.mode,
        kms_key_id=choice.kms_key_id,
        context=choice.context,
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=row_uid,
        object_arn=call.object_arn,
    )


async def open_data_key(
    call: Call, bucket: BucketRow, row_uid: bytes, wrap: Wrap, context: Mapping[str, str] | None
) -> SecretBytes:
    """The data key of the object or upload that the call names."""
    require_signature(call, wrap.mode)
    return await call.services.data_keys.open(
        call.caller,
        wrap,
        context=context or {},
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=row_uid,
        object_arn=call.object_arn,
    )


async def rewrap(
    call: Call, bucket: BucketRow, row_uid: bytes, choice: EncryptionChoice, data_key: SecretBytes
) -> Wrap:
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

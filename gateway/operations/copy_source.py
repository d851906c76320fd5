"""The object that CopyObject and UploadPartCopy read: found, its conditions checked, its data key opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.operations.authorisation import ARN_PREFIX, ObjectTags, action_on
from gateway.operations.context import Call, another_owner, checked_key
from gateway.operations.customer_keys import key_of_source, secret_of
from gateway.operations.documents import ObjectDocument
from gateway.operations.download import BlobSlice, blobs_of
from gateway.operations.encryption import require_signature
from gateway.operations.object_access import tags_in_question
from gateway.operations.object_owner import introduce_owner
from gateway.operations.request_payment import require_payer
from gateway.operations.versioning import find_version, named_version
from gateway.protocol.conditions import check_source
from gateway.protocol.copy_source import parse_copy_source
from gateway.protocol.encryption import CustomerKey
from gateway.protocol.errors import S3Error
from gateway.protocol.names import BucketName, object_arn
from gateway.protocol.request_headers import expected_owner
from gateway.sealing.body_key import BodyKey
from gateway.storage.errors import NoSuchBucket, NoSuchKey
from gateway.storage.index.records import BucketRow, ObjectRow

MAX_COPY_BYTES = 5 << 30
"""API_CopyObject, API_UploadPartCopy: at most 5 GB in one request."""

CONDITION_PREFIX = "x-amz-copy-source-"


@dataclass(frozen=True, slots=True)
class CopySource:
    """The object that is copied, its conditions checked. `customer_key` is the one of the object, if it has one."""

    bucket: BucketRow
    row: ObjectRow
    document: ObjectDocument
    arn: str
    is_version_named: bool
    blobs: Sequence[BlobSlice]
    customer_key: CustomerKey | None


async def find_copy_source(call: Call) -> CopySource:
    """What `x-amz-copy-source` names.

    Raises S3Error NoSuchBucket, NoSuchKey, NoSuchVersion, AccessDenied, PreconditionFailed; InvalidRequest for a
    version that is a delete marker; and what `key_of_source` does.
    """
    headers = call.request.headers
    named = parse_copy_source(headers["x-amz-copy-source"])
    key = checked_key(named.key)
    owner = expected_owner(headers, "x-amz-source-expected-bucket-owner")
    try:
        bucket = await call.bucket_named(named.bucket)
    except NoSuchBucket:
        raise S3Error("NoSuchBucket", fields={"BucketName": named.bucket}) from None
    await introduce_owner(call, bucket, key, named.version_id, "s3:GetObject")
    action = action_on("s3:GetObject", is_version_named=named.version_id is not None)
    tags = ObjectTags(await tags_in_question(call, bucket, key, named.version_id))
    call.permissions.require(action, f"{ARN_PREFIX}{named.bucket}/{named.key}", tags=tags)
    if owner not in (None, bucket.account_id):
        raise another_owner(bucket)
    require_payer(call, bucket)
    version_id = named_version(call, bucket, named.version_id)
    try:
        row = await find_version(call, bucket, key, version_id)
    except NoSuchKey:
        raise call.permissions.conceal(S3Error("NoSuchKey", fields={"Key": key}), named.bucket, key) from None
    except S3Error as error:
        if error.code == "MethodNotAllowed":
            raise S3Error(
                "InvalidRequest",
                "The source of a copy request may not specifically refer to a delete marker by version id.",
            ) from None
        raise call.permissions.conceal(error, named.bucket, key) from None
    document = call.services.rows.open_object(row)
    customer_key = key_of_source(call, bucket, row.wrap)
    check_source(headers, CONDITION_PREFIX, etag=document.etag, modified_us=row.modified_us, now_us=call.now_us)
    arn = object_arn(BucketName(named.bucket), key)
    blobs = blobs_of(call.services, row, document)
    return CopySource(bucket, row, document, arn, version_id is not None, blobs, customer_key)


def check_copy_size(size: int) -> None:
    """Raises S3Error InvalidRequest for more than one request copies."""
    if size > MAX_COPY_BYTES:
        raise S3Error(
            "InvalidRequest",
            f"The specified copy source is larger than the maximum allowable size for a copy source: {MAX_COPY_BYTES}",
        )


async def open_source_key(call: Call, source: CopySource) -> BodyKey:
    """The source's data key; for SSE-KMS the caller must be allowed to decrypt with the source's KMS key."""
    require_signature(call, source.row.wrap.mode)
    epoch = call.key_epoch()
    data_key = await call.services.data_keys.open(
        call.caller,
        source.row.wrap,
        context=source.document.context or {},
        account_id=source.bucket.account_id,
        bucket_id=source.bucket.bucket_id,
        row_uid=source.row.row_uid,
        object_arn=source.arn,
        customer_key=secret_of(source.customer_key),
    )
    call.note_key(source.row.wrap, epoch)
    return data_key

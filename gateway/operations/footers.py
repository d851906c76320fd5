"""What blob footers say, from rows: the clear half of each, and the descriptor of an object that has a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from msgspec import UNSET, UnsetType

from gateway.operations.documents import ObjectDescriptor, ObjectDocument, PartEntry
from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.footer import Envelope
from gateway.sealing.kms_context import bucket_of, kms_context
from gateway.sealing.wraps import split_kms_wrap
from gateway.storage.index.records import BucketRow, ObjectRow, UploadRow


def object_envelope(
    bucket: BucketRow,
    kind: BlobKind,
    wrap: Wrap,
    *,
    row_uid: bytes,
    context: Mapping[str, str] | None,
    object_arn: str,
    manifest_wrap: Wrap | None = None,
) -> Envelope:
    """For the blob of a single-body object, or a manifest; `manifest_wrap` is for one with a data key of its own."""
    return Envelope(
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=row_uid,
        kind=kind,
        mode=wrap.mode,
        wraps=_wraps(wrap) if manifest_wrap is None else (wrap, manifest_wrap),
        encryption_context=_context(wrap, context, object_arn),
        object_key=_object_key(wrap, object_arn),
    )


def object_descriptor(
    key: str,
    row: ObjectRow,
    document: ObjectDocument,
    parts: list[PartEntry] | None,
    blob_ids: Sequence[bytes] | None = None,
) -> ObjectDescriptor:
    """What a manifest says of the object; `parts` is its part table, if it has one, and `blob_ids` None: the row's.

    A body's own blob names no blobs.
    """
    return ObjectDescriptor(
        key=key,
        row_uid=row.row_uid,
        version_id=row.version_id,
        modified_us=row.modified_us,
        size=row.size,
        document=document,
        parts=parts or [],
        blob_ids=list(row.blob_ids if blob_ids is None else blob_ids),
    )


def part_envelope(
    bucket: BucketRow, upload: UploadRow, context: Mapping[str, str] | None, object_arn: str, part_number: int
) -> Envelope:
    return Envelope(
        account_id=bucket.account_id,
        bucket_id=bucket.bucket_id,
        row_uid=upload.row_uid,
        kind=BlobKind.PART,
        mode=upload.wrap.mode,
        wraps=_wraps(upload.wrap),
        encryption_context=_context(upload.wrap, context, object_arn),
        object_key=_object_key(upload.wrap, object_arn),
        upload_id=upload.upload_id,
        part_number=part_number,
    )


def _wraps(wrap: Wrap) -> tuple[Wrap, ...]:
    """The data keys one by one: of two layers, that of the KMS and that of the service's key."""
    if wrap.mode is not Mode.DSSE_KMS:
        return (wrap,)
    blob, local = split_kms_wrap(wrap.wrapped)
    return replace(wrap, wrapped=blob), Wrap(Mode.SSE_S3, local)


def _context(wrap: Wrap, context: Mapping[str, str] | None, object_arn: str) -> Mapping[str, str]:
    if wrap.mode in {Mode.SSE_S3, Mode.SSE_C}:
        return {}
    arn = bucket_of(object_arn)[0] if wrap.mode is Mode.SSE_KMS_BUCKET_KEY else object_arn
    return kms_context(context or {}, arn)


def _object_key(wrap: Wrap, object_arn: str) -> str | UnsetType:
    """Wraps under a bucket key are bound to it, and the context that is told beside them does not say it."""
    return bucket_of(object_arn)[1] if wrap.mode is Mode.SSE_KMS_BUCKET_KEY else UNSET

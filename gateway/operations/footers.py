"""The clear half of blob footers, from rows."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.data_keys import kms_context
from gateway.sealing.footer import Envelope
from gateway.storage.index.records import BucketRow, UploadRow


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
        wraps=(wrap,) if manifest_wrap is None else (wrap, manifest_wrap),
        encryption_context=_context(wrap, context, object_arn),
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
        wraps=(upload.wrap,),
        encryption_context=_context(upload.wrap, context, object_arn),
        upload_id=upload.upload_id,
        part_number=part_number,
    )


def _context(wrap: Wrap, context: Mapping[str, str] | None, object_arn: str) -> Mapping[str, str]:
    return {} if wrap.mode in {Mode.SSE_S3, Mode.SSE_C} else kms_context(context or {}, object_arn)

"""What answers tell of the rules of a bucket: nothing, at next to no cost, where it has none."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.documents import BucketDocument, ObjectDocument
from gateway.protocol.lifecycle import abort_headers, expiration_headers
from gateway.storage.index.records import BucketRow, ObjectRow, UploadRow


def expiration_of(call: Call, settings: BucketDocument, row: ObjectRow, document: ObjectDocument) -> dict[str, str]:
    """When the current version of a key expires; `settings` are those of its bucket."""
    if settings.lifecycle is None:
        return {}
    days, key = call.services.lifecycle_days, row.key.decode()
    due = days.next_expiration(settings.lifecycle, key, row.size, lambda: document.tags, row.modified_us)
    return expiration_headers(due)


def expiration_of_new(call: Call, bucket: BucketRow, row: ObjectRow, document: ObjectDocument) -> dict[str, str]:
    """The same of a version that the call has just made."""
    return expiration_of(call, call.services.rows.open_bucket(bucket), row, document)


def abortion_of(call: Call, bucket: BucketRow, upload: UploadRow) -> dict[str, str]:
    """When an upload is aborted unless it is completed before."""
    lifecycle = call.services.rows.open_bucket(bucket).lifecycle
    if lifecycle is None:
        return {}
    return abort_headers(call.services.lifecycle_days.next_abortion(lifecycle, call.key, upload.initiated_us))

"""Versions as operations meet them: which id a new version gets, which version a request names, what the answer tells.

Amazon S3 User Guide, "Retaining multiple versions of objects with S3 Versioning" and "Working with delete markers";
what the guide leaves open is as recorded from S3.
"""

from __future__ import annotations

import os
from enum import StrEnum

from gateway.operations.context import Call
from gateway.operations.documents import BucketDocument, ObjectDocument
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.timestamps import format_http_date
from gateway.protocol.version_ids import (
    NULL_VERSION_ID,
    RANDOM_BYTES,
    check_version_id,
    format_version_id,
)
from gateway.sealing.ids import new_id
from gateway.storage.errors import NoSuchVersion
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind

VERSION_HEADER = "x-amz-version-id"
COPY_SOURCE_VERSION_HEADER = "x-amz-copy-source-version-id"
MARKER_HEADER = "x-amz-delete-marker"


class Versioning(StrEnum):
    """State of a bucket. Once Enabled it never goes back to `NEVER`."""

    NEVER = ""
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


def versioning_of(call: Call, bucket: BucketRow) -> Versioning:
    return Versioning(call.services.rows.open_bucket(bucket).versioning or "")


def new_version_id(call: Call, bucket: BucketRow, modified_us: int) -> str:
    """The id of a version that is written now: one of its own only while versioning is enabled."""
    return version_id_in(versioning_of(call, bucket), modified_us)


def version_id_in(versioning: Versioning, modified_us: int) -> str:
    """The same in a bucket of that state."""
    if versioning is not Versioning.ENABLED:
        return NULL_VERSION_ID
    return format_version_id(modified_us, os.urandom(RANDOM_BYTES))


def written_headers(row: ObjectRow) -> dict[str, str]:
    """What the answer to a write tells: the version id, if it has one of its own."""
    return {} if row.version_id == NULL_VERSION_ID else {VERSION_HEADER: row.version_id}


def read_headers(call: Call, bucket: BucketRow, row: ObjectRow, *, name: str = VERSION_HEADER) -> dict[str, str]:
    """What the answer to a read tells: the version id, "null" too, in a bucket that has or had versioning."""
    return told_version(call.services.rows.open_bucket(bucket), row, name=name)


def told_version(settings: BucketDocument, row: ObjectRow, *, name: str = VERSION_HEADER) -> dict[str, str]:
    """The same in a bucket of these settings."""
    return {name: row.version_id} if settings.versioning else {}


def named_version(call: Call, bucket: BucketRow, version_id: str | None) -> str | None:
    """The version that a request names, None for the newest. Raises S3Error InvalidArgument.

    In a bucket that never had versioning the one version of a key is called "null", and nothing else is a version id.
    """
    if version_id is None:
        return None
    check_version_id(version_id)
    if versioning_of(call, bucket) is Versioning.NEVER:
        if version_id != NULL_VERSION_ID:
            raise _invalid(version_id)
        return None
    return version_id


async def find_version(
    call: Call, bucket: BucketRow, key: str, version_id: str | None, *, tells_marker: bool = False
) -> ObjectRow:
    """The object that a read names; `version_id` as `named_version` gives it.

    Raises storage's NoSuchKey; S3Error NoSuchVersion; for a delete marker NoSuchKey or, if the marker itself was named,
    MethodNotAllowed, with the headers that tell that it is one; with `tells_marker` that in either case.
    """
    try:
        row = await call.version(bucket, key, version_id)
    except NoSuchVersion:
        raise no_such_version(key, version_id) from None
    refuse_marker(call, row, key, is_named=tells_marker or version_id is not None)
    return row


def refuse_marker(call: Call, row: ObjectRow, key: str, *, is_named: bool) -> None:
    """Raises S3Error for a delete marker: NoSuchKey, or MethodNotAllowed where the marker itself was named."""
    if row.kind is RowKind.DELETE_MARKER:
        call.services.rows.open_object(row)  # before it is believed
        raise _is_marker(call, row, key, is_named=is_named)


def no_such_version(key: str, version_id: str | None) -> S3Error:
    return S3Error("NoSuchVersion", fields={"Key": key, "VersionId": version_id or ""})


def new_marker(call: Call, bucket: BucketRow, key: str) -> ObjectRow:
    """A delete marker for the key, sealed: nothing but a row."""
    version_id = new_version_id(call, bucket, call.now_us)
    return marker_row(call.services.rows, bucket.bucket_id, key.encode(), version_id, call.now_us)


def marker_row(rows: SealedRows, bucket_id: bytes, key: bytes, version_id: str, now_us: int) -> ObjectRow:
    """`new_marker` without a request."""
    row = ObjectRow(
        bucket_id=bucket_id,
        key=key,
        row_uid=new_id(),
        version_id=version_id,
        kind=RowKind.DELETE_MARKER,
        size=0,
        modified_us=now_us,
        wrap=Wrap(Mode.SSE_S3, b""),
        blob_ids=(),
        manifest_id=None,
        part_count=0,
        revision=0,
        sealed=b"",
    )
    return rows.seal_object(row, ObjectDocument(etag=""))


def etag_of(call: Call, row: ObjectRow | None) -> str | None:
    """For conditions: the ETag of the key's object; None where there is none, or a delete marker in its place."""
    if row is None or row.kind is RowKind.DELETE_MARKER:
        return None
    return call.services.rows.open_object(row).etag


def _is_marker(call: Call, row: ObjectRow, key: str, *, is_named: bool) -> S3Error:
    headers = {MARKER_HEADER: "true", VERSION_HEADER: row.version_id}
    if not is_named:
        return S3Error("NoSuchKey", fields={"Key": key}, headers=headers)
    headers |= {"Allow": "DELETE", "Last-Modified": format_http_date(row.modified_us)}
    fields = {"Method": call.request.method, "ResourceType": "DeleteMarker"}
    return S3Error("MethodNotAllowed", fields=fields, headers=headers)


def _invalid(version_id: str) -> S3Error:
    fields = {"ArgumentName": "versionId", "ArgumentValue": version_id[:1024]}
    return S3Error("InvalidArgument", "Invalid version id specified", fields=fields)

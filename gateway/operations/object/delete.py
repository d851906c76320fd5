"""DeleteObject (API reference: API_DeleteObject)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.preconditions import delete_precondition
from gateway.operations.versioning import (
    MARKER_HEADER,
    VERSION_HEADER,
    Versioning,
    named_version,
    new_marker,
    versioning_of,
)
from gateway.protocol.messages import Response
from gateway.protocol.version_ids import NULL_VERSION_ID
from gateway.storage.index.records import BucketRow, Deletion, ObjectRow, RowKind


async def handle(call: Call) -> Response:
    """204 whether there was something to delete or not.

    In a bucket that has or had versioning, a delete marker takes the place of the object unless a version is named.
    """
    bucket = await call.bucket()
    version_id = call.query.get("versionId")
    deletion = deletion_of(call, bucket, call.key, version_id)
    precondition = await delete_precondition(call)
    gone = await call.services.index.delete_object(bucket.bucket_id, deletion, precondition)
    return Response(status=204, headers=_headers(deletion, named_version(call, bucket, version_id), gone))


def deletion_of(call: Call, bucket: BucketRow, key: str, version_id: str | None) -> Deletion:
    """Raises S3Error InvalidArgument for what is no version id in this bucket."""
    named = named_version(call, bucket, version_id)
    if named is not None:
        return Deletion(key.encode(), named)
    if versioning_of(call, bucket) is Versioning.NEVER:
        # By name: should versioning begin in this very moment, a version written since is not the one that was meant.
        return Deletion(key.encode(), NULL_VERSION_ID)
    return Deletion(key.encode(), marker=new_marker(call, bucket, key))


def _headers(deletion: Deletion, named: str | None, gone: ObjectRow | None) -> dict[str, str]:
    if deletion.marker is not None:
        return {MARKER_HEADER: "true", VERSION_HEADER: deletion.marker.version_id}
    if named is None:
        return {}
    was_marker = gone is not None and gone.kind is RowKind.DELETE_MARKER
    return {VERSION_HEADER: named, **({MARKER_HEADER: "true"} if was_marker else {})}

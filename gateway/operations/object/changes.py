"""Changing what an object's sealed document says, without writing the object anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.operations.context import Call
from gateway.operations.documents import ObjectDocument
from gateway.operations.versioning import no_such_version, refuse_marker
from gateway.storage.errors import Conflict, NoSuchVersion
from gateway.storage.index.records import BucketRow, ObjectRow


async def change_object(
    call: Call, bucket: BucketRow, version_id: str | None, change: Callable[[ObjectDocument], ObjectDocument]
) -> ObjectRow:
    """Let `change` replace the document of the version that the request names; the row as it stands then.

    `version_id` is as `named_version` gives it. ETag, Last-Modified and place among the versions stay. `change` runs
    inside the writing transaction, so that of changes that meet each sees the one before it: it must be quick, and may
    raise to refuse. Raises S3Error MethodNotAllowed for every delete marker, NoSuchVersion, and storage's NoSuchKey;
    Conflict (409 OperationAborted) where the request was authorised by what the object said, and that has changed.
    """
    rows = call.services.rows

    def write(row: ObjectRow) -> ObjectRow:
        if authorised is not None and (row.row_uid, row.revision) != (authorised.row_uid, authorised.revision):
            raise Conflict("the object changed since it was decided about")
        refuse_marker(call, row, call.key, is_named=True)
        return rows.seal_object(replace(row, revision=row.revision + 1), change(rows.open_object(row)))

    try:
        authorised = call.kept_version(bucket, call.key, version_id)
        return await call.services.index.change_object(bucket.bucket_id, call.key.encode(), version_id, write)
    except NoSuchVersion:
        raise no_such_version(call.key, version_id) from None

"""Changing what a bucket's sealed document says."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from gateway.operations.context import Call
from gateway.storage.index.records import BucketRow


async def change_bucket(call: Call, bucket: BucketRow, **changes: object) -> None:
    """Replace members of the bucket's document, and leave the others as they are.

    Raises storage's Conflict (409 OperationAborted) if another change came in between.
    """
    rows = call.services.rows
    document = msgspec.structs.replace(rows.open_bucket(bucket), **changes)
    changed = replace(bucket, revision=bucket.revision + 1)
    await call.services.index.update_bucket(rows.seal_bucket(changed, document))

"""What a bucket's sealed document says: changing it, and answering what was put."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from gateway.operations.context import Call
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.storage.index.records import BucketRow


async def change_bucket(call: Call, bucket: BucketRow, **changes: object) -> None:
    """Replace members of the bucket's document, and leave the others as they are.

    Raises storage's Conflict (409 OperationAborted) if another change came in between.
    """
    rows = call.services.rows
    document = msgspec.structs.replace(rows.open_bucket(bucket), **changes)
    changed = replace(bucket, revision=bucket.revision + 1)
    await call.services.index.update_bucket(rows.seal_bucket(changed, document))


def stored_document(call: Call, text: str | None, missing: str) -> Response:
    """A configuration as it is stored: XML. Raises S3Error `missing`, which names the bucket, for one that is not."""
    if text is None:
        raise S3Error(missing, fields={"BucketName": call.bucket_name})
    return Response(200, {"Content-Type": "application/xml"}, text.encode())

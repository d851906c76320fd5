"""DeleteBucket (API reference: API_DeleteBucket)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.protocol.messages import Response


async def handle(call: Call) -> Response:
    """Uploads in progress do not keep a bucket; objects do."""
    bucket = await call.bucket()
    await call.services.index.delete_bucket(bucket.bucket_id)
    return Response(status=204)

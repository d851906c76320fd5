"""DeleteObject (API reference: API_DeleteObject)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.object.get import check_version_id
from gateway.operations.preconditions import delete_precondition
from gateway.protocol.messages import Response


async def handle(call: Call) -> Response:
    """204 whether the key existed or not."""
    check_version_id(call.query.get("versionId"))
    bucket = await call.bucket()
    await call.services.index.delete_object(bucket.bucket_id, call.key.encode(), delete_precondition(call))
    return Response(status=204)

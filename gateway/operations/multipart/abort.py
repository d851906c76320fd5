"""AbortMultipartUpload (API reference: API_AbortMultipartUpload)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.multipart.upload_id import parse_upload_id
from gateway.protocol.messages import Response


async def handle(call: Call) -> Response:
    bucket = await call.bucket()
    upload_id = parse_upload_id(call.query.get("uploadId") or "")
    await call.services.index.abort_upload(bucket.bucket_id, call.key.encode(), upload_id)
    return Response(status=204)

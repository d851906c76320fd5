"""AbortMultipartUpload (API reference: API_AbortMultipartUpload)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.multipart.upload_id import no_such_upload, parse_upload_id
from gateway.protocol.messages import Response
from gateway.storage.errors import NoSuchUpload


async def handle(call: Call) -> Response:
    bucket = await call.bucket()
    text = call.query.get("uploadId") or ""
    try:
        await call.services.index.abort_upload(bucket.bucket_id, call.key.encode(), parse_upload_id(text))
    except NoSuchUpload:
        raise no_such_upload(text) from None
    return Response(status=204)

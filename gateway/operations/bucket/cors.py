"""PutBucketCors, GetBucketCors, DeleteBucketCors (API reference: API_PutBucketCors, …)."""

from __future__ import annotations

from gateway.operations.bucket.configuration import change_bucket, stored_document
from gateway.operations.context import Call
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.cors import MAX_BYTES, CORSConfiguration


async def put(call: Call) -> Response:
    bucket = await call.bucket()
    configuration = CORSConfiguration.parse(await call.read_checked_document(MAX_BYTES))
    await change_bucket(call, bucket, cors=configuration.format().decode())
    return Response()


async def get(call: Call) -> Response:
    bucket = call.services.rows.open_bucket(await call.bucket())
    return stored_document(call, bucket.cors, "NoSuchCORSConfiguration")


async def delete(call: Call) -> Response:
    """Idempotent."""
    await change_bucket(call, await call.bucket(), cors=None)
    return Response(status=204)

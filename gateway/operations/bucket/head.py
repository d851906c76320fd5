"""HeadBucket (API reference: API_HeadBucket)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.protocol.messages import Response


async def handle(call: Call) -> Response:
    bucket = await call.bucket()
    return Response(headers={"x-amz-bucket-region": bucket.region, "x-amz-access-point-alias": "false"})

"""GetBucketLocation (API reference: API_GetBucketLocation)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.buckets import LocationConstraint


async def handle(call: Call) -> Response:
    """us-east-1 is told by an empty element."""
    bucket = await call.bucket()
    return xml_response(LocationConstraint(None if bucket.region == "us-east-1" else bucket.region))

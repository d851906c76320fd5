"""GetBucketVersioning (API reference: API_GetBucketVersioning)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.buckets import VersioningConfiguration


async def get(call: Call) -> Response:
    """No bucket has versioning, which S3 tells by an empty document."""
    await call.bucket()
    return xml_response(VersioningConfiguration())

"""SelectObjectContent (API reference: API_SelectObjectContent), which S3 offers to those alone who used it in 2024."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.table import Target
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response


async def handle(call: Call) -> Response:
    """What S3 answers to everybody else."""
    await call.bucket()
    fields = {"Method": call.request.method, "ResourceType": Target.OBJECT.value.upper()}
    raise S3Error("MethodNotAllowed", fields=fields)

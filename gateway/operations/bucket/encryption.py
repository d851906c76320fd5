"""PutBucketEncryption, GetBucketEncryption, DeleteBucketEncryption (API reference: API_PutBucketEncryption, …)."""

from __future__ import annotations

from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.modes import Mode
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration

DEFAULT = ServerSideEncryptionConfiguration(Mode.SSE_S3)
"""What a bucket without a configuration of its own answers: since 2023 there is no request without encryption."""


async def put(call: Call) -> Response:
    """The key is kept as it was written, and resolved when an object is written: it need not exist yet."""
    bucket = await call.bucket()
    configuration = ServerSideEncryptionConfiguration.parse(await call.read_document())
    await change_bucket(call, bucket, encryption=configuration.format().decode())
    return Response()


async def get(call: Call) -> Response:
    document = call.services.rows.open_bucket(await call.bucket())
    if document.encryption is None:
        return xml_response(DEFAULT)
    return xml_response(ServerSideEncryptionConfiguration.parse(document.encryption.encode()))


async def delete(call: Call) -> Response:
    """Back to SSE-S3; idempotent."""
    await change_bucket(call, await call.bucket(), encryption=None)
    return Response(status=204)

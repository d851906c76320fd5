"""PutBucketVersioning, GetBucketVersioning (API reference: API_PutBucketVersioning, API_GetBucketVersioning)."""

from __future__ import annotations

from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.operations.versioning import versioning_of
from gateway.protocol.errors import S3Error, not_implemented
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.versioning import VersioningConfiguration


async def get(call: Call) -> Response:
    """A bucket that never had versioning tells so by an empty document."""
    return xml_response(VersioningConfiguration(versioning_of(call, await call.bucket()) or None))


async def put(call: Call) -> Response:
    """Enabled or Suspended; there is no way back to a bucket without versioning. MFA Delete is refused."""
    bucket = await call.bucket()
    wanted = VersioningConfiguration.parse(await call.read_document())
    if "x-amz-mfa" in call.request.headers or wanted.mfa_delete == "Enabled":
        raise not_implemented("x-amz-mfa", "MFA Delete is not served.")
    if wanted.status is None:
        raise S3Error("IllegalVersioningConfigurationException")
    await change_bucket(call, bucket, versioning=wanted.status)
    return Response()

"""PutBucketTagging, GetBucketTagging, DeleteBucketTagging (API reference: API_PutBucketTagging, …)."""

from __future__ import annotations

from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.tags import BUCKET_TAGS
from gateway.protocol.xml.documents.tagging import Tagging


async def put(call: Call) -> Response:
    """All tags at once; none is as deleting them. Recorded: 204, not the 200 of the API reference."""
    bucket = await call.bucket()
    tagging = Tagging.parse(await call.read_checked_document(), BUCKET_TAGS)
    await change_bucket(call, bucket, tags=dict(tagging.tags))
    return Response(status=204)


async def get(call: Call) -> Response:
    bucket = await call.bucket()
    document = call.services.rows.open_bucket(bucket)
    if not document.tags:
        raise S3Error("NoSuchTagSet", fields={"BucketName": bucket.name})
    return xml_response(Tagging(document.tags))


async def delete(call: Call) -> Response:
    """Idempotent."""
    await change_bucket(call, await call.bucket(), tags={})
    return Response(status=204)

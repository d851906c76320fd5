"""DeleteBucket (API reference: API_DeleteBucket)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.versioning import versioning_of
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.storage.errors import BucketNotEmpty


async def handle(call: Call) -> Response:
    """Uploads in progress do not keep a bucket; objects do, and versions and delete markers."""
    bucket = await call.bucket()
    try:
        await call.services.index.delete_bucket(bucket.bucket_id)
    except BucketNotEmpty:
        message = "The bucket you tried to delete is not empty"
        if versioning_of(call, bucket):
            message += ". You must delete all versions in the bucket."
        raise S3Error("BucketNotEmpty", message, fields={"BucketName": bucket.name}) from None
    return Response(status=204)

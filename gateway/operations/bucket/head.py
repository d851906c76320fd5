"""HeadBucket (API reference: API_HeadBucket)."""

from __future__ import annotations

from gateway.operations.bucket.location import REGION_HEADER
from gateway.operations.context import Call, Services
from gateway.protocol.messages import Response
from gateway.protocol.names import BucketName, bucket_arn
from gateway.storage.errors import NoSuchBucket


async def handle(call: Call) -> Response:
    bucket = await call.bucket()
    return Response(
        headers={
            REGION_HEADER: bucket.region,
            "x-amz-bucket-arn": bucket_arn(BucketName(bucket.name)),
            "x-amz-access-point-alias": "false",
            "Content-Type": "application/xml",
        }
    )


async def region_headers(services: Services, bucket: str) -> dict[str, str]:
    """What a HeadBucket that is refused (400 or 403) tells all the same: SDKs find a bucket's region by it.

    API_HeadBucket: "regardless of the permissions on the bucket, you will receive a response header with the correct
    bucket location". Empty where there is no bucket.
    """
    try:
        row = await services.index.get_bucket(bucket)
    except NoSuchBucket:
        return {}
    services.rows.open_bucket(row)  # before its region is believed
    return {REGION_HEADER: row.region}

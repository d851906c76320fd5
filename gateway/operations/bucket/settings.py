"""Request payment, transfer acceleration and attribute-based access control of a bucket.

API reference: API_PutBucketRequestPayment, API_PutBucketAccelerateConfiguration, API_PutBucketAbac, and each one's Get.
"""

from __future__ import annotations

from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.settings import AbacStatus, AccelerateConfiguration, RequestPaymentConfiguration

BUCKET_OWNER = "BucketOwner"


async def put_request_payment(call: Call) -> Response:
    bucket = await call.bucket()
    payer = RequestPaymentConfiguration.parse(await call.read_document()).payer
    await change_bucket(call, bucket, payer=None if payer == BUCKET_OWNER else payer)
    return Response()


async def get_request_payment(call: Call) -> Response:
    document = call.services.rows.open_bucket(await call.bucket())
    return xml_response(RequestPaymentConfiguration(document.payer or BUCKET_OWNER))


async def put_acceleration(call: Call) -> Response:
    """Kept and told again. There is one endpoint, which is as fast either way."""
    bucket = await call.bucket()
    if "." in bucket.name:
        message = "S3 Transfer Acceleration is not supported for buckets with periods (.) in their names"
        raise S3Error("InvalidRequest", message)
    status = AccelerateConfiguration.parse(await call.read_document()).status
    await change_bucket(call, bucket, acceleration=status)
    return Response()


async def get_acceleration(call: Call) -> Response:
    document = call.services.rows.open_bucket(await call.bucket())
    return xml_response(AccelerateConfiguration(document.acceleration))


async def put_abac(call: Call) -> Response:
    """Disabled, as it is for every bucket. Enabled would let tags decide about access, which is not served."""
    await call.bucket()
    if AbacStatus.parse(await call.read_document()).status != "Disabled":
        raise S3Error("NotImplemented", fields={"Operation": call.operation_name})
    return Response()


async def get_abac(call: Call) -> Response:
    await call.bucket()
    return xml_response(AbacStatus("Disabled"))

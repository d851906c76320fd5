"""GetBucketLocation (API reference: API_GetBucketLocation), and the location constraint that CreateBucket takes."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.names import REGION_NAME
from gateway.protocol.xml.documents.buckets import LocationConstraint

REGION_HEADER = "x-amz-bucket-region"
US_EAST_1 = "us-east-1"
OLD_NAMES = {"EU": "eu-west-1"}
"""A location constraint that still stands for a region, and is told again as it was given."""


async def handle(call: Call) -> Response:
    """us-east-1 is told by an empty element."""
    bucket = await call.bucket()
    old_name = call.services.rows.open_bucket(bucket).location
    return xml_response(LocationConstraint(old_name or (None if bucket.region == US_EAST_1 else bucket.region)))


def check_location(constraint: str | None, region: str) -> None:
    """The location constraint must name this endpoint's region; us-east-1 is named by naming none.

    AWS's endpoint of us-east-1 makes buckets elsewhere, too; there is no elsewhere here, so this one answers as AWS's
    other endpoints do. Raises S3Error InvalidLocationConstraint (in us-east-1 alone, as recorded) or
    IllegalLocationConstraintException.
    """
    if region == US_EAST_1:
        if constraint is None:
            return
        if constraint == US_EAST_1 or (constraint not in OLD_NAMES and not REGION_NAME.fullmatch(constraint)):
            raise S3Error("InvalidLocationConstraint", fields={"LocationConstraint": constraint[:64]})
    elif constraint is not None and OLD_NAMES.get(constraint, constraint) == region:
        return
    raise S3Error(
        "IllegalLocationConstraintException",
        f"The {(constraint or 'unspecified')[:64]} location constraint is incompatible for the region specific "
        "endpoint this request was sent to.",
    )

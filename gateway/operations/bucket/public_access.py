"""A bucket's public access block and ownership controls (API reference: API_PutPublicAccessBlock,
API_PutBucketOwnershipControls, …).

`gateway.operations.authorisation` holds policies against the block; what it keeps from being put is refused where it
is put.
"""

from __future__ import annotations

from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.public_access import ObjectOwnership
from gateway.protocol.xml.documents.public_access import OwnershipControls, PublicAccessBlockConfiguration
from gateway.storage.index.records import BucketRow


async def put_block(call: Call) -> Response:
    bucket = await call.bucket()
    configuration = PublicAccessBlockConfiguration.parse(await call.read_document())
    await change_bucket(call, bucket, public_access_block=configuration.block)
    return Response()


async def get_block(call: Call) -> Response:
    """The bucket's own; what the installation blocks for all buckets is not told here, as an account's is not."""
    bucket = await call.bucket()
    block = call.services.rows.open_bucket(bucket).public_access_block
    if block is None:
        raise S3Error("NoSuchPublicAccessBlockConfiguration", fields={"BucketName": bucket.name})
    return xml_response(PublicAccessBlockConfiguration(block))


async def delete_block(call: Call) -> Response:
    """Idempotent; nothing is blocked then."""
    await change_bucket(call, await call.bucket(), public_access_block=None)
    return Response(status=204)


async def put_ownership(call: Call) -> Response:
    bucket = await call.bucket()
    controls = OwnershipControls.parse(await call.read_document())
    if controls.ownership is ObjectOwnership.ENFORCED:
        _check_private(call, bucket)
    await change_bucket(call, bucket, object_ownership=controls.ownership.value)
    return Response()


def _check_private(call: Call, bucket: BucketRow) -> None:
    """An ACL that lets others in must go before ACLs do. Raises S3Error InvalidBucketAclWithObjectOwnership."""
    document = call.services.rows.open_bucket(bucket)
    owner_id = call.services.canonical_id(bucket.account_id)
    if document.has_acls and any(grant.grantee != owner_id for grant in document.grants or ()):
        raise S3Error("InvalidBucketAclWithObjectOwnership")


async def get_ownership(call: Call) -> Response:
    bucket = await call.bucket()
    ownership = call.services.rows.open_bucket(bucket).object_ownership
    if not ownership:
        raise S3Error("OwnershipControlsNotFoundError", fields={"BucketName": bucket.name})
    return xml_response(OwnershipControls(ObjectOwnership(ownership)))


async def delete_ownership(call: Call) -> Response:
    """Idempotent; without controls whoever writes an object owns it, as in buckets from before they existed."""
    await change_bucket(call, await call.bucket(), object_ownership="")
    return Response(status=204)

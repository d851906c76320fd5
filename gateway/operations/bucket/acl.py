"""PutBucketAcl, GetBucketAcl (API reference: API_PutBucketAcl, API_GetBucketAcl)."""

from __future__ import annotations

from functools import partial

from gateway.operations.acl import acls_disabled, check_public, given_grants, told_policy
from gateway.operations.authorisation import resource_arn
from gateway.operations.bucket.configuration import change_bucket
from gateway.operations.context import Call
from gateway.operations.render import xml_response
from gateway.protocol.acl import canned_bucket_acl
from gateway.protocol.messages import Response


async def put(call: Call) -> Response:
    bucket = await call.bucket()
    if not call.services.rows.open_bucket(bucket).has_acls:
        raise acls_disabled()
    owner_id = call.services.canonical_id(bucket.account_id)
    grants = await given_grants(call, owner_id, partial(canned_bucket_acl, owner_id=owner_id))
    check_public(call, bucket, grants, "s3:PutBucketAcl", resource_arn(call.address))
    await change_bucket(call, bucket, grants=grants)
    return Response()


async def get(call: Call) -> Response:
    """Where ACLs are disabled, that of the owner alone."""
    bucket = await call.bucket()
    document = call.services.rows.open_bucket(bucket)
    grants = document.grants if document.has_acls else None
    return xml_response(told_policy(call.services, call.services.owner_of(bucket.account_id), grants))

"""PutObjectAcl, GetObjectAcl (API reference: API_PutObjectAcl, API_GetObjectAcl)."""

from __future__ import annotations

from functools import partial

import msgspec

from gateway.operations.acl import (
    check_leaves_all_to,
    check_public,
    given_grants,
    owner_of_object,
    told_policy,
)
from gateway.operations.context import Call
from gateway.operations.documents import ObjectDocument
from gateway.operations.object.changes import change_object
from gateway.operations.render import xml_response
from gateway.operations.versioning import find_version, named_version, read_headers
from gateway.protocol.acl import RequestedACL, canned_object_acl
from gateway.protocol.messages import Response


async def put(call: Call) -> Response:
    """Where ACLs are disabled, the one that leaves everything to the bucket's owner is taken, and changes nothing."""
    bucket = await call.bucket()
    services = call.services
    bucket_document = services.rows.open_bucket(bucket)
    version_id = named_version(call, bucket, call.query.get("versionId"))
    row = await find_version(call, bucket, call.key, version_id, tells_marker=True)
    owner = owner_of_object(services, bucket, bucket_document, services.rows.open_object(row))
    bucket_owner_id = services.canonical_id(bucket.account_id)
    canned = partial(canned_object_acl, owner_id=owner.canonical_id, bucket_owner_id=bucket_owner_id)
    grants = await given_grants(call, owner.canonical_id, canned)
    if not bucket_document.has_acls:
        requested = RequestedACL.parse(call.request.headers)
        check_leaves_all_to(bucket_owner_id, requested if requested.canned else RequestedACL(grants=grants))
        return Response(headers=read_headers(call, bucket, row))
    check_public(call, bucket, grants, "s3:PutObjectAcl", call.object_arn)

    def change(document: ObjectDocument) -> ObjectDocument:
        return msgspec.structs.replace(document, grants=grants)

    return Response(headers=read_headers(call, bucket, await change_object(call, bucket, version_id, change)))


async def get(call: Call) -> Response:
    """Where ACLs are disabled, that of the bucket's owner alone."""
    bucket = await call.bucket()
    services = call.services
    bucket_document = services.rows.open_bucket(bucket)
    version_id = named_version(call, bucket, call.query.get("versionId"))
    row = await find_version(call, bucket, call.key, version_id, tells_marker=True)
    document = services.rows.open_object(row)
    owner = owner_of_object(services, bucket, bucket_document, document)
    grants = document.grants if bucket_document.has_acls else None
    return xml_response(told_policy(services, owner, grants), headers=read_headers(call, bucket, row))

"""Conditional writes and deletes: If-Match and If-None-Match decided inside the writing transaction.

Amazon S3 User Guide, "How to prevent object overwrites with conditional writes" and "How to perform conditional
deletes". An entity tag tells something of the object, so naming one needs s3:GetObject as well; "*" does not.
"""

from __future__ import annotations

from gateway.operations.authorisation import ARN_PREFIX, ObjectTags
from gateway.operations.context import Call
from gateway.operations.object_access import tags_in_question
from gateway.operations.object_owner import introduce_owner
from gateway.operations.versioning import etag_of
from gateway.protocol.conditions import check_delete, check_unchanged, check_write, check_write_headers
from gateway.protocol.errors import not_implemented
from gateway.storage.errors import NoSuchKey
from gateway.storage.index.interface import CompletionPrecondition, Precondition
from gateway.storage.index.records import BucketRow, ObjectRow


async def write_precondition(call: Call) -> Precondition | None:
    """For PutObject and CopyObject; None where the request has no condition. Raises S3Error NotImplemented,
    AccessDenied."""
    headers = call.request.headers
    if "if-match" not in headers and "if-none-match" not in headers:
        return None

    check_write_headers(headers)
    if "if-match" in headers:
        await require_comparison(call, await call.bucket(), call.key)
    key = call.key

    def check(current: ObjectRow | None) -> None:
        check_write(headers, key, etag_of(call, current))

    return check


async def delete_precondition(call: Call) -> Precondition | None:
    """For DeleteObject: If-Match only. Raises S3Error NotImplemented with a version id, AccessDenied."""
    if_match = call.request.headers.get("if-match")
    if if_match is None:
        return None
    if call.query.has("versionId"):
        raise not_implemented("If-Match")
    return await match_precondition(call, await call.bucket(), call.key, if_match)


async def match_precondition(call: Call, bucket: BucketRow, key: str, if_match: str) -> Precondition:
    """The key has an object, with one of the entity tags of `if_match` unless that is "*". Raises S3Error AccessDenied.

    The version that the transaction hands in must be the newest one of the key.
    """
    if if_match.strip() != "*":
        await require_comparison(call, bucket, key)

    def check(current: ObjectRow | None) -> None:
        check_delete(if_match, key, etag_of(call, current))

    return check


async def require_comparison(call: Call, bucket: BucketRow, key: str) -> None:
    """The right to be told if the key's object is one that the request describes. Raises S3Error AccessDenied."""
    await introduce_owner(call, bucket, key, None, "s3:GetObject")
    tags = await tags_in_question(call, bucket, key, None)
    call.permissions.require("s3:GetObject", f"{ARN_PREFIX}{bucket.name}/{key}", tags=ObjectTags(tags))


async def check_early(call: Call, bucket_id: bytes) -> Precondition | None:
    """Refuse at once what would be refused at the end, so that no body is uploaded in vain; then as above."""
    precondition = await write_precondition(call)
    if precondition is not None:
        precondition(await current_or_none(call, bucket_id))
    return precondition


async def check_completion_early(call: Call, bucket_id: bytes) -> CompletionPrecondition | None:
    """The same for CompleteMultipartUpload, whose transaction also knows if the key changed since the upload began."""
    precondition = await check_early(call, bucket_id)
    if precondition is None:
        return None
    key = call.key

    def check(current: ObjectRow | None, is_changed: bool) -> None:
        precondition(current)
        check_unchanged(call.request.headers, key, is_changed=is_changed)

    return check


async def current_or_none(call: Call, bucket_id: bytes) -> ObjectRow | None:
    try:
        return await call.services.index.get_object(bucket_id, call.key.encode())
    except NoSuchKey:
        return None

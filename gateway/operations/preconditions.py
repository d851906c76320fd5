"""Conditional writes: If-Match and If-None-Match decided inside the writing transaction."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.versioning import etag_of
from gateway.protocol.conditions import check_delete, check_write, check_write_headers
from gateway.storage.errors import NoSuchKey
from gateway.storage.index.interface import Precondition
from gateway.storage.index.records import ObjectRow


def write_precondition(call: Call) -> Precondition | None:
    """For PutObject, CopyObject and CompleteMultipartUpload; None where the request has no condition."""
    headers = call.request.headers
    if "if-match" not in headers and "if-none-match" not in headers:
        return None

    check_write_headers(headers)

    def check(current: ObjectRow | None) -> None:
        check_write(headers, etag_of(call, current))

    return check


def delete_precondition(call: Call) -> Precondition | None:
    """For DeleteObject: If-Match only."""
    headers = call.request.headers
    if "if-match" not in headers:
        return None

    def check(current: ObjectRow | None) -> None:
        check_delete(headers, etag_of(call, current))

    return check


async def check_early(call: Call, bucket_id: bytes) -> Precondition | None:
    """Refuse at once what would be refused at the end, so that no body is uploaded in vain; then as above."""
    precondition = write_precondition(call)
    if precondition is not None:
        precondition(await current_or_none(call, bucket_id))
    return precondition


async def current_or_none(call: Call, bucket_id: bytes) -> ObjectRow | None:
    try:
        return await call.services.index.get_object(bucket_id, call.key.encode())
    except NoSuchKey:
        return None

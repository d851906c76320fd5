"""ListBuckets (API reference: API_ListBuckets)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.listing import decode_token, encode_token
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.names import BucketName
from gateway.protocol.query import ListBucketsParameters
from gateway.protocol.xml.documents.buckets import BucketEntry, ListAllMyBucketsResult

_LISTING = b"list-of-buckets!"
"""What continuation tokens are bound to, in place of a bucket's id: 16 bytes."""


async def handle(call: Call) -> Response:
    parameters = ListBucketsParameters.parse(call.query)
    token = parameters.continuation_token
    after = decode_token(call, _LISTING, token).decode() if token is not None else ""
    is_elsewhere = parameters.bucket_region not in (None, call.services.region)
    limit = parameters.max_buckets
    rows = await call.services.index.list_buckets(
        call.account_id, prefix=parameters.prefix, after=after, limit=limit + 1
    )
    page = () if is_elsewhere else rows[:limit]
    for row in page:
        call.services.rows.open_bucket(row)
    has_more = not is_elsewhere and len(rows) > limit
    owner = call.services.owner_of(call.account_id)
    return xml_response(
        ListAllMyBucketsResult(
            owner_id=owner.canonical_id,
            owner_display_name=owner.display_name,
            buckets=tuple(BucketEntry(BucketName(row.name), row.created_us, row.region) for row in page),
            prefix=parameters.prefix or None,
            continuation_token=encode_token(call, _LISTING, page[-1].name.encode()) if has_more else None,
        )
    )

"""GetObject and HeadObject (API reference: API_GetObject, API_HeadObject).

HEAD answers from the sealed row alone and never asks the KMS, so it works while keys are disabled or the HSM is away.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway.operations.context import Call
from gateway.operations.customer_keys import key_of_object
from gateway.operations.documents import ObjectDocument
from gateway.operations.download import BATCH_BYTES, blobs_of, open_range, read_range
from gateway.operations.encryption import open_data_key
from gateway.operations.lifecycle.headers import expiration_of
from gateway.operations.object.selection import Selection, select
from gateway.operations.tagging import tag_count_header
from gateway.operations.versioning import find_version, named_version, told_version
from gateway.protocol.conditions import check_read
from gateway.protocol.encryption import CustomerKey, encryption_response_headers
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.object_headers import metadata_headers, response_overrides
from gateway.protocol.timestamps import format_http_date
from gateway.storage.index.records import BucketRow, ObjectRow
from iam.quickly_made import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class FoundObject:
    """What a read names, its conditions checked. `customer_key` is the one of the object, if it has one."""

    bucket: BucketRow
    row: ObjectRow
    document: ObjectDocument
    customer_key: CustomerKey | None


async def handle_head(call: Call) -> Response:
    found = await find_object(call)
    selection = select(call, found.row, found.document)
    return selection.apply(Response(headers=_headers(call, found, selection)))


async def handle_get(call: Call) -> Response:
    found = await find_object(call)
    row, document = found.row, found.document
    selection = select(call, row, document)
    data_key = await open_data_key(
        call, found.bucket, row.row_uid, row.wrap, document.context, customer_key=found.customer_key
    )
    blobs = blobs_of(call.services, row, document)
    start, end = selection.start, selection.end
    response = Response(headers=_headers(call, found, selection))
    if end - start <= BATCH_BYTES:
        response.body = await read_range(call.services, data_key, blobs, start, end, at_hand=call.body_at_hand)
    else:
        response.body = call.watched(await open_range(call.services, data_key, blobs, start, end))
    return selection.apply(response)


async def find_object(call: Call) -> FoundObject:
    """The object that GET or HEAD names. Who lacks its key is told nothing of it, not whether a condition holds."""
    bucket = await call.bucket()
    row = await find_version(call, bucket, call.key, named_version(call, bucket, call.query.get("versionId")))
    document = call.services.rows.open_object(row)
    customer_key = key_of_object(call, bucket, row.wrap)
    check_read(call.request.headers, etag=document.etag, modified_us=row.modified_us, now_us=call.now_us)
    return FoundObject(bucket, row, document, customer_key)


def _headers(call: Call, found: FoundObject, selection: Selection) -> dict[str, str]:
    row, document = found.row, found.document
    settings = call.services.rows.open_bucket(found.bucket)
    headers = {
        "ETag": f'"{document.etag}"',
        "Last-Modified": format_http_date(row.modified_us),
        "Accept-Ranges": "bytes",
        **document.headers,
        **metadata_headers(document.metadata),
        **encryption_response_headers(row.wrap, customer_key=found.customer_key),
        **told_version(settings, row),
        **tag_count_header(call, document),
    }
    if settings.lifecycle is not None and not call.query.has("versionId"):  # recorded: of no version that is named
        headers.update(expiration_of(call, settings, row, document))
    if document.storage_class != "STANDARD":
        headers["x-amz-storage-class"] = document.storage_class
    headers.update(selection.checksums(document, call.request.headers))
    overrides = response_overrides(call.query)
    if overrides and call.is_anonymous:
        raise S3Error("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
    headers.update(overrides)
    return headers

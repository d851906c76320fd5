"""ListParts (API reference: API_ListParts)."""

from __future__ import annotations

from gateway.operations.acl import initiator_of, owner_of_object
from gateway.operations.context import Call
from gateway.operations.customer_keys import key_of_upload
from gateway.operations.lifecycle.headers import abortion_of
from gateway.operations.multipart.upload_id import find_upload, format_upload_id
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.query import ListPartsParameters
from gateway.protocol.xml.documents.multipart import ListedPart, ListPartsResult
from gateway.storage.index.records import PartRow


async def handle(call: Call) -> Response:
    """The key of an upload by SSE-C is needed where checksums are listed."""
    parameters = ListPartsParameters.parse(call.query)
    bucket, upload, asked = await find_upload(call)
    key_of_upload(call, bucket, upload, is_needed=asked.checksum_algorithm is not None, is_writing=False)
    rows = await call.services.index.list_parts(
        upload.upload_id, after=parameters.part_number_marker, limit=parameters.max_parts + 1
    )
    page = rows[: parameters.max_parts]
    truncated = len(rows) > len(page)

    def listed(row: PartRow) -> ListedPart:
        document = call.services.rows.open_part(row)
        shown = {name: value for name, value in document.checksums.items() if name == asked.checksum_algorithm}
        return ListedPart(row.part_number, row.modified_us, document.etag, row.size, shown)

    owner = owner_of_object(call.services, bucket, call.services.rows.open_bucket(bucket), asked)
    return xml_response(
        ListPartsResult(
            bucket=call.bucket_name,
            key=call.key,
            upload_id=format_upload_id(upload.upload_id),
            part_number_marker=parameters.part_number_marker,
            next_part_number_marker=page[-1].part_number if page else 0,
            max_parts=parameters.max_parts,
            is_truncated=truncated,
            parts=tuple(listed(row) for row in page),
            owner_id=owner.canonical_id,
            owner_display_name=owner.display_name,
            storage_class=asked.storage_class,
            checksum_algorithm=asked.checksum_algorithm,
            checksum_type=asked.checksum_type,
            url_encoded=parameters.url_encoded,
            initiator=initiator_of(call.services, bucket, asked),
        ),
        headers=abortion_of(call, bucket, upload),
    )

"""GetObjectAttributes (API reference: API_GetObjectAttributes).

Answered from the sealed row alone, as HEAD is: never asks the KMS.
"""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.documents import ObjectDocument
from gateway.operations.object.get import find_object
from gateway.operations.render import xml_response
from gateway.operations.versioning import read_headers
from gateway.protocol.messages import Response
from gateway.protocol.object_attributes import ObjectAttributesParameters
from gateway.protocol.timestamps import format_http_date
from gateway.protocol.xml.documents.attributes import AttributesPage, AttributesPart, GetObjectAttributesResponse
from gateway.storage.index.records import ObjectRow


async def handle(call: Call) -> Response:
    parameters = ObjectAttributesParameters.parse(call.request.headers)
    found = await find_object(call)
    row, document = found.row, found.document
    wanted = parameters.wanted
    has_checksum = "Checksum" in wanted and bool(document.checksums)
    has_parts = "ObjectParts" in wanted and row.part_count > 0
    answer = GetObjectAttributesResponse(
        etag=document.etag if "ETag" in wanted else None,
        checksums=_without_part_count(document) if has_checksum else {},
        checksum_type=document.checksum_type if has_checksum else None,
        part_count=row.part_count if has_parts else None,
        page=_page(call, row, document, parameters) if has_parts and document.checksum_type == "COMPOSITE" else None,
        storage_class=document.storage_class if "StorageClass" in wanted else None,
        size=row.size if "ObjectSize" in wanted else None,
    )
    headers = {"Last-Modified": format_http_date(row.modified_us), **read_headers(call, found.bucket, row)}
    return xml_response(answer, headers=headers)


def _without_part_count(document: ObjectDocument) -> dict[str, str]:
    """Recorded: the "-3" of a composite checksum is left out here, and nowhere else."""
    return {name: value.partition("-")[0] for name, value in document.checksums.items()}


def _page(
    call: Call, row: ObjectRow, document: ObjectDocument, parameters: ObjectAttributesParameters
) -> AttributesPage:
    """The parts, counted from 1 without gaps, as `partNumber` of GET and HEAD counts them."""
    first = parameters.part_number_marker
    entries = call.services.rows.open_parts(row)
    page = entries[first : first + parameters.max_parts]
    (algorithm,) = document.checksums
    return AttributesPage(
        part_number_marker=first,
        next_part_number_marker=first + len(page) if page else 0,
        max_parts=parameters.max_parts,
        is_truncated=first + len(page) < len(entries),
        parts=[
            AttributesPart(number, entry.size, {algorithm: entry.checksum} if entry.checksum else {})
            for number, entry in enumerate(page, first + 1)
        ],
    )

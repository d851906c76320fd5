"""Which bytes of an object GET and HEAD ask for: all of them, a Range, or one part by its number."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.operations.context import Call, Services
from gateway.operations.documents import ObjectDocument
from gateway.operations.upload import checksum_headers
from gateway.protocol.checksums import wants_checksums
from gateway.protocol.conditions import range_applies
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.query import part_number
from gateway.protocol.ranges import ByteRange, parse_range
from gateway.storage.index.records import ObjectRow
from iam.quickly_made import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Selection:
    """Bytes [start, end) of an object; `is_partial` where the answer is 206, even if they are all of its bytes.

    `part_count` and `part_checksum` (Base64) are those of a multipart upload that was asked for a part by number.
    """

    start: int
    end: int
    size: int
    is_partial: bool = False
    part_count: int | None = None
    part_checksum: str | None = None

    def apply(self, response: Response) -> Response:
        """Status, Content-Length, Content-Range and x-amz-mp-parts-count."""
        response.content_length = self.end - self.start
        if self.is_partial:
            response.status = 206
            if self.start < self.end:  # an empty last part has no Content-Range: there is no form for it
                response.headers["Content-Range"] = ByteRange(self.start, self.end).format_content_range(self.size)
        if self.part_count is not None:
            response.headers["x-amz-mp-parts-count"] = str(self.part_count)
        return response

    def checksums(self, document: ObjectDocument, headers: Mapping[str, str]) -> dict[str, str]:
        """Those of the selected bytes, where they are known and asked for: of the whole object, or of one part.

        Recorded: a Range or a part that is the whole object carries the object's checksum; of an object with a
        composite checksum each part carries its own, of one with a full-object checksum none.
        """
        if not document.checksums or not wants_checksums(headers):
            return {}
        shown = document.checksums
        if self.part_checksum is not None:
            shown = dict.fromkeys(document.checksums, self.part_checksum)
        elif self.end - self.start != self.size:
            return {}
        return {**checksum_headers(shown), "x-amz-checksum-type": document.checksum_type}


def select(call: Call, row: ObjectRow, document: ObjectDocument) -> Selection:
    """Raises S3Error InvalidRange, InvalidPartNumber, InvalidArgument, InvalidRequest."""
    headers = call.request.headers
    if call.query.has("partNumber"):
        number = part_number(call.query)
        if "range" in headers:
            raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
        return _part(call.services, row, document, number)
    wanted = None
    if "range" in headers and range_applies(headers, etag=document.etag, modified_us=row.modified_us):
        wanted = parse_range(headers["range"], row.size)
    if wanted is None:
        return Selection(0, row.size, row.size)
    return Selection(wanted.start, wanted.end, row.size, is_partial=True)


def _part(services: Services, row: ObjectRow, document: ObjectDocument, number: int) -> Selection:
    """The part at place `number`, counted from 1 without gaps: clients ask for 1 … x-amz-mp-parts-count.

    An object that did not come out of a multipart upload is one part, and tells no count.
    """
    if not row.part_count:
        _check_number(number, 1)
        return Selection(0, row.size, row.size, is_partial=row.size > 0)
    _check_number(number, row.part_count)
    parts = services.rows.open_parts(row)
    start = sum(part.size for part in itertools.islice(parts, number - 1))
    part = parts[number - 1]
    is_composite = document.checksum_type == "COMPOSITE"
    return Selection(
        start,
        start + part.size,
        row.size,
        is_partial=True,
        part_count=row.part_count,
        part_checksum=part.checksum if is_composite else None,
    )


def _check_number(number: int, part_count: int) -> None:
    if number > part_count:
        raise S3Error(
            "InvalidPartNumber", fields={"ActualPartCount": str(part_count), "PartNumberRequested": str(number)}
        )

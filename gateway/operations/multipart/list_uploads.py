"""ListMultipartUploads (API reference: API_ListMultipartUploads)."""

from __future__ import annotations

from gateway.operations.acl import initiator_of, owner_of_object
from gateway.operations.context import Call
from gateway.operations.multipart.upload_id import format_upload_id, parse_upload_id
from gateway.operations.render import xml_response
from gateway.protocol.messages import Response
from gateway.protocol.query import ListUploadsParameters
from gateway.protocol.xml.documents.multipart import ListedUpload, ListMultipartUploadsResult
from gateway.storage.index.records import UploadPage, UploadRow

_EMPTY_PAGE = UploadPage((), (), None)


async def handle(call: Call) -> Response:
    parameters = ListUploadsParameters.parse(call.query)
    bucket = await call.bucket()
    page = _EMPTY_PAGE
    if parameters.max_uploads:
        page = await call.services.index.list_uploads(
            bucket.bucket_id,
            prefix=parameters.prefix.encode(),
            delimiter=parameters.delimiter.encode(),
            after=_after(parameters),
            max_uploads=parameters.max_uploads,
        )
    next_key, next_id = page.next_after or (b"", None)
    bucket_document = call.services.rows.open_bucket(bucket)

    def listed(row: UploadRow) -> ListedUpload:
        document = call.services.rows.open_upload(row)
        owner = owner_of_object(call.services, bucket, bucket_document, document)
        return ListedUpload(
            key=row.key.decode(),
            upload_id=format_upload_id(row.upload_id),
            initiated_us=row.initiated_us,
            storage_class=document.storage_class,
            owner_id=owner.canonical_id,
            owner_display_name=owner.display_name,
            checksum_algorithm=document.checksum_algorithm,
            checksum_type=document.checksum_type,
            initiator=initiator_of(call.services, bucket, document),
        )

    return xml_response(
        ListMultipartUploadsResult(
            bucket=bucket.name,
            prefix=parameters.prefix,
            delimiter=parameters.delimiter,
            key_marker=parameters.key_marker,
            upload_id_marker=parameters.upload_id_marker,
            next_key_marker=next_key.decode(),
            next_upload_id_marker=format_upload_id(next_id) if next_id else "",
            max_uploads=parameters.max_uploads,
            is_truncated=page.next_after is not None,
            uploads=tuple(listed(row) for row in page.uploads),
            common_prefixes=tuple(prefix.decode() for prefix in page.common_prefixes),
            url_encoded=parameters.url_encoded,
        )
    )


def _after(parameters: ListUploadsParameters) -> tuple[bytes, bytes | None] | None:
    """A key marker alone stands for every upload of that key; with an upload id, for those up to it."""
    if not parameters.key_marker:
        return None
    marker = parameters.upload_id_marker
    return parameters.key_marker.encode(), parse_upload_id(marker) if marker else None

"""UploadPart (API reference: API_UploadPart)."""

from __future__ import annotations

from gateway.operations.context import Call
from gateway.operations.digests import DEFAULT_ALGORITHM
from gateway.operations.documents import PartDescriptor, PartDocument, UploadDocument, encode
from gateway.operations.encryption import open_data_key
from gateway.operations.footers import part_envelope
from gateway.operations.multipart.upload_id import find_upload
from gateway.operations.upload import Digested, checksum_headers, receive
from gateway.protocol.checksums import Algorithm, ChecksumExpectation
from gateway.protocol.encryption import encryption_response_headers
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.modes import Mode
from gateway.protocol.query import part_number
from gateway.sealing.footer import Envelope
from gateway.storage.index.records import PartRow

MAX_PART_BYTES = 5 << 30
"""Amazon S3 multipart upload limits: a part has at most 5 GiB."""


async def handle(call: Call) -> Response:
    """A part sent again replaces the earlier one; each attempt is a blob of its own, under a key of its own."""
    number = part_number(call.query)
    bucket, upload, asked = await find_upload(call)
    wanted = Algorithm[asked.checksum_algorithm] if asked.checksum_algorithm else DEFAULT_ALGORITHM
    check_part_algorithm(call, wanted, asked)
    data_key = await open_data_key(call, bucket, upload.row_uid, upload.wrap, asked.context)

    def document_of(digested: Digested) -> PartDocument:
        return PartDocument(digested.etag, digested.commitment, digested.checksums)

    def footer_of(digested: Digested) -> tuple[Envelope, bytes]:
        descriptor = PartDescriptor(call.key, call.now_us, digested.size, document_of(digested))
        return part_envelope(bucket, upload, asked.context, call.object_arn, number), encode(descriptor)

    async with receive(
        call,
        data_key,
        maximum_bytes=MAX_PART_BYTES,
        md5_etag=upload.wrap.mode is Mode.SSE_S3,
        also=wanted,
        footer_of=footer_of,
    ) as received:
        row = PartRow(
            upload_id=upload.upload_id,
            part_number=number,
            blob_id=received.blob.blob_id,
            size=received.digested.size,
            modified_us=call.now_us,
            revision=0,
            sealed=b"",
        )
        document = document_of(received.digested)
        await call.services.index.put_part(call.services.rows.seal_part(row, document), received.blob)
        received.keep()
    shown = ChecksumExpectation.parse(call.request.headers).algorithm or wanted
    return Response(
        headers={
            "ETag": f'"{document.etag}"',
            **encryption_response_headers(upload.wrap),
            **checksum_headers(document.checksums, shown.name),
        }
    )


def check_part_algorithm(call: Call, wanted: Algorithm, asked: UploadDocument) -> None:
    """A part's checksum is of the kind that the upload was begun with. Raises S3Error InvalidRequest."""
    declared = ChecksumExpectation.parse(call.request.headers).algorithm
    if asked.checksum_algorithm is not None and declared is not None and declared is not wanted:
        message = (
            f"Checksum Type mismatch occurred, expected checksum Type: {wanted.name.lower()}, "
            f"actual checksum Type: {declared.name.lower()}"
        )
        raise S3Error("InvalidRequest", message)

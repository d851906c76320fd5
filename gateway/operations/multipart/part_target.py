"""The part that UploadPart or UploadPartCopy writes: which upload it belongs to, and how it becomes a row."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.operations.context import Call
from gateway.operations.customer_keys import key_of_upload
from gateway.operations.digests import DEFAULT_ALGORITHM
from gateway.operations.documents import PartDescriptor, PartDocument, UploadDocument, encode
from gateway.operations.encryption import open_data_key
from gateway.operations.footers import part_envelope
from gateway.operations.multipart.upload_id import find_upload
from gateway.operations.upload import Digested, Upload
from gateway.protocol.checksums import Algorithm
from gateway.protocol.encryption import CustomerKey, encryption_response_headers
from gateway.protocol.modes import Mode
from gateway.protocol.query import part_number
from gateway.sealing.body_key import BodyKey
from gateway.sealing.footer import Envelope
from gateway.storage.index.records import BucketRow, PartRow, UploadRow


@dataclass(frozen=True, slots=True)
class PartTarget:
    """`algorithm` is the checksum that the finished object will need of each of its parts."""

    call: Call
    number: int
    bucket: BucketRow
    upload: UploadRow
    asked: UploadDocument
    algorithm: Algorithm
    customer_key: CustomerKey | None

    @property
    def md5_etag(self) -> bool:
        return self.upload.wrap.mode is Mode.SSE_S3

    async def open_data_key(self) -> BodyKey:
        upload = self.upload
        return await open_data_key(
            self.call, self.bucket, upload.row_uid, upload.wrap, self.asked.context, customer_key=self.customer_key
        )

    def encryption_headers(self) -> dict[str, str]:
        return encryption_response_headers(self.upload.wrap, customer_key=self.customer_key)

    def footer_of(self, digested: Digested) -> tuple[Envelope, bytes]:
        descriptor = PartDescriptor(self.call.key, self.call.now_us, digested.size, _document(digested))
        envelope = part_envelope(self.bucket, self.upload, self.asked.context, self.call.object_arn, self.number)
        return envelope, encode(descriptor)

    async def put(self, received: Upload) -> PartDocument:
        """Write the part's row, in place of an earlier attempt's. Raises storage's NoSuchUpload."""
        row = PartRow(
            upload_id=self.upload.upload_id,
            part_number=self.number,
            blob_id=received.blob.blob_id,
            size=received.digested.size,
            modified_us=self.call.now_us,
            revision=0,
            sealed=b"",
        )
        document = _document(received.digested)
        services = self.call.services
        await services.index.put_part(services.rows.seal_part(row, document), received.blob)
        received.keep()
        return document


async def find_part_target(call: Call) -> PartTarget:
    """Raises S3Error InvalidArgument, NoSuchUpload and storage's NoSuchUpload, and what `key_of_upload` does."""
    number = part_number(call.query)
    bucket, upload, asked = await find_upload(call)
    customer_key = key_of_upload(call, bucket, upload, is_needed=True)
    algorithm = Algorithm[asked.checksum_algorithm] if asked.checksum_algorithm else DEFAULT_ALGORITHM
    return PartTarget(call, number, bucket, upload, asked, algorithm, customer_key)


def _document(digested: Digested) -> PartDocument:
    return PartDocument(digested.etag, digested.commitment, digested.checksums)

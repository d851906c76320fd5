"""PutObject (API reference: API_PutObject)."""

from __future__ import annotations

from gateway.operations.acl import access_of_new_object
from gateway.operations.context import Call
from gateway.operations.documents import ObjectDescriptor, ObjectDocument, encode
from gateway.operations.encryption import EncryptionChoice, choose_encryption, new_data_key
from gateway.operations.footers import object_envelope
from gateway.operations.preconditions import check_early
from gateway.operations.tagging import requested_tags
from gateway.operations.upload import Digested, checksum_headers, receive
from gateway.operations.versioning import new_version_id, written_headers
from gateway.protocol.encryption import encryption_response_headers
from gateway.protocol.messages import Response
from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.protocol.object_headers import ObjectHeaders
from gateway.sealing.footer import Envelope
from gateway.sealing.ids import new_id
from gateway.storage.index.records import ObjectRow, RowKind

MAX_SINGLE_PUT_BYTES = 5 << 30
"""Amazon S3 limits, "Upload object using a single operation": 5 GiB."""


async def handle(call: Call) -> Response:
    """Nothing is visible before the body was verified and its blob is durable; then one transaction."""
    bucket = await call.bucket()
    described = ObjectHeaders.parse(call.request.headers)
    tags = requested_tags(call)
    access = access_of_new_object(call, bucket)
    choice = choose_encryption(call, bucket)
    precondition = await check_early(call, bucket.bucket_id)
    row_uid, version_id = new_id(), new_version_id(call, bucket, call.now_us)
    data_key, wrap = await new_data_key(call, bucket, row_uid, choice)

    def document_of(digested: Digested) -> ObjectDocument:
        return ObjectDocument(
            etag=digested.etag,
            commitment=digested.commitment,
            headers=described.headers,
            metadata=described.metadata,
            checksums=digested.checksums,
            storage_class=described.storage_class,
            context=dict(choice.context) or None,
            tags=tags,
            owner=access.owner,
            grants=access.grants,
        )

    def footer_of(digested: Digested) -> tuple[Envelope, bytes]:
        descriptor = ObjectDescriptor(
            key=call.key,
            row_uid=row_uid,
            version_id=version_id,
            modified_us=call.now_us,
            size=digested.size,
            document=document_of(digested),
        )
        envelope = object_envelope(
            bucket, BlobKind.OBJECT, wrap, row_uid=row_uid, context=choice.context, object_arn=call.object_arn
        )
        return envelope, encode(descriptor)

    async with receive(
        call,
        data_key,
        maximum_bytes=MAX_SINGLE_PUT_BYTES,
        md5_etag=wrap.mode is Mode.SSE_S3,
        footer_of=footer_of,
    ) as upload:
        row = ObjectRow(
            bucket_id=bucket.bucket_id,
            key=call.key.encode(),
            row_uid=row_uid,
            version_id=version_id,
            kind=RowKind.OBJECT,
            size=upload.digested.size,
            modified_us=call.now_us,
            wrap=wrap,
            blob_ids=(upload.blob.blob_id,),
            manifest_id=None,
            part_count=0,
            revision=0,
            sealed=b"",
        )
        document = document_of(upload.digested)
        await call.services.index.put_object(call.services.rows.seal_object(row, document), [upload.blob], precondition)
        upload.keep()
    return Response(headers={**write_headers(wrap, choice, document), **written_headers(row)})


def write_headers(wrap: Wrap, choice: EncryptionChoice, document: ObjectDocument) -> dict[str, str]:
    """ETag, encryption and checksum, as the answer of PutObject carries them."""
    return {
        "ETag": f'"{document.etag}"',
        **encryption_response_headers(wrap, choice.context),
        **checksum_headers(document.checksums),
        "x-amz-checksum-type": document.checksum_type,
    }

"""CopyObject from a bucket of one account into a bucket of another: the data is read, authenticated and sealed anew.

Accounts share no blobs and no data keys: what one of them deletes or makes unreadable is the other's no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.operations.acl import Access
from gateway.operations.context import Call
from gateway.operations.copy_source import CopySource, SourceRange
from gateway.operations.digests import DEFAULT_ALGORITHM, Digests
from gateway.operations.documents import ObjectDescriptor, ObjectDocument, encode
from gateway.operations.encryption import EncryptionChoice, new_data_key
from gateway.operations.footers import object_envelope
from gateway.operations.render import xml_response
from gateway.operations.upload import Digested, store
from gateway.operations.versioning import (
    COPY_SOURCE_VERSION_HEADER,
    new_version_id,
    read_headers,
    written_headers,
)
from gateway.protocol.checksums import Algorithm, ChecksumExpectation
from gateway.protocol.content_sha256 import UNSIGNED_PAYLOAD
from gateway.protocol.encryption import encryption_response_headers
from gateway.protocol.messages import Response
from gateway.protocol.modes import BlobKind, Mode
from gateway.protocol.object_headers import ObjectHeaders
from gateway.protocol.xml.documents.objects import CopyObjectResult
from gateway.sealing.footer import Envelope
from gateway.sealing.ids import new_id
from gateway.storage.index.interface import Precondition
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind
from kms.api.secrets import SecretBytes


@dataclass(frozen=True, slots=True)
class CopyTarget:
    """What the copy is to be. `algorithm` is the checksum that the request asks for, None for the source's own."""

    bucket: BucketRow
    described: ObjectHeaders
    tags: Mapping[str, str]
    access: Access
    algorithm: Algorithm | None
    choice: EncryptionChoice
    precondition: Precondition | None


async def copy_across_accounts(call: Call, source: CopySource, source_key: SecretBytes, target: CopyTarget) -> Response:
    """The checksum is one of the whole object, as that of any copy that moves data."""
    bucket, choice = target.bucket, target.choice
    wanted = target.algorithm or next((Algorithm[name] for name in source.document.checksums), DEFAULT_ALGORITHM)
    row_uid, version_id = new_id(), new_version_id(call, bucket, call.now_us)
    data_key, wrap = await new_data_key(call, bucket, row_uid, choice)

    def document_of(digested: Digested) -> ObjectDocument:
        return ObjectDocument(
            etag=digested.etag,
            commitment=digested.commitment,
            headers=target.described.headers,
            metadata=target.described.metadata,
            tags=dict(target.tags),
            owner=target.access.owner,
            grants=target.access.grants,
            checksums={wanted.name: digested.checksums[wanted.name]},
            storage_class=target.described.storage_class,
            context=dict(choice.context) or None,
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

    body = SourceRange(call.services, source_key, source, 0, source.row.size)
    digests = Digests(ChecksumExpectation(), UNSIGNED_PAYLOAD, md5=wrap.mode is Mode.SSE_S3, also=wanted)
    async with store(call.services, data_key, body, digests, footer_of) as stored:
        row = ObjectRow(
            bucket_id=bucket.bucket_id,
            key=call.key.encode(),
            row_uid=row_uid,
            version_id=version_id,
            kind=RowKind.OBJECT,
            size=stored.digested.size,
            modified_us=call.now_us,
            wrap=wrap,
            blob_ids=(stored.blob.blob_id,),
            manifest_id=None,
            part_count=0,
            revision=0,
            sealed=b"",
        )
        document = document_of(stored.digested)
        sealed = call.services.rows.seal_object(row, document)
        await call.services.index.put_object(sealed, [stored.blob], target.precondition)
        stored.keep()
    return copied_response(call, source, row, document, choice)


def copied_response(
    call: Call, source: CopySource, row: ObjectRow, document: ObjectDocument, choice: EncryptionChoice
) -> Response:
    """What CopyObject tells of the copy, whichever way it was made."""
    result = CopyObjectResult(
        etag=document.etag,
        modified_us=row.modified_us,
        checksums=document.checksums,
        checksum_type=document.checksum_type,
    )
    headers = {
        **encryption_response_headers(row.wrap, choice.context),
        **written_headers(row),
        **read_headers(call, source.bucket, source.row, name=COPY_SOURCE_VERSION_HEADER),
    }
    return xml_response(result, headers=headers)

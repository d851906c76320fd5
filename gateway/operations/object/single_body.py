"""A new object of one body: what its document, its footer and its row say once the body is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.operations.acl import Access
from gateway.operations.context import Call
from gateway.operations.documents import ObjectDescriptor, ObjectDocument, encode
from gateway.operations.encryption import EncryptionChoice, new_data_key
from gateway.operations.footers import object_envelope
from gateway.operations.upload import Digested, Upload
from gateway.operations.versioning import new_version_id
from gateway.protocol.checksums import Algorithm
from gateway.protocol.modes import BlobKind, Wrap
from gateway.protocol.object_headers import ObjectHeaders
from gateway.sealing.body_key import BodyKey
from gateway.sealing.footer import Envelope
from gateway.sealing.ids import new_id
from gateway.storage.index.interface import Precondition
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind
from iam.quickly_made import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True, kw_only=True)
class NewObject:
    """What a request says about an object that it makes."""

    bucket: BucketRow
    described: ObjectHeaders
    tags: Mapping[str, str]
    access: Access
    choice: EncryptionChoice
    precondition: Precondition | None


@quickly_made
@dataclass(slots=True)
class SingleBody:
    """An object under way. `wrap` is that of `data_key`; `checksum` is the only one that is kept, None: all are.

    `_document` is there once the body is known: the footer and the row say the same.
    """

    call: Call
    target: NewObject
    data_key: BodyKey
    wrap: Wrap
    row_uid: bytes
    version_id: str
    checksum: Algorithm | None = field(default=None)
    _document: ObjectDocument | None = field(default=None)

    @classmethod
    async def begin(cls, call: Call, target: NewObject, checksum: Algorithm | None = None) -> SingleBody:
        """With a data key of its own. Raises what the KMS does."""
        row_uid, version_id = new_id(), new_version_id(call, target.bucket, call.now_us)
        data_key, wrap = await new_data_key(call, target.bucket, row_uid, target.choice)
        return cls(call, target, data_key, wrap, row_uid, version_id, checksum)

    def document(self, digested: Digested) -> ObjectDocument:
        if self._document is None:
            self._document = self._document_of(digested)
        return self._document

    def _document_of(self, digested: Digested) -> ObjectDocument:
        target, checksums = self.target, digested.checksums
        if self.checksum is not None:
            checksums = {self.checksum.name: checksums[self.checksum.name]}
        return ObjectDocument(
            etag=digested.etag,
            commitment=digested.commitment,
            headers=target.described.headers,
            metadata=target.described.metadata,
            checksums=checksums,
            storage_class=target.described.storage_class,
            context=dict(target.choice.context) or None,
            tags=dict(target.tags),
            owner=target.access.owner,
            grants=target.access.grants,
        )

    def footer(self, digested: Digested) -> tuple[Envelope, bytes]:
        """Enough to write the index row again."""
        call = self.call
        descriptor = ObjectDescriptor(
            key=call.key,
            row_uid=self.row_uid,
            version_id=self.version_id,
            modified_us=call.now_us,
            size=digested.size,
            document=self.document(digested),
        )
        envelope = object_envelope(
            self.target.bucket,
            BlobKind.OBJECT,
            self.wrap,
            row_uid=self.row_uid,
            context=self.target.choice.context,
            object_arn=call.object_arn,
        )
        return envelope, encode(descriptor)

    async def put(self, upload: Upload) -> tuple[ObjectRow, ObjectDocument]:
        """Make it visible, in one transaction. Raises storage's errors."""
        services = self.call.services
        row = ObjectRow(
            bucket_id=self.target.bucket.bucket_id,
            key=self.call.key.encode(),
            row_uid=self.row_uid,
            version_id=self.version_id,
            kind=RowKind.OBJECT,
            size=upload.digested.size,
            modified_us=self.call.now_us,
            wrap=self.wrap,
            blob_ids=(upload.blob.blob_id,),
            manifest_id=None,
            part_count=0,
            revision=0,
            sealed=b"",
        )
        document = self.document(upload.digested)
        sealed = services.rows.seal_object(row, document)
        await services.index.put_object(sealed, [upload.blob], self.target.precondition)
        upload.keep()
        return row, document

"""Another key for an object version, in its place: nothing else of it changes.

*Rewrapping* wraps the same data key by another KMS key, or another version of one; no data moves. A new manifest blob
says the new wrap to whoever has the blobs alone, as for a renamed object: of several footers with one row uid, that of
the youngest blob holds. The older wrap stays in the blobs' own footers.

*Resealing* gives the version another data key and seals its data anew, so that no wrap of the old one opens what the
store holds from then on, once the old blobs are swept.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from gateway.operations.digests import Digests
from gateway.operations.documents import ObjectDocument, PartDescriptor, PartDocument, PartEntry, encode
from gateway.operations.download import BlobSlice, StoredBody, blobs_of
from gateway.operations.encryption import EncryptionChoice
from gateway.operations.first_wrap import first_key_after
from gateway.operations.footers import object_descriptor, object_envelope
from gateway.operations.manifest import seal_manifest
from gateway.operations.sealed_rows import SealedRows
from gateway.operations.upload import Digested, FooterOf, Storing, Upload
from gateway.protocol.checksums import ChecksumExpectation
from gateway.protocol.content_sha256 import UNSIGNED_PAYLOAD
from gateway.protocol.modes import BlobKind, Wrap
from gateway.sealing.body_key import BodyKey
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.footer import Envelope
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BucketRow, ObjectRow
from iam.principals import Caller


@dataclass(frozen=True, slots=True)
class Rewrapper:
    """Opens and wraps data keys of rows for `caller`, who needs the rights on both KMS keys."""

    index: Index
    blobs: BlobStore
    rows: SealedRows
    data_keys: DataKeys
    inline_limit_bytes: int
    integrity_event: Callable[[str, str], None]
    caller: Caller

    async def open(self, bucket: BucketRow, row: ObjectRow, object_arn: str) -> BodyKey:
        """Raises as `DataKeys.open`."""
        return await self.data_keys.open(
            self.caller,
            row.wrap,
            context=self.rows.open_object(row).context or {},
            account_id=bucket.account_id,
            bucket_id=bucket.bucket_id,
            row_uid=row.row_uid,
            object_arn=object_arn,
        )

    async def rewrap(self, bucket: BucketRow, old: ObjectRow, choice: EncryptionChoice, object_arn: str) -> Wrap:
        """Wrap the data key of `old`, which has its part table, as chosen; one transaction, or nothing.

        `choice.context` does not count: an object keeps its own. Raises storage's Conflict if the version was changed
        since it was read, and as `DataKeys.open` and `DataKeys.rewrap`.
        """
        document = self.rows.open_object(old)
        context = document.context or {}
        data_key = await self.open(bucket, old, object_arn)
        wrap = await self.data_keys.rewrap(
            self.caller,
            data_key,
            choice.mode,
            kms_key_id=choice.kms_key_id,
            context=context,
            account_id=bucket.account_id,
            bucket_id=bucket.bucket_id,
            row_uid=old.row_uid,
            object_arn=object_arn,
        )
        document = msgspec.structs.replace(document, first_key=first_key_after(old.wrap, document, wrap))
        row = replace(old, wrap=wrap, revision=old.revision + 1)
        parts = self.rows.parts_of(old, document)
        envelope = object_envelope(
            bucket, BlobKind.MANIFEST, wrap, row_uid=row.row_uid, context=context, object_arn=object_arn
        )
        descriptor = encode(object_descriptor(old.key.decode(), row, document, parts))
        async with seal_manifest(
            self.blobs,
            data_key,
            envelope,
            descriptor,
            single_bytes=row.size if parts is None else None,
            inline_limit_bytes=self.inline_limit_bytes,
        ) as manifest:
            sealed = self.rows.seal_object(manifest.attach(row), document, parts)
            await self.index.rewrap_object(old, sealed, [manifest.blob])
            manifest.keep()
        return wrap

    async def reseal(self, bucket: BucketRow, old: ObjectRow, choice: EncryptionChoice, object_arn: str) -> Wrap:
        """Seal `old`, which has its part table, anew under a data key of its own, as chosen; or nothing.

        Raises as `rewrap`, and S3Error InternalError for data that is damaged, after it was reported.
        """
        document = self.rows.open_object(old)
        old_key = await self.open(bucket, old, object_arn)
        new_key, wrap = await self.data_keys.create(
            self.caller,
            choice.mode,
            kms_key_id=choice.kms_key_id,
            context=document.context or {},
            account_id=bucket.account_id,
            bucket_id=bucket.bucket_id,
            row_uid=old.row_uid,
            object_arn=object_arn,
        )
        sealing = _Resealing(self, bucket, old, document, old_key, new_key, wrap, object_arn)
        await (sealing.single() if document.commitment else sealing.parts())
        return wrap


@dataclass(frozen=True, slots=True)
class _Resealing:
    """One version on its way to another data key."""

    services: Rewrapper
    bucket: BucketRow
    old: ObjectRow
    document: ObjectDocument
    old_key: BodyKey
    new_key: BodyKey
    wrap: Wrap
    object_arn: str

    async def single(self) -> None:
        (blob,) = blobs_of(self.services, self.old, self.document)
        row = replace(self.old, wrap=self.wrap, manifest_id=None, revision=self.old.revision + 1)

        def described(digested: Digested) -> ObjectDocument:
            return msgspec.structs.replace(self.document, commitment=digested.commitment, first_key=None)

        def footer_of(digested: Digested) -> tuple[Envelope, bytes]:
            envelope = object_envelope(
                self.bucket,
                BlobKind.OBJECT,
                self.wrap,
                row_uid=row.row_uid,
                context=self.document.context,
                object_arn=self.object_arn,
            )
            return envelope, encode(object_descriptor(row.key.decode(), row, described(digested), None, ()))

        async with self._sealed(blob, footer_of, may_be_inline=True) as upload:
            row = replace(row, blob_ids=(upload.blob.blob_id,))
            sealed = self.services.rows.seal_object(row, described(upload.digested))
            await self.services.index.rewrap_object(self.old, sealed, [upload.blob])
            upload.keep()

    async def parts(self) -> None:
        """One after the other; those that are sealed already go again if a later one, or the transaction, fails."""
        entries = self.services.rows.open_parts(self.old)
        uploads: list[Upload] = []
        async with AsyncExitStack() as unkept:
            for blob, entry in zip(blobs_of(self.services, self.old, self.document), entries, strict=True):
                footer_of = partial(self._part_footer, entry)
                sealed = self._sealed(blob, footer_of, may_be_inline=False)
                uploads.append(await unkept.enter_async_context(sealed))
            await self._put_parts(entries, uploads)
            for upload in uploads:
                upload.keep()

    async def _put_parts(self, entries: list[PartEntry], uploads: list[Upload]) -> None:
        services = self.services
        table = [
            msgspec.structs.replace(entry, commitment=upload.digested.commitment)
            for entry, upload in zip(entries, uploads, strict=True)
        ]
        document = msgspec.structs.replace(self.document, first_key=None)
        blob_ids = tuple(upload.blob.blob_id for upload in uploads)
        row = replace(self.old, wrap=self.wrap, blob_ids=blob_ids, revision=self.old.revision + 1)
        envelope = object_envelope(
            self.bucket,
            BlobKind.MANIFEST,
            self.wrap,
            row_uid=row.row_uid,
            context=document.context,
            object_arn=self.object_arn,
        )
        descriptor = encode(object_descriptor(row.key.decode(), row, document, table))
        async with seal_manifest(
            services.blobs,
            self.new_key,
            envelope,
            descriptor,
            single_bytes=None,
            inline_limit_bytes=services.inline_limit_bytes,
        ) as manifest:
            sealed = services.rows.seal_object(manifest.attach(row), document, table)
            blobs = [*(upload.blob for upload in uploads), manifest.blob]
            await services.index.rewrap_object(self.old, sealed, blobs)
            manifest.keep()

    def _part_footer(self, entry: PartEntry, digested: Digested) -> tuple[Envelope, bytes]:
        part = PartDocument(entry.etag, digested.commitment)
        envelope = object_envelope(
            self.bucket,
            BlobKind.PART,
            self.wrap,
            row_uid=self.old.row_uid,
            context=self.document.context,
            object_arn=self.object_arn,
        )
        named = replace(envelope, upload_id=self.document.upload_id or None, part_number=entry.number)
        return named, encode(PartDescriptor(self.old.key.decode(), self.old.modified_us, digested.size, part))

    def _sealed(
        self, blob: BlobSlice, footer_of: FooterOf, *, may_be_inline: bool
    ) -> AbstractAsyncContextManager[Upload]:
        body = StoredBody(self.services, self.old_key, (blob,), 0, blob.size)
        digests = Digests(ChecksumExpectation(), UNSIGNED_PAYLOAD, md5=False)
        # What an operator's job began ends, whatever becomes of the keys meanwhile: no data leaves by it.
        return Storing(
            self.services,
            self.new_key,
            body,
            digests,
            footer_of,
            watching=nullcontext(),
            may_be_inline=may_be_inline,
        )

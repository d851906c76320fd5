"""Another wrap for an object version: the same data key under another key, or another version of it; no data moves.

A new manifest blob says the new wrap to whoever has the blobs alone, as for a renamed object: of several footers with
one row uid, that of the youngest blob holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from gateway.operations.documents import encode
from gateway.operations.encryption import EncryptionChoice
from gateway.operations.first_wrap import first_key_after
from gateway.operations.footers import object_descriptor, object_envelope
from gateway.operations.manifest import seal_manifest
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.modes import BlobKind, Wrap
from gateway.sealing.body_key import BodyKey
from gateway.sealing.data_keys import DataKeys
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
        parts = None if old.sealed_parts is None else self.rows.open_parts(old)
        envelope = object_envelope(
            bucket, BlobKind.MANIFEST, wrap, row_uid=row.row_uid, context=context, object_arn=object_arn
        )
        descriptor = encode(object_descriptor(old.key.decode(), row, document, parts))
        async with seal_manifest(
            self.blobs, data_key, envelope, descriptor, inline_limit_bytes=self.inline_limit_bytes
        ) as manifest:
            sealed = self.rows.seal_object(manifest.attach(row), document, parts)
            await self.index.rewrap_object(old, sealed, manifest.blob)
            manifest.keep()
        return wrap

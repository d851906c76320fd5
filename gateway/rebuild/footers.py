"""A blob's footer read, opened and authenticated without an index: as a row of what it describes.

Nothing that a footer says is believed before its tag was right under the data key that its own envelope wraps: then
whoever wrote it had that key, as the gateway had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.operations.documents import ObjectDescriptor, ObjectDocument, PartEntry
from gateway.operations.scrub.checksums import read_footer
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.modes import BlobKind, Mode, Wrap
from gateway.sealing.body_key import BodyKey
from gateway.sealing.customer_keys import WrongCustomerKey
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.footer import (
    Envelope,
    Footer,
    open_descriptor,
    parse_envelope,
)
from gateway.sealing.format import Header
from gateway.sealing.kms_context import ARN_CONTEXT
from gateway.sealing.wraps import join_kms_wrap
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.index.records import ObjectRow, RowKind
from iam.principals import Caller, root_principal
from kms.api.secrets import SecretBytes

REQUEST_ID: Final = "index-rebuild"

_ACCOUNT_ID = re.compile("[0-9]{12}")
_BUCKET_ARN = "arn:aws:s3:::"
_descriptor = msgspec.json.Decoder(ObjectDescriptor)
_WRAPS: Final = {Mode.SSE_S3: 1, Mode.SSE_KMS: 1, Mode.SSE_KMS_BUCKET_KEY: 1, Mode.DSSE_KMS: 2, Mode.SSE_C: 1}


class NoCustomerKey(Exception):
    """None of the customers' keys that were given opens the blob."""


@dataclass(frozen=True, slots=True)
class StoredFooter:
    """A blob whose lengths and checksum are right; nothing of it is authenticated yet."""

    header_bytes: bytes
    header: Header
    stored_bytes: int
    footer: Footer
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Described:
    """A version, sealed for the index, and what its row says of each of its blobs: plaintext bytes and commitment."""

    row: ObjectRow
    blobs: tuple[tuple[int, bytes], ...]


async def read_stored(blobs: BlobStore, blob_id: bytes) -> StoredFooter:
    """Raises AuthenticationFailed or FormatError for a blob that is damaged; BlobMissing, StorageUnavailable."""
    reader = await blobs.open(blob_id)
    try:
        stored_bytes = reader.stored_bytes()
        header, footer = await read_footer(reader, blob_id, stored_bytes)
    finally:
        await reader.close()
    return StoredFooter(header, Header.parse(header), stored_bytes, footer, parse_envelope(footer.envelope))


class FooterOpener:
    """Opens footers as the root user of each bucket's account, through S3, and with customers' keys.

    `names` are how buckets are called, by id; `via_service` is who asks the KMS: `s3.REGION.amazonaws.com`.
    """

    def __init__(
        self,
        data_keys: DataKeys,
        rows: SealedRows,
        *,
        names: Mapping[bytes, str],
        customer_keys: Sequence[SecretBytes],
        via_service: str,
    ) -> None:
        self._data_keys = data_keys
        self._rows = rows
        self._names = names
        self._customer_keys = customer_keys
        self._via_service = via_service

    async def open(self, stored: StoredFooter) -> Described:
        """What the footer of an object's blob, or of a manifest, describes.

        Raises AuthenticationFailed, NoCustomerKey, and KMSError as the KMS gives it.
        """
        envelope = stored.envelope
        data_key = await self._open_data_key(envelope)
        if (data_key.second is None) == stored.header.two_layers:
            raise AuthenticationFailed(blob_id=stored.header.blob_id)
        sealed = open_descriptor(data_key.first, stored.header_bytes, stored.footer, second_key=data_key.second)
        try:
            descriptor = _descriptor.decode(sealed)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise FormatError("the footer describes an object as this program does not know it") from None
        if descriptor.row_uid != envelope.row_uid:
            raise AuthenticationFailed(blob_id=stored.header.blob_id)
        return self._described(stored, descriptor)

    def _described(self, stored: StoredFooter, descriptor: ObjectDescriptor) -> Described:
        envelope, document, blob_id = stored.envelope, descriptor.document, stored.header.blob_id
        is_manifest = envelope.kind is BlobKind.MANIFEST
        blob_ids = tuple(descriptor.blob_ids) if is_manifest else (blob_id,)
        parts = (descriptor.parts or None) if is_manifest else None
        row = ObjectRow(
            bucket_id=envelope.bucket_id,
            key=descriptor.key.encode(),
            row_uid=envelope.row_uid,
            version_id=descriptor.version_id,
            kind=RowKind.OBJECT,
            size=descriptor.size,
            modified_us=descriptor.modified_us,
            wrap=row_wrap(envelope),
            blob_ids=blob_ids,
            manifest_id=blob_id if is_manifest else None,
            part_count=len(parts) if parts and document.upload_id else 0,
            revision=0,
            sealed=b"",
        )
        told = _blobs_of(row, document, parts)
        if len(told) != len(blob_ids) or sum(size for size, _ in told) != row.size:
            raise AuthenticationFailed(blob_id=blob_id)
        return Described(self._rows.seal_object(row, document, parts), told)

    async def _open_data_key(self, envelope: Envelope) -> BodyKey:
        """That of the blob: of a manifest by SSE-C it is another one than that of the object."""
        if envelope.mode is not Mode.SSE_C:
            return await self._open_wrap(envelope, row_wrap(envelope))
        if envelope.kind is BlobKind.MANIFEST:
            if len(envelope.wraps) != 2 or envelope.wraps[1].mode is not Mode.SSE_S3:
                raise AuthenticationFailed
            return await self._open_wrap(envelope, envelope.wraps[1])
        for customer_key in self._customer_keys:
            try:
                return await self._open_wrap(envelope, row_wrap(envelope), customer_key)
            except WrongCustomerKey:
                continue
        raise NoCustomerKey

    async def _open_wrap(self, envelope: Envelope, wrap: Wrap, customer_key: SecretBytes | None = None) -> BodyKey:
        if not _ACCOUNT_ID.fullmatch(envelope.account_id):
            raise AuthenticationFailed
        bucket_arn = f"{_BUCKET_ARN}{self._names.get(envelope.bucket_id, '')}"
        if envelope.mode is Mode.SSE_KMS_BUCKET_KEY:
            if not isinstance(envelope.object_key, str):
                raise AuthenticationFailed
            object_arn = f"{bucket_arn}/{envelope.object_key}"
        else:
            object_arn = envelope.encryption_context.get(ARN_CONTEXT, bucket_arn)
        return await self._data_keys.open(
            Caller(root_principal(envelope.account_id), REQUEST_ID, via_service=self._via_service),
            wrap,
            context=envelope.encryption_context,
            account_id=envelope.account_id,
            bucket_id=envelope.bucket_id,
            row_uid=envelope.row_uid,
            object_arn=object_arn,
            customer_key=customer_key,
        )


def row_wrap(envelope: Envelope) -> Wrap:
    """The object's data key, or both of two layers, as a row has them. Raises AuthenticationFailed."""
    wraps = envelope.wraps
    if len(wraps) < _WRAPS[envelope.mode] or wraps[0].mode is not envelope.mode:
        raise AuthenticationFailed
    if envelope.mode is not Mode.DSSE_KMS:
        return wraps[0]
    if wraps[1].mode is not Mode.SSE_S3:
        raise AuthenticationFailed
    wrapped = join_kms_wrap(wraps[0].wrapped, wraps[1].wrapped)
    return Wrap(Mode.DSSE_KMS, wrapped, wraps[0].key_arn, wraps[0].key_version)


def _blobs_of(row: ObjectRow, document: ObjectDocument, parts: list[PartEntry] | None) -> tuple[tuple[int, bytes], ...]:
    if parts is None:
        return ((row.size, document.commitment),)
    return tuple((entry.size, entry.commitment) for entry in parts)

"""The gateway's own keys, opened once at start: the index key (rows, secrets) and the SSE-S3 service key.

Wrapped by the KMS under the service's own KMS key, kept in the index. Without them nothing can be read or verified, so
until the KMS opened them the gateway is sealed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.sealing.epochs import INDEX_KEY, SERVICE_KEY, EpochKeys, load_epochs, load_or_create_epochs
from gateway.sealing.format import KEY_SIZE
from gateway.sealing.row import RowSealer
from gateway.storage.errors import Conflict
from gateway.storage.index.interface import KeyEpochIndex
from gateway.storage.index.records import KeyEpochRow
from iam.secrets import Secret
from kms.api.service import KeyService

_IDENTITY_ROW_KEY = b"sealgate/v1/identity-row-key"
_SECRET_UID = b"access-key-secre"
"""In place of a row's uid where the index key seals secrets of the identity store, which has rows of its own."""


@dataclass(frozen=True, slots=True)
class ServiceKeys:
    """`rows` seals and opens sealed columns; `sse_s3` wraps the data keys of SSE-S3 objects; `identities` is the key of
    the seals of the identity database's rows."""

    rows: RowSealer
    sse_s3: EpochKeys
    identities: Secret


async def open_service_keys(
    kms: KeyService, index: KeyEpochIndex, *, request_id: str, make: bool = False
) -> ServiceKeys:
    """Open the service's keys; `make` the first of each, in a new data directory.

    Raises KMSError and KMSUnavailable as they come, AuthenticationFailed for stored keys that were tampered with,
    EpochsMissing for such that are not there, StorageUnavailable.
    """
    store = _IndexEpochs(index)
    load = load_or_create_epochs if make else load_epochs
    index_keys = await load(kms, store, INDEX_KEY, request_id=request_id)
    sse_s3 = await load(kms, store, SERVICE_KEY, request_id=request_id)
    return ServiceKeys(RowSealer(index_keys.keys, index_keys.current), sse_s3, identity_row_key(index_keys))


def identity_row_key(index_keys: EpochKeys) -> Secret:
    """HKDF-SHA256 (RFC 5869) of the index key of the first epoch, which stays, whatever epochs come
    (docs/formats/identity-row.md)."""
    first = index_keys.keys[min(index_keys.keys)]
    return Secret(HKDF(SHA256(), KEY_SIZE, salt=None, info=_IDENTITY_ROW_KEY).derive(first.reveal()))


class IndexKeySecretSealer:
    """Seals the secrets of the identity store under the index key, and its rows by `row_key`
    (`iam.store.interface.IdentitySealer`)."""

    def __init__(self, rows: RowSealer, row_key: Secret | None = None) -> None:
        self._rows = rows
        self.row_key = row_key

    def seal(self, purpose: bytes, secret: bytes) -> bytes:
        return self._rows.seal(_SECRET_UID, 0, (b"identity", purpose), secret)

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        return self._rows.open(_SECRET_UID, 0, (b"identity", purpose), sealed)


class _IndexEpochs:
    """`gateway.sealing.epochs.EpochStore` in the index."""

    def __init__(self, index: KeyEpochIndex) -> None:
        self._index = index

    async def load(self, purpose: str) -> Sequence[tuple[int, bytes]]:
        return [(row.epoch, row.wrapped) for row in await self._index.key_epochs(purpose)]

    async def add(self, purpose: str, epoch: int, wrapped: bytes) -> bool:
        try:
            await self._index.add_key_epoch(KeyEpochRow(purpose, epoch, wrapped, time.time_ns() // 1000))
        except Conflict:
            return False
        return True

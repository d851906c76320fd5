"""The gateway's own keys (index key, SSE-S3 service key), by epoch, wrapped by the KMS under the service's key.

A new epoch seals what is written from then on; old epochs stay, to open what they sealed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.sealing.errors import AuthenticationFailed, EpochsMissing
from gateway.sealing.format import KEY_SIZE
from gateway.sealing.ledger import note_key
from iam.principals import service_caller
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.api.types import Decrypt, GenerateDataKey

SERVICE_KEY_ALIAS: Final = "alias/sealgate/service"
"""The service account's KMS key, made by `sealgate init`."""

INDEX_KEY: Final = "index"
SERVICE_KEY: Final = "sse-s3"

BROKEN_CIPHERTEXT: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
"""What the KMS answers when stored bytes are not what it gave us: our integrity event, not the client's error."""


@dataclass(frozen=True, slots=True)
class EpochKeys:
    """Keys by epoch; `current` is the one that seals."""

    keys: Mapping[int, SecretBytes]
    current: int

    @property
    def current_key(self) -> SecretBytes:
        return self.keys[self.current]


class EpochStore(Protocol):
    """Where wrapped epoch keys live, as plain values."""

    async def load(self, purpose: str) -> Sequence[tuple[int, bytes]]:
        """(epoch, wrapped key) of every epoch, in any order."""
        ...

    async def add(self, purpose: str, epoch: int, wrapped: bytes) -> bool:
        """Durably add an epoch; False, and nothing changed, if that epoch exists (another process was quicker)."""
        ...


async def load_or_create_epochs(kms: KeyService, store: EpochStore, purpose: str, *, request_id: str) -> EpochKeys:
    """All epoch keys of `purpose` (INDEX_KEY, SERVICE_KEY), unwrapped; the first one is made if there is none.

    Several processes may do this at once: all end with the same keys. `request_id` is for the audit trail. Raises
    KMSError and KMSUnavailable as they come, AuthenticationFailed for a stored key that the KMS did not wrap so.
    """
    if not await store.load(purpose):
        await add_epoch(kms, store, purpose, 1, request_id=request_id)
    return await load_epochs(kms, store, purpose, request_id=request_id)


async def load_epochs(kms: KeyService, store: EpochStore, purpose: str, *, request_id: str) -> EpochKeys:
    """As `load_or_create_epochs`, but raises EpochsMissing where there is none."""
    wrapped = await store.load(purpose)
    if not wrapped:
        raise EpochsMissing(f"the index has no key of purpose {purpose!r}: restore it from a backup, or rebuild it")
    keys = {epoch: await _unwrap(kms, purpose, epoch, blob, request_id) for epoch, blob in wrapped}
    return EpochKeys(keys, max(keys))


async def add_epoch(kms: KeyService, store: EpochStore, purpose: str, epoch: int, *, request_id: str) -> bool:
    """Make and store the key of one epoch; False if it exists already."""
    if not 1 <= epoch < 1 << 32:
        raise ValueError("an epoch is 1..2^32-1")
    request = GenerateDataKey(SERVICE_KEY_ALIAS, KEY_SIZE, _context(purpose, epoch))
    made = await kms.call(service_caller(request_id), request)
    return await store.add(purpose, epoch, made.ciphertext.ciphertext_blob)


async def _unwrap(kms: KeyService, purpose: str, epoch: int, wrapped: bytes, request_id: str) -> SecretBytes:
    request = Decrypt(wrapped, encryption_context=_context(purpose, epoch))
    try:
        opened = await kms.call(service_caller(request_id), request)
    except KMSError as error:
        if error.code in BROKEN_CIPHERTEXT:
            raise AuthenticationFailed from error
        raise
    if len(opened.plaintext) != KEY_SIZE:
        raise AuthenticationFailed
    note_key(opened.plaintext.reveal())
    return opened.plaintext


def _context(purpose: str, epoch: int) -> dict[str, str]:
    return {"sealgate:purpose": purpose, "sealgate:epoch": str(epoch)}

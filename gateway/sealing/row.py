"""The sealed column of an index row (docs/formats/object.md, "Index row").

Opening is on the path of every HEAD, GET and listing: a page of 1 000 rows opens 1 000 of them. So rows that one
process sealed one after another share a key, that of their block, which is derived and scheduled once (1.6 us), and
each has a random nonce. Rows that were written before there were blocks have a key each, and are opened as ever.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import ID_SIZE, TAG_SIZE, lp
from gateway.sealing.ledger import SealingAEAD, note_key, sealing_aead
from gateway.sealing.segment import ZERO_NONCE
from kms.api.secrets import SecretBytes

_BLOCK_LABEL = b"sealgate/v2/rows"
_ROW_LABEL = b"sealgate/v1/row"

_OF_A_BLOCK: Final = 1 << 31
"""Set in the epoch of a row that has its block's key."""

MAX_EPOCH: Final = _OF_A_BLOCK - 1
_SALT_SIZE: Final = 16
_NONCE_SIZE: Final = 12
_EPOCH: Final = struct.Struct(">I")
_BLOCK_SIZE: Final = _EPOCH.size + _SALT_SIZE  # 20: what names a block's key
PREFIX_SIZE: Final = _BLOCK_SIZE + _NONCE_SIZE  # 32
ROW_OVERHEAD: Final = PREFIX_SIZE + TAG_SIZE
"""Bytes that sealing adds to a document."""

_OLD_PREFIX = struct.Struct(">IQ16s")  # epoch, revision, salt
_OLD_OVERHEAD: Final = _OLD_PREFIX.size + TAG_SIZE
_UID_AND_REVISION: Final = struct.Struct(">16sq")
MAX_REVISION: Final = (1 << 63) - 1  # what an SQL integer holds

MAX_BLOCK_SEALS: Final = 1 << 20
"""After so many a process begins another block: nonces of 96 random bits then repeat with a chance of 2^-57."""

MAX_KNOWN_BLOCKS: Final = 1024
"""Whose keys are kept, about a kilobyte each. Beyond that all are forgotten, and derived again."""


Proof = tuple[bytes, bytes, bytes]
"""A row of a block to be opened: its uid, what `associated_data` makes of it, and its sealed column."""


class _Block(NamedTuple):
    """That rows are being sealed in."""

    name: bytes
    aead: SealingAEAD

    def seal(self, associated: bytes, document: bytes, nonce: bytes) -> bytes:
        return self.name + nonce + self.aead.encrypt(nonce, document, associated)


class RowSealer:
    """Seals and opens documents under the index keys: `keys` by epoch, `current` the one that seals.

    `clear` is every clear column of the row that the sealed one vouches for, as bytes, in a fixed order, and first a
    name of the table and column, so that no sealed column passes for another. Threads may share it.
    """

    def __init__(self, keys: Mapping[int, SecretBytes], current: int) -> None:
        if current not in keys:
            raise ValueError("the current epoch has no key")
        if not all(0 <= epoch <= MAX_EPOCH for epoch in keys):
            raise ValueError("an epoch has 31 bits")
        self._current = current
        self._block_macs = {epoch: _keyed(key, _BLOCK_LABEL) for epoch, key in keys.items()}
        self._row_macs = {epoch: _keyed(key, _ROW_LABEL) for epoch, key in keys.items()}
        self._openers: dict[bytes, AESGCM] = {}
        self._lock = threading.Lock()
        self._block: _Block | None = None
        self._block_seals = 0

    def seal(self, row_uid: bytes, revision: int, clear: Sequence[bytes], document: bytes) -> bytes:
        """The sealed column for one revision of one row. `row_uid` has 16 bytes.

        Fresh random nonce: sealing the same revision twice (two writers in a race, a restored backup) is harmless. So
        is a process that forks, whose halves share a block then.
        """
        if len(row_uid) != ID_SIZE or not 0 <= revision <= MAX_REVISION:
            raise ValueError("a row uid has 16 bytes, a revision 63 bits")
        with self._lock:
            self._block_seals += 1
            if self._block is None or self._block_seals > MAX_BLOCK_SEALS:
                self._block, self._block_seals = self._new_block(os.urandom(_SALT_SIZE)), 1
            block = self._block
        return block.seal(associated_data(row_uid, revision, clear), document, os.urandom(_NONCE_SIZE))

    def _new_block(self, salt: bytes) -> _Block:
        key = self._block_key(self._block_macs[self._current], salt)
        return _Block(_EPOCH.pack(self._current | _OF_A_BLOCK) + salt, sealing_aead(key))

    @staticmethod
    def _block_key(keyed: HMAC, salt: bytes) -> bytes:
        mac = keyed.copy()
        mac.update(salt)
        return mac.finalize()

    def open(self, row_uid: bytes, revision: int, clear: Sequence[bytes], sealed: bytes) -> bytes:
        """The document, once every clear column is known to be the one it was sealed with.

        Raises AuthenticationFailed: anything changed, moved from another row or revision, or an epoch without a key.
        """
        if not 0 <= revision <= MAX_REVISION or len(row_uid) != ID_SIZE:
            raise AuthenticationFailed(row_uid=row_uid)
        if not is_of_a_block(sealed):
            return self._open_old(row_uid, revision, clear, sealed)
        return self.open_all(((row_uid, associated_data(row_uid, revision, clear), sealed),))[0]

    def open_all(self, rows: Iterable[Proof]) -> list[bytes]:
        """The documents of these rows, in their order, each of which is proved as by `open`. Raises as it does.

        Of rows of blocks alone: others are refused.
        """
        known, documents = self._openers, []
        for row_uid, associated, sealed in rows:
            block = sealed[:_BLOCK_SIZE]
            aead = known.get(block)
            if aead is None:
                aead = self._opener(block, row_uid)
            if len(row_uid) != ID_SIZE:
                raise AuthenticationFailed(row_uid=row_uid)
            try:
                documents.append(aead.decrypt(sealed[_BLOCK_SIZE:PREFIX_SIZE], sealed[PREFIX_SIZE:], associated))
            except (InvalidTag, ValueError):  # ValueError: a nonce that is cut
                raise AuthenticationFailed(row_uid=row_uid) from None
        return documents

    def _opener(self, block: bytes, row_uid: bytes) -> AESGCM:
        keyed = None
        if len(block) == _BLOCK_SIZE and is_of_a_block(block):
            keyed = self._block_macs.get(_EPOCH.unpack_from(block)[0] ^ _OF_A_BLOCK)
        if keyed is None:
            raise AuthenticationFailed(row_uid=row_uid)
        if len(self._openers) >= MAX_KNOWN_BLOCKS:
            self._openers.clear()
        aead = self._openers[block] = AESGCM(self._block_key(keyed, block[_EPOCH.size :]))
        return aead

    def _open_old(self, row_uid: bytes, revision: int, clear: Sequence[bytes], sealed: bytes) -> bytes:
        """Of a row that has a key of its own."""
        if len(sealed) < _OLD_OVERHEAD:
            raise AuthenticationFailed(row_uid=row_uid)
        epoch, sealed_revision, salt = _OLD_PREFIX.unpack_from(sealed)
        keyed = self._row_macs.get(epoch)
        if keyed is None or sealed_revision != revision:
            raise AuthenticationFailed(row_uid=row_uid)
        mac = keyed.copy()
        mac.update(_UID_AND_REVISION.pack(row_uid, revision) + salt)
        try:
            return AESGCM(mac.finalize()).decrypt(ZERO_NONCE, sealed[_OLD_PREFIX.size :], lp(clear))
        except InvalidTag:
            raise AuthenticationFailed(row_uid=row_uid) from None


def is_of_a_block(sealed: bytes) -> bool:
    """Whether the row has its block's key; otherwise it has one of its own, or its sealed column is empty."""
    return sealed[:1] >= b"\x80"


def associated_data(row_uid: bytes, revision: int, clear: Sequence[bytes]) -> bytes:
    """What the sealed column of a row of a block vouches for. `row_uid` has 16 bytes, `revision` 63 bits."""
    return _UID_AND_REVISION.pack(row_uid, revision) + lp(clear)


def _keyed(key: SecretBytes, label: bytes) -> HMAC:
    """HMAC with key and label taken in already: copying it is a third of the cost of keying it."""
    note_key(key.reveal())
    mac = HMAC(key.reveal(), SHA256())
    mac.update(label)
    return mac

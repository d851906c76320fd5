"""The sealed column of an index row (docs/formats/object.md, "Index row").

Opening is on the path of every HEAD, GET and listing: a page of 1 000 rows opens 1 000 of them, each with a key of its
own, which is derived and scheduled (1.4 us) and then used once (0.6 us).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import ID_SIZE, TAG_SIZE, lp
from gateway.sealing.ledger import note_key, sealing_aead
from gateway.sealing.segment import ZERO_NONCE
from kms.api.secrets import SecretBytes

_LABEL = b"sealgate/v1/row"
_PREFIX = struct.Struct(">IQ16s")  # epoch, revision, salt
_EPOCH_AND_REVISION = struct.Struct(">IQ").unpack_from
_SALT_SIZE: Final = 16
PREFIX_SIZE: Final = _PREFIX.size  # 28
ROW_OVERHEAD: Final = PREFIX_SIZE + TAG_SIZE
"""Bytes that sealing adds to a document."""
MAX_REVISION: Final = (1 << 63) - 1  # what an SQL integer holds


Framed = tuple[bytes, int, bytes, bytes]
"""A row to be opened: its uid, its revision, its clear columns as `lp` frames them, and its sealed column."""


class RowSealer:
    """Seals and opens documents under the index keys: `keys` by epoch, `current` the one that seals.

    `clear` is every clear column of the row, as bytes, in a fixed order, and first a name of the table and column, so
    that no sealed column passes for another. Keeps no state between calls; threads may share it.
    """

    def __init__(self, keys: Mapping[int, SecretBytes], current: int) -> None:
        if current not in keys:
            raise ValueError("the current epoch has no key")
        self._current = current
        self._macs = {epoch: _keyed(key) for epoch, key in keys.items()}

    def seal(self, row_uid: bytes, revision: int, clear: Sequence[bytes], document: bytes) -> bytes:
        """The sealed column for one revision of one row. `row_uid` has 16 bytes.

        Fresh random salt: sealing the same revision twice (two writers in a race, a restored backup) is harmless.
        """
        if len(row_uid) != ID_SIZE or not 0 <= revision <= MAX_REVISION:
            raise ValueError("a row uid has 16 bytes, a revision 63 bits")
        return self._seal(row_uid, revision, clear, document, os.urandom(_SALT_SIZE))

    def _seal(self, row_uid: bytes, revision: int, clear: Sequence[bytes], document: bytes, salt: bytes) -> bytes:
        prefix = _PREFIX.pack(self._current, revision, salt)
        mac = self._macs[self._current].copy()
        mac.update(row_uid + prefix[4:])
        return prefix + sealing_aead(mac.finalize()).encrypt(ZERO_NONCE, document, lp(clear))

    def open(self, row_uid: bytes, revision: int, clear: Sequence[bytes], sealed: bytes) -> bytes:
        """The document, once every clear column is known to be the one it was sealed with.

        Raises AuthenticationFailed: anything changed, moved from another row or revision, or an epoch without a key.
        """
        return self.open_all(((row_uid, revision, lp(clear), sealed),))[0]

    def open_all(self, rows: Iterable[Framed]) -> list[bytes]:
        """The documents of these rows, in their order, each of which is proved as by `open`. Raises as it does."""
        keys, documents = self._macs, []
        for row_uid, revision, framed, sealed in rows:
            if len(sealed) < ROW_OVERHEAD or len(row_uid) != ID_SIZE:
                raise AuthenticationFailed(row_uid=row_uid)
            epoch, sealed_revision = _EPOCH_AND_REVISION(sealed)
            keyed = keys.get(epoch)
            if keyed is None or sealed_revision != revision:
                raise AuthenticationFailed(row_uid=row_uid)
            mac = keyed.copy()
            mac.update(row_uid + sealed[4:PREFIX_SIZE])
            try:
                documents.append(AESGCM(mac.finalize()).decrypt(ZERO_NONCE, sealed[PREFIX_SIZE:], framed))
            except InvalidTag:
                raise AuthenticationFailed(row_uid=row_uid) from None
        return documents


def _keyed(key: SecretBytes) -> HMAC:
    """HMAC with key and label taken in already: copying it is a third of the cost of keying it."""
    note_key(key.reveal())
    mac = HMAC(key.reveal(), SHA256())
    mac.update(_LABEL)
    return mac

"""Local wraps: data keys wrapped by a key that the gateway holds (docs/formats/object.md, "Local wrap")."""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.format import KEY_SIZE, TAG_SIZE
from gateway.sealing.ledger import note_key, sealing_aead
from gateway.sealing.segment import ZERO_NONCE
from kms.api.secrets import SecretBytes

_LABEL = b"sealgate/v1/wrap"
_VERSION: Final = 1
_PREFIX = struct.Struct(">BI16s")  # version, epoch, r
WRAPPED_SIZE: Final = _PREFIX.size + KEY_SIZE + TAG_SIZE  # 69


def local_wrap(kek: SecretBytes, epoch: int, data_key: SecretBytes, aad: bytes) -> bytes:
    """Wrap a 32-byte data key: 69 bytes. Each wrap has a key of its own, so nothing limits their number."""
    return _wrap(kek, epoch, data_key, aad, os.urandom(16))


def _wrap(kek: SecretBytes, epoch: int, data_key: SecretBytes, aad: bytes, r: bytes) -> bytes:
    if len(data_key) != KEY_SIZE:
        raise ValueError("a data key has 32 bytes")
    note_key(kek.reveal())
    return _PREFIX.pack(_VERSION, epoch, r) + sealing_aead(_wrapping_key(kek, r)).encrypt(
        ZERO_NONCE, data_key.reveal(), aad
    )


def local_unwrap(keks: Mapping[int, SecretBytes], wrapped: bytes, aad: bytes) -> SecretBytes:
    """The data key. Raises AuthenticationFailed (changed, other AAD, no such epoch), FormatError (another version)."""
    if len(wrapped) != WRAPPED_SIZE:
        raise AuthenticationFailed
    version, epoch, r = _PREFIX.unpack_from(wrapped)
    if version != _VERSION:
        raise FormatError(f"local wrap version {version}; this program knows {_VERSION}")
    kek = keks.get(epoch)
    if kek is None:
        raise AuthenticationFailed
    try:
        return SecretBytes(AESGCM(_wrapping_key(kek, r)).decrypt(ZERO_NONCE, wrapped[_PREFIX.size :], aad))
    except InvalidTag:
        raise AuthenticationFailed from None


def _wrapping_key(kek: SecretBytes, r: bytes) -> bytes:
    return hmac.digest(kek.reveal(), _LABEL + r, "sha256")

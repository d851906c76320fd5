"""Local wraps: data keys wrapped by a key that the gateway holds (docs/formats/object.md, "Local wrap", "Wrap under a
bucket key")."""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.sealing.errors import AuthenticationFailed, FormatError
from gateway.sealing.format import KEY_SIZE, TAG_SIZE, Buffer, lp
from gateway.sealing.ledger import note_key, sealing_aead
from gateway.sealing.segment import ZERO_NONCE
from kms.api.secrets import SecretBytes

_LABEL = b"sealgate/v1/wrap"
_VERSION: Final = 1
_PREFIX = struct.Struct(">BI16s")  # version, epoch, r
WRAPPED_SIZE: Final = _PREFIX.size + KEY_SIZE + TAG_SIZE  # 69
_LENGTH = struct.Struct(">I")
_NO_EPOCH: Final = 0
"""Of bucket keys, which have none: the wrap itself holds what it takes to open it."""


def local_wrap(kek: SecretBytes, epoch: int, data_key: SecretBytes, aad: bytes) -> bytes:
    """Wrap a 32-byte data key: 69 bytes. Each wrap has a key of its own, so nothing limits their number."""
    note_key(kek.reveal())
    return _wrap(kek.reveal(), epoch, data_key, aad, os.urandom(16))


def bucket_key_wrap(bucket_key: bytearray, blob: bytes, data_key: SecretBytes, aad: bytes) -> bytes:
    """Wrap a 32-byte data key by a bucket key, whose ciphertext blob goes before the wrap."""
    return join_kms_wrap(blob, _wrap(bucket_key, _NO_EPOCH, data_key, aad, os.urandom(16)))


def join_kms_wrap(blob: bytes, local: bytes) -> bytes:
    """A ciphertext blob of the KMS, with a local wrap behind it."""
    return lp((blob,)) + local


def _wrap(kek: Buffer, epoch: int, data_key: SecretBytes, aad: bytes, r: bytes) -> bytes:
    if len(data_key) != KEY_SIZE:
        raise ValueError("a data key has 32 bytes")
    _require_key(kek)
    return _PREFIX.pack(_VERSION, epoch, r) + sealing_aead(_wrapping_key(kek, r)).encrypt(
        ZERO_NONCE, data_key.reveal(), aad
    )


def local_unwrap(keks: Mapping[int, SecretBytes], wrapped: bytes, aad: bytes) -> SecretBytes:
    """The data key. Raises AuthenticationFailed (changed, other AAD, no such epoch), FormatError (another version)."""
    return _unwrap({epoch: key.reveal() for epoch, key in keks.items()}, wrapped, aad)


def split_kms_wrap(wrapped: bytes) -> tuple[bytes, bytes]:
    """The ciphertext blob of the KMS, and the local wrap behind it. Raises AuthenticationFailed."""
    start = len(wrapped) - WRAPPED_SIZE
    if start < _LENGTH.size or _LENGTH.unpack_from(wrapped)[0] != start - _LENGTH.size:
        raise AuthenticationFailed
    return wrapped[_LENGTH.size : start], wrapped[start:]


def bucket_key_unwrap(bucket_key: bytearray, local: bytes, aad: bytes) -> SecretBytes:
    """The data key, out of the second half of `split_kms_wrap`. Raises as `local_unwrap`."""
    return _unwrap({_NO_EPOCH: bucket_key}, local, aad)


def _unwrap(keks: Mapping[int, Buffer], wrapped: bytes, aad: bytes) -> SecretBytes:
    if len(wrapped) != WRAPPED_SIZE:
        raise AuthenticationFailed
    version, epoch, r = _PREFIX.unpack_from(wrapped)
    if version != _VERSION:
        raise FormatError(f"local wrap version {version}; this program knows {_VERSION}")
    kek = keks.get(epoch)
    if kek is None:
        raise AuthenticationFailed
    _require_key(kek)
    try:
        return SecretBytes(AESGCM(_wrapping_key(kek, r)).decrypt(ZERO_NONCE, wrapped[_PREFIX.size :], aad))
    except InvalidTag:
        raise AuthenticationFailed from None


def _wrapping_key(kek: Buffer, r: bytes) -> bytes:
    return hmac.digest(kek, _LABEL + r, "sha256")


def _require_key(kek: Buffer) -> None:
    """An empty key is one that was wiped: nothing must ever be wrapped by it."""
    if len(kek) != KEY_SIZE:
        raise ValueError("a wrapping key has 32 bytes")

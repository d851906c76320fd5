"""A `SecretSealer` under a 32-byte key: AES-256-GCM with a key of its own for every secret.

    01 | salt 32 B | AES-256-GCM(HKDF-SHA256(key, salt, info = label ‖ purpose), nonce 0, secret) + tag 16 B

The salt makes each message key unique, so that the nonce may be constant and a restored backup repeats nothing.
The version byte and the purpose are authenticated: the one as associated data, the other through the key.
"""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE = 32
SALT_SIZE = 32
TAG_SIZE = 16
_VERSION = b"\x01"
_LABEL = b"sealgate/v1/iam/sealed-secret\x00"
_NONCE = bytes(12)
_OVERHEAD = len(_VERSION) + SALT_SIZE + TAG_SIZE


class AESGCMSecretSealer:
    """Seals and opens short secrets under one key; `iam.store.SecretSealer` is the contract."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """`key` is 32 uniformly random bytes, used for nothing else. Raises ValueError for another size."""
        if len(key) != KEY_SIZE:
            raise ValueError(f"a sealing key has {KEY_SIZE} bytes; got {len(key)}")
        self._key = bytes(key)

    def __repr__(self) -> str:
        return "AESGCMSecretSealer()"

    def seal(self, purpose: bytes, secret: bytes) -> bytes:
        """`secret` sealed for `purpose`, 49 bytes longer than it."""
        salt = os.urandom(SALT_SIZE)
        return _VERSION + salt + self._aead(purpose, salt).encrypt(_NONCE, secret, _VERSION)

    def open(self, purpose: bytes, sealed: bytes) -> bytes:
        """What was sealed. Raises ValueError for another format, cryptography's InvalidTag for anything else."""
        if len(sealed) < _OVERHEAD or sealed[:1] != _VERSION:
            raise ValueError(f"a sealed secret begins with the byte 01 and has at least {_OVERHEAD} bytes")
        salt, ciphertext = sealed[1 : 1 + SALT_SIZE], sealed[1 + SALT_SIZE :]
        return self._aead(purpose, salt).decrypt(_NONCE, ciphertext, _VERSION)

    def _aead(self, purpose: bytes, salt: bytes) -> AESGCM:
        return AESGCM(HKDF(SHA256(), KEY_SIZE, salt, _LABEL + purpose).derive(self._key))

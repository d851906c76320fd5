"""The file in which a file root lies sealed; format: docs/formats/file-root.md. Bytes and key derivation, no policy.

    file = header ‖ AES-256-GCM(sealing key, nonce, keys, associated data = header)
    keys = root (32) ‖ root-mac (32) ‖ audit-sign (32)

Format 1, which is still read, lacks audit-sign.

The sealing key comes from a passphrase by Argon2id (RFC 9106) or from a key file of 32 random bytes by HKDF-SHA256.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kms.api.secrets import SecretBytes
from kms.hsm.errors import CredentialRejected
from kms.hsm.interface import RootMisconfigured

FORMAT_VERSION = 2
BY_PASSPHRASE = 1
BY_KEY_FILE = 2

KEY_SIZE = 32
ROOT_ID_SIZE = 16
_MAGIC = b"SGFR"
_SALT_SIZE = 16
_NONCE_SIZE = 12
_TAG_SIZE = 16
_HEADER = struct.Struct(">4sBB16sIIB16s12s")
_KEYS_OF_FORMAT = {1: 2, 2: 3}
_FILE_SIZES = {version: _HEADER.size + keys * KEY_SIZE + _TAG_SIZE for version, keys in _KEYS_OF_FORMAT.items()}
FILE_SIZE = _FILE_SIZES[FORMAT_VERSION]
_KEY_FILE_LABEL = b"sealgate/v1/file-root"

# RFC 9106 §4, the second recommended choice (64 MiB); the limits keep a tampered file from eating the machine.
MEMORY_KIB = 64 * 1024
ITERATIONS = 3
LANES = 4
_MAX_MEMORY_KIB = 1024 * 1024
_MAX_ITERATIONS = 64
_MAX_LANES = 64


@dataclass(frozen=True, slots=True)
class SealingSecret:
    """What opens the file: `kind` is BY_PASSPHRASE or BY_KEY_FILE, `value` the passphrase or the key file's bytes."""

    kind: int
    value: SecretBytes


@dataclass(frozen=True, slots=True)
class RootKeys:
    """32 bytes each; `audit_sign` is the scalar of a P-256 key, None in what was read from a file of format 1."""

    root_id: bytes
    root: SecretBytes
    root_mac: SecretBytes
    audit_sign: SecretBytes | None


def seal(keys: RootKeys, secret: SealingSecret) -> bytes:
    """The file's content in format 2, with a fresh salt and nonce."""
    assert keys.audit_sign is not None
    costs = (MEMORY_KIB, ITERATIONS, LANES) if secret.kind == BY_PASSPHRASE else (0, 0, 0)
    salt, nonce = os.urandom(_SALT_SIZE), os.urandom(_NONCE_SIZE)
    header = _HEADER.pack(_MAGIC, FORMAT_VERSION, secret.kind, keys.root_id, *costs, salt, nonce)
    sealing_key = _sealing_key(secret, salt, *costs)
    plain = keys.root.reveal() + keys.root_mac.reveal() + keys.audit_sign.reveal()
    return header + AESGCM(sealing_key).encrypt(nonce, plain, header)


def unseal(content: bytes, secret: SealingSecret) -> RootKeys:
    """The inverse of `seal`.

    Raises CredentialRejected for a wrong passphrase or key file, which cannot be told from a changed file, and
    RootMisconfigured for what is no file root of a known version, or one of the other kind.
    """
    if len(content) not in _FILE_SIZES.values() or not content.startswith(_MAGIC):
        raise RootMisconfigured("this is not a file root")
    header = content[: _HEADER.size]
    _, version, kind, root_id, memory_kib, iterations, lanes, salt, nonce = _HEADER.unpack(header)
    if len(content) != _FILE_SIZES.get(version):
        raise RootMisconfigured(f"file root format {version} of {len(content)} bytes is not known to this release")
    if kind != secret.kind:
        raise RootMisconfigured("the file root is sealed by a key file, not a passphrase, or the other way round")
    if kind == BY_PASSPHRASE and not _are_sane(memory_kib, iterations, lanes):
        raise RootMisconfigured("the file root asks for Argon2id costs out of bounds")
    sealing_key = _sealing_key(secret, salt, memory_kib, iterations, lanes)
    try:
        opened = AESGCM(sealing_key).decrypt(nonce, content[_HEADER.size :], header)
    except InvalidTag:
        raise CredentialRejected(
            "the file root does not open: wrong passphrase, wrong key file or changed file"
        ) from None
    root, root_mac, audit_sign = (SecretBytes(opened[at : at + KEY_SIZE]) for at in (0, KEY_SIZE, 2 * KEY_SIZE))
    return RootKeys(root_id, root, root_mac, audit_sign if len(audit_sign) else None)


def _are_sane(memory_kib: int, iterations: int, lanes: int) -> bool:
    return (
        1 <= lanes <= _MAX_LANES
        and 1 <= iterations <= _MAX_ITERATIONS
        and 8 * lanes <= memory_kib <= _MAX_MEMORY_KIB  # RFC 9106 §3.1
    )


def _sealing_key(secret: SealingSecret, salt: bytes, memory_kib: int, iterations: int, lanes: int) -> bytes:
    if secret.kind == BY_KEY_FILE:
        return HKDF(SHA256(), KEY_SIZE, salt, _KEY_FILE_LABEL).derive(secret.value.reveal())
    try:
        argon2 = Argon2id(salt=salt, length=KEY_SIZE, iterations=iterations, lanes=lanes, memory_cost=memory_kib)
    except UnsupportedAlgorithm:
        raise RootMisconfigured("this build of OpenSSL has no Argon2id: seal the file root by a key file") from None
    return argon2.derive(secret.value.reveal())

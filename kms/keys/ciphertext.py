"""The ciphertext blob, version 1: what Encrypt and GenerateDataKey return and Decrypt opens.

Pure functions over bytes. A key version (32 bytes) is used only as an HMAC-SHA256 key of a derivation, so that an HSM
can do the same step with a key that never leaves it; the message key is unique by its 32-byte salt, so that the GCM
nonce is constant and no number of messages wears a key out; the commitment makes the key of a blob unambiguous.

Layout: version 01 | algorithm 01 | key id 16 | key version BE32 | salt 32 | commitment 32 | ciphertext | tag 16.
Format, reasons and a worked example: docs/formats/ciphertext-blob.md.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from kms.api.errors import KMSError

FORMAT_VERSION = 1
ALGORITHM = 1
"""HMAC-SHA256 derivation, HKDF-Expand, AES-256-GCM with a 32-byte commitment."""

KEY_BYTES = 32
KEY_ID_BYTES = 16
SALT_BYTES = 32
COMMITMENT_BYTES = 32
TAG_BYTES = 16
IDENTITY_BYTES = 2 + KEY_ID_BYTES + 4
COMMITMENT_OFFSET = IDENTITY_BYTES + SALT_BYTES
HEADER_BYTES = COMMITMENT_OFFSET + COMMITMENT_BYTES
MAX_PLAINTEXT_BYTES = 4096
MAX_BLOB_BYTES = HEADER_BYTES + MAX_PLAINTEXT_BYTES + TAG_BYTES
MIN_BLOB_BYTES = HEADER_BYTES + 1 + TAG_BYTES

_PREFIX = bytes((FORMAT_VERSION, ALGORITHM))
_NONCE = bytes(12)
_DERIVE_LABEL = b"\x01sealgate/v1/ciphertext-blob/message-key"
_EXPAND_LABEL = b"sealgate/v1/ciphertext-blob/expand"


class BlobIdentity(NamedTuple):
    """Which key version a blob names; not authenticated until the blob was opened with it."""

    key_id: bytes
    key_version: int


def invalid_ciphertext() -> KMSError:
    """The one answer to every blob that does not open: AWS's InvalidCiphertextException, whose message is empty."""
    return KMSError("InvalidCiphertextException")


def identify_blob(blob: bytes) -> BlobIdentity:
    """The key id (16 bytes) and version that `blob` names. Raises InvalidCiphertextException for what is no blob."""
    if not MIN_BLOB_BYTES <= len(blob) <= MAX_BLOB_BYTES or blob[:2] != _PREFIX:
        raise invalid_ciphertext()
    key_id_end = 2 + KEY_ID_BYTES
    return BlobIdentity(bytes(blob[2:key_id_end]), int.from_bytes(blob[key_id_end:IDENTITY_BYTES], "big"))


def new_derivation(key_id: bytes, key_version: int, salt: bytes) -> bytes:
    """What the message secret of a new blob is the HMAC-SHA256 of, under the key version.

    `key_id` is the key's 16 bytes; `salt` is 32 fresh random bytes, never used before.
    """
    assert len(key_id) == KEY_ID_BYTES and len(salt) == SALT_BYTES
    return b"".join((_DERIVE_LABEL, _PREFIX, key_id, key_version.to_bytes(4, "big"), salt))


def derivation_of(blob: bytes) -> bytes:
    """The same of a blob that exists. Raises InvalidCiphertextException for what is no blob."""
    identify_blob(blob)
    return _DERIVE_LABEL + bytes(blob[:COMMITMENT_OFFSET])


def derive(key: bytes | bytearray, derivation: bytes) -> bytes:
    """The message secret, 32 bytes: what an HSM computes for a key that never leaves it."""
    assert len(key) == KEY_BYTES
    return hmac.digest(key, derivation, "sha256")


def seal_blob(
    key: bytes | bytearray, key_id: bytes, key_version: int, *, salt: bytes, plaintext: bytes, context: bytes
) -> bytes:
    """Encrypt 1..4096 bytes under the 32 bytes of a key version; the rest as `new_derivation` and `seal_derived`."""
    derivation = new_derivation(key_id, key_version, salt)
    return seal_derived(derive(key, derivation), derivation, plaintext=plaintext, context=context)


def seal_derived(message_secret: bytes, derivation: bytes, *, plaintext: bytes, context: bytes) -> bytes:
    """Encrypt 1..4096 bytes under the secret that was derived by `derivation`, which must be new.

    `context` is `canonical_context(...)`. Sizes are the caller's to keep: others are a fault of the program.
    """
    assert 1 <= len(plaintext) <= MAX_PLAINTEXT_BYTES
    expanded = _expand(message_secret)
    header = derivation.removeprefix(_DERIVE_LABEL) + expanded[KEY_BYTES:]
    return header + AESGCM(expanded[:KEY_BYTES]).encrypt(_NONCE, plaintext, header + context)


def open_blob(key: bytes | bytearray, blob: bytes, *, context: bytes) -> bytes:
    """Decrypt and authenticate a blob with the 32 bytes of the key version that it names.

    Raises InvalidCiphertextException, with an empty message, for a wrong key or context, a changed, missing or
    added byte; the cases cannot be told apart.
    """
    return open_derived(derive(key, derivation_of(blob)), blob, context=context)


def open_derived(message_secret: bytes, blob: bytes, *, context: bytes) -> bytes:
    """As `open_blob`, with the secret that was derived by `derivation_of(blob)`."""
    identify_blob(blob)
    header = bytes(blob[:HEADER_BYTES])
    expanded = _expand(message_secret)
    if not hmac.compare_digest(expanded[KEY_BYTES:], header[COMMITMENT_OFFSET:]):
        raise invalid_ciphertext()
    try:
        return AESGCM(expanded[:KEY_BYTES]).decrypt(_NONCE, blob[HEADER_BYTES:], header + context)
    except InvalidTag:
        raise invalid_ciphertext() from None


def _expand(message_secret: bytes) -> bytes:
    """Message key (32 bytes) and commitment (32 bytes), RFC 5869 §2.3 over one HMAC of the key version."""
    return HKDFExpand(SHA256(), KEY_BYTES + COMMITMENT_BYTES, _EXPAND_LABEL).derive(message_secret)

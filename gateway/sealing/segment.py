"""Keys and nonces of a blob's segments (docs/formats/object.md, "Keys of a blob" and "Segments")."""

from __future__ import annotations

import hmac
import struct
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import KEY_SIZE, Buffer, Header
from gateway.sealing.ledger import SealingAEAD, note_key, sealing_aead
from kms.api.secrets import SecretBytes

ZERO_NONCE = bytes(12)
"""The nonce of keys that seal one message in their life."""

segment_nonce = struct.Struct(">3xQ?").pack
"""The 12-byte nonce of a segment: (index, is_final) -> 00 00 00 || BE64(index) || 01 if final else 00."""

_SEGMENT = b"sealgate/v1/segment"
_COMMIT = b"sealgate/v1/commit"
_FOOTER = b"sealgate/v1/footer"


class LayerKeys:
    """What one layer of a blob derives from its data key: HKDF-SHA256 (RFC 5869) with 32-byte outputs."""

    __slots__ = ("_expand", "_suffix")

    def __init__(self, data_key: SecretBytes, salt: bytes, core: bytes, layer: int) -> None:
        key = data_key.reveal()
        if len(key) != KEY_SIZE:
            raise ValueError("a data key has 32 bytes")
        note_key(key)
        self._expand = HMAC(hmac.digest(salt, key, "sha256"), SHA256())
        self._suffix = bytes((layer,)) + core + b"\x01"  # the counter byte of the first, only, block of HKDF-Expand

    def _derive(self, label: bytes) -> bytes:
        mac = self._expand.copy()  # saves keying HMAC anew: 1 us instead of 2.7
        mac.update(label + self._suffix)
        return mac.finalize()

    def segment_key(self) -> bytes:
        return self._derive(_SEGMENT)

    def commitment(self) -> bytes:
        return self._derive(_COMMIT)

    def footer_key(self) -> bytes:
        """Of layer 0 only."""
        return self._derive(_FOOTER)


def layer_keys(data_key: SecretBytes, second_key: SecretBytes | None, salt: bytes, core: bytes) -> list[LayerKeys]:
    """Of one layer, or of two when there is a second key."""
    layers = [LayerKeys(data_key, salt, core, 0)]
    if second_key is not None:
        layers.append(LayerKeys(second_key, salt, core, 1))
    return layers


def commitment_of(layers: list[LayerKeys]) -> bytes:
    """32 bytes for each layer, layer 0 first."""
    return b"".join([layer.commitment() for layer in layers])


def check_header(
    header: Header, data_key: SecretBytes, second_key: SecretBytes | None, *, blob_id: bytes | None = None
) -> list[LayerKeys]:
    """The keys of a blob, once the header's commitment says that these data keys, and no others, belong to it.

    `blob_id` None takes the header's word for the id (index rebuild, where no row exists). Raises AuthenticationFailed.
    """
    layers = layer_keys(data_key, second_key, header.salt, header.core)
    same_keys = hmac.compare_digest(commitment_of(layers), header.commitment)
    if not same_keys or (blob_id is not None and blob_id != header.blob_id):
        raise AuthenticationFailed(blob_id=blob_id or header.blob_id)
    return layers


class SegmentSealer(Protocol):
    def encrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int: ...


class SegmentOpener(Protocol):
    def decrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes: ...

    def decrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int: ...


class _TwoLayerSealer:
    """Layer 0 first, layer 1 over its output."""

    def __init__(self, inner: SealingAEAD, outer: SealingAEAD) -> None:
        self._inner = inner
        self._outer = outer

    def encrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int:
        return self._outer.encrypt_into(nonce, self._inner.encrypt(nonce, data, associated_data), associated_data, buf)


class _TwoLayerOpener:
    def __init__(self, inner: AESGCM, outer: AESGCM) -> None:
        self._inner = inner
        self._outer = outer

    def decrypt(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None) -> bytes:
        return self._inner.decrypt(nonce, self._outer.decrypt(nonce, data, associated_data), associated_data)

    def decrypt_into(self, nonce: Buffer, data: Buffer, associated_data: Buffer | None, buf: Buffer) -> int:
        return self._inner.decrypt_into(nonce, self._outer.decrypt(nonce, data, associated_data), associated_data, buf)


def segment_sealer(layers: list[LayerKeys]) -> SegmentSealer:
    """Of one or two layers. Not for two threads at once: the caller counts the nonces."""
    aeads = [sealing_aead(layer.segment_key()) for layer in layers]
    return aeads[0] if len(aeads) == 1 else _TwoLayerSealer(aeads[0], aeads[1])


def segment_opener(layers: list[LayerKeys]) -> SegmentOpener:
    """Of one or two layers; keeps no state, so threads may share it."""
    aeads = [AESGCM(layer.segment_key()) for layer in layers]
    return aeads[0] if len(aeads) == 1 else _TwoLayerOpener(aeads[0], aeads[1])

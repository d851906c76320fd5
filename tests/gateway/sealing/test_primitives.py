"""AES-256-GCM and HKDF as object segments use them, by Wycheproof's vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest
from cryptography.exceptions import InvalidTag

from gateway.sealing.segment import LayerKeys, segment_opener, segment_sealer
from kms.api.secrets import SecretBytes
from tests.vectors.wycheproof import Vector, vectors

TAG_SIZE = 16


@dataclass(frozen=True)
class VectorLayer:
    """A layer whose segment key is a vector's."""

    key: bytes

    def segment_key(self) -> bytes:
        return self.key


def layers(*keys: bytes) -> list[LayerKeys]:
    return [cast("LayerKeys", VectorLayer(key)) for key in keys]


def gcm_vectors() -> list[Vector]:
    """Those of AES-256 with nonces of 12 bytes."""
    return [each for each in vectors("aes_gcm") if (each.members["keySize"], each.members["ivSize"]) == (256, 96)]


def opened(key: list[LayerKeys], nonce: bytes, sealed: bytes, aad: bytes) -> bytes | None:
    plaintext = bytearray(len(sealed) - TAG_SIZE * len(key))
    try:
        segment_opener(key).decrypt_into(nonce, sealed, aad, plaintext)
    except InvalidTag:
        return None
    return bytes(plaintext)


@pytest.mark.usefixtures("unrecorded")
def test_segments_open_and_seal_by_gcm() -> None:
    wrong = []
    for vector in gcm_vectors():
        key, sealed = layers(vector["key"]), vector["ct"] + vector["tag"]
        if opened(key, vector["iv"], sealed, vector["aad"]) != (vector["msg"] if vector.is_valid else None):
            wrong.append(vector)
        made = bytearray(len(sealed))
        segment_sealer(key).encrypt_into(vector["iv"], vector["msg"], vector["aad"], made)
        if (bytes(made) == sealed) is not vector.is_valid:
            wrong.append(vector)
    assert wrong == []
    assert len(gcm_vectors()) >= 60


@pytest.mark.usefixtures("unrecorded")
def test_two_layers_are_gcm_twice() -> None:
    """The inner layer is a vector's; the outer one hides whether it is whole."""
    wrong = []
    for vector in gcm_vectors():
        outer, sealed = bytes(range(32)), vector["ct"] + vector["tag"]
        twice = bytearray(len(sealed) + TAG_SIZE)
        segment_sealer(layers(outer)).encrypt_into(vector["iv"], sealed, vector["aad"], twice)
        both = layers(vector["key"], outer)
        if opened(both, vector["iv"], bytes(twice), vector["aad"]) != (vector["msg"] if vector.is_valid else None):
            wrong.append(vector)
    assert wrong == []


def test_keys_of_a_layer_are_hkdf() -> None:
    """Data keys have 32 bytes. The first byte of the vector's info stands for the layer, the others for the header."""
    tried = 0
    for vector in vectors("hkdf_sha256"):
        info = vector["info"]
        if not vector.is_valid or len(vector["ikm"]) != 32 or not info:
            continue
        keys = LayerKeys(SecretBytes(vector["ikm"]), vector["salt"], info[1:], info[0])
        size = min(32, vector.members["size"])
        assert keys._derive(b"")[:size] == vector["okm"][:size], vector
        tried += 1
    assert tried >= 10

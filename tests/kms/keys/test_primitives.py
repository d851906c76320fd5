"""Key derivation, key wrap and OAEP as the KMS composes them, by Wycheproof's vectors.

What the KMS derives has labels of its own; here they are those of the vectors.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from nacl.bindings import crypto_pwhash_scryptsalsa208sha256_ll

from kms.api.secrets import SecretBytes
from kms.keys import ciphertext, import_token, wrapping
from kms.keys.imported import NotUnwrapped, check_of_material, make_wrapping_key, unwrap_material
from tests.vectors.wycheproof import Vector, vectors


def hkdf_vectors(max_size: int) -> Iterator[Vector]:
    """Of at most `max_size` bytes, which are the first ones of any longer output."""
    for vector in vectors("hkdf_sha256"):
        if vector.is_valid and vector.members["size"] <= max_size:
            yield vector


def test_hkdf_of_ciphertext_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """HMAC under a key version, then HKDF-Expand, is HKDF with the key for salt; HMAC pads short keys by zeros."""
    tried = 0
    for vector in hkdf_vectors(64):
        if len(vector["salt"]) > 32:
            continue
        monkeypatch.setattr(ciphertext, "_EXPAND_LABEL", vector["info"])
        secret = ciphertext.derive(vector["salt"].ljust(32, b"\0"), vector["ikm"])
        assert ciphertext._expand(secret)[: vector.members["size"]] == vector["okm"], vector
        tried += 1
    assert tried >= 40


def test_hkdf_of_records_and_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0
    for vector in hkdf_vectors(64):
        size = vector.members["size"]
        key = SecretBytes(hmac.digest(vector["salt"], vector["ikm"], "sha256"))
        monkeypatch.setattr(wrapping, "_SEAL_LABEL", vector["info"])
        assert b"".join(wrapping._expand(key))[:size] == vector["okm"], vector
        monkeypatch.setattr(import_token, "_SEAL_LABEL", vector["info"])
        assert import_token._expand(key)[:size] == vector["okm"][:32], vector
        tried += 1
    assert tried >= 40


def test_scrypt_by_a_second_implementation() -> None:
    """RFC 7914, as libsodium computes it."""
    key_id, material = bytes(range(16)), SecretBytes(bytes(range(100, 132)))
    salt = b"sealgate/v1/imported-material/check" + key_id
    expected = crypto_pwhash_scryptsalsa208sha256_ll(material.reveal(), salt, 2**14, 8, 1, dklen=32)
    assert check_of_material(key_id, material) == expected


def unwrapped(pkcs8: bytes, algorithm: str, wrapped: bytes) -> bytes | None:
    try:
        return unwrap_material(SecretBytes(pkcs8), algorithm, wrapped).reveal()
    except NotUnwrapped:
        return None


@pytest.mark.parametrize(("algorithm", "hash_"), [("SHA_1", SHA1()), ("SHA_256", SHA256())])
def test_rsa_aes_key_wrap(algorithm: str, hash_: Any) -> None:
    """RFC 5649 in its second step, by vectors of AES-256; what is wrapped under shorter keys does not come out."""
    pkcs8, public = make_wrapping_key("RSA_2048")
    wrapping_key = load_der_public_key(public)
    assert isinstance(wrapping_key, rsa.RSAPublicKey)
    wrong, sizes = [], set()
    for vector in vectors("aes_kwp"):
        wrapped_key = wrapping_key.encrypt(vector["key"], OAEP(MGF1(hash_), hash_, None))
        material = unwrapped(pkcs8.reveal(), f"RSA_AES_KEY_WRAP_{algorithm}", wrapped_key + vector["ct"])
        is_ours = vector.is_valid and vector.members["keySize"] == 256
        if material != (vector["msg"] if is_ours else None):
            wrong.append(vector)
        sizes.add(vector.members["keySize"])
    assert wrong == []
    assert sizes == {128, 192, 256}


@pytest.mark.parametrize(
    "name",
    [
        "rsa_oaep_2048_sha1_mgf1sha1",
        "rsa_oaep_2048_sha256_mgf1sha256",
        "rsa_oaep_3072_sha256_mgf1sha256",
        "rsa_oaep_4096_sha256_mgf1sha256",
    ],
)
def test_oaep_of_imports(name: str) -> None:
    wrong = []
    for vector in vectors(name):
        algorithm = "RSAES_OAEP_" + vector.members["sha"].replace("-", "_")
        is_ours = vector.is_valid and not vector["label"]
        material = unwrapped(vector["privateKeyPkcs8"], algorithm, vector["ct"])
        if material != (vector["msg"] if is_ours else None):
            wrong.append(vector)
    assert wrong == []


def test_oaep_vectors_are_of_keys_that_are_keys() -> None:
    """Wrapping keys are read without a check of their numbers, for they are ours; these are checked once, here."""
    for vector in (vectors("rsa_oaep_2048_sha1_mgf1sha1")[0], vectors("rsa_oaep_2048_sha256_mgf1sha256")[0]):
        key = load_der_private_key(vector["privateKeyPkcs8"], None)
        assert isinstance(key, rsa.RSAPrivateKey)

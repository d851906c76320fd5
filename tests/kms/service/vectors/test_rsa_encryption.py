"""RSAES-OAEP by Wycheproof's vectors: their private keys imported, Decrypt called."""

from __future__ import annotations

import pytest

from kms.api import types as t
from kms.api.errors import KMSError
from tests.kms.service.vectors.keys import Keys
from tests.vectors.wycheproof import Vector, vectors

ALGORITHMS = {"SHA-1": "RSAES_OAEP_SHA_1", "SHA-256": "RSAES_OAEP_SHA_256"}


async def wrong_answers(keys: Keys, tests: list[Vector], algorithm: str | None = None) -> list[Vector]:
    """Vectors that Decrypt answers otherwise. One with a label, which the KMS does not have, must not open."""
    wrong = []
    for vector in tests:
        spec = f"RSA_{vector.members['keySize']}"
        key_id = await keys.imported(spec, "ENCRYPT_DECRYPT", vector["privateKeyPkcs8"])
        named = algorithm or ALGORITHMS[vector.members["sha"]]
        request = t.Decrypt(vector["ct"], key_id, encryption_algorithm=named)
        try:
            opened: bytes | None = (await keys.call(request)).plaintext.reveal()
        except KMSError as error:
            assert (error.code, error.message) == ("InvalidCiphertextException", ""), vector
            opened = None
        opens = vector.is_valid is not False and not vector["label"] and algorithm is None
        if opened != (vector["msg"] if opens else None):
            wrong.append(vector)
    return wrong


@pytest.mark.parametrize(
    "name",
    [
        "rsa_oaep_2048_sha1_mgf1sha1",
        "rsa_oaep_2048_sha256_mgf1sha256",
        "rsa_oaep_3072_sha256_mgf1sha256",
        "rsa_oaep_4096_sha256_mgf1sha256",
    ],
)
async def test_decrypt(keys: Keys, name: str) -> None:
    assert await wrong_answers(keys, list(vectors(name))) == []


async def test_decrypt_with_keys_of_every_size(keys: Keys) -> None:
    """Valid ciphertexts of 128 keys: of sizes and hashes that the KMS has, they open."""
    tests = [
        vector
        for vector in vectors("rsa_oaep_misc")
        if vector.members["sha"] in ALGORITHMS
        and vector.members["mgfSha"] == vector.members["sha"]
        and vector.members["keySize"] in {2048, 3072, 4096}
    ]
    assert {(vector.members["keySize"], vector.members["sha"]) for vector in tests} == {
        (size, name) for size in (2048, 3072, 4096) for name in ALGORITHMS
    }
    assert await wrong_answers(keys, tests) == []


@pytest.mark.parametrize("algorithm", ALGORITHMS.values())
@pytest.mark.parametrize("name", ["rsa_oaep_2048_sha256_mgf1sha1", "rsa_oaep_2048_sha512_mgf1sha512"])
async def test_other_hashes_do_not_open(keys: Keys, algorithm: str, name: str) -> None:
    assert await wrong_answers(keys, list(vectors(name)), algorithm) == []

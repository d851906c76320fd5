"""Key material wrapped for ImportKeyMaterial, as its user does it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key

FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def wrap(public_key: bytes, algorithm: str, material: bytes) -> bytes:
    """What AWS's guide has openssl do."""
    key = load_der_public_key(public_key)
    assert isinstance(key, rsa.RSAPublicKey)
    hash_ = SHA1() if algorithm.endswith("SHA_1") else SHA256()
    padding = OAEP(MGF1(hash_), hash_, None)
    if algorithm.startswith("RSAES"):
        return key.encrypt(material, padding)
    aes_key = os.urandom(32)
    return key.encrypt(aes_key, padding) + aes_key_wrap_with_padding(aes_key, material)


def prepared(
    kms: Any, key: str, material: bytes, algorithm: str = "RSAES_OAEP_SHA_256", spec: str = "RSA_2048"
) -> dict[str, Any]:
    given = kms.get_parameters_for_import(KeyId=key, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)
    assert given["KeyId"] == key
    assert abs(given["ParametersValidTo"] - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=5)
    wrapped = wrap(given["PublicKey"], algorithm, material)
    return {"KeyId": key, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": wrapped}

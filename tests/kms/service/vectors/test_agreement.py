"""ECDH by Wycheproof's vectors: their private keys imported, DeriveSharedSecret called."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kms.api import types as t
from kms.api.errors import KMSError
from kms.keys.private_keys import CURVES
from tests.kms.service.vectors.keys import Keys
from tests.vectors.wycheproof import vectors


def pkcs8(key_spec: str, scalar: bytes) -> bytes:
    key = ec.derive_private_key(int.from_bytes(scalar, "big"), CURVES[key_spec]())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("key_spec", "name"),
    [
        ("ECC_NIST_P256", "ecdh_secp256r1"),
        ("ECC_NIST_P384", "ecdh_secp384r1"),
        ("ECC_NIST_P521", "ecdh_secp521r1"),
    ],
)
async def test_derive_shared_secret(keys: Keys, key_spec: str, name: str) -> None:
    """Points off the curve, of other curves and in broken encodings are refused as what they are: bad input."""
    wrong = []
    for vector in vectors(name):
        key_id = await keys.imported(key_spec, "KEY_AGREEMENT", pkcs8(key_spec, vector["private"]))
        request = t.DeriveSharedSecret(key_id, "ECDH", vector["public"])
        try:
            shared: bytes | None = (await keys.call(request)).shared_secret.reveal()
        except KMSError as error:
            assert error.code == "ValidationException", (vector, error)
            shared = None
        allowed = {True: {vector["shared"]}, False: {None}, None: {vector["shared"], None}}[vector.is_valid]
        if shared not in allowed:
            wrong.append(vector)
    assert wrong == []

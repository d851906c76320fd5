"""Key material imported into keys as a client does it."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from iam.principals import Caller
from kms.api import types as t
from kms.service.service import EmbeddedKeyService


async def parameters(service: EmbeddedKeyService, caller: Caller, key_id: str) -> t.ImportParameters:
    return await service.call(caller, t.GetParametersForImport(key_id, "RSAES_OAEP_SHA_256", "RSA_2048"))


def wrap(public_key: bytes, material: bytes) -> bytes:
    key = load_der_public_key(public_key)
    assert isinstance(key, rsa.RSAPublicKey)
    return key.encrypt(material, OAEP(MGF1(SHA256()), SHA256(), None))


async def prepared(
    service: EmbeddedKeyService, caller: Caller, key_id: str, material: bytes, **members: Any
) -> t.ImportKeyMaterial:
    given = await parameters(service, caller, key_id)
    if "valid_to_us" not in members:
        members.setdefault("expiration_model", t.DOES_NOT_EXPIRE)
    return t.ImportKeyMaterial(key_id, given.import_token, wrap(given.public_key, material), **members)


async def put(
    service: EmbeddedKeyService, caller: Caller, key_id: str, material: bytes, **members: Any
) -> t.ImportedMaterial:
    return await service.call(caller, await prepared(service, caller, key_id, material, **members))

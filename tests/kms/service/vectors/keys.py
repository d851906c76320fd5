"""KMS keys whose material comes from test vectors, and what the KMS answers about them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_der_public_key

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.keys.private_keys import PublicKey
from kms.service import keys as key_operations
from kms.service.leases import Lease
from kms.service.protection import TAG_KEY
from kms.service.service import EmbeddedKeyService

_ML_DSA = {
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
}


@dataclass(frozen=True)
class Keys:
    """A key service with one caller."""

    service: EmbeddedKeyService
    caller: Caller
    _imported: dict[tuple[str, str, bytes, str], str] = field(default_factory=dict)

    async def call(self, request: t.Request[Any]) -> Any:
        return await self.service.call(self.caller, request)

    async def code(self, request: t.Request[Any]) -> str:
        """Of the refusal; empty if there is none."""
        try:
            await self.call(request)
        except KMSError as error:
            return error.code
        return ""

    async def imported(self, key_spec: str, key_usage: str, material: bytes, *, protection: str = "software") -> str:
        """The id of a key with this material, which came in by ImportKeyMaterial; one key for each material."""
        name = (key_spec, key_usage, material, protection)
        if name not in self._imported:
            self._imported[name] = await self._import(*name)
        return self._imported[name]

    async def _import(self, key_spec: str, key_usage: str, material: bytes, protection: str) -> str:
        tags = (t.Tag(TAG_KEY, protection),)
        request = t.CreateKey(origin="EXTERNAL", key_spec=key_spec, key_usage=key_usage, tags=tags)
        key_id: str = (await self.call(request)).key_id
        given = await self.call(t.GetParametersForImport(key_id, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048"))
        wrapped = _wrapped(given.public_key, material)
        await self.call(t.ImportKeyMaterial(key_id, given.import_token, wrapped, expiration_model=t.DOES_NOT_EXPIRE))
        return key_id

    async def made(self, key_spec: str, key_usage: str, seed: bytes) -> str:
        """The id of an ML-DSA key from this seed; those take no import."""
        key = _ML_DSA[key_spec].from_seed_bytes(seed)
        pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(key_operations, "generate_private_key", lambda spec: SecretBytes(pkcs8))
            key_id: str = (await self.call(t.CreateKey(key_spec=key_spec, key_usage=key_usage))).key_id
            return key_id

    async def verifies(self, request: t.Verify) -> bool:
        """Any refusal but that the signature is wrong is a failure of the test."""
        try:
            await self.call(request)
        except KMSError as error:
            if error.code == "KMSInvalidSignatureException":
                return False
            raise
        return True


@dataclass(frozen=True)
class PublicHalf:
    """Stands in for a private key that the author of a vector kept: Verify needs no more of it."""

    key: PublicKey

    def public_key(self) -> PublicKey:
        return self.key


def lend(patch: pytest.MonkeyPatch, key: PublicKey) -> None:
    """Have every lease give this key instead of its own, until the patch ends."""
    patch.setattr(Lease, "private_key", lambda lease, key_spec: PublicHalf(key))


def _wrapped(public_key: bytes, material: bytes) -> bytes:
    key = load_der_public_key(public_key)
    assert isinstance(key, rsa.RSAPublicKey)
    wrapping_key = os.urandom(32)
    wrapped_key = key.encrypt(wrapping_key, OAEP(MGF1(SHA256()), SHA256(), None))
    return wrapped_key + aes_key_wrap_with_padding(wrapping_key, material)

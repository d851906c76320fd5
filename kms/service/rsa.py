"""Encryption by RSA keys: a ciphertext that names no key, no encryption context, one block."""

from __future__ import annotations

from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import Ciphertext, EncryptionContext, Plaintext
from kms.keys import rsa_encryption
from kms.keys.held_pairs import decrypt_inside
from kms.keys.private_keys import PrivateKey, PublicKey
from kms.keys.specs import ENCRYPT_DECRYPT
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import dry_run_succeeded
from kms.service.core import Core
from kms.service.key_use import key_of_usage, with_private_key, with_public_key


async def rsa_encrypt(
    core: Core,
    call: Call[Any],
    key_id: str,
    operation: Operation,
    *,
    plaintext: bytes,
    algorithm: str,
    context: EncryptionContext,
    dry_run: bool,
) -> Ciphertext:
    find = partial(key_of_usage, core, call, key_id, operation, usage=ENCRYPT_DECRYPT, algorithm=algorithm)
    key_spec = find().metadata.key_spec
    check_no_context(context)
    rsa_encryption.check_plaintext(key_spec, algorithm, len(plaintext))
    if dry_run:
        raise dry_run_succeeded()

    def encrypt(public_key: PublicKey) -> bytes:
        assert isinstance(public_key, RSAPublicKey)
        return rsa_encryption.encrypt(public_key, algorithm, plaintext)

    key, ciphertext = await with_public_key(core, find, encrypt)
    metadata = key.metadata
    return Ciphertext(ciphertext, metadata.key_arn, key.current_version, metadata.key_material_id or "")


async def rsa_decrypt(
    core: Core,
    call: Call[Any],
    ciphertext: bytes,
    operation: Operation,
    *,
    key_id: str,
    algorithm: str,
    context: EncryptionContext,
) -> Plaintext:
    find = partial(key_of_usage, core, call, key_id, operation, usage=ENCRYPT_DECRYPT, algorithm=algorithm)
    find()
    check_no_context(context)

    def decrypt(private_key: PrivateKey) -> bytes:
        assert isinstance(private_key, RSAPrivateKey)
        return rsa_encryption.decrypt(private_key, algorithm, ciphertext)

    key, plaintext = await with_private_key(
        core, find, decrypt, lambda held: decrypt_inside(held, algorithm, ciphertext)
    )
    metadata = key.metadata
    return Plaintext(SecretBytes(plaintext), metadata.key_arn, key.current_version, metadata.key_material_id or "")


def check_no_context(context: EncryptionContext) -> None:
    """Raises ValidationException: there is nothing in RSA that an encryption context could be bound to."""
    if context:
        raise KMSError("ValidationException", "An encryption context is not supported with asymmetric KMS keys.")

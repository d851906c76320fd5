"""Encrypt, Decrypt, ReEncrypt, and the two steps they share with data keys: `seal` and `open_sealed`.

Keys come from the root's random source; salts, of which there are thousands a second, from the operating system's.
"""

from __future__ import annotations

import os
from typing import Any

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import (
    IGNORE_CIPHERTEXT,
    Ciphertext,
    Decrypt,
    Encrypt,
    EncryptionContext,
    Plaintext,
    ReEncrypt,
    ReEncrypted,
)
from kms.keys.ciphertext import (
    MAX_PLAINTEXT_BYTES,
    SALT_BYTES,
    BlobIdentity,
    derivation_of,
    identify_blob,
    invalid_ciphertext,
    new_derivation,
    open_derived,
    seal_derived,
)
from kms.keys.context import canonical_context
from kms.keys.specs import ENCRYPT_DECRYPT, SYMMETRIC_DEFAULT
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import check_length, dry_run_succeeded
from kms.service.core import Core
from kms.service.key_use import key_of_usage
from kms.service.predefined import make_predefined_key
from kms.service.rsa import check_no_context, rsa_decrypt, rsa_encrypt
from kms.store.records import StoredKey, key_ids


async def encrypt(core: Core, call: Call[Encrypt]) -> Ciphertext:
    request = call.request
    check_length("plaintext", len(request.plaintext), 1, MAX_PLAINTEXT_BYTES)
    return await _encrypt(
        core,
        call,
        request.key_id,
        Operation.ENCRYPT,
        plaintext=request.plaintext.reveal(),
        algorithm=request.encryption_algorithm,
        context=request.encryption_context,
        dry_run=request.dry_run,
    )


async def decrypt(core: Core, call: Call[Decrypt]) -> Plaintext:
    request = call.request
    if _ignores_ciphertext(request):
        algorithm, context = request.encryption_algorithm, request.encryption_context
        _check_key(core, call, request.key_id, Operation.DECRYPT, algorithm=algorithm, context=context)
        raise dry_run_succeeded()
    plaintext = await _decrypt(
        core,
        call,
        request.ciphertext_blob,
        Operation.DECRYPT,
        key_id=request.key_id,
        algorithm=request.encryption_algorithm,
        context=request.encryption_context,
    )
    if request.dry_run:
        raise dry_run_succeeded()
    return plaintext


async def re_encrypt(core: Core, call: Call[ReEncrypt]) -> ReEncrypted:
    """Two authorisations: ReEncryptFrom on the source key, ReEncryptTo on the destination key."""
    request = call.request
    if _ignores_ciphertext(request):
        algorithm, context = request.source_encryption_algorithm, request.source_encryption_context
        _check_key(core, call, request.source_key_id, Operation.RE_ENCRYPT_FROM, algorithm=algorithm, context=context)
        algorithm, context = request.destination_encryption_algorithm, request.destination_encryption_context
        _check_key(
            core, call, request.destination_key_id, Operation.RE_ENCRYPT_TO, algorithm=algorithm, context=context
        )
        raise dry_run_succeeded()
    source = await _decrypt(
        core,
        call,
        request.ciphertext_blob,
        Operation.RE_ENCRYPT_FROM,
        key_id=request.source_key_id,
        algorithm=request.source_encryption_algorithm,
        context=request.source_encryption_context,
    )
    ciphertext = await _encrypt(
        core,
        call,
        request.destination_key_id,
        Operation.RE_ENCRYPT_TO,
        plaintext=source.plaintext.reveal(),
        algorithm=request.destination_encryption_algorithm,
        context=request.destination_encryption_context,
        dry_run=request.dry_run,
    )
    return ReEncrypted(ciphertext, source.key_arn, source.key_material_id)


async def seal(
    core: Core,
    call: Call[Any],
    key_id: str,
    operation: Operation,
    *,
    plaintext: bytes,
    context: EncryptionContext,
    dry_run: bool,
) -> Ciphertext:
    """`plaintext` under the current version of the key that `key_id` names, if the caller may do `operation`."""
    canonical = canonical_context(context)
    await make_predefined_key(core, call, key_id, operation)

    def find() -> tuple[StoredKey, int]:
        key = symmetric_key_for(core, call, key_id, operation)
        return key, key.current_version

    if dry_run:
        find()
        raise dry_run_succeeded()
    derived = await core.derive(
        find, lambda key, version: new_derivation(key.key_bytes, version, os.urandom(SALT_BYTES))
    )
    blob = seal_derived(derived.secret, derived.derivation, plaintext=plaintext, context=canonical)
    return Ciphertext(blob, derived.key.metadata.key_arn, derived.version, derived.material_id)


async def open_sealed(
    core: Core,
    call: Call[Any],
    blob: bytes,
    operation: Operation,
    *,
    key_id: str | None,
    context: EncryptionContext,
) -> Plaintext:
    """What is inside `blob`, if the caller may do `operation` with the key that it names."""
    canonical = canonical_context(context)

    def find() -> tuple[StoredKey, int]:
        if key_id is None:
            identity = identify_blob(blob)
            return _key_of_blob(core, call, identity, operation), _version_of_blob(identity)
        key = symmetric_key_for(core, call, key_id, operation)
        identity = identify_blob(blob)
        if identity.key_id != key.key_bytes:
            _require_key_of_blob(core, call, identity)
            raise KMSError(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            )
        return key, _version_of_blob(identity)

    derived = await core.derive(find, lambda key, version: derivation_of(blob))
    plaintext = open_derived(derived.secret, blob, context=canonical)
    return Plaintext(SecretBytes(plaintext), derived.key.metadata.key_arn, derived.version, derived.material_id)


def symmetric_key_for(core: Core, call: Call[Any], key_id: str, operation: Operation) -> StoredKey:
    """The key that the caller named, permitted, and one that seals blobs."""
    return key_of_usage(core, call, key_id, operation, usage=ENCRYPT_DECRYPT, algorithm=SYMMETRIC_DEFAULT)


def _ignores_ciphertext(request: Decrypt | ReEncrypt) -> bool:
    return request.dry_run and IGNORE_CIPHERTEXT in request.dry_run_modifiers


def _check_key(
    core: Core,
    call: Call[Any],
    key_id: str | None,
    operation: Operation,
    *,
    algorithm: str,
    context: EncryptionContext,
) -> None:
    """What a dry run checks without a ciphertext: the key, permission, and that it fits algorithm and context."""
    if key_id is None:
        raise KMSError("ValidationException", f"A key is required for a dry run with {IGNORE_CIPHERTEXT}.")
    key_of_usage(core, call, key_id, operation, usage=ENCRYPT_DECRYPT, algorithm=algorithm)
    if algorithm == SYMMETRIC_DEFAULT:
        canonical_context(context)
    else:
        check_no_context(context)


async def _encrypt(
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
    if algorithm == SYMMETRIC_DEFAULT:
        return await seal(core, call, key_id, operation, plaintext=plaintext, context=context, dry_run=dry_run)
    return await rsa_encrypt(
        core, call, key_id, operation, plaintext=plaintext, algorithm=algorithm, context=context, dry_run=dry_run
    )


async def _decrypt(
    core: Core,
    call: Call[Any],
    blob: bytes,
    operation: Operation,
    *,
    key_id: str | None,
    algorithm: str,
    context: EncryptionContext,
) -> Plaintext:
    if algorithm == SYMMETRIC_DEFAULT:
        return await open_sealed(core, call, blob, operation, key_id=key_id, context=context)
    if key_id is None:
        raise KMSError("ValidationException", f"A KeyId is required to decrypt with {algorithm}.")
    return await rsa_decrypt(core, call, blob, operation, key_id=key_id, algorithm=algorithm, context=context)


def _key_of_blob(core: Core, call: Call[Any], identity: BlobIdentity, operation: Operation) -> StoredKey:
    """The key that a blob names itself, permitted."""
    key = _require_key_of_blob(core, call, identity)
    return symmetric_key_for(core, call, key.metadata.key_arn, operation)


def _require_key_of_blob(core: Core, call: Call[Any], identity: BlobIdentity) -> StoredKey:
    """The key that a blob names itself. An id that never was a key is a changed blob, not a missing or wrong key."""
    for key_id in key_ids(identity.key_id):
        key = core.cache.key(key_id, call.region)
        if key is not None:
            return key
    raise invalid_ciphertext()


def _version_of_blob(identity: BlobIdentity) -> int:
    if identity.key_version == 0:
        raise invalid_ciphertext()
    return identity.key_version

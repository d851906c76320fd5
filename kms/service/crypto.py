"""Encrypt, Decrypt, ReEncrypt, GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom.

Keys come from the root's random source; data keys and salts, of which there are thousands a second, from the
operating system's.
"""

from __future__ import annotations

import os
from uuid import UUID

from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import (
    Ciphertext,
    DataKey,
    Decrypt,
    Encrypt,
    EncryptionContext,
    GenerateDataKey,
    Plaintext,
    ReEncrypt,
    ReEncrypted,
)
from kms.keys.ciphertext import (
    MAX_PLAINTEXT_BYTES,
    SALT_BYTES,
    BlobIdentity,
    identify_blob,
    invalid_ciphertext,
    open_blob,
    seal_blob,
)
from kms.keys.context import canonical_context
from kms.keys.state import Operation
from kms.service.core import Core
from kms.service.predefined import make_predefined_key
from kms.store.records import StoredKey

MAX_RANDOM_BYTES = 1024


async def encrypt(core: Core, caller: Caller, request: Encrypt) -> Ciphertext:
    _check_size("plaintext", len(request.plaintext), MAX_PLAINTEXT_BYTES)
    return await _seal(
        core,
        caller,
        request.key_id,
        Operation.ENCRYPT,
        plaintext=request.plaintext.reveal(),
        context=request.encryption_context,
        dry_run=request.dry_run,
    )


async def decrypt(core: Core, caller: Caller, request: Decrypt) -> Plaintext:
    plaintext = await _open(
        core,
        caller,
        request.ciphertext_blob,
        Operation.DECRYPT,
        key_id=request.key_id,
        context=request.encryption_context,
    )
    if request.dry_run:
        raise _dry_run()
    return plaintext


async def re_encrypt(core: Core, caller: Caller, request: ReEncrypt) -> ReEncrypted:
    """Two authorisations: ReEncryptFrom on the source key, ReEncryptTo on the destination key."""
    source = await _open(
        core,
        caller,
        request.ciphertext_blob,
        Operation.RE_ENCRYPT_FROM,
        key_id=request.source_key_id,
        context=request.source_encryption_context,
    )
    ciphertext = await _seal(
        core,
        caller,
        request.destination_key_id,
        Operation.RE_ENCRYPT_TO,
        plaintext=source.plaintext.reveal(),
        context=request.destination_encryption_context,
        dry_run=request.dry_run,
    )
    return ReEncrypted(ciphertext, source.key_arn, source.key_material_id)


async def generate_data_key(core: Core, caller: Caller, request: GenerateDataKey) -> DataKey:
    plaintext, ciphertext = await _generate(core, caller, request, Operation.GENERATE_DATA_KEY)
    return DataKey(SecretBytes(plaintext), ciphertext)


async def generate_data_key_without_plaintext(core: Core, caller: Caller, request: GenerateDataKey) -> Ciphertext:
    _, ciphertext = await _generate(core, caller, request, Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT)
    return ciphertext


async def generate_random(core: Core, caller: Caller, number_of_bytes: int) -> SecretBytes:
    _check_size("numberOfBytes", number_of_bytes, MAX_RANDOM_BYTES, is_number=True)
    core.authorise(caller, Operation.GENERATE_RANDOM.action, None)
    return SecretBytes(await core.root.call(lambda root: root.random(number_of_bytes)))


async def _generate(
    core: Core, caller: Caller, request: GenerateDataKey, operation: Operation
) -> tuple[bytes, Ciphertext]:
    _check_size("numberOfBytes", request.number_of_bytes, MAX_RANDOM_BYTES, is_number=True)
    plaintext = os.urandom(request.number_of_bytes)
    ciphertext = await _seal(
        core,
        caller,
        request.key_id,
        operation,
        plaintext=plaintext,
        context=request.encryption_context,
        dry_run=request.dry_run,
    )
    return plaintext, ciphertext


async def _seal(
    core: Core,
    caller: Caller,
    key_id: str,
    operation: Operation,
    *,
    plaintext: bytes,
    context: EncryptionContext,
    dry_run: bool,
) -> Ciphertext:
    canonical = canonical_context(context)
    await make_predefined_key(core, caller, key_id, operation)

    def find() -> tuple[StoredKey, int]:
        key = core.key_for(caller, key_id, operation)
        return key, key.current_version

    if dry_run:
        find()
        raise _dry_run()
    key, version, lease = await core.material(find)
    salt = os.urandom(SALT_BYTES)
    blob = seal_blob(lease.key, key.key_bytes, version, salt=salt, plaintext=plaintext, context=canonical)
    return Ciphertext(blob, key.metadata.key_arn, version, lease.material_id)


async def _open(
    core: Core,
    caller: Caller,
    blob: bytes,
    operation: Operation,
    *,
    key_id: str | None,
    context: EncryptionContext,
) -> Plaintext:
    canonical = canonical_context(context)

    def find() -> tuple[StoredKey, int]:
        if key_id is None:
            identity = identify_blob(blob)
            return _key_of_blob(core, caller, identity, operation), _version_of_blob(identity)
        key = core.key_for(caller, key_id, operation)
        identity = identify_blob(blob)
        if identity.key_id != key.key_bytes:
            raise KMSError(
                "IncorrectKeyException",
                "The key ID in the request does not identify a CMK that can perform this operation.",
            )
        return key, _version_of_blob(identity)

    key, version, lease = await core.material(find)
    plaintext = open_blob(lease.key, blob, context=canonical)
    return Plaintext(SecretBytes(plaintext), key.metadata.key_arn, version, lease.material_id)


def _key_of_blob(core: Core, caller: Caller, identity: BlobIdentity, operation: Operation) -> StoredKey:
    """The key that a blob names itself. An id that never was a key is a changed blob, not a missing key."""
    key = core.cache.key(str(UUID(bytes=identity.key_id)))
    if key is None:
        raise invalid_ciphertext()
    return core.key_for(caller, key.metadata.key_arn, operation)


def _version_of_blob(identity: BlobIdentity) -> int:
    if identity.key_version == 0:
        raise invalid_ciphertext()
    return identity.key_version


def _check_size(member: str, size: int, limit: int, *, is_number: bool = False) -> None:
    """The limits of the service model; the message leaves out the value of sensitive members."""
    if 1 <= size <= limit:
        return
    value = f"Value '{size}'" if is_number else "Value"
    measure = "value" if is_number else "length"
    bound = "greater than or equal to 1" if size < 1 else f"less than or equal to {limit}"
    raise KMSError(
        "ValidationException",
        f"1 validation error detected: {value} at '{member}' failed to satisfy constraint: Member must have"
        f" {measure} {bound}",
    )


def _dry_run() -> KMSError:
    return KMSError("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")

"""GenerateDataKey, GenerateDataKeyWithoutPlaintext, WrapDataKey, UnwrapDataKey, GenerateRandom.

Data keys, of which there are thousands a second, come from the operating system's random source; GenerateRandom's bytes
from the root's.
"""

from __future__ import annotations

import os
from typing import Any

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import (
    Ciphertext,
    DataKey,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    GenerateRandom,
    Plaintext,
    UnwrapDataKey,
    WrapDataKey,
)
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import check_length, check_range
from kms.service.core import Core
from kms.service.encryption import open_sealed, seal, symmetric_key_for
from kms.service.protection import check_key_store

MAX_RANDOM_BYTES = 1024
"""Of a data key as well."""


async def generate_data_key(core: Core, call: Call[GenerateDataKey]) -> DataKey:
    plaintext, ciphertext = await _generate(core, call, Operation.GENERATE_DATA_KEY)
    return DataKey(SecretBytes(plaintext), ciphertext)


async def generate_data_key_without_plaintext(core: Core, call: Call[GenerateDataKeyWithoutPlaintext]) -> Ciphertext:
    _, ciphertext = await _generate(core, call, Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT)
    return ciphertext


async def wrap_data_key(core: Core, call: Call[WrapDataKey]) -> Ciphertext:
    """Permission, state and use of the key are those of GenerateDataKey; only the data key is not new."""
    request = call.request
    _require_service(call)
    check_length("plaintext", len(request.plaintext), 1, MAX_RANDOM_BYTES)
    return await seal(
        core,
        call,
        request.key_id,
        Operation.GENERATE_DATA_KEY,
        plaintext=request.plaintext.reveal(),
        context=request.encryption_context,
        dry_run=False,
    )


async def unwrap_data_key(core: Core, call: Call[UnwrapDataKey]) -> Plaintext:
    """Permission, state and use of the key are those of GenerateDataKey; only the data key is not new."""
    request = call.request
    _require_service(call)
    opened = await open_sealed(
        core,
        call,
        request.ciphertext_blob,
        Operation.GENERATE_DATA_KEY,
        key_id=request.key_id,
        context=request.encryption_context,
    )
    if opened.key_version != symmetric_key_for(core, call, request.key_id, Operation.GENERATE_DATA_KEY).current_version:
        raise KMSError("IncorrectKeyException", "The key was rotated since the data key was made.")
    return opened


async def generate_random(core: Core, call: Call[GenerateRandom]) -> SecretBytes:
    number_of_bytes = call.request.number_of_bytes
    check_range("numberOfBytes", number_of_bytes, 1, MAX_RANDOM_BYTES)
    core.authorise(call, Operation.GENERATE_RANDOM.action, None)
    if call.request.custom_key_store_id is not None:
        check_key_store(call.request.custom_key_store_id)
        raise KMSError("UnsupportedOperationException", "CustomKeyStoreId is not supported.")
    return SecretBytes(await core.root.call(lambda root: root.random(number_of_bytes)))


def _require_service(call: Call[Any]) -> None:
    if call.caller.via_service is None:
        raise KMSError("AccessDeniedException", "Data keys are wrapped for services that act for a caller.")


async def _generate(
    core: Core, call: Call[GenerateDataKey] | Call[GenerateDataKeyWithoutPlaintext], operation: Operation
) -> tuple[bytes, Ciphertext]:
    request = call.request
    check_range("numberOfBytes", request.number_of_bytes, 1, MAX_RANDOM_BYTES)
    plaintext = os.urandom(request.number_of_bytes)
    ciphertext = await seal(
        core,
        call,
        request.key_id,
        operation,
        plaintext=plaintext,
        context=request.encryption_context,
        dry_run=request.dry_run,
    )
    return plaintext, ciphertext

"""GenerateDataKey, GenerateDataKeyWithoutPlaintext, GenerateRandom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.service import KeyService
from kms.face.documents import Document
from kms.face.request import ParsedRequest

_DATA_KEY_BYTES = {"AES_128": 16, "AES_256": 32}


async def generate_data_key(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("Recipient")
    answer = await service.call(caller, t.GenerateDataKey(**_wanted(request)))
    return {
        "CiphertextBlob": answer.ciphertext.ciphertext_blob,
        "KeyId": answer.ciphertext.key_arn,
        "KeyMaterialId": answer.ciphertext.key_material_id,
        "Plaintext": answer.plaintext.reveal(),
    }


async def generate_data_key_without_plaintext(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    answer = await service.call(caller, t.GenerateDataKeyWithoutPlaintext(**_wanted(request)))
    return {
        "CiphertextBlob": answer.ciphertext_blob,
        "KeyId": answer.key_arn,
        "KeyMaterialId": answer.key_material_id,
    }


class _Wanted(TypedDict):
    key_id: str
    number_of_bytes: int
    encryption_context: Mapping[str, str]
    grant_tokens: tuple[str, ...]
    dry_run: bool


def _wanted(request: ParsedRequest) -> _Wanted:
    """What both forms ask for: exactly one of KeySpec and NumberOfBytes says how long the key is to be."""
    number_of_bytes, key_spec = request.integer_or_none("NumberOfBytes"), request.text_or_none("KeySpec")
    if (number_of_bytes is None) == (key_spec is None):
        raise KMSError("ValidationException", "Please specify either number of bytes or key spec.")
    if key_spec is not None:
        number_of_bytes = _DATA_KEY_BYTES[key_spec]
    assert number_of_bytes is not None
    return {
        "key_id": request.text("KeyId"),
        "number_of_bytes": number_of_bytes,
        "encryption_context": request.encryption_context(),
        "grant_tokens": request.texts("GrantTokens"),
        "dry_run": request.flag("DryRun"),
    }


async def generate_random(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("Recipient")
    number_of_bytes = request.integer_or_none("NumberOfBytes")
    if number_of_bytes is None:
        raise KMSError("ValidationException", "NumberOfBytes is required.")
    wanted = t.GenerateRandom(number_of_bytes, request.text_or_none("CustomKeyStoreId"))
    return {"Plaintext": (await service.call(caller, wanted)).reveal()}

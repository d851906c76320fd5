"""Encrypt, Decrypt, ReEncrypt."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.service import KeyService
from kms.face.documents import SYMMETRIC_DEFAULT, Document
from kms.face.request import ParsedRequest


async def encrypt(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    _check_algorithm(request, "EncryptionAlgorithm")
    answer = await service.call(
        caller,
        t.Encrypt(
            key_id=request.text("KeyId"),
            plaintext=request.secret("Plaintext"),
            encryption_context=request.encryption_context(),
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {
        "CiphertextBlob": answer.ciphertext_blob,
        "EncryptionAlgorithm": SYMMETRIC_DEFAULT,
        "KeyId": answer.key_arn,
    }


async def decrypt(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("Recipient", "DryRunModifiers")
    _check_algorithm(request, "EncryptionAlgorithm")
    answer = await service.call(
        caller,
        t.Decrypt(
            ciphertext_blob=request.blob("CiphertextBlob"),
            key_id=request.text_or_none("KeyId"),
            encryption_context=request.encryption_context(),
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {
        "EncryptionAlgorithm": SYMMETRIC_DEFAULT,
        "KeyId": answer.key_arn,
        "KeyMaterialId": answer.key_material_id,
        "Plaintext": answer.plaintext.reveal(),
    }


async def re_encrypt(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("DryRunModifiers")
    _check_algorithm(request, "SourceEncryptionAlgorithm")
    _check_algorithm(request, "DestinationEncryptionAlgorithm")
    answer = await service.call(
        caller,
        t.ReEncrypt(
            ciphertext_blob=request.blob("CiphertextBlob"),
            destination_key_id=request.text("DestinationKeyId"),
            source_key_id=request.text_or_none("SourceKeyId"),
            source_encryption_context=request.encryption_context("SourceEncryptionContext"),
            destination_encryption_context=request.encryption_context("DestinationEncryptionContext"),
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {
        "CiphertextBlob": answer.ciphertext.ciphertext_blob,
        "DestinationEncryptionAlgorithm": SYMMETRIC_DEFAULT,
        "DestinationKeyMaterialId": answer.ciphertext.key_material_id,
        "KeyId": answer.ciphertext.key_arn,
        "SourceEncryptionAlgorithm": SYMMETRIC_DEFAULT,
        "SourceKeyId": answer.source_key_arn,
        "SourceKeyMaterialId": answer.source_key_material_id,
    }


def _check_algorithm(request: ParsedRequest, member: str) -> None:
    """All keys are symmetric, so that any other algorithm is the wrong one for whichever key is meant."""
    algorithm = request.text_or_none(member)
    if algorithm not in {None, SYMMETRIC_DEFAULT}:
        raise KMSError(
            "InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {SYMMETRIC_DEFAULT}."
        )

"""Encrypt, Decrypt, ReEncrypt."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import SYMMETRIC_DEFAULT, Document
from kms.face.request import ParsedRequest


async def encrypt(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    algorithm = _algorithm(request, "EncryptionAlgorithm")
    answer = await service.call(
        caller,
        t.Encrypt(
            key_id=request.text("KeyId"),
            plaintext=request.secret("Plaintext"),
            encryption_context=request.encryption_context(),
            encryption_algorithm=algorithm,
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {
        "CiphertextBlob": answer.ciphertext_blob,
        "EncryptionAlgorithm": algorithm,
        "KeyId": answer.key_arn,
    }


async def decrypt(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("Recipient")
    algorithm = _algorithm(request, "EncryptionAlgorithm")
    answer = await service.call(
        caller,
        t.Decrypt(
            ciphertext_blob=_ciphertext(request),
            key_id=_key_of_ciphertext(request, "KeyId"),
            encryption_context=request.encryption_context(),
            encryption_algorithm=algorithm,
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
            dry_run_modifiers=request.texts("DryRunModifiers"),
        ),
    )
    return {
        "EncryptionAlgorithm": algorithm,
        "KeyId": answer.key_arn,
        "Plaintext": answer.plaintext.reveal(),
        **_material("KeyMaterialId", algorithm, answer.key_material_id),
    }


async def re_encrypt(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    source = _algorithm(request, "SourceEncryptionAlgorithm")
    destination = _algorithm(request, "DestinationEncryptionAlgorithm")
    answer = await service.call(
        caller,
        t.ReEncrypt(
            ciphertext_blob=_ciphertext(request),
            destination_key_id=request.text("DestinationKeyId"),
            source_key_id=_key_of_ciphertext(request, "SourceKeyId"),
            source_encryption_context=request.encryption_context("SourceEncryptionContext"),
            destination_encryption_context=request.encryption_context("DestinationEncryptionContext"),
            source_encryption_algorithm=source,
            destination_encryption_algorithm=destination,
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
            dry_run_modifiers=request.texts("DryRunModifiers"),
        ),
    )
    return {
        "CiphertextBlob": answer.ciphertext.ciphertext_blob,
        "DestinationEncryptionAlgorithm": destination,
        "KeyId": answer.ciphertext.key_arn,
        "SourceEncryptionAlgorithm": source,
        "SourceKeyId": answer.source_key_arn,
        **_material("DestinationKeyMaterialId", destination, answer.ciphertext.key_material_id),
        **_material("SourceKeyMaterialId", source, answer.source_key_material_id),
    }


def _ciphertext(request: ParsedRequest) -> bytes:
    """Empty where a dry run ignores it, whatever was sent. Raises ValidationException where it is missing."""
    return b"" if _ignores_ciphertext(request) else request.blob("CiphertextBlob")


def _key_of_ciphertext(request: ParsedRequest, member: str) -> str | None:
    """The key that a ciphertext is under. Raises ValidationException where there is no ciphertext to name it."""
    return request.needed_text(member) if _ignores_ciphertext(request) else request.text_or_none(member)


def _ignores_ciphertext(request: ParsedRequest) -> bool:
    return request.flag("DryRun") and t.IGNORE_CIPHERTEXT in request.texts("DryRunModifiers")


def _algorithm(request: ParsedRequest, member: str) -> str:
    return request.text_or_none(member) or SYMMETRIC_DEFAULT


def _material(member: str, algorithm: str, material_id: str) -> Document:
    """Which material was used, told of symmetric keys only: others have one for life."""
    return {member: material_id} if algorithm == SYMMETRIC_DEFAULT else {}

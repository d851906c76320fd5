"""Sign, Verify, GetPublicKey, GenerateMac, VerifyMac, DeriveSharedSecret, GenerateDataKeyPair(WithoutPlaintext)."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document, algorithms
from kms.face.request import ParsedRequest


async def sign(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    algorithm = request.text("SigningAlgorithm")
    answer = await service.call(
        caller,
        t.Sign(
            key_id=request.text("KeyId"),
            message=request.secret("Message"),
            signing_algorithm=algorithm,
            message_type=request.text_or_none("MessageType") or "RAW",
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {"KeyId": answer.key_arn, "Signature": answer.signature, "SigningAlgorithm": algorithm}


async def verify(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    algorithm = request.text("SigningAlgorithm")
    key_arn = await service.call(
        caller,
        t.Verify(
            key_id=request.text("KeyId"),
            message=request.secret("Message"),
            signature=request.blob("Signature"),
            signing_algorithm=algorithm,
            message_type=request.text_or_none("MessageType") or "RAW",
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {"KeyId": key_arn, "SignatureValid": True, "SigningAlgorithm": algorithm}


async def get_public_key(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    wanted = t.GetPublicKey(request.text("KeyId"), request.texts("GrantTokens"))
    answer = await service.call(caller, wanted)
    key = answer.metadata
    return {
        "CustomerMasterKeySpec": key.key_spec,
        "KeyId": key.key_arn,
        "KeySpec": key.key_spec,
        "KeyUsage": key.key_usage,
        "PublicKey": answer.public_key,
        **algorithms(key),
    }


async def generate_mac(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    algorithm = request.text("MacAlgorithm")
    answer = await service.call(
        caller,
        t.GenerateMac(
            key_id=request.text("KeyId"),
            message=request.secret("Message"),
            mac_algorithm=algorithm,
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {"KeyId": answer.key_arn, "Mac": answer.mac, "MacAlgorithm": algorithm}


async def verify_mac(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    algorithm = request.text("MacAlgorithm")
    key_arn = await service.call(
        caller,
        t.VerifyMac(
            key_id=request.text("KeyId"),
            message=request.secret("Message"),
            mac=request.blob("Mac"),
            mac_algorithm=algorithm,
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {"KeyId": key_arn, "MacAlgorithm": algorithm, "MacValid": True}


async def derive_shared_secret(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("Recipient")
    algorithm = request.text("KeyAgreementAlgorithm")
    answer = await service.call(
        caller,
        t.DeriveSharedSecret(
            key_id=request.text("KeyId"),
            key_agreement_algorithm=algorithm,
            public_key=request.blob("PublicKey"),
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {
        "KeyAgreementAlgorithm": algorithm,
        "KeyId": answer.metadata.key_arn,
        "KeyOrigin": answer.metadata.origin,
        "SharedSecret": answer.shared_secret.reveal(),
    }


async def generate_data_key_pair(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("Recipient")
    spec = request.text("KeyPairSpec")
    answer = await service.call(
        caller,
        t.GenerateDataKeyPair(
            key_id=request.text("KeyId"),
            key_pair_spec=spec,
            encryption_context=request.encryption_context(),
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    pair = _pair(spec, answer.public_key, answer.ciphertext)
    return {**pair, "PrivateKeyPlaintext": answer.private_key.reveal()}


async def generate_data_key_pair_without_plaintext(
    service: KeyService, caller: Caller, request: ParsedRequest
) -> Document:
    spec = request.text("KeyPairSpec")
    answer = await service.call(
        caller,
        t.GenerateDataKeyPairWithoutPlaintext(
            key_id=request.text("KeyId"),
            key_pair_spec=spec,
            encryption_context=request.encryption_context(),
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return _pair(spec, answer.public_key, answer.ciphertext)


def _pair(spec: str, public_key: bytes, ciphertext: t.Ciphertext) -> Document:
    return {
        "KeyId": ciphertext.key_arn,
        "KeyMaterialId": ciphertext.key_material_id,
        "KeyPairSpec": spec,
        "PrivateKeyCiphertextBlob": ciphertext.ciphertext_blob,
        "PublicKey": public_key,
    }

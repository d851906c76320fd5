"""GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document, timestamp
from kms.face.request import ParsedRequest


async def get_parameters_for_import(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    wanted = t.GetParametersForImport(
        request.text("KeyId"), request.text("WrappingAlgorithm"), request.text("WrappingKeySpec")
    )
    parameters = await service.call(caller, wanted)
    return {
        "KeyId": parameters.key_arn,
        "ImportToken": parameters.import_token,
        "ParametersValidTo": timestamp(parameters.valid_to_us),
        "PublicKey": parameters.public_key,
    }


async def import_key_material(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    wanted = t.ImportKeyMaterial(
        key_id=request.text("KeyId"),
        import_token=request.blob("ImportToken"),
        encrypted_key_material=request.blob("EncryptedKeyMaterial"),
        expiration_model=request.text_or_none("ExpirationModel") or t.EXPIRES,
        valid_to_us=request.timestamp_us_or_none("ValidTo"),
        import_type=request.text_or_none("ImportType"),
        description=request.text_or_none("KeyMaterialDescription"),
        material_id=request.text_or_none("KeyMaterialId"),
    )
    return _material(await service.call(caller, wanted))


async def delete_imported_key_material(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    wanted = t.DeleteImportedKeyMaterial(request.text("KeyId"), request.text_or_none("KeyMaterialId"))
    return _material(await service.call(caller, wanted))


def _material(material: t.ImportedMaterial) -> Document:
    document = {"KeyId": material.key_arn}
    if material.material_id is not None:
        document["KeyMaterialId"] = material.material_id
    return document

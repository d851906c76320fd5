"""Import of key material: GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kms.api.types.request import Request

EXPIRES = "KEY_MATERIAL_EXPIRES"
DOES_NOT_EXPIRE = "KEY_MATERIAL_DOES_NOT_EXPIRE"


@dataclass(frozen=True, slots=True)
class ImportParameters:
    """`public_key` is SubjectPublicKeyInfo, DER; it and the token serve until `valid_to_us`."""

    key_arn: str
    import_token: bytes
    public_key: bytes
    valid_to_us: int


@dataclass(frozen=True, slots=True)
class GetParametersForImport(Request[ImportParameters]):
    key_id: str
    wrapping_algorithm: str
    wrapping_key_spec: str


@dataclass(frozen=True, slots=True)
class ImportedMaterial:
    """`material_id` is None when there was no material that could be deleted."""

    key_arn: str
    material_id: str | None


@dataclass(frozen=True, slots=True)
class ImportKeyMaterial(Request[ImportedMaterial]):
    """`import_type` is NEW_KEY_MATERIAL, EXISTING_KEY_MATERIAL, or None for what fits the key."""

    is_idempotent: ClassVar[bool] = False
    key_id: str
    import_token: bytes
    encrypted_key_material: bytes
    expiration_model: str = EXPIRES
    valid_to_us: int | None = None
    import_type: str | None = None
    description: str | None = None
    material_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteImportedKeyMaterial(Request[ImportedMaterial]):
    """Without `material_id`: the current material."""

    key_id: str
    material_id: str | None = None

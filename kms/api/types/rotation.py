"""Rotation: EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kms.api.types.request import Request


@dataclass(frozen=True, slots=True)
class EnableKeyRotation(Request[None]):
    """`rotation_period_days` is 90..2560."""

    key_id: str
    rotation_period_days: int = 365


@dataclass(frozen=True, slots=True)
class DisableKeyRotation(Request[None]):
    key_id: str


@dataclass(frozen=True, slots=True)
class RotationStatus:
    """`rotation_period_days` and `next_rotation_us` are None while the key does not rotate by itself."""

    key_arn: str
    rotation_period_days: int | None
    next_rotation_us: int | None


@dataclass(frozen=True, slots=True)
class GetKeyRotationStatus(Request[RotationStatus]):
    key_id: str


@dataclass(frozen=True, slots=True)
class RotateKeyOnDemand(Request[str]):
    """Answers the key's ARN, once the new material encrypts."""

    is_idempotent: ClassVar[bool] = False
    key_id: str


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """One version of a key's material. `rotated_us` and `rotation_type` (AUTOMATIC, ON_DEMAND) are None for the first.

    `state` is CURRENT, NON_CURRENT or PENDING_ROTATION. `is_imported` is None for keys whose material the KMS made,
    else whether the material is there.
    """

    key_id: str
    material_id: str
    state: str
    rotated_us: int | None = None
    rotation_type: str | None = None
    is_imported: bool | None = None
    valid_to_us: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class MaterialPage:
    materials: tuple[KeyMaterial, ...]
    next_marker: str | None


@dataclass(frozen=True, slots=True)
class ListKeyRotations(Request[MaterialPage]):
    """Completed rotations, oldest first; with `all_material` every version. `limit` is 1..1000."""

    key_id: str
    all_material: bool = False
    limit: int = 100
    marker: str | None = None

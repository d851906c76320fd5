"""EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations, GetKeyLastUsage."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document, key_last_usage, material_page, rotation_status
from kms.face.request import ParsedRequest

DEFAULT_PERIOD_DAYS = 365
MIN_PERIOD_DAYS = 90
MAX_PERIOD_DAYS = 2560
DEFAULT_PAGE = 100
MAX_PAGE = 1000


async def enable_key_rotation(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    days = request.integer_within("RotationPeriodInDays", DEFAULT_PERIOD_DAYS, MIN_PERIOD_DAYS, MAX_PERIOD_DAYS)
    await service.call(caller, t.EnableKeyRotation(request.text("KeyId"), days))


async def disable_key_rotation(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.DisableKeyRotation(request.text("KeyId")))


async def get_key_rotation_status(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    return rotation_status(await service.call(caller, t.GetKeyRotationStatus(request.text("KeyId"))))


async def rotate_key_on_demand(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    return {"KeyId": await service.call(caller, t.RotateKeyOnDemand(request.text("KeyId")))}


async def list_key_rotations(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    wanted = t.ListKeyRotations(
        key_id=request.text("KeyId"),
        all_material=request.text_or_none("IncludeKeyMaterial") == "ALL_KEY_MATERIAL",
        limit=request.integer_within("Limit", DEFAULT_PAGE, 1, MAX_PAGE),
        marker=request.text_or_none("Marker"),
    )
    return material_page(await service.call(caller, wanted))


async def get_key_last_usage(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    return key_last_usage(await service.call(caller, t.GetKeyLastUsage(request.text("KeyId"))))

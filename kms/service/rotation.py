"""EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations, and the rotation
that happens by itself.

A rotation makes a new version current and keeps the old ones: what they encrypted opens as before. It is committed only
if the version before it is still the current one, so that two processes, or a client and the sweep, rotate once.
"""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from typing import Any
from uuid import UUID

from kms.api.errors import KMSError, KMSUnavailable
from kms.api.types import (
    DisableKeyRotation,
    EnableKeyRotation,
    GetKeyRotationStatus,
    KeyMaterial,
    KeyMetadata,
    KeyState,
    ListKeyRotations,
    MaterialPage,
    RotateKeyOnDemand,
    RotationStatus,
)
from kms.hsm.interface import Protection
from kms.keys.state import Operation
from kms.keys.wrapping import make_record
from kms.service import paging
from kms.service.call import Call
from kms.service.constraints import check_range
from kms.service.core import Core
from kms.store.interface import KeyConflict
from kms.store.records import StoredKey, StoredVersion

log = logging.getLogger(__name__)

MIN_PERIOD_DAYS = 90
MAX_PERIOD_DAYS = 2560
MAX_ON_DEMAND = 25
"""On-demand rotations of a key in all its life (AWS KMS quotas)."""

AUTOMATIC = "AUTOMATIC"
ON_DEMAND = "ON_DEMAND"
_DAY_US = 86_400 * 1_000_000
_SWEEP_BATCH = 100


async def enable_key_rotation(core: Core, call: Call[EnableKeyRotation]) -> None:
    """The next rotation is a period from now, also for a key that rotates already."""
    days = call.request.rotation_period_days
    key = _key_for(core, call, call.request.key_id, Operation.ENABLE_KEY_ROTATION)
    check_range("rotationPeriodInDays", days, MIN_PERIOD_DAYS, MAX_PERIOD_DAYS)
    next_us = core.clock_us() + days * _DAY_US
    await core.edit(key, lambda stored: replace(stored, rotation_period_days=days, next_rotation_us=next_us))


async def disable_key_rotation(core: Core, call: Call[DisableKeyRotation]) -> None:
    key = _key_for(core, call, call.request.key_id, Operation.DISABLE_KEY_ROTATION)
    await core.edit(key, lambda stored: replace(stored, rotation_period_days=None, next_rotation_us=None))


async def get_key_rotation_status(core: Core, call: Call[GetKeyRotationStatus]) -> RotationStatus:
    """A key that is pending deletion does not rotate; its setting comes back when the deletion is cancelled."""
    key = core.key_for(call, call.request.key_id, Operation.GET_KEY_ROTATION_STATUS)
    _check_symmetric(key.metadata)
    if key.metadata.state in {KeyState.PENDING_DELETION, KeyState.PENDING_REPLICA_DELETION}:
        return RotationStatus(key.metadata.key_arn, None, None)
    return RotationStatus(key.metadata.key_arn, key.rotation_period_days, key.next_rotation_us)


async def rotate_key_on_demand(core: Core, call: Call[RotateKeyOnDemand]) -> str:
    """Imported keys rotate to the material that was imported for it; others to material that is made now."""
    key = core.find(call, call.request.key_id, Operation.ROTATE_KEY_ON_DEMAND)
    core.authorise(call, Operation.ROTATE_KEY_ON_DEMAND.action, key)
    metadata = key.metadata
    _check_symmetric(metadata)
    _check_primary(metadata)
    core.admit(call, key, Operation.ROTATE_KEY_ON_DEMAND)
    versions = core.store.versions(metadata.key_id)
    if sum(version.rotation_type == ON_DEMAND for version in versions) >= MAX_ON_DEMAND:
        raise KMSError(
            "LimitExceededException",
            "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be"
            f" performed for this key: {metadata.key_arn}",
        )
    if metadata.origin == "EXTERNAL":
        await _rotate_to_pending(core, key, versions)
    elif not await _rotate(core, key, ON_DEMAND):
        raise KMSError("ConflictException", f"{metadata.key_arn} is being rotated.")
    return metadata.key_arn


async def list_key_rotations(core: Core, call: Call[ListKeyRotations]) -> MaterialPage:
    request = call.request
    key = core.key_for(call, request.key_id, Operation.LIST_KEY_ROTATIONS)
    _check_symmetric(key.metadata)
    paging.check_limit(request.limit, paging.MAX_ROTATIONS)
    after = paging.parse_rotation_marker(request.marker)
    versions = [
        version
        for version in core.store.versions(key.metadata.key_id)
        if version.version > after and (request.all_material or version.rotated_us is not None)
    ]
    page = versions[: request.limit]
    marker = paging.format_rotation_marker(page[-1].version) if len(versions) > len(page) else None
    return MaterialPage(tuple(_material(key, version, core.clock_us()) for version in page), marker)


async def rotate_due_keys(core: Core) -> int:
    """Rotate the keys whose period is over; returns how many. Disabled keys catch up once they are enabled again."""
    rotated = 0
    core.recorder.require_writable()
    due = core.store.keys_due_for_rotation(core.clock_us(), _SWEEP_BATCH)
    if due and not await core.take_job("rotate keys"):
        return 0
    for key in due:
        try:
            rotated += await _rotate(core, key, AUTOMATIC)
        except KMSUnavailable:
            raise
        except KMSError as error:
            log.error("key %s was not rotated: %s", key.metadata.key_arn, error.message)
    return rotated


async def _rotate(core: Core, key: StoredKey, rotation_type: str) -> bool:
    """Make a version and let it encrypt. False if the key was rotated, disabled or deleted by others meanwhile."""
    now_us, metadata, number = core.clock_us(), key.metadata, key.newest_version + 1
    record = await core.root.call(
        lambda root: make_record(
            root,
            UUID(bytes=key.key_bytes),
            number,
            created_us=now_us,
            protection=Protection(metadata.protection),
        )
    )
    material_id = os.urandom(32).hex()
    version = StoredVersion(metadata.key_id, number, material_id, record, now_us, now_us, rotation_type)
    next_us = key.next_rotation_us
    if rotation_type == AUTOMATIC and key.rotation_period_days is not None:
        next_us = now_us + key.rotation_period_days * _DAY_US
    try:
        await core.change(
            lambda: core.store.add_version(version, expected_current=key.current_version, next_rotation_us=next_us)
        )
    except KeyConflict:
        return False
    await core.recorder.act("RotateKey", metadata.key_arn, rotationType=rotation_type, keyVersion=number)
    return True


async def _rotate_to_pending(core: Core, key: StoredKey, versions: list[StoredVersion]) -> None:
    pending = [
        version
        for version in versions
        if version.version > key.current_version and not version.is_over(core.clock_us())
    ]
    if not pending:
        raise KMSError(
            "KMSInvalidStateException",
            f"No available key material pending rotation for the key: {key.metadata.key_arn}.",
        )
    now_us, number = core.clock_us(), pending[0].version
    try:
        await core.change(
            lambda: core.store.make_current(
                key.metadata.key_id,
                number,
                expected_current=key.current_version,
                now_us=now_us,
                rotation_type=ON_DEMAND,
            )
        )
    except KeyConflict:
        raise KMSError("ConflictException", f"{key.metadata.key_arn} is being rotated.") from None


def _key_for(core: Core, call: Call[Any], key_id: str, operation: Operation) -> StoredKey:
    """The key, of a kind that can rotate by itself: checked before its state, which other kinds refuse in any."""
    key = core.find(call, key_id, operation)
    core.authorise(call, operation.action, key)
    _check_symmetric(key.metadata)
    if key.metadata.origin != "AWS_KMS":
        raise KMSError(
            "UnsupportedOperationException",
            f"{key.metadata.key_arn} origin is {key.metadata.origin} which is not valid for this operation.",
        )
    _check_primary(key.metadata)
    core.admit(call, key, operation)
    return key


def _check_symmetric(metadata: KeyMetadata) -> None:
    if metadata.key_spec != "SYMMETRIC_DEFAULT":
        raise KMSError(
            "UnsupportedOperationException",
            f"{metadata.key_arn} key spec is {metadata.key_spec} which is not valid for this operation.",
        )


def _check_primary(metadata: KeyMetadata) -> None:
    if metadata.multi_region and not metadata.is_primary:
        raise KMSError("UnsupportedOperationException", f"{metadata.key_arn} is not a multi-region primary key.")


def _material(key: StoredKey, version: StoredVersion, now_us: int) -> KeyMaterial:
    state = "CURRENT" if version.version == key.current_version else "NON_CURRENT"
    if version.version > key.current_version:
        state = "PENDING_ROTATION"
    is_external = key.metadata.origin == "EXTERNAL"
    return KeyMaterial(
        key.metadata.key_id,
        version.material_id,
        state,
        version.rotated_us,
        version.rotation_type,
        not version.is_over(now_us) if is_external else None,
        version.valid_to_us,
        version.description,
    )

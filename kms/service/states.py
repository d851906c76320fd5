"""EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion, and the end of the deletion window.

A change is committed only if the key is still in the state it was checked in; two changes at once are decided one
after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kms.api.errors import KMSError
from kms.api.types import CancelKeyDeletion, DisableKey, EnableKey, KeyMetadata, KeyState, ScheduleKeyDeletion
from kms.audit.evidence import DELETE_KEY
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.constraints import check_range
from kms.service.core import Core
from kms.service.importing import expire_material
from kms.service.multi_region import state_of_deletion
from kms.store.interface import KeyConflict

log = logging.getLogger(__name__)

MIN_PENDING_WINDOW_DAYS = 7
MAX_PENDING_WINDOW_DAYS = 30
_DAY_US = 86_400 * 1_000_000
_ATTEMPTS = 5
_SWEEP_BATCH = 100


async def enable_key(core: Core, call: Call[EnableKey]) -> None:
    await _change_state(core, call, call.request.key_id, Operation.ENABLE_KEY, KeyState.ENABLED)


async def disable_key(core: Core, call: Call[DisableKey]) -> None:
    await _change_state(core, call, call.request.key_id, Operation.DISABLE_KEY, KeyState.DISABLED)


async def schedule_key_deletion(core: Core, call: Call[ScheduleKeyDeletion]) -> KeyMetadata:
    days = call.request.pending_window_days
    check_range("pendingWindowInDays", days, MIN_PENDING_WINDOW_DAYS, MAX_PENDING_WINDOW_DAYS)
    return await _change_state(
        core, call, call.request.key_id, Operation.SCHEDULE_KEY_DELETION, state_of_deletion, pending_window_days=days
    )


async def cancel_key_deletion(core: Core, call: Call[CancelKeyDeletion]) -> KeyMetadata:
    """The key comes back Disabled, not Enabled, as at AWS; pending import if its material is not there."""
    key = core.key_for(call, call.request.key_id, Operation.CANCEL_KEY_DELETION)
    is_there = not key.lacks_material and (key.material_ends_us is None or key.material_ends_us > core.clock_us())
    state = KeyState.DISABLED if is_there else KeyState.PENDING_IMPORT
    return await _change_state(core, call, call.request.key_id, Operation.CANCEL_KEY_DELETION, state)


async def destroy_expired_keys(core: Core) -> int:
    """Destroy the keys whose window is over; returns how many. They were refused since the window ended.

    The audit trail says so before it is done: of a process that is killed in between the next one says it again, and
    no key goes without a line.
    """
    destroyed = 0
    now_us = core.clock_us()
    while True:
        core.recorder.require_writable()
        due = core.store.expired_keys(now_us, _SWEEP_BATCH)
        if due and not await core.take_job("destroy keys"):
            return destroyed
        for key in due:
            await core.recorder.announce(DELETE_KEY, key.metadata.key_arn, keyVersions=key.newest_version)
        keys = await core.change(lambda: core.store.destroy_expired(now_us, _SWEEP_BATCH), is_visible=False)
        if keys:
            core.advance_epoch()
        for key in keys:
            core.leases.drop(key.metadata.key_id)
            log.warning("key %s destroyed at the end of its deletion window", key.metadata.key_arn)
            core.recorder.done(DELETE_KEY, key.metadata.key_arn)
        destroyed += len(keys)
        if len(keys) < _SWEEP_BATCH:
            break
    # The last replica of a primary may be gone now, or have been when the process before ended.
    if await core.change(lambda: core.store.begin_deletions(now_us), is_visible=False):
        core.advance_epoch()
    return destroyed


async def _change_state(
    core: Core,
    call: Call[Any],
    key_id: str,
    operation: Operation,
    state_of: KeyState | Callable[[KeyMetadata], KeyState],
    *,
    pending_window_days: int | None = None,
) -> KeyMetadata:
    for _ in range(_ATTEMPTS):
        metadata = core.key_for(call, key_id, operation).metadata
        state = state_of if isinstance(state_of, KeyState) else state_of(metadata)
        if metadata.state is state:
            return metadata
        deletion_us = None
        if state is KeyState.PENDING_DELETION and pending_window_days is not None:
            deletion_us = core.clock_us() + pending_window_days * _DAY_US
        try:
            await _commit(core, metadata, state, deletion_us, pending_window_days)
        except KeyConflict:
            core.cache.forget()
            await expire_material(core)  # the state may be the one that is due, and not written down yet
            continue
        if state is not KeyState.ENABLED:
            core.leases.drop(metadata.key_id)
        return replace(metadata, state=state, deletion_us=deletion_us, pending_window_days=pending_window_days)
    raise KMSError("KMSInternalException", "The key is being changed by others; try again.")


async def _commit(
    core: Core, metadata: KeyMetadata, state: KeyState, deletion_us: int | None, pending_window_days: int | None
) -> None:
    now_us = core.clock_us()
    await core.change(
        lambda: core.store.change_state(
            metadata.key_id,
            metadata.region,
            expected=metadata.state,
            state=state,
            deletion_us=deletion_us,
            now_us=now_us,
            pending_window_days=pending_window_days,
        )
    )

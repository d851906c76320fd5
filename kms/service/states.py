"""EnableKey, DisableKey, ScheduleKeyDeletion, CancelKeyDeletion, and the end of the deletion window.

A change is committed only if the key is still in the state it was checked in; two changes at once are decided one
after the other.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from iam.principals import Caller
from kms.api.errors import KMSError
from kms.api.types import KeyMetadata, KeyState
from kms.keys.state import Operation
from kms.service.core import Core
from kms.store.interface import KeyConflict

log = logging.getLogger(__name__)

MIN_PENDING_WINDOW_DAYS = 7
MAX_PENDING_WINDOW_DAYS = 30
_DAY_US = 86_400 * 1_000_000
_ATTEMPTS = 5
_SWEEP_BATCH = 100


async def enable_key(core: Core, caller: Caller, key_id: str) -> None:
    await _change_state(core, caller, key_id, Operation.ENABLE_KEY, KeyState.ENABLED)


async def disable_key(core: Core, caller: Caller, key_id: str) -> None:
    await _change_state(core, caller, key_id, Operation.DISABLE_KEY, KeyState.DISABLED)


async def schedule_key_deletion(core: Core, caller: Caller, key_id: str, pending_window_days: int) -> KeyMetadata:
    if not MIN_PENDING_WINDOW_DAYS <= pending_window_days <= MAX_PENDING_WINDOW_DAYS:
        is_low = pending_window_days < MIN_PENDING_WINDOW_DAYS
        bound = (
            f"greater than or equal to {MIN_PENDING_WINDOW_DAYS}"
            if is_low
            else (f"less than or equal to {MAX_PENDING_WINDOW_DAYS}")
        )
        raise KMSError(
            "ValidationException",
            f"1 validation error detected: Value '{pending_window_days}' at 'pendingWindowInDays' failed to satisfy"
            f" constraint: Member must have value {bound}",
        )
    deletion_us = core.clock_us() + pending_window_days * _DAY_US
    return await _change_state(
        core, caller, key_id, Operation.SCHEDULE_KEY_DELETION, KeyState.PENDING_DELETION, deletion_us=deletion_us
    )


async def cancel_key_deletion(core: Core, caller: Caller, key_id: str) -> KeyMetadata:
    """The key comes back Disabled, not Enabled, as at AWS."""
    return await _change_state(core, caller, key_id, Operation.CANCEL_KEY_DELETION, KeyState.DISABLED)


async def destroy_expired_keys(core: Core) -> int:
    """Destroy the keys whose window is over; returns how many. They were refused since the window ended."""
    destroyed = 0
    now_us = core.clock_us()
    while True:
        key_ids = await core.change(lambda: core.store.destroy_expired(now_us, _SWEEP_BATCH), is_visible=False)
        if key_ids:
            core.advance_epoch()
        for key_id in key_ids:
            core.leases.drop(key_id)
            log.warning("key %s destroyed at the end of its deletion window", key_id)
        destroyed += len(key_ids)
        if len(key_ids) < _SWEEP_BATCH:
            return destroyed


async def _change_state(
    core: Core,
    caller: Caller,
    key_id: str,
    operation: Operation,
    state: KeyState,
    *,
    deletion_us: int | None = None,
) -> KeyMetadata:
    for _ in range(_ATTEMPTS):
        metadata = core.key_for(caller, key_id, operation).metadata
        if metadata.state is state:
            return metadata
        try:
            await _commit(core, metadata, state, deletion_us)
        except KeyConflict:
            core.cache.forget()
            continue
        if state is not KeyState.ENABLED:
            core.leases.drop(metadata.key_id)
        return replace(metadata, state=state, deletion_us=deletion_us)
    raise KMSError("KMSInternalException", "The key is being changed by others; try again.")


async def _commit(core: Core, metadata: KeyMetadata, state: KeyState, deletion_us: int | None) -> None:
    now_us = core.clock_us()
    await core.change(
        lambda: core.store.change_state(
            metadata.key_id, expected=metadata.state, state=state, deletion_us=deletion_us, now_us=now_us
        )
    )

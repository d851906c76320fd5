"""GetKeyLastUsage: when each key was last used, kept in memory and written down every few seconds.

A use costs one dictionary entry, never a write. What was used since the last flush is lost with a process that is
killed; the answer is then at most FLUSH_SECONDS older than the truth.
"""

from __future__ import annotations

from kms.api.types import GetKeyLastUsage, KeyLastUsage
from kms.keys.state import Operation
from kms.service.call import Call
from kms.service.core import Core
from kms.store.records import StoredUsage

FLUSH_SECONDS = 5.0


async def get_key_last_usage(core: Core, call: Call[GetKeyLastUsage]) -> KeyLastUsage:
    metadata = core.key_for(call, call.request.key_id, Operation.GET_KEY_LAST_USAGE).metadata
    tracked_us = core.store.usage_tracked_since()
    since_us = max(tracked_us, metadata.created_us)
    usage = core.usage.last(metadata.key_id, metadata.region) or core.store.usage(metadata.key_id, metadata.region)
    if usage is None:
        return KeyLastUsage(metadata.key_id, metadata.created_us, since_us)
    return KeyLastUsage(
        metadata.key_id, metadata.created_us, since_us, usage.operation, usage.used_us, usage.request_id
    )


async def flush_usage(core: Core) -> None:
    """Write down what was used since the last time, and what could not be written then."""
    pending: list[StoredUsage] = core.usage.take()
    if pending:
        await core.change(lambda: core.store.put_usage(pending), is_visible=False)
        core.usage.written()

"""Which keys were used, in memory: the last use of each since it was written down."""

from __future__ import annotations

from typing import Any

from kms.keys.state import CRYPTOGRAPHIC, Operation
from kms.service.call import Call
from kms.store.records import StoredUsage

_TRACKED = {operation.action: operation.value for operation in CRYPTOGRAPHIC - {Operation.GET_PUBLIC_KEY}}
_TRACKED[Operation.RE_ENCRYPT_FROM.action] = _TRACKED[Operation.RE_ENCRYPT_TO.action] = "ReEncrypt"

MAX_PENDING = 20_000
"""Keys remembered between two flushes; beyond, the use of further ones is not noted until the next."""


class UsageTracker:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._pending: dict[tuple[str, str], StoredUsage] = {}
        self._writing: dict[tuple[str, str], StoredUsage] = {}

    def note(self, call: Call[Any], now_us: int) -> None:
        """A call that succeeded: every key that it was allowed to use was used."""
        for decision in call.decisions:
            operation = _TRACKED.get(decision.action)
            if operation is None or not decision.is_allowed:
                continue
            name = _name_of(decision.resource_arn)
            if name is not None and (name in self._pending or self._has_room_for(name)):
                self._pending[name] = StoredUsage(*name, operation, now_us, call.caller.request_id)

    def last(self, key_id: str, region: str) -> StoredUsage | None:
        name = key_id, region
        return self._pending.get(name) or self._writing.get(name)

    def take(self) -> list[StoredUsage]:
        """What is to be written down: it is known here until `written` says that it was, and given again until then."""
        self._writing |= self._pending
        self._pending = {}
        return list(self._writing.values())

    def written(self) -> None:
        self._writing = {}

    def _has_room_for(self, name: tuple[str, str]) -> bool:
        return name in self._writing or len(self._pending) + len(self._writing) < MAX_PENDING


def _name_of(key_arn: str) -> tuple[str, str] | None:
    """Key id and region."""
    parts = key_arn.split(":", 5)
    return (parts[5].removeprefix("key/"), parts[3]) if len(parts) == 6 else None

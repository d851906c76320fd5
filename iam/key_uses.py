"""Which access keys were used, in memory: the last use of each since it was written down."""

from __future__ import annotations

import time

from iam.credentials import AccessKeyUse

MAX_PENDING = 20_000
"""Keys remembered until they are written down; beyond, the use of further ones is not noted until then."""


class AccessKeyUses:
    """Noted by one thread on the path of every request; others may look."""

    def __init__(self) -> None:
        self._pending: dict[str, tuple[int, str, str]] = {}

    def note(self, access_key_id: str, service: str, region: str) -> None:
        """A request of `service`, signed for `region` by this key, was let in."""
        if access_key_id in self._pending or len(self._pending) < MAX_PENDING:
            self._pending[access_key_id] = (time.time_ns() // 1000, service, region)

    def last(self, access_key_id: str) -> AccessKeyUse | None:
        pending = self._pending.get(access_key_id)
        return None if pending is None else AccessKeyUse(access_key_id, *pending)

    def take(self) -> list[AccessKeyUse]:
        """All of them, and forget them."""
        pending, self._pending = self._pending, {}
        return [AccessKeyUse(access_key_id, *use) for access_key_id, use in pending.items()]

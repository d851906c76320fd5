"""Key versions in the clear, each for one lease.

A version is opened by the root when it is first needed and kept for the lease; then it is wiped, and the root must
open it again, so that an HSM that was taken away ends the use of its keys within one lease. Whoever needs a version
meanwhile waits for the same call of the root. Leases say nothing about permission: `kms.service.core` checks state
and authorisation at every use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final
from uuid import UUID

from kms.api.errors import KMSError
from kms.hsm.interface import Root
from kms.keys.wrapping import open_record
from kms.service.root_calls import RootCalls
from kms.store.records import StoredVersion, key_bytes

MAX_LEASES = 50_000
"""Versions in memory at once, some 20 MB; beyond, the one that ends first is dropped early."""

LeaseName = tuple[str, int]
"""Key id and version."""


class Lease:
    """One version in the clear: valid until the event loop's time `expires`, wiped after. Blank repr.

    `key` is 32 bytes; use it at once and keep no reference across an await.
    """

    __slots__ = ("expires", "key", "material_id")

    def __init__(self, key: bytearray, material_id: str, expires: float) -> None:
        self.key: Final = key
        self.material_id: Final = material_id
        self.expires: Final = expires

    def wipe(self) -> None:
        self.key[:] = bytes(len(self.key))

    def __repr__(self) -> str:
        return "Lease()"


class Leases:
    """All leases of this process. Belongs to one event loop.

    `find_version` reads the key store; `clock` is the event loop's time in seconds, which all leases end by.
    """

    def __init__(
        self,
        root: RootCalls,
        find_version: Callable[[str, int], StoredVersion | None],
        *,
        lease_seconds: float,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._root = root
        self._find_version = find_version
        self._lease_seconds = lease_seconds
        self._clock = clock or asyncio.get_running_loop().time
        # In order of insertion, which is the order in which they end, all leases being equally long.
        self._leases: dict[LeaseName, Lease] = {}
        self._opening: dict[LeaseName, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._leases)

    def get(self, name: LeaseName) -> Lease | None:
        """The lease on a version, if there is one and it has not ended."""
        lease = self._leases.get(name)
        if lease is not None and lease.expires <= self._clock():
            self.drop_expired()
            return None
        return lease

    async def open(self, name: LeaseName) -> None:
        """Have the root open a version, so that `get` finds it; joins a call that is under way.

        Raises KMSUnavailable, KMSInternalException, or InvalidCiphertextException when there is no such version.
        """
        task = self._opening.get(name)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._open(name))
            self._opening[name] = task
            task.add_done_callback(lambda done: self._opened(name, done))
        await asyncio.shield(task)

    def drop(self, key_id: str) -> None:
        """End all leases on a key, and take none from what the root is opening for it just now."""
        for name in [name for name in self._leases if name[0] == key_id]:
            self._leases.pop(name).wipe()
        for name in [name for name in self._opening if name[0] == key_id]:
            del self._opening[name]

    def drop_expired(self) -> None:
        """Wipe what has ended, and come back when the next one does."""
        now = self._clock()
        while self._leases:
            name = next(iter(self._leases))
            if self._leases[name].expires > now:
                break
            self._leases.pop(name).wipe()
        self._arm()

    def close(self) -> None:
        """Wipe everything; what is still being opened is not kept."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._opening.values():
            task.cancel()
        self._opening.clear()
        for lease in self._leases.values():
            lease.wipe()
        self._leases.clear()

    async def _open(self, name: LeaseName) -> None:
        key_id, version = name
        stored = self._find_version(key_id, version)
        if stored is None or stored.record is None:
            raise KMSError("InvalidCiphertextException")
        record, key_uuid = stored.record, UUID(bytes=key_bytes(key_id))

        def unwrap(root: Root) -> bytearray:
            return bytearray(open_record(root, record, key_uuid, version).reveal())

        key = await self._root.call(unwrap)
        lease = Lease(key, stored.material_id, self._clock() + self._lease_seconds)
        if self._opening.get(name) is not asyncio.current_task():
            lease.wipe()  # dropped meanwhile: the key was disabled or deleted
            return
        if len(self._leases) >= MAX_LEASES:
            self._leases.pop(next(iter(self._leases))).wipe()
        self._leases[name] = lease
        if self._timer is None:
            self._arm()

    def _opened(self, name: LeaseName, task: asyncio.Task[None]) -> None:
        if self._opening.get(name) is task:
            del self._opening[name]
        if not task.cancelled():
            task.exception()  # seen here, should nobody have waited until the end

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._leases:
            first = next(iter(self._leases.values()))
            delay = max(0.0, first.expires - self._clock())
            self._timer = asyncio.get_running_loop().call_later(delay, self.drop_expired)

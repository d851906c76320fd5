"""Key versions in the clear, or held in the HSM, each for one lease.

A version is opened by the root when it is first needed and kept for the lease; then it is wiped (a held one let go),
and the root must open it again, so that an HSM that was taken away ends the use of its keys within one lease. Whoever
needs a version meanwhile waits for the same call of the root. Leases say nothing about permission: `kms.service.core`
checks state and authorisation at every use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kms.api.errors import KMSError
from kms.hsm.interface import HeldKey, HeldPrivateKey, Protection, Root
from kms.keys.private_keys import PrivateKey, load_private_key
from kms.keys.record_format import parse_header
from kms.keys.wrapping import hold_private_record, hold_record, open_record
from kms.service.root_calls import RootCalls
from kms.store.records import StoredVersion, key_bytes

MAX_LEASES = 50_000
"""Versions in memory at once, some 20 MB; beyond, the one that ends first is dropped early."""

MAX_HELD = 1000
"""Versions held in the HSM at once, beyond which the one that ends first is let go early. Tokens have little memory for
session objects, and one that runs out of it looks like one that failed."""


@dataclass(slots=True, repr=False)
class Opened:
    """What the root gave for a version: the material, or a key that it holds. One of them."""

    material: bytearray | None = None
    held: HeldKey | None = None
    held_private: HeldPrivateKey | None = None

    def close(self) -> None:
        """Blocks for a held key."""
        for held in (self.held, self.held_private):
            if held is not None:
                held.close()


LeaseName = tuple[str, int]
"""Key id and version."""


class Lease:
    """One version: valid until the event loop's time `expires`, wiped after. Blank repr.

    `key` is its material (32 bytes of a symmetric key); use it at once and keep no reference across an await. Of a key
    of protection hsm there is `held` or `held_private` instead, whose calls block and raise KeyLetGo once the lease has
    ended.
    """

    __slots__ = ("_opened", "_private_key", "_root", "expires", "material_id")

    def __init__(self, opened: Opened, root: RootCalls, material_id: str, expires: float) -> None:
        self._opened: Final = opened
        self._private_key: PrivateKey | None = None
        self._root: Final = root
        self.material_id: Final = material_id
        self.expires: Final = expires

    @property
    def key(self) -> bytearray:
        assert self._opened.material is not None, "a held key has no bytes"
        return self._opened.material

    @property
    def held(self) -> HeldKey | None:
        return self._opened.held

    @property
    def held_private(self) -> HeldPrivateKey | None:
        return self._opened.held_private

    @property
    def is_held(self) -> bool:
        return self._opened.material is None

    def private_key(self, key_spec: str) -> PrivateKey:
        """The material as a private key, read once for a lease; it may be used after the lease, in a thread."""
        if self._private_key is None:
            self._private_key = load_private_key(key_spec, self.key, is_ours=True)
        return self._private_key

    def wipe(self) -> None:
        """Wipe the material, or have a held key let go without waiting for the HSM."""
        self._private_key = None
        if self.is_held:
            self._root.release(self._opened.close)
        else:
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
        self._held: dict[LeaseName, None] = {}  # those of them that are held in the HSM, in the same order
        self._opening: dict[LeaseName, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def serve_without_root(self) -> bool:
        """Whether there is a version in the clear, whose use needs no call of the root."""
        self.drop_expired()
        return len(self._leases) > len(self._held)

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
            self._end(name)
        for name in [name for name in self._opening if name[0] == key_id]:
            del self._opening[name]

    def drop_expired(self) -> None:
        """Wipe what has ended, and come back when the next one does."""
        now = self._clock()
        while self._leases:
            name = next(iter(self._leases))
            if self._leases[name].expires > now:
                break
            self._end(name)
        self._arm()

    def close(self) -> None:
        """Wipe everything; what is still being opened is not kept."""
        if self._timer is not None:
            self._timer.cancel()
        for task in self._opening.values():
            task.cancel()
        self._opening.clear()
        for name in list(self._leases):
            self._end(name)

    async def _open(self, name: LeaseName) -> None:
        key_id, version = name
        stored = self._find_version(key_id, version)
        if stored is None or stored.record is None:
            raise KMSError("InvalidCiphertextException")
        record, key_uuid = stored.record, UUID(bytes=key_bytes(key_id))

        is_abandoned = False

        def unwrap(root: Root) -> Opened:
            opened = Opened()
            header = parse_header(record)
            if header.is_pair:
                opened.held_private = hold_private_record(root, record, key_uuid, version)
            elif header.protection is Protection.HSM:
                opened.held = hold_record(root, record, key_uuid, version)
            else:
                opened.material = bytearray(open_record(root, record, key_uuid, version).reveal())
            if is_abandoned:
                opened.close()
            return opened

        try:
            opened = await self._root.call(unwrap)
        except BaseException:
            is_abandoned = True  # the call may yet end, with nobody there to let the key go
            raise
        lease = Lease(opened, self._root, stored.material_id, self._clock() + self._lease_seconds)
        if self._opening.get(name) is not asyncio.current_task():
            lease.wipe()  # dropped meanwhile: the key was disabled or deleted
            return
        if len(self._leases) >= MAX_LEASES:
            self._end(next(iter(self._leases)))
        if lease.is_held:
            if len(self._held) >= MAX_HELD:
                self._end(next(iter(self._held)))
            self._held[name] = None
        self._leases[name] = lease
        if self._timer is None:
            self._arm()

    def _end(self, name: LeaseName) -> None:
        self._held.pop(name, None)
        self._leases.pop(name).wipe()

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

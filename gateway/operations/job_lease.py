"""The lease of a background job that notes how far it is: whoever has it goes on, on whatever node."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from gateway.storage.errors import StorageError
from gateway.storage.index.interface import JobIndex

LEASE_SECONDS: Final = 30.0
"""After its process died, another one goes on so much later."""


class LeaseLost(Exception):
    """Another process goes on with the job."""


class JobLease:
    """Of the job `name`; `owner` is unique among running processes. All methods raise StorageError but `finish`."""

    def __init__(self, index: JobIndex, name: str, owner: str, clock_us: Callable[[], int]) -> None:
        self._index = index
        self._name = name
        self._owner = owner
        self._clock_us = clock_us
        self._taken = 0.0

    async def take(self) -> bool:
        """Whether the job is this owner's for LEASE_SECONDS."""
        now_us = self._clock_us()
        until_us = now_us + int(LEASE_SECONDS * 1_000_000)
        self._taken = time.monotonic()
        return await self._index.take_job(self._name, self._owner, now_us=now_us, until_us=until_us)

    async def keep(self) -> None:
        """Take it again once a third of it is over. Raises LeaseLost."""
        if time.monotonic() - self._taken > LEASE_SECONDS / 3 and not await self.take():
            raise LeaseLost

    async def note(self, note: bytes) -> None:
        """Write down how far the job is. Raises LeaseLost."""
        if not await self._index.note_job(self._name, self._owner, note):
            raise LeaseLost

    async def finish(self, due_us: int) -> None:
        """Leave the job, to nobody before `due_us`."""
        with suppress(StorageError):  # then it ends by itself
            await self._index.finish_job(self._name, self._owner, due_us=due_us)

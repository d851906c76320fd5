"""One fsync of a directory for all writers that wait for it.

A file's name is durable only when its directory was synced after the rename. That costs as much as the sync of the
data (167 blobs/s with one each, 2 850/s shared, on the machine it was measured on). One sync makes every rename before
it durable, so: those who come while a sync runs wait for the next one, together.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path


class DirectorySync:
    """Belongs to one event loop. Syncs run in `executor`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._waiting: dict[Path, asyncio.Future[None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def sync(self, directory: Path) -> None:
        """Return once a sync of `directory` that began after this call has ended. Raises OSError."""
        done = self._waiting.get(directory)
        if done is None:
            done = self._waiting[directory] = asyncio.get_running_loop().create_future()
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await asyncio.shield(done)  # of several that wait for it, one may be cancelled

    async def _run(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                await self._sync(waiting)
        finally:
            self._running = None

    async def _sync(self, waiting: Mapping[Path, asyncio.Future[None]]) -> None:
        """Tell each that waits what became of its directory, also if no thread could even look."""
        errors: Sequence[Exception | None]
        try:
            errors = await asyncio.get_running_loop().run_in_executor(self._executor, _sync_all, tuple(waiting))
        except Exception as error:
            errors = [error] * len(waiting)
        for done, failed in zip(waiting.values(), errors, strict=True):
            if failed is None:
                done.set_result(None)
            else:
                done.set_exception(failed)
            done.exception()  # nobody may be left to ask


def _sync_all(directories: Sequence[Path]) -> list[OSError | None]:
    return [_sync(directory) for directory in directories]


def _sync(directory: Path) -> OSError | None:
    try:
        sync_directory(directory)
    except OSError as error:
        return error
    return None


def sync_directory(directory: Path) -> None:
    """Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

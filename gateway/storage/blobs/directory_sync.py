"""One fsync of a directory for all writers that wait for it.

A file's name is durable only when its directory was synced after the rename. That costs as much as the sync of the
data (167 blobs/s with one each, 2 850/s shared, on the machine it was measured on). One sync makes every rename before
it durable, so: those who come while a sync runs wait for the next one, together.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from gateway.storage.blobs.cached_reads import open_cached
from gateway.storage.blobs.io_uring import Ring, syncing

SyncAll = Callable[[Sequence[Path]], Awaitable[Sequence[Exception | None]]]
"""Syncs each; what became of it stands in its place."""


class DirectorySync:
    """Belongs to one event loop. `sync_all` is what syncs."""

    def __init__(self, sync_all: SyncAll) -> None:
        self._sync_all = sync_all
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
            errors = await self._sync_all(tuple(waiting))
        except Exception as error:
            errors = [error] * len(waiting)
        for done, failed in zip(waiting.values(), errors, strict=True):
            if failed is None:
                done.set_result(None)
            else:
                done.set_exception(failed)
            done.exception()  # nobody may be left to ask


async def sync_in_thread(executor: Executor, directories: Sequence[Path]) -> list[OSError | None]:
    return await asyncio.get_running_loop().run_in_executor(executor, _sync_each, directories)


async def sync_by_ring(ring: Ring, executor: Executor, directories: Sequence[Path]) -> list[OSError | None]:
    """A directory that Linux would have to read first is a thread's."""
    return [await _sync_by_ring(ring, executor, directory) for directory in directories]


async def _sync_by_ring(ring: Ring, executor: Executor, directory: Path) -> OSError | None:
    fd = open_cached(str(directory))
    if fd is None:
        return (await sync_in_thread(executor, [directory]))[0]
    try:
        [result] = await ring.start(syncing(fd, data_only=False))
    finally:
        os.close(fd)
    return OSError(-result, os.strerror(-result)) if result < 0 else None


def _sync_each(directories: Sequence[Path]) -> list[OSError | None]:
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

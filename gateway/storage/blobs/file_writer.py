"""One blob on its way into a file, by threads; and what it has in common with the way through io_uring."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from enum import Enum, auto
from typing import Any, NoReturn

from gateway.storage.blobs.directory_sync import DirectorySync
from gateway.storage.blobs.interface import Buffer
from gateway.storage.blobs.places import Places
from gateway.storage.errors import StorageUnavailable

WRITE_BACK_BYTES = 8 << 20
"""After each so many bytes the kernel is asked to begin writing them out, so that the sync at the end finds little
left: 1 GiB took 0.4 s instead of 0.9-1.1 s, and did not push everything else out of the page cache."""


class WriterState(Enum):
    OPEN = auto()
    COMMITTING = auto()
    """Somewhere between the rename and its durability; `abort` still takes the blob back."""
    ENDED = auto()


class FileWriter(ABC):
    """What is the same whoever makes the system calls: see BlobWriter.

    After an error, or a cancelled call, only `abort` is left.
    """

    def __init__(
        self,
        blob_id: bytes,
        temporary: str,
        *,
        places: Places,
        executor: Executor,
        directory_sync: DirectorySync | None,
    ) -> None:
        self._blob_id = blob_id
        self._temporary = temporary
        self._places = places
        self._executor = executor
        self._directory_sync = directory_sync
        self._state = WriterState.OPEN
        self._has_begun = False
        self._fd = -1
        self._stored_bytes = 0
        self._written_back = 0

    async def commit(self) -> int:
        """See BlobWriter."""
        assert self._state is WriterState.OPEN
        self._state = WriterState.COMMITTING
        await self._place()
        if self._directory_sync:
            try:
                await self._directory_sync.sync(self._places.directory(self._blob_id))
            except OSError as error:
                await self._fail(error)
        self._state = WriterState.ENDED
        return self._stored_bytes

    async def abort(self) -> None:
        """See BlobWriter. Takes effect also when the waiting for it is cancelled."""
        if self._state is WriterState.ENDED:
            return
        is_moved = self._state is WriterState.COMMITTING
        self._state = WriterState.ENDED
        if not self._has_begun:
            return
        try:
            await self._take_back(is_moved=is_moved)
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error

    async def _fail(self, error: OSError) -> NoReturn:
        await self.abort()
        raise StorageUnavailable(f"blobs: {error}") from error

    @abstractmethod
    async def _place(self) -> None:
        """Write what is left, sync the file and move it to its place. Raises StorageUnavailable, after `abort`."""

    @abstractmethod
    async def _take_back(self, *, is_moved: bool) -> None:
        """Remove the file, after the step that a cancelled call left running; under both names if it may be moved.
        Raises OSError."""

    def _discard(self, *, is_moved: bool) -> None:
        """Close the file and remove it under either name. Blocks."""
        fd, self._fd = self._fd, -1
        with suppress(OSError):  # an error of close() is one of the write-back, of bytes that nobody wants
            if fd >= 0:
                os.close(fd)
        with suppress(FileNotFoundError):
            os.unlink(self._temporary)  # noqa: PTH108
        if is_moved:
            self._places.remove(self._blob_id)


class FileBlobWriter(FileWriter):
    """By a pool of threads."""

    _under_way: Future[Any] | None = None

    async def write(self, data: Buffer) -> None:
        """See BlobWriter. On cancellation a thread may still be reading `data`, into a file that is lost anyway."""
        assert self._state is WriterState.OPEN
        await self._in_thread(lambda: self._append(data))

    async def _place(self) -> None:
        await self._in_thread(self._move_in)

    async def _take_back(self, *, is_moved: bool) -> None:
        await asyncio.wrap_future(self._executor.submit(self._discard_after, self._under_way, is_moved=is_moved))

    async def _in_thread(self, step: Callable[[], None]) -> None:
        future = self._executor.submit(step)
        self._under_way = future
        self._has_begun = True
        try:
            await asyncio.wrap_future(future)
        except OSError as error:
            await self._fail(error)

    def _append(self, data: Buffer) -> None:
        fd = self._opened()
        rest = memoryview(data).cast("B")
        while rest:
            written = os.write(fd, rest)
            self._stored_bytes += written
            rest = rest[written:]
        if self._directory_sync and self._stored_bytes - self._written_back >= WRITE_BACK_BYTES:
            os.posix_fadvise(fd, self._written_back, self._stored_bytes - self._written_back, os.POSIX_FADV_DONTNEED)
            self._written_back = self._stored_bytes

    def _move_in(self) -> None:
        fd = self._opened()
        if self._directory_sync:
            os.fdatasync(fd)
        self._fd = -1
        os.close(fd)
        self._places.move_in(self._temporary, self._blob_id)

    def _opened(self) -> int:
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(self._temporary, flags, 0o600)
        return self._fd

    def _discard_after(self, under_way: Future[Any] | None, *, is_moved: bool) -> None:
        if under_way is not None:
            wait([under_way])  # it runs or is done: a cancelled call took it back if it was still queued
        self._discard(is_moved=is_moved)

"""One blob on its way into a file through io_uring: a small one by two system calls of the event loop."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any

from gateway.storage.blobs.directory_sync import DirectorySync
from gateway.storage.blobs.file_writer import WRITE_BACK_BYTES, FileWriter, WriterState
from gateway.storage.blobs.interface import Buffer
from gateway.storage.blobs.io_uring import Ring, closing, letting_go, opening, renaming, syncing, writing
from gateway.storage.blobs.places import Places

GATHERED_BYTES = 160 << 10
"""So much is kept until more comes, or all of it has: a copy of it takes 10 µs, to have it written alone several times
as much. A body that is sealed as a whole comes at once, and is written and synced by one system call."""

GATHERED_PIECES = 64
"""And so many of them: Linux takes at most 1024 in one call."""

Piece = bytes | memoryview


class RingBlobWriter(FileWriter):
    """By threads of the kernel."""

    def __init__(
        self,
        blob_id: bytes,
        temporary: str,
        *,
        places: Places,
        ring: Ring,
        executor: Executor,
        directory_sync: DirectorySync | None,
    ) -> None:
        super().__init__(blob_id, temporary, places=places, executor=executor, directory_sync=directory_sync)
        self._ring = ring
        self._gathered: list[Piece] = []
        self._gathered_bytes = 0
        self._step: asyncio.Task[None] | None = None

    async def write(self, data: Buffer) -> None:
        """See BlobWriter. On cancellation the kernel may still be reading `data`, into a file that is lost anyway."""
        assert self._state is WriterState.OPEN
        view = memoryview(data).cast("B")
        size = len(view)
        if not size:
            return
        if self._gathered_bytes + size <= GATHERED_BYTES and len(self._gathered) < GATHERED_PIECES:
            self._gather(bytes(data))
        else:
            self._gather(bytes(data) if view.readonly else view)
            await self._do(self._append())

    async def _place(self) -> None:
        await self._do(self._move_in())

    async def _take_back(self, *, is_moved: bool) -> None:
        await asyncio.shield(asyncio.create_task(self._discard_after(self._step, is_moved=is_moved)))

    async def _do(self, step: Coroutine[Any, Any, None]) -> None:
        """What the kernel has begun goes on where the waiting for it is cancelled, and is waited for by `abort`."""
        self._step = asyncio.create_task(step)
        self._has_begun = True
        try:
            await asyncio.shield(self._step)
        except OSError as error:
            await self._fail(error)

    def _gather(self, piece: Piece) -> None:
        self._gathered.append(piece)
        self._gathered_bytes += len(piece)

    async def _append(self) -> None:
        """Write what was gathered."""
        fd = await self._opened()
        while self._gathered:
            self._take(*await self._ring.start(writing(fd, self._gathered, self._stored_bytes)))
        if self._directory_sync and self._stored_bytes - self._written_back >= WRITE_BACK_BYTES:
            length = self._stored_bytes - self._written_back
            await self._ring.start(letting_go(fd, self._written_back, length))
            self._written_back = self._stored_bytes

    async def _move_in(self) -> None:
        fd = await self._opened()
        if not self._places.is_ready(self._blob_id):
            await self._in_thread(self._places.make, self._blob_id)
        await self._write_and_sync(fd)
        moving = self._ring.start(renaming(self._temporary, self._places.path(self._blob_id)))
        self._fd = -1
        [closed] = await self._ring.start(closing(fd))
        [moved] = await moving
        if moved == -errno.ENOENT:  # another process has removed the directory, as empty, just now
            await self._in_thread(self._places.move_in, self._temporary, self._blob_id)
        else:
            _require([moved])
        _require([closed])

    async def _write_and_sync(self, fd: int) -> None:
        syncs = [syncing(fd, data_only=True)] if self._directory_sync else []
        synced = await self._ring.start(*syncs) if syncs and not self._gathered else []
        while self._gathered:  # once, as a rule: where less was written than there is, nothing was synced
            written, *synced = await self._ring.start(writing(fd, self._gathered, self._stored_bytes), *syncs)
            self._take(written)
        _require(synced)

    def _take(self, written: int) -> None:
        """Keep what is left of what was gathered."""
        _require([written or -errno.EIO])  # nothing at all, and no reason: never again and again
        self._stored_bytes += written
        pieces, self._gathered, self._gathered_bytes = self._gathered, [], 0
        for piece in pieces:
            if written < len(piece):
                self._gather(piece[written:])
            written = max(0, written - len(piece))

    async def _opened(self) -> int:
        if self._fd < 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            [result] = await self._ring.start(opening(self._temporary, flags, 0o600))
            _require([result], self._temporary)
            self._fd = result
        return self._fd

    async def _discard_after(self, step: asyncio.Task[None] | None, *, is_moved: bool) -> None:
        if step is not None:
            await asyncio.wait([step])
            if not step.cancelled():
                step.exception()  # whoever waited for it knows
        await self._in_thread(partial(self._discard, is_moved=is_moved))

    async def _in_thread(self, function: Callable[..., object], *arguments: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


def _require(results: Sequence[int], path: str | None = None) -> None:
    """Raises OSError for the first that failed."""
    for result in results:
        if result < 0:
            raise OSError(-result, os.strerror(-result), path)

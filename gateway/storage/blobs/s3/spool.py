"""A part on its way: held until it is whole, for only then are its length and SHA-256 known, which S3 asks for first.

Small ones stay in memory, larger ones go to a file without a name in the gateway's own directory, so that a thousand
slow uploads do not need a thousand parts of memory. What it holds is ciphertext.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from awscrt import checksums as crt

from gateway.storage.blobs.interface import Buffer
from gateway.storage.errors import StorageUnavailable

T = TypeVar("T")

MEMORY_BYTES: Final = 512 << 10
PIECE_BYTES: Final = 256 << 10


class Spool:
    """Bytes that are appended, then read any number of times. One call at a time; `executor` does what may wait."""

    def __init__(self, directory: Path, executor: Executor) -> None:
        self._directory = directory
        self._executor = executor
        self._memory = bytearray()
        self._fd = -1
        self._hash = hashlib.sha256()
        self._crc = 0
        self._length = 0
        self._under_way: Future[Any] | None = None

    @property
    def length(self) -> int:
        return self._length

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def crc32c(self) -> str:
        """As S3 writes it: Base64 of four bytes."""
        return base64.b64encode(self._crc.to_bytes(4)).decode()

    async def append(self, data: Buffer) -> None:
        """Raises StorageUnavailable if the disk is full. On cancellation a thread may still be reading `data`."""
        await self._in_thread(lambda: self._append(memoryview(data).cast("B")))

    async def pieces(self) -> AsyncIterator[bytes | memoryview]:
        """All of it, from the start."""
        offset = 0
        while offset < self._length:
            if self._fd < 0:
                yield bytes(self._memory[offset : offset + PIECE_BYTES])
                offset += PIECE_BYTES
                continue
            piece = await self._in_thread(partial(os.pread, self._fd, PIECE_BYTES, offset))
            if not piece:
                raise StorageUnavailable("blobs: a file of a part was cut")
            yield piece
            offset += len(piece)

    def close(self) -> None:
        """Idempotent. A thread that a cancelled call left running closes the file when it ends: not before, or it would
        write into whatever has its number then."""
        if self._under_way is None or self._under_way.done():
            self._close()
        else:
            self._under_way.add_done_callback(lambda _: self._close())

    async def _in_thread(self, step: Callable[[], T]) -> T:
        future = self._executor.submit(step)
        self._under_way = future
        try:
            return await asyncio.wrap_future(future)
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _append(self, data: memoryview) -> None:
        self._hash.update(data)
        self._crc = crt.crc32c(data, self._crc)
        if self._fd < 0 and self._length + len(data) <= MEMORY_BYTES:
            self._memory += data
        else:
            if self._fd < 0:
                self._fd = _nameless_file(self._directory)
                _write(self._fd, memoryview(self._memory))
                self._memory = bytearray()
            _write(self._fd, data)
        self._length += len(data)


def _nameless_file(directory: Path) -> int:
    """A file descriptor of its own, of a file that goes with it."""
    with tempfile.TemporaryFile(dir=directory) as file:
        return os.dup(file.fileno())


def _write(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]

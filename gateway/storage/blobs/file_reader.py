"""An open blob in a file."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import Executor, Future

from gateway.storage.blobs.cached_reads import read_cached
from gateway.storage.blobs.interface import Buffer
from gateway.storage.errors import StorageUnavailable

HEAD_BYTES = 68 * 1024
"""Read along with opening in a thread: a blob of one segment (64 KiB, header, tag) then needs one hop, not three."""

TURN_BYTES = 64 * 1024
"""Reads longer than this let others run, even if they wait for nothing: a large file may be in memory as a whole."""


def open_head(path: str) -> tuple[int, bytes]:
    """The file, and its first HEAD_BYTES bytes. Blocks. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return fd, _pread(fd, 0, HEAD_BYTES)
    except BaseException:
        os.close(fd)
        raise


class FileBlobReader:
    """See BlobReader. One read at a time."""

    def __init__(self, fd: int, head: bytes, executor: Executor) -> None:
        """`head`: what is known of the file's beginning, if anything."""
        self._fd = fd
        self._head = head
        self._executor = executor
        self._under_way: Future[bytes] | None = None
        self._has_waited = False

    @property
    def waits(self) -> bool:
        """See BlobReader."""
        return self._has_waited

    def stored_bytes(self) -> int:
        """See BlobReader. Of a file that is open already, so that this waits for no disk."""
        try:
            return os.fstat(self._fd).st_size
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error

    async def read(self, offset: int, length: int) -> Buffer:
        """See BlobReader."""
        end = offset + length
        if end <= len(self._head):
            return self._head[offset:end]
        data = read_cached(self._fd, offset, length)
        self._has_waited = data is None
        if data is not None:
            if length > TURN_BYTES:
                await asyncio.sleep(0)
            return data
        self._under_way = self._executor.submit(_pread, self._fd, offset, length)
        try:
            return await asyncio.wrap_future(self._under_way)
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error

    async def distrust(self) -> bool:
        """See BlobReader."""
        return False

    async def close(self) -> None:
        """See BlobReader. Waits for nothing: a read that a cancelled call left running closes the file when it ends."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if self._under_way is None or self._under_way.done():
            os.close(fd)
        else:
            self._under_way.add_done_callback(lambda _: os.close(fd))


def _pread(fd: int, offset: int, length: int) -> bytes:
    """Read until `length` bytes or the end of the file: the kernel may give less than was asked for."""
    data = os.pread(fd, length, offset)
    if len(data) == length or not data:
        return data
    pieces = [data]
    have = len(data)
    while have < length:
        data = os.pread(fd, length - have, offset + have)
        if not data:
            break
        pieces.append(data)
        have += len(data)
    return b"".join(pieces)

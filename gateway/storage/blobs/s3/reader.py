"""An open blob in the backing store.

The first request brings the head, and what follows it up to `end`, the hint of whoever opened the blob; for a range
further on, the head alone. Reads that go forward are served from one answer, so that a download is one request, however
long. An answer that breaks off is asked for again from there.
"""

from __future__ import annotations

from typing import Final

from gateway.storage.blobs.s3.backend import Backend, BrokenOff, Download, Refused
from gateway.storage.errors import BlobMissing

HEAD_BYTES: Final = 68 * 1024
"""A blob of one segment (64 KiB, header, tag) is one request."""

HEADER_BYTES: Final = 128
"""What is read of a blob whatever the range (docs/formats/object.md, "Header")."""

SKIP_BYTES: Final = 128 << 10
"""A gap of so many bytes is read and dropped; for a larger one another request is cheaper."""

RESUMPTIONS: Final = 5


class S3BlobReader:
    """See BlobReader. One read at a time."""

    def __init__(
        self, backend: Backend, key: str, head: bytes, *, size: int, end: int = 0, stream: Download | None = None
    ) -> None:
        """`stream` goes on after `head`."""
        self._backend = backend
        self._key = key
        self._head = head
        self._size = size
        self._end = end
        self._stream = stream
        self._position = len(head)

    def stored_bytes(self) -> int:
        """See BlobReader."""
        return self._size

    @property
    def waits(self) -> bool:
        """See BlobReader."""
        return True

    async def read(self, offset: int, length: int) -> bytes:
        """See BlobReader."""
        end = min(offset + length, self._size)
        if end <= len(self._head):
            return self._head[offset:end]
        if offset >= end:
            return b""
        known = self._head[offset:]
        start = offset + len(known)
        for _ in range(RESUMPTIONS):
            try:
                data = await self._read(start, end)
            except BrokenOff as error:
                self._drop()
                problem = error
                continue
            return known + data if known else data
        raise problem

    async def distrust(self) -> bool:
        """See BlobReader."""
        return False

    async def close(self) -> None:
        """See BlobReader."""
        self._drop()

    async def _read(self, start: int, end: int) -> bytes:
        if self._stream is not None and not 0 <= start - self._position <= SKIP_BYTES:
            self._drop()
        if self._stream is None:
            last = max(end, min(self._end, self._size)) - 1
            try:
                _, self._stream = await self._backend.get(self._key, start, last)
            except Refused as error:
                raise missing(error, self._key) from error
            self._position = start
        if start > self._position:
            await self._take(self._stream, start - self._position)
        return await self._take(self._stream, end - start)

    async def _take(self, stream: Download, length: int) -> bytes:
        data = await stream.read(length)
        self._position += length
        return data

    def _drop(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def missing(error: Refused, key: str) -> Exception:
    """BlobMissing where that is what a refusal says, else the refusal."""
    if error.status == 404 and error.code in ("NoSuchKey", ""):
        return BlobMissing(f"blob {key.rpartition('/')[2]}")
    return error

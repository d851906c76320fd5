"""What a blob store does: one contract, one conformance suite (`tests/conformance/blobs.py`)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

Buffer = bytes | bytearray | memoryview


class BlobWriter(Protocol):
    """One blob being written. Nothing is visible, and nothing survives a crash, before `commit` returned.

    Exactly one of `commit` and `abort` ends it; `abort` after either is a no-op, so that it fits a `finally`.
    """

    async def write(self, data: Buffer) -> None:
        """Append. `data` must not change until the call returned. Raises StorageUnavailable (disk full, read-only)."""
        ...

    async def commit(self) -> int:
        """Make the blob durable under its id (data, name and directory synced); returns its stored length in bytes."""
        ...

    async def abort(self) -> None:
        """Leave no trace. Raises StorageUnavailable where the store cannot be changed now; what is left is garbage."""
        ...


class BlobReader(Protocol):
    """An open blob. One that is deleted meanwhile stays readable where the store can hold it (files), else BlobMissing
    may be raised: the sweep's grace is what readers rely on."""

    def stored_bytes(self) -> int:
        """The length of the whole blob. Raises StorageUnavailable."""
        ...

    @property
    def waits(self) -> bool:
        """Whether reads wait for a disk or a network, so that it pays to read ahead of what is used. May change."""
        ...

    async def read(self, offset: int, length: int) -> Buffer:
        """Exactly `length` bytes from `offset`; fewer only where the blob ends."""
        ...

    async def distrust(self) -> bool:
        """What was read is not what was written: read another copy from now on. False if the store has none."""
        ...

    async def close(self) -> None: ...


class BlobStore(Protocol):
    async def create(self, blob_id: bytes) -> BlobWriter:
        """Begin a blob; ids are never used again."""
        ...

    async def open(self, blob_id: bytes, *, start: int = 0, end: int = 0) -> BlobReader:
        """Raises BlobMissing.

        The stored bytes [start, end) are likely to be read besides the header: a hint, for stores where each request
        costs. Others may be read as well.
        """
        ...

    async def delete(self, blob_id: bytes) -> None:
        """Idempotent."""
        ...

    def scan(self, *, before_ms: int) -> AsyncIterator[bytes]:
        """Ids, in their order, of blobs begun (time in the id) and committed before `before_ms` (Unix milliseconds)."""
        ...

    async def discard_unfinished(self, *, before_ms: int) -> int:
        """Discard what dead writers left, if nothing was heard of it since `before_ms`; how many.

        A store whose leavings others purge has none.
        """
        ...

    async def ping(self) -> None:
        """Raises StorageUnavailable when the store cannot be written."""
        ...

    async def close(self) -> None:
        """Wait for what is under way. Writers and readers must have been closed."""
        ...

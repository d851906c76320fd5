"""Blobs as files.

Order of durable steps, and what a crash after each leaves behind:

1. write to `tmp/<instance>/<id>`          a temporary file: the supervisor purges it
2. fdatasync of the file                   the same
3. rename to its place (`layout.py`)       perhaps a blob without a row: the sweeper deletes it after a grace
4. fsync of the directory                  a blob without a row, as long as the caller has not written one

Nothing that may wait for the disk is done by the event loop. Linux writes, syncs and renames by threads of its own
where it may be asked to (`io_uring.py`); elsewhere a pool of ours does. Reads have another, so that a GET does not
queue behind other requests' fsyncs; what the kernel has in memory is read without (`cached_reads.py`).
Files have mode 0600, directories 0700.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import aiofiles.os

from database.threads import started_threads
from gateway.storage.blobs.cached_reads import open_cached
from gateway.storage.blobs.directory_sync import DirectorySync, sync_by_ring, sync_directory, sync_in_thread
from gateway.storage.blobs.file_reader import FileBlobReader, open_head
from gateway.storage.blobs.file_writer import FileBlobWriter
from gateway.storage.blobs.interface import BlobWriter
from gateway.storage.blobs.io_uring import Ring
from gateway.storage.blobs.layout import Layout, make_directory
from gateway.storage.blobs.places import Places
from gateway.storage.blobs.ring_writer import RingBlobWriter
from gateway.storage.blobs.scan import scan_blobs
from gateway.storage.errors import BlobMissing, StorageUnavailable

log = logging.getLogger(__name__)

WRITE_THREADS = 32
"""They wait for the disk, mostly: 32 writers of 64 KiB got 2 100/s through 32 threads, 1 400/s through 16."""

READ_THREADS = 8


class FileBlobStore:
    """A BlobStore in the directory `root`, for one process, which calls itself `instance`, and one event loop.

    Several processes may share `root`, each under its own name. `fsync=False` is for tests and benchmarks;
    `io_uring=False` leaves all writing to threads. Raises StorageUnavailable if the directories cannot be made,
    ValueError for an instance that is not a plain word.
    """

    def __init__(self, root: str | Path, instance: str, *, fsync: bool = True, io_uring: bool = True) -> None:
        self._layout = Layout(root)
        self._temporary = self._layout.temporary_of(instance)
        try:
            self._layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (self._layout.blobs, self._layout.temporary, self._temporary):
                make_directory(directory)
            if fsync:
                sync_directory(self._layout.root.parent)
                sync_directory(self._layout.root)
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error
        self._writing = started_threads(WRITE_THREADS, "blob-write")
        self._reading = started_threads(READ_THREADS, "blob-read")
        self._places = Places(self._layout, fsync=fsync)
        self._directory_sync = DirectorySync(self._sync_directories) if fsync else None
        self._wants_ring = io_uring
        self._ring: Ring | None = None

    async def create(self, blob_id: bytes) -> BlobWriter:
        """See BlobStore. Costs nothing: the file is made with the first bytes, or at commit."""
        temporary = f"{self._temporary}/{blob_id.hex()}"
        places, directory_sync, ring = self._places, self._directory_sync, self._usable_ring()
        if ring is None:
            return FileBlobWriter(
                blob_id, temporary, places=places, executor=self._writing, directory_sync=directory_sync
            )
        return RingBlobWriter(
            blob_id, temporary, places=places, ring=ring, executor=self._writing, directory_sync=directory_sync
        )

    def _usable_ring(self) -> Ring | None:
        """None where threads have to do it."""
        if self._ring is None and self._wants_ring:
            try:
                self._ring = Ring()
            except OSError as error:
                self._wants_ring = False
                log.info("blobs are written by threads, since there is no io_uring: %s", error)
        return self._ring if self._ring is not None and self._ring.failure is None else None

    async def _sync_directories(self, directories: Sequence[Path]) -> Sequence[Exception | None]:
        ring = self._usable_ring()
        if ring is None:
            return await sync_in_thread(self._writing, directories)
        return await sync_by_ring(ring, self._writing, directories)

    async def open(self, blob_id: bytes, *, start: int = 0, end: int = 0) -> FileBlobReader:
        """See BlobStore. A read costs the same whether it was announced or not."""
        path = self._layout.path(blob_id)
        if (cached := open_cached(path)) is not None:
            return FileBlobReader(cached, b"", self._reading)
        opening = self._reading.submit(open_head, path)
        try:
            fd, head = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        except FileNotFoundError:
            await self._require_directory()
            raise BlobMissing(f"blob {blob_id.hex()}") from None
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error
        return FileBlobReader(fd, head, self._reading)

    async def _require_directory(self) -> None:
        """Where all blobs are gone it is their disk that is, and none of them is lost. Raises StorageUnavailable."""
        if not await asyncio.get_running_loop().run_in_executor(self._reading, self._layout.blobs.is_dir):
            raise StorageUnavailable(f"blobs: {self._layout.blobs} is not there; is its disk mounted?")

    async def delete(self, blob_id: bytes) -> None:
        """See BlobStore."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._writing, self._places.remove, blob_id)
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error

    def scan(self, *, before_ms: int) -> AsyncIterator[bytes]:
        """See BlobStore. A file that was written to since `before_ms` is not listed, however old its id."""
        return scan_blobs(self._layout, self._reading, before_ms)

    async def discard_unfinished(self, *, before_ms: int) -> int:
        """See BlobStore. Nothing: the supervisor purges the temporary files of each process that died."""
        return 0

    async def ping(self) -> None:
        """See BlobStore."""
        probe = self._temporary / "ping"
        try:
            async with aiofiles.open(probe, "wb", executor=self._writing) as file:
                await file.write(b"ping")
            await aiofiles.os.unlink(probe, executor=self._writing)
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error

    async def close(self) -> None:
        """Wait for what is under way and end the threads. Writers and readers must have been closed."""
        if self._ring is not None:
            await self._ring.close()
        await asyncio.to_thread(self._writing.shutdown)
        await asyncio.to_thread(self._reading.shutdown)


def _close_unwanted(opening: Future[tuple[int, bytes]]) -> None:
    """Whoever wanted the file was cancelled while a thread opened it."""
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result()[0])

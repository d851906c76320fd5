"""Blobs as objects of an S3 bucket: AWS's own, Ceph's gateway, another Sealgate, or whatever speaks the protocol.

An object's name is the blob's id, and its body is the blob; there are no headers and no metadata, so that the backing
store learns lengths and times, and nothing else. What a crash leaves behind: an upload without an end, or a blob
without a row. Both are swept after a grace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any, Final

from awscrt.auth import AwsCredentialsProvider

from database.threads import started_threads
from gateway.storage.blobs.directory_sync import sync_directory
from gateway.storage.blobs.layout import Layout, make_directory
from gateway.storage.blobs.s3.backend import Backend, Refused, Timing
from gateway.storage.blobs.s3.bodies import Document
from gateway.storage.blobs.s3.location import Location
from gateway.storage.blobs.s3.reader import HEAD_BYTES, HEADER_BYTES, SKIP_BYTES, S3BlobReader, missing
from gateway.storage.blobs.s3.scan import discard_unfinished, scan_blobs
from gateway.storage.blobs.s3.spool import Spool
from gateway.storage.blobs.s3.writer import S3BlobWriter
from gateway.storage.errors import BlobMissing, StorageUnavailable

SPOOL_THREADS: Final = 16
"""They hash, and copy between the page cache and the process."""

PING_SECONDS: Final = 10.0
"""How long it is not asked again whether the store can be written: probes may come every second, and requests cost."""


class S3BlobStore:
    """A BlobStore at `location`, for one process and one event loop; any number of processes may share it.

    `root` is a directory of this machine for parts that are on their way, `instance` as for FileBlobStore.
    `credentials` None: the usual chain. Raises StorageUnavailable if the directory cannot be made.
    """

    def __init__(
        self,
        location: Location,
        root: str | Path,
        instance: str,
        *,
        credentials: AwsCredentialsProvider | None = None,
        connections: int = 64,
        timing: Timing | None = None,
    ) -> None:
        layout = Layout(root)
        self._scratch = layout.temporary_of(instance)
        try:
            layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for directory in (layout.temporary, self._scratch):
                make_directory(directory)
            sync_directory(layout.root)
        except OSError as error:
            raise StorageUnavailable(f"blobs: {error}") from error
        self._location = location
        self._instance = instance
        self.backend = Backend(location, credentials=credentials, connections=connections, timing=timing)
        self._executor = started_threads(SPOOL_THREADS, "blob-spool")
        self._tasks: set[asyncio.Task[None]] = set()
        self._pinged = float("-inf")

    async def create(self, blob_id: bytes) -> S3BlobWriter:
        """See BlobStore. Costs nothing: the first request is sent when a part is full, or at commit."""
        return S3BlobWriter(
            self.backend,
            self._location.key(blob_id),
            spool=lambda: Spool(self._scratch, self._executor),
            background=self._background,
        )

    async def open(self, blob_id: bytes, *, start: int = 0, end: int = 0) -> S3BlobReader:
        """See BlobStore. One request where what is to be read begins near the head, else two."""
        key = self._location.key(blob_id)
        is_near = start <= HEAD_BYTES + SKIP_BYTES
        head_bytes = HEAD_BYTES if is_near else HEADER_BYTES
        last = (max(end, head_bytes) if is_near else head_bytes) - 1
        try:
            head, stream = await self.backend.get(key, 0, last, head_bytes=head_bytes)
        except Refused as error:
            if error.status == 416:  # there is no first byte
                return S3BlobReader(self.backend, key, b"", size=0)
            raise missing(error, key) from error
        return S3BlobReader(self.backend, key, head, size=stream.size, end=end, stream=stream)

    async def delete(self, blob_id: bytes) -> None:
        """See BlobStore."""
        key = self._location.key(blob_id)
        try:
            await self.backend.call("DELETE", key)
        except Refused as error:
            if not isinstance(missing(error, key), BlobMissing):
                raise

    def scan(self, *, before_ms: int) -> AsyncIterator[bytes]:
        """See BlobStore. The time of a commit is the backing store's, to the second."""
        return scan_blobs(self.backend, before_ms)

    async def discard_unfinished(self, *, before_ms: int) -> int:
        """See BlobStore."""
        return await discard_unfinished(self.backend, before_ms)

    async def ping(self) -> None:
        """See BlobStore."""
        if time.monotonic() - self._pinged < PING_SECONDS:
            return
        key = f"{self._location.prefix}ping/{self._instance}"
        await self.backend.call("PUT", key, body=Document(b"ping"), attempts=2)
        self._pinged = time.monotonic()

    async def close(self) -> None:
        """See BlobStore."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.backend.close()
        await asyncio.to_thread(self._executor.shutdown)

    def _background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

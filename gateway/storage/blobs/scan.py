"""Walking over the stored blobs in the order of their ids, one directory at a time."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor

from gateway.storage.blobs.ids import BLOB_ID_BYTES, created_ms
from gateway.storage.blobs.layout import Layout
from gateway.storage.errors import StorageUnavailable

_DIRECTORY = re.compile(r"[0-9a-f]{4}")
_BLOB = re.compile(rf"[0-9a-f]{{{2 * BLOB_ID_BYTES}}}")


async def scan_blobs(layout: Layout, executor: Executor, before_ms: int) -> AsyncIterator[bytes]:
    """See BlobStore.scan. Files with other names than ours are passed over. Holds the ids of one directory."""
    loop = asyncio.get_running_loop()
    first_too_new = before_ms.to_bytes(6).hex()
    blobs = str(layout.blobs)
    try:
        for upper in await loop.run_in_executor(executor, _directories, blobs):
            for leaf in await loop.run_in_executor(executor, _directories, f"{blobs}/{upper}"):
                if upper + leaf > first_too_new[:8]:
                    return
                directory = f"{blobs}/{upper}/{leaf}"
                for blob_id in await loop.run_in_executor(executor, _blobs_before, directory, before_ms):
                    yield blob_id
    except OSError as error:
        raise StorageUnavailable(f"blobs: {error}") from error


def _directories(parent: str) -> Sequence[str]:
    """Names in order; none if the directory vanished meanwhile."""
    try:
        return sorted(name for name in os.listdir(parent) if _DIRECTORY.fullmatch(name))  # noqa: PTH208
    except FileNotFoundError:
        return ()


def _blobs_before(directory: str, before_ms: int) -> Sequence[bytes]:
    """By the time in the id, and by that of the last write: commit comes long after the id in a long upload."""
    found = []
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                if not _BLOB.fullmatch(entry.name):
                    continue
                blob_id = bytes.fromhex(entry.name)
                if created_ms(blob_id) < before_ms and _written_ms(entry) < before_ms:
                    found.append(blob_id)
    except FileNotFoundError:
        return ()
    return sorted(found)


def _written_ms(entry: os.DirEntry[str]) -> float:
    try:
        return entry.stat().st_mtime_ns / 1e6
    except FileNotFoundError:
        return float("inf")  # deleted since: not for us

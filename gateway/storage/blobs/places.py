"""The directories that blobs lie in: made when needed, durable before anyone relies on them, removed when empty."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from gateway.storage.blobs.directory_sync import sync_directory
from gateway.storage.blobs.ids import created_ms
from gateway.storage.blobs.layout import Layout, make_directory

_REMEMBERED_MS = 10 * 60_000
"""For blobs younger than this, a directory that was made durable once is not looked at again."""

_REMOVED_AFTER_MS = 60 * 60_000
"""Only directories of blobs older than this are removed: long after they stopped to be relied on unseen."""


class Places:
    """Used from several threads, which it blocks."""

    def __init__(self, layout: Layout, *, fsync: bool) -> None:
        self._layout = layout
        self._fsync = fsync
        self._durable: set[Path] = set()

    def directory(self, blob_id: bytes) -> Path:
        return self._layout.directory(blob_id)

    def path(self, blob_id: bytes) -> str:
        return self._layout.path(blob_id)

    def is_ready(self, blob_id: bytes) -> bool:
        """Whether the blob's directory is there and durable, but for a process that removes it now. Does not block."""
        return self._layout.directory(blob_id) in self._durable and _age_ms(blob_id) < _REMEMBERED_MS

    def make(self, blob_id: bytes) -> None:
        """Make the blob's directory, and make it durable. Raises OSError."""
        self._make(self._layout.directory(blob_id))

    def move_in(self, temporary: str, blob_id: bytes) -> None:
        """Rename `temporary` to the blob's place, whose directory is still to be synced. Raises OSError."""
        directory = self._layout.directory(blob_id)
        if not self.is_ready(blob_id):
            self._make(directory)
        try:
            os.rename(temporary, self._layout.path(blob_id))  # noqa: PTH104  # hot, and both are str
        except FileNotFoundError:
            self._make(directory)  # another process removed it as empty just now, once
            os.rename(temporary, self._layout.path(blob_id))  # noqa: PTH104

    def remove(self, blob_id: bytes) -> None:
        """Remove a blob, and its directories with the last one in them. No error if it is not there. Raises OSError."""
        with suppress(FileNotFoundError):
            os.unlink(self._layout.path(blob_id))  # noqa: PTH108
        if _age_ms(blob_id) >= _REMOVED_AFTER_MS:
            directory = self._layout.directory(blob_id)
            with suppress(OSError):  # not empty, as a rule
                directory.rmdir()
                directory.parent.rmdir()

    def _make(self, directory: Path) -> None:
        """That another process has made it does not mean that it is durable: that one may be on its way to sync it."""
        make_directory(directory.parent)
        make_directory(directory)
        if self._fsync:
            sync_directory(self._layout.blobs)
            sync_directory(directory.parent)
        if len(self._durable) > 2 * _REMEMBERED_MS >> 16:  # a directory is 2^16 ms
            self._durable.clear()
        self._durable.add(directory)


def _age_ms(blob_id: bytes) -> float:
    return time.time_ns() / 1e6 - created_ms(blob_id)

"""Connections, their settings, and the pair of them that a process uses."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.sqlite.errors import translated
from gateway.storage.index.sqlite.writer import BUSY_MILLISECONDS, AtOnce, GroupWriter, T, Work

PAGE_SIZE = 8192
"""Bytes. A row of a version is about 700 bytes, an inline body up to 16 KiB; fixed when the database is made."""

_CACHE_KIB = 16 * 1024
_MMAP_BYTES = 0x7FFF0000
"""The most that SQLite maps unless it was built otherwise; of a file as much as there is."""

MINIMUM_SQLITE = (3, 37, 0)
"""STRICT tables."""


def connect(path: Path, *, durable: bool = True) -> sqlite3.Connection:
    """Open the database (made, readable by its owner only, if there is none) in autocommit mode.

    Raises StorageUnavailable.
    """
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        raise StorageUnavailable(f"SQLite {'.'.join(map(str, MINIMUM_SQLITE))} is needed, not {sqlite3.sqlite_version}")
    try:
        _create(path)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    except (OSError, sqlite3.Error) as error:
        raise StorageUnavailable(f"index: cannot open {path}: {error}") from error
    try:
        _configure(connection, durable=durable)
    except BaseException as error:
        connection.close()
        if isinstance(error, sqlite3.Error):
            raise StorageUnavailable(f"index: cannot open {path}: {error}") from error
        raise
    return connection


def _create(path: Path) -> None:
    """Make an empty file with the right mode, which SQLite then gives to the WAL and its index as well.

    A file that exists must not even be opened here: closing a descriptor drops all locks that this process has on the
    file, SQLite's too, and then the next process to close the database takes the WAL away from under ours.
    https://www.sqlite.org/howtocorrupt.html, "POSIX advisory locks canceled by a separate thread doing close()"
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _configure(connection: sqlite3.Connection, *, durable: bool) -> None:
    execute = connection.execute
    execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")  # the writer has its own
    execute(f"PRAGMA page_size = {PAGE_SIZE}")
    if execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StorageUnavailable("index: this file system cannot hold a write-ahead log (network file system?)")
    # NORMAL would fsync only at checkpoints: a commit that was acknowledged could be lost with the power.
    execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    execute("PRAGMA foreign_keys = ON")
    execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    # Pages are read in place instead of being copied from the page cache by a system call each.
    execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
    # A rare wide transaction must not leave its WAL behind for ever; ordinary checkpoints are the writer's.
    execute("PRAGMA wal_autocheckpoint = 16384")
    execute("PRAGMA journal_size_limit = 67108864")
    # Freed pages hold ciphertext and wrapped keys only. FAST overwrites them where that costs no I/O.
    execute("PRAGMA secure_delete = FAST")
    execute("PRAGMA temp_store = MEMORY")


class Database:
    """What the parts of the index share: a connection for reading in the event loop, and the writer."""

    def __init__(self, reader: sqlite3.Connection, writer: GroupWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._closed = False

    def rows(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a short query. They are fetched at once, so that no snapshot stays open behind a cursor."""
        try:
            return self._reader.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row of a query that has at most one."""
        rows = self.rows(sql, parameters)
        return rows[0] if rows else None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Queries in the block see one state of the database. No awaiting inside: there is one reader."""
        self.rows("BEGIN")
        try:
            yield
        finally:
            self.rows("COMMIT")

    async def write(self, work: Work[T], at_once: AtOnce[T] | None = None) -> T:
        """See GroupWriter.run."""
        return await self._writer.run(work, at_once)

    def expecting(self) -> AbstractContextManager[None]:
        """See GroupWriter.expecting."""
        return self._writer.expecting()

    async def close(self) -> None:
        """Idempotent."""
        self._closed = True
        self._reader.close()
        await self._writer.close()

    def _translated(self, error: sqlite3.Error) -> Exception:
        if self._closed:
            return StorageUnavailable("the index is closed")
        return translated(error)

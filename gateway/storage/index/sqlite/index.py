"""The whole index, and how it is opened."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.sqlite.at_once import prepare
from gateway.storage.index.sqlite.batch_jobs import SQLiteBatchJobs
from gateway.storage.index.sqlite.bucket_keys import SQLiteBucketKeys
from gateway.storage.index.sqlite.buckets import SQLiteBuckets
from gateway.storage.index.sqlite.connection import Database, connect
from gateway.storage.index.sqlite.expiry import SQLiteExpiry
from gateway.storage.index.sqlite.garbage import SQLiteGarbage, SQLiteJobs
from gateway.storage.index.sqlite.key_epochs import SQLiteKeyEpochs
from gateway.storage.index.sqlite.kms_keys import SQLiteKMSKeys
from gateway.storage.index.sqlite.objects import SQLiteObjects
from gateway.storage.index.sqlite.schema import migrate
from gateway.storage.index.sqlite.scrubbing import SQLiteBlobs
from gateway.storage.index.sqlite.self_check import self_check
from gateway.storage.index.sqlite.uploads import SQLiteUploads
from gateway.storage.index.sqlite.write_lock import WriteLock
from gateway.storage.index.sqlite.writer import PATIENCE_SECONDS, GroupWriter


class SQLiteIndex(
    SQLiteBuckets,
    SQLiteObjects,
    SQLiteUploads,
    SQLiteExpiry,
    SQLiteGarbage,
    SQLiteBlobs,
    SQLiteKeyEpochs,
    SQLiteBucketKeys,
    SQLiteKMSKeys,
    SQLiteBatchJobs,
    SQLiteJobs,
):
    """The index on SQLite; use `open_sqlite_index`. Belongs to the event loop in which it was opened."""

    async def self_check(self) -> Sequence[str]:
        return list(self_check(self._database))

    async def ping(self) -> None:
        self._database.row("SELECT 1 FROM bucket LIMIT 1")

    async def close(self) -> None:
        await self._database.close()


def _now_us() -> int:
    return time.time_ns() // 1000


async def open_sqlite_index(
    path: str | Path,
    *,
    durable: bool = True,
    clock_us: Callable[[], int] = _now_us,
    patience_seconds: float = PATIENCE_SECONDS,
) -> SQLiteIndex:
    """Open the index at `path`, made or migrated first if need be; its directory must exist.

    Several processes may have it open. `durable=False` is for tests and benchmarks: no fsync. `clock_us` stamps
    condemned blobs; a write that waited `patience_seconds` for its turn is refused. Raises StorageUnavailable.
    """
    path = Path(path)
    writing = await asyncio.to_thread(_open_for_writing, path, durable)
    connection, lock = writing
    try:
        reader = connect(path, durable=durable)
        reader.execute("PRAGMA query_only = ON")
    except BaseException:
        connection.close()
        lock.close()
        raise
    writer = GroupWriter(connection, lock, patience_seconds=patience_seconds)
    return SQLiteIndex(Database(reader, writer), clock_us)


def _open_for_writing(path: Path, durable: bool) -> tuple[sqlite3.Connection, WriteLock]:
    lock = WriteLock(path)
    try:
        with lock.held():  # of the workers that start together, one migrates
            connection = connect(path, durable=durable)
            try:
                migrate(connection)
                prepare(connection)
            except BaseException as error:
                connection.close()
                if isinstance(error, sqlite3.Error):
                    raise StorageUnavailable(f"index: cannot open {path}: {error}") from error
                raise
    except BaseException:
        lock.close()
        raise
    return connection, lock

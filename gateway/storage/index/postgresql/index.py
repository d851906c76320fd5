"""The whole index, and how it is opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from database.connection import PATIENCE_SECONDS
from database.opening import CONNECT_SECONDS, Password, open_database
from gateway.storage.index.postgresql.batch_jobs import PostgreSQLBatchJobs
from gateway.storage.index.postgresql.bucket_keys import PostgreSQLBucketKeys
from gateway.storage.index.postgresql.buckets import PostgreSQLBuckets
from gateway.storage.index.postgresql.expiry import PostgreSQLExpiry
from gateway.storage.index.postgresql.garbage import PostgreSQLGarbage, PostgreSQLJobs
from gateway.storage.index.postgresql.key_epochs import PostgreSQLKeyEpochs
from gateway.storage.index.postgresql.kms_keys import PostgreSQLKMSKeys
from gateway.storage.index.postgresql.objects import PostgreSQLObjects
from gateway.storage.index.postgresql.schema import ERRORS, MIGRATIONS
from gateway.storage.index.postgresql.scrubbing import PostgreSQLBlobs
from gateway.storage.index.postgresql.self_check import self_check
from gateway.storage.index.postgresql.uploads import PostgreSQLUploads

CONNECTIONS: Final = 8


class PostgreSQLIndex(
    PostgreSQLBuckets,
    PostgreSQLObjects,
    PostgreSQLUploads,
    PostgreSQLExpiry,
    PostgreSQLGarbage,
    PostgreSQLBlobs,
    PostgreSQLKeyEpochs,
    PostgreSQLBucketKeys,
    PostgreSQLKMSKeys,
    PostgreSQLBatchJobs,
    PostgreSQLJobs,
):
    """The index on PostgreSQL; use `open_postgresql_index`. Belongs to the event loop in which it was opened."""

    async def self_check(self) -> Sequence[str]:
        return await self_check(self._database)

    async def ping(self) -> None:
        await self._database.row("SELECT 1 FROM bucket LIMIT 1")

    async def close(self) -> None:
        await self._database.close()


def _now_us() -> int:
    return time.time_ns() // 1000


async def open_postgresql_index(
    url: str,
    *,
    password: Password = None,
    schema: str = "sealgate",
    connections: int = CONNECTIONS,
    connect_seconds: float = CONNECT_SECONDS,
    patience_seconds: float = PATIENCE_SECONDS,
    durable: bool = True,
    clock_us: Callable[[], int] = _now_us,
) -> PostgreSQLIndex:
    """Open the index in a schema of the database at `url`, made or migrated first if need be.

    At most `connections` are open at once; each connects within `connect_seconds`, and a method that took
    `patience_seconds` is refused. `durable=False` is for tests and benchmarks: a commit does not wait for the disk.
    `clock_us` stamps condemned blobs. Raises StorageUnavailable.
    """
    database = await open_database(
        url,
        ERRORS,
        MIGRATIONS,
        password=password,
        schema=schema,
        connections=connections,
        connect_seconds=connect_seconds,
        patience_seconds=patience_seconds,
        durable=durable,
    )
    return PostgreSQLIndex(database, clock_us)

"""The whole index, and how it is opened."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import asyncpg

from gateway.storage.errors import StorageError, StorageUnavailable
from gateway.storage.index.postgresql.batch_jobs import PostgreSQLBatchJobs
from gateway.storage.index.postgresql.bucket_keys import PostgreSQLBucketKeys
from gateway.storage.index.postgresql.buckets import PostgreSQLBuckets
from gateway.storage.index.postgresql.connection import PATIENCE_SECONDS, STATEMENTS_KEPT, Connection, Database
from gateway.storage.index.postgresql.errors import translated
from gateway.storage.index.postgresql.garbage import PostgreSQLGarbage, PostgreSQLJobs
from gateway.storage.index.postgresql.key_epochs import PostgreSQLKeyEpochs
from gateway.storage.index.postgresql.kms_keys import PostgreSQLKMSKeys
from gateway.storage.index.postgresql.objects import PostgreSQLObjects
from gateway.storage.index.postgresql.schema import migrate
from gateway.storage.index.postgresql.uploads import PostgreSQLUploads

CONNECT_SECONDS: Final = 5.0
CONNECTIONS: Final = 8


class PostgreSQLIndex(
    PostgreSQLBuckets,
    PostgreSQLObjects,
    PostgreSQLUploads,
    PostgreSQLGarbage,
    PostgreSQLKeyEpochs,
    PostgreSQLBucketKeys,
    PostgreSQLKMSKeys,
    PostgreSQLBatchJobs,
    PostgreSQLJobs,
):
    """The index on PostgreSQL; use `open_postgresql_index`. Belongs to the event loop in which it was opened."""

    async def ping(self) -> None:
        await self._database.row("SELECT 1 FROM bucket LIMIT 1")

    async def close(self) -> None:
        await self._database.close()


def _now_us() -> int:
    return time.time_ns() // 1000


async def open_postgresql_index(
    url: str,
    *,
    password: str | None = None,
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
    try:
        pool = await asyncpg.create_pool(
            url,
            password=password,
            min_size=0,
            max_size=connections,
            timeout=connect_seconds,
            statement_cache_size=STATEMENTS_KEPT,
            max_cached_statement_lifetime=0,
            connection_class=Connection,
            server_settings=_server_settings(schema, patience_seconds),
            init=_keep_durable if durable else _not_durable,
        )
    except Exception as error:
        raise refused(error) from error
    try:
        async with pool.acquire() as connection:
            await migrate(connection, schema)
    except BaseException as error:
        pool.terminate()
        if isinstance(error, Exception):
            raise refused(error) from error
        raise
    return PostgreSQLIndex(Database(pool, patience_seconds), clock_us)


def _server_settings(schema: str, patience_seconds: float) -> dict[str, str]:
    milliseconds = str(int(patience_seconds * 1000))
    return {
        "application_name": "sealgate",
        "search_path": schema,
        "statement_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,
        "tcp_user_timeout": milliseconds,
        # Compiling takes longer than our statements do, and the planner overrates recursive ones.
        "jit": "off",
    }


async def _keep_durable(connection: Any) -> None:
    """A commit that was acknowledged is on the disk; stricter settings of the server (standbys) stay."""
    if await connection.fetchval("SELECT current_setting('synchronous_commit')") == "off":
        await connection.execute("SET synchronous_commit = on")


async def _not_durable(connection: Any) -> None:
    await connection.execute("SET synchronous_commit = off")


def refused(error: Exception) -> Exception:
    """What opening raises: whatever the database says against it, it is not available."""
    known = translated(error)
    if isinstance(known, StorageError) or not isinstance(error, (asyncpg.PostgresError, ValueError)):
        return known
    return StorageUnavailable(f"index: {type(error).__name__}: {error}")

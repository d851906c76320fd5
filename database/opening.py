"""Opening a store's database: its pool, the settings of its connections, its schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import asyncpg

from database.connection import PATIENCE_SECONDS, STATEMENTS_KEPT, Connection, Database
from database.errors import StoreErrors
from database.migrations import NewerSchema
from database.schema import Migrations, UnfitDatabase, migrate

CONNECT_SECONDS: Final = 5.0

Password = str | None | Callable[[], str | None]
"""None: the server asks for none. One that is called for is asked for at each connection: it may have been changed."""


async def open_database(
    url: str,
    errors: StoreErrors,
    migrations: Migrations,
    *,
    password: Password,
    schema: str,
    connections: int,
    connect_seconds: float = CONNECT_SECONDS,
    patience_seconds: float = PATIENCE_SECONDS,
    durable: bool = True,
) -> Database:
    """Open a store in a schema of the database at `url`, made or migrated first if need be.

    At most `connections` are open at once; each connects within `connect_seconds`, and a method that took
    `patience_seconds` is refused. `durable=False` is for tests and benchmarks: a commit does not wait for the disk.
    What is returned belongs to the event loop that runs. Raises `errors.unavailable`.
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
        raise errors.refused(error) from error
    try:
        async with pool.acquire() as connection:
            await migrate(connection, schema, migrations)
    except BaseException as error:
        pool.terminate()
        if isinstance(error, (NewerSchema, UnfitDatabase)):
            raise errors.unavailable(f"{errors.what}: {error}") from error
        if isinstance(error, Exception):
            raise errors.refused(error) from error
        raise
    return Database(pool, errors, patience_seconds)


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

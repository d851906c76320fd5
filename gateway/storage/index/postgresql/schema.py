"""The schema of the index on PostgreSQL, and its migration."""

from __future__ import annotations

import re
import time
from typing import Any, Final

from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.migrations import Migration, migrations_of, pending

_PACKAGE: Final = "gateway.storage.index.postgresql.migrations"

SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""What needs no quotes, and is no longer than PostgreSQL's identifiers."""

_MIGRATION_LOCK: Final = 0x53474958
"""`SGIX`: of the gateways that start together, one migrates."""


def migrations() -> tuple[Migration, ...]:
    return migrations_of(_PACKAGE)


async def migrate(connection: Any, schema: str) -> None:
    """Bring the schema, made if there is none, to the newest migration: all of it in one transaction.

    Raises StorageUnavailable, with nothing changed, for a schema that a newer version of this program has changed.
    """
    assert SCHEMA_NAME.fullmatch(schema)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
        if encoding != "UTF8":
            raise StorageUnavailable(f"index: the database has the encoding {encoding}, not UTF8")
        # Asked first: who may not create schemas or tables can use what the administrator made.
        if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{schema}.schema_migration"):
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            await connection.execute(
                f"CREATE TABLE {schema}.schema_migration "
                "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us BIGINT NOT NULL)"
            )
        applied = await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_migration")
        for migration in pending(migrations(), applied):
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO schema_migration (number, name, applied_us) VALUES ($1, $2, $3)",
                migration.number,
                migration.name,
                time.time_ns() // 1000,
            )

"""The schema of a store on PostgreSQL, and its migration. Several stores may share a schema of the database."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Final

from database.migrations import Migration, migrations_of, pending

SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""What needs no quotes, and is no longer than PostgreSQL's identifiers."""

_MIGRATION_LOCK: Final = 0x53474958
"""`SGIX`: of the processes that start together, one migrates."""


class UnfitDatabase(Exception):
    """The database cannot hold our stores; the message says why."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """Those of one store: the package that holds their files, and the table of those that were applied."""

    package: str
    table: str

    def all(self) -> tuple[Migration, ...]:
        return migrations_of(self.package)

    async def applied(self, connection: Any, schema: str) -> int:
        """The number of the last one, 0 for none."""
        name = f"{schema}.{self.table}"
        if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", name):
            return 0
        return int(await connection.fetchval(f"SELECT coalesce(max(number), 0) FROM {name}"))  # noqa: S608


async def migrate(connection: Any, schema: str, migrations: Migrations) -> None:
    """Bring the schema, made if there is none, to the newest migration: all of it in one transaction.

    Raises, with nothing changed, UnfitDatabase, and NewerSchema for what a newer version of this program has changed.
    """
    assert SCHEMA_NAME.fullmatch(schema)
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        encoding = await connection.fetchval("SELECT current_setting('server_encoding')")
        if encoding != "UTF8":
            raise UnfitDatabase(f"the database has the encoding {encoding}, not UTF8")
        # Asked first: who may not create schemas or tables can use what the administrator made.
        table = f"{schema}.{migrations.table}"
        if not await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", table):
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            await connection.execute(
                f"CREATE TABLE {table} (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us BIGINT NOT NULL)"
            )
        for migration in pending(migrations.all(), await migrations.applied(connection, schema)):
            await connection.execute(migration.sql)
            await connection.execute(
                f"INSERT INTO {table} (number, name, applied_us) VALUES ($1, $2, $3)",  # noqa: S608
                migration.number,
                migration.name,
                time.time_ns() // 1000,
            )

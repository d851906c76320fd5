"""The schema of a store on PostgreSQL, and its migration. Several stores may share a schema of the database."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from database.migrations import Migration, migrations_of, pending

SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
"""What needs no quotes, and is no longer than PostgreSQL's identifiers."""

_MIGRATION_LOCK: Final = 0x53474958
"""`SGIX`: of the processes that start together, one migrates."""


_MAKES: Final = re.compile(r"^CREATE TABLE (\w+)", re.MULTILINE)
_DROPS: Final = re.compile(r"^DROP TABLE (\w+)", re.MULTILINE)


class UnfitDatabase(Exception):
    """The database cannot hold our stores, or no longer has all of what they made; the message says why."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """Those of one store: the package that holds their files, and the table of those that were applied."""

    package: str
    table: str

    def all(self) -> tuple[Migration, ...]:
        return migrations_of(self.package)

    def tables(self) -> frozenset[str]:
        """The names of all tables that are there after the last one."""
        found: set[str] = set()
        for migration in self.all():
            found |= set(_MAKES.findall(migration.sql))
            found -= set(_DROPS.findall(migration.sql))
        return frozenset(found)

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
        present = await _tables(connection, schema)
        if migrations.table not in present and (left := migrations.tables() & present):
            raise _lacking(schema, {migrations.table}, f", but has {', '.join(sorted(left))}")
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
        if lost := migrations.tables() - await _tables(connection, schema):
            raise _lacking(schema, lost)


async def _tables(connection: Any, schema: str) -> frozenset[str]:
    rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
    return frozenset(str(row["tablename"]) for row in rows)


def _lacking(schema: str, tables: Iterable[str], but: str = "") -> UnfitDatabase:
    named = ", ".join(sorted(tables))
    return UnfitDatabase(
        f"the schema {schema} lacks {named}{but}: restore the schema from a dump (docs/backup.md), an index also from "
        "the blobs (docs/rebuild.md)"
    )

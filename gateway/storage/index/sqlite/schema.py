"""Migrations: numbered files, applied in order, recorded in the database, never edited after release."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gateway.storage.errors import StorageUnavailable

APPLICATION_ID = 0x53474958
"""`SGIX`, in the header of the database file: tells our index from any other SQLite database."""

_PACKAGE = "gateway.storage.index.sqlite.migrations"


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str


@cache
def migrations() -> tuple[Migration, ...]:
    """All migrations that this program knows, in order, numbered from 1 without gaps."""
    files = sorted((f for f in resources.files(_PACKAGE).iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    found = tuple(Migration(int(f.name[:4]), f.name.removesuffix(".sql"), f.read_text()) for f in files)
    assert [m.number for m in found] == list(range(1, len(found) + 1))
    return found


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema, each step in a transaction of its own.

    The caller holds the write lock. Raises StorageUnavailable, with nothing changed, for a database of another
    program, or one that a newer version of this program has changed.
    """
    applied = _applied(connection)
    newest = len(migrations())
    if applied > newest:
        raise StorageUnavailable(
            f"index: the database has schema {applied}, this program knows up to {newest}; use the newer program"
        )
    for migration in migrations()[applied:]:
        _apply(connection, migration)


def _applied(connection: sqlite3.Connection) -> int:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables and not application_id:
        return 0
    if application_id != APPLICATION_ID:
        raise StorageUnavailable("index: the file is a database of another program")
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM schema_migration").fetchone()
    return int(number)


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration "
            "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us INTEGER NOT NULL) STRICT"
        )
        for statement in _statements(migration.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO schema_migration (number, name, applied_us) VALUES (?, ?, ?)",
            (migration.number, migration.name, time.time_ns() // 1000),
        )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> list[str]:
    """The statements of a script (`executescript` would end our transaction)."""
    statements, pending = [], ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements

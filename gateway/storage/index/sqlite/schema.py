"""The schema of the index on SQLite, and its migration."""

from __future__ import annotations

import sqlite3
import time

from database.migrations import Migration, NewerSchema, migrations_of, pending
from gateway.storage.errors import StorageUnavailable

APPLICATION_ID = 0x53474958
"""`SGIX`, in the header of the database file: tells our index from any other SQLite database."""

_PACKAGE = "gateway.storage.index.sqlite.migrations"


def migrations() -> tuple[Migration, ...]:
    return migrations_of(_PACKAGE)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema, each step in a transaction of its own.

    The caller holds the write lock. Raises StorageUnavailable, with nothing changed, for a database of another
    program, or one that a newer version of this program has changed.
    """
    try:
        missing = pending(migrations(), _applied(connection))
    except NewerSchema as error:
        raise StorageUnavailable(f"index: {error}") from error
    for migration in missing:
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

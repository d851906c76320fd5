"""Numbered migrations: every `NNNN_name.sql` beside this module, applied in order, each once, in one transaction.

The number of the last one applied is SQLite's `user_version`. Files are never edited after a release.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from importlib import resources

from kms.store.interface import StoreTooNew


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order."""
    folder = resources.files("kms.store") / "migrations"
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
    return [(int(f.name[:4]), f.read_text("utf-8")) for f in files]


def migrate(connection: sqlite3.Connection, *, schema: int | None = None) -> None:
    """Bring the database to this release's schema, or up to `schema`; safe when several processes start at once.

    `connection` is in autocommit mode. Raises StoreTooNew for a database of a later release.
    """
    known = migrations()
    connection.execute("BEGIN IMMEDIATE")
    try:
        (present,) = connection.execute("PRAGMA user_version").fetchone()
        if present > known[-1][0]:
            raise StoreTooNew(
                f"the key store has schema {present}, this release knows up to {known[-1][0]}; use the newer program"
            )
        for number, sql in known[:schema]:
            if number > present:
                for statement in _statements(sql):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(sql: str) -> Iterator[str]:
    # Connection.executescript would commit before it begins.
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    assert not pending.strip(), "a migration ends with a semicolon"

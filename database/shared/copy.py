"""A node's copy of shared rows: a database of SQLite, as a node of its own has, which says up to where it goes.

Any process of the node brings it forward, whichever comes first; each under SQLite's lock, so that none brings it back.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from database.shared.changes import Position
from database.shared.rows import SharedRow, Tables, UnknownRow, add_rows, put_rows, tables_of
from database.shared.sharing import Sharing, transaction

POSITION_TABLE: Final = "copy_position"
_SET_POSITION = f"INSERT OR REPLACE INTO {POSITION_TABLE} VALUES (1, ?, ?, ?)"  # noqa: S608  # a constant

OPEN = "PRAGMA synchronous = NORMAL"
"""A commit does not wait for the disk: what a power loss takes, PostgreSQL still has. What is left is a whole state."""


class Copy:
    """The connection that brings the copy forward; belongs to the thread that opened it."""

    def __init__(self, path: Path, sharing: Sharing) -> None:
        """Open the copy, made if there is none. Raises unavailable."""
        self._sharing = sharing
        with suppress(OSError):  # which the next line tells
            path.parent.mkdir(mode=0o700, exist_ok=True)
        self._connection = sharing.open_copy(path)
        with sharing.translated():
            self._connection.execute(OPEN)
            # Rows come as they are, in any order, and those that others took with them by name.
            self._connection.execute("PRAGMA foreign_keys = OFF")
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {POSITION_TABLE} (one INTEGER PRIMARY KEY, history BLOB NOT NULL,"
                " change_no INTEGER NOT NULL, change_id BLOB NOT NULL) STRICT"
            )
            self._tables = shared_tables(self._connection)

    def position(self) -> Position | None:
        """None before it was filled."""
        with self._sharing.translated():
            return _position(self._connection)

    def advance(self, since: Position, until: Position, rows: Sequence[SharedRow]) -> bool:
        """Apply what changed between two positions. False, and nothing is done, if another process was faster."""
        with self._changing(), transaction(self._connection):
            if _position(self._connection) != since:
                return False
            put_rows(self._connection, self._tables, rows)
            set_position(self._connection, until)
        return True

    async def replace(self, since: Position | None, until: Position, pages: AsyncIterator[list[SharedRow]]) -> bool:
        """Have these rows alone; otherwise like `advance`. Readers have what was before until all of them are here."""
        with self._changing(), transaction(self._connection):
            if _position(self._connection) != since:
                return False
            for table in self._tables:
                self._connection.execute(f"DELETE FROM {table}")  # noqa: S608  # our own schema
            async for rows in pages:
                add_rows(self._connection, self._tables, rows)
            set_position(self._connection, until)
        return True

    def detach(self) -> None:
        """Make it a database of its own, in one file once it is closed."""
        with self._sharing.translated():
            make_own(self._connection)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._sharing.translated():
            try:
                yield
            except UnknownRow as error:
                raise self._sharing.unavailable(str(error)) from error


def shared_tables(connection: sqlite3.Connection) -> Tables:
    """All tables of a copy but the one that says up to where it goes."""
    return tables_of(connection, but=POSITION_TABLE)


def is_copy(connection: sqlite3.Connection) -> bool:
    """Whether a database is a copy, not a store of its own."""
    return bool(connection.execute("SELECT 1 FROM main.sqlite_schema WHERE name = ?", (POSITION_TABLE,)).fetchone())


def make_own(connection: sqlite3.Connection) -> None:
    """Make a copy of a copy a store of its own."""
    connection.execute(f"DROP TABLE IF EXISTS {POSITION_TABLE}")


def set_position(connection: sqlite3.Connection, position: Position) -> None:
    """In the transaction that brings the copy there."""
    connection.execute(_SET_POSITION, (position.history, position.change_no, position.change_id))


def _position(connection: sqlite3.Connection) -> Position | None:
    found = connection.execute(f"SELECT history, change_no, change_id FROM {POSITION_TABLE}").fetchone()  # noqa: S608
    return None if found is None else Position(*found)

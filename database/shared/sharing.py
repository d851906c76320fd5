"""What is a store's own about the rows that it shares."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from database.errors import StoreErrors
from database.schema import Migrations


class OpenCopy(Protocol):
    def __call__(self, path: Path, *, schema: int | None = None) -> sqlite3.Connection:
        """Open or make a database of the store's, up to migration `schema` (the newest), in autocommit mode."""
        ...


@dataclass(frozen=True, slots=True)
class Sharing:
    """`name` begins the names of PostgreSQL's tables (`NAME_state`, `NAME_row`, `NAME_change`), which `migrations`
    make, and is the end of the channel's that is notified. `newest_schema` is the number of SQLite's last migration.

    `quiet` are the tables whose changes nobody remembers anything about: they wake no listener of the copy.
    """

    name: str
    errors: StoreErrors
    migrations: Migrations
    open_copy: OpenCopy
    newest_schema: int
    quiet: frozenset[str] = frozenset()

    @property
    def channel(self) -> str:
        """What is notified of a change; the payload is the schema."""
        return f"sealgate_{self.name}"

    def unavailable(self, reason: str) -> Exception:
        return self.errors.unavailable(f"{self.errors.what}: {reason}")

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turns SQLite's own failures (busy, full, damaged, closed) into what the store raises."""
        try:
            yield
        except sqlite3.Error as error:
            raise self.unavailable(f"this node's copy cannot be used: {error}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: begun at once, so that what is read inside stays true until the commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise

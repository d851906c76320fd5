"""What the migrations of a store make of a database of SQLite, held against what a file has.

Rows are sealed as they are written (row_seals.py), whatever made them. Whoever can write the file can put a trigger
there, another default for a column that an INSERT leaves out, or a foreign key that changes rows when others go: what
these said would be sealed, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any, Final, Self

_TRIGGERS: Final = "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger'"
_COLUMNS: Final = "SELECT * FROM pragma_table_xinfo(?, 'main')"
_FOREIGN_KEYS: Final = "SELECT * FROM pragma_foreign_key_list(?, 'main') ORDER BY id, seq"

_Rows = list[tuple[Any, ...]]


class OwnSchema:
    """Taken from a database that has the newest migration; of `tables` their columns and foreign keys."""

    @classmethod
    def made_by(cls, migrate: Callable[[sqlite3.Connection], object], tables: Iterable[str]) -> Self:
        """`migrate` is given an empty database in memory, in autocommit mode."""
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
            migrate(connection)
            return cls(connection, tables)

    def __init__(self, migrated: sqlite3.Connection, tables: Iterable[str]) -> None:
        self._triggers = _triggers(migrated)
        self._tables = {table: _definition(migrated, table) for table in tables}

    def difference(self, connection: sqlite3.Connection) -> str | None:
        """What is other than migrations made it, in words."""
        triggers = _triggers(connection)
        for name in sorted(triggers.keys() | self._triggers.keys()):
            if triggers.get(name) != self._triggers.get(name):
                return f"the trigger {name!r}"
        for table, definition in self._tables.items():
            if _definition(connection, table) != definition:
                return f"the columns or foreign keys of {table}"
        return None


class SchemaCheck:
    """Of one connection: looks again whenever its schema is another one, by the number that SQLite itself goes by."""

    def __init__(self, own: OwnSchema) -> None:
        self._own = own
        self._found_right: int | None = None

    def difference(self, connection: sqlite3.Connection) -> str | None:
        """As that of `OwnSchema`; inside a write transaction, whose end it holds until."""
        (number,) = connection.execute("PRAGMA main.schema_version").fetchone()
        if number == self._found_right:
            return None
        found = self._own.difference(connection)
        if found is None:
            self._found_right = number
        return found


def _triggers(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute(_TRIGGERS).fetchall())


def _definition(connection: sqlite3.Connection, table: str) -> tuple[_Rows, _Rows]:
    return connection.execute(_COLUMNS, (table,)).fetchall(), connection.execute(_FOREIGN_KEYS, (table,)).fetchall()

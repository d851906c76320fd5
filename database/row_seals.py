"""Seals of rows: who can write a database of SQLite cannot make it say what none of its writers said.

    seal = 01 ‖ HMAC-SHA256(seal key, label ‖ MessagePack [table, column, column, …])

with texts as the bytes of their UTF-8.

Every connection has triggers and views of its own, in SQLite's temporary schema, which nobody can change by changing
the file. The triggers of the one that writes seal what it inserts and updates, and refuse to update a row whose seal is
wrong: it would be made good by that. Everybody reads by the views `intact_…`, which refuse such a row. What writes
names tables, what reads names views. Format: docs/formats/key-store-row.md.
"""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Never, Protocol

import msgspec

MAX_DAMAGED: Final = 1000
"""Of one table, whose damaged rows are named."""

_VERSION: Final = b"\x01"

_encode = msgspec.msgpack.Encoder().encode

Value = int | bytes | None


class SealKey(Protocol):
    """Key material in a type of its own."""

    def reveal(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table whose rows have seals: its view, its columns in the order of the format, and its primary key."""

    view: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    exempt: str = "0"
    """SQL for whether a row has no seal; `{row}` is how its columns are qualified."""

    def is_exempt(self, row: str) -> str:
        return self.exempt.format(row=row)


@dataclass(frozen=True, slots=True)
class SealedSchema:
    """All tables of a database whose rows have seals; `texts` are their columns that are TEXT, in whichever table."""

    label: bytes
    tables: Mapping[str, SealedTable]
    texts: frozenset[str]

    def columns_of(self, table: str, row: str) -> str:
        """The columns of `row` (NEW, OLD, or what the table is called), texts as their bytes: damaged ones may be
        none."""
        return ", ".join(
            f"CAST({row}.{column} AS BLOB)" if column in self.texts else f"{row}.{column}"
            for column in self.tables[table].columns
        )

    def seal(self, key: SealKey, table: str, values: Sequence[Value]) -> bytes:
        return _VERSION + hmac.digest(key.reveal(), self.label + _encode((table, *values)), "sha256")


class RowSeals:
    """The seal key, once it was opened, and what SQL asks of it; for the connections of one store, in any thread."""

    def __init__(
        self, schema: SealedSchema, *, damaged: Callable[[str], Exception], not_open: Callable[[], Exception]
    ) -> None:
        """`damaged` makes what is raised for a row whose seal is wrong, by its table and key, `not_open` what is before
        `open`."""
        self.schema = schema
        self._damaged = damaged
        self._make_not_open = not_open
        self._key: SealKey | None = None
        self._first_key: SealKey | None = None
        self._is_trusting = False
        self._failure = threading.local()

    @property
    def are_open(self) -> bool:
        return self._key is not None

    def open(self, key: SealKey) -> None:
        """From now on rows are proven, and can be written."""
        self._key = key

    @contextmanager
    def sealing_by(self, key: SealKey) -> Iterator[None]:
        """Seal by this key inside, though nothing can be read yet: what is there has no seals."""
        self._first_key = key
        try:
            yield
        finally:
            self._first_key = None

    def trust(self) -> None:
        """From now on rows are read as they are, without proof, until `open`. They cannot be written."""
        self._is_trusting = True

    def seal(self, table: str, *values: Value) -> bytes:
        """Raises what `not_open` makes."""
        return self.schema.seal(self._key or self._first_key or self._not_open(), table, values)

    def is_intact(self, table: str, seal: Value, *values: Value) -> int:
        """1; raises what `damaged` and `not_open` make."""
        if not (self._key is None and self._is_trusting) and not self.has_right_seal(table, seal, *values):
            raise self._failed(self._damaged(self._name(table, values)))
        return 1

    def has_right_seal(self, table: str, seal: Value, *values: Value) -> int:
        """1 or 0. Raises what `not_open` makes."""
        right = self.schema.seal(self._key or self._not_open(), table, values)
        return isinstance(seal, bytes) and hmac.compare_digest(seal, right)

    def take_failure(self) -> Exception | None:
        """Why a statement of this thread failed, if it was for a seal: SQLite only says that it did."""
        failure: Exception | None = getattr(self._failure, "value", None)
        self._failure.value = None
        return failure

    def _name(self, table: str, values: Sequence[Value]) -> str:
        sealed = self.schema.tables[table]
        row = dict(zip(sealed.columns, values, strict=True))
        return " ".join((table, *(_shown(row[column]) for column in sealed.key)))

    def _not_open(self) -> Never:
        raise self._failed(self._make_not_open())

    def _failed(self, failure: Exception) -> Exception:
        self._failure.value = failure
        return failure


def read_by_seals(connection: sqlite3.Connection, seals: RowSeals) -> None:
    """Give the connection the views `intact_…`."""
    connection.create_function("is_intact", -1, seals.is_intact)
    for table, sealed in seals.schema.tables.items():
        # The row is looked up a second time to be proven. SQLite puts what a query compares a column with in the
        # column's place, everywhere in its WHERE clause, and would ask about a row that is not there. That both are
        # the same is asked as well: in a file that was made to say so, two rows have one key.
        same = " AND ".join(f"proven.{column} IS found.{column}" for column in sealed.columns)
        connection.execute(
            f"CREATE TEMP VIEW {sealed.view} AS SELECT {', '.join(f'found.{column}' for column in sealed.columns)}"  # noqa: S608
            f" FROM main.{table} found CROSS JOIN main.{table} proven"
            f" ON {' AND '.join(f'proven.{column} = found.{column}' for column in sealed.key)}"
            f" WHERE NOT {sealed.is_exempt('found')}"
            f" AND is_intact('{table}', CASE WHEN {same} THEN proven.seal END,"
            f" {seals.schema.columns_of(table, 'proven')})"
        )


def write_with_seals(connection: sqlite3.Connection, seals: RowSeals) -> None:
    """Have the connection seal what it writes, besides `read_by_seals`."""
    connection.create_function("seal_of", -1, seals.seal)
    for table, sealed in seals.schema.tables.items():
        columns = ", ".join(sealed.columns)
        for event in ("INSERT", f"UPDATE OF {columns}"):
            connection.execute(
                f"CREATE TEMP TRIGGER seal_{event[:6]}_{table} AFTER {event} ON main.{table}"  # noqa: S608 - our own
                f" WHEN NOT {sealed.is_exempt('NEW')} BEGIN UPDATE {table} SET {_seal_of(seals.schema, table, 'NEW')}"
                f" WHERE {' AND '.join(f'{column} = NEW.{column}' for column in sealed.key)}; END"
            )
        connection.execute(
            f"CREATE TEMP TRIGGER prove_{table} BEFORE UPDATE OF {columns} ON main.{table}"
            f" WHEN NOT {sealed.is_exempt('OLD')}"
            f" BEGIN SELECT is_intact('{table}', OLD.seal, {seals.schema.columns_of(table, 'OLD')}); END"
        )


def seal_as_they_are(connection: sqlite3.Connection, schema: SealedSchema, *, if_unsealed: bool = False) -> int:
    """Seal every row, or every one that has no seal, whatever it says; how many.

    On a connection that writes with seals, in a transaction of the caller's.
    """
    which = "seal IS NULL" if if_unsealed else "1"
    return sum(
        connection.execute(
            f"UPDATE main.{table} SET {_seal_of(schema, table, table)}"  # noqa: S608 - our own
            f" WHERE {which} AND NOT {sealed.is_exempt(table)}"
        ).rowcount
        for table, sealed in schema.tables.items()
    )


def damaged_rows(connection: sqlite3.Connection, seals: RowSeals) -> list[str]:
    """The table and key of every row whose seal is wrong, up to MAX_DAMAGED of each table; on a connection for this."""
    connection.create_function("has_right_seal", -1, seals.has_right_seal)
    found = []
    for table, sealed in seals.schema.tables.items():
        key = ", ".join(f"CAST({column} AS BLOB)" for column in sealed.key)
        rows = connection.execute(
            f"SELECT {key} FROM main.{table} WHERE NOT {sealed.is_exempt(table)}"  # noqa: S608 - our own
            f" AND NOT has_right_seal('{table}', seal, {seals.schema.columns_of(table, table)}) LIMIT {MAX_DAMAGED}"
        )
        found += [f"{table} {' '.join(value.decode(errors='replace') for value in row)}" for row in rows]
    return found


def _shown(value: Value) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _seal_of(schema: SealedSchema, table: str, row: str) -> str:
    return f"seal = seal_of('{table}', {schema.columns_of(table, row)})"

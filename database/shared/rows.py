"""Rows of a store as they travel between SQLite and PostgreSQL, whatever tables there are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class UnknownRow(Exception):
    """A row that is none of this program's tables, or has columns that they have not."""


@dataclass(frozen=True, slots=True)
class SharedRow:
    """A row of `kind`, a table; `key` is its primary key as a JSON list, `content` its columns as a JSON object: bytes
    in hexadecimal, in both. None: there is no such row any more."""

    kind: str
    key: str
    content: str | None


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    blobs: frozenset[str]

    @property
    def where_key(self) -> str:
        return " AND ".join(f"{column} = ?" for column in self.key)

    def key_of(self, row: SharedRow) -> list[Any]:
        """The values of `where_key`."""
        return [_value(self, column, value) for column, value in zip(self.key, json.loads(row.key), strict=True)]

    def noted_key(self, row: str) -> str:
        """SQL for the key of `row`, NEW or OLD, as `SharedRow` has it."""
        values = (f"lower(hex({row}.{column}))" if column in self.blobs else f"{row}.{column}" for column in self.key)
        return f"json_array({', '.join(values)})"


Tables = Mapping[str, Table]


def tables_of(connection: sqlite3.Connection, *, but: str = "") -> Tables:
    """Those of the main database, without the one called `but`."""
    names = connection.execute(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND name != ? ORDER BY name",
        (but,),
    ).fetchall()
    return {name: _table(connection, name) for (name,) in names}


def _table(connection: sqlite3.Connection, name: str) -> Table:
    columns = connection.execute("SELECT name, type, pk FROM pragma_table_info(?)", (name,)).fetchall()
    keys = sorted((place, column) for column, _, place in columns if place)
    return Table(
        name,
        tuple(column for column, _, _ in columns),
        tuple(column for _, column in keys),
        frozenset(column for column, type_, _ in columns if type_ == "BLOB"),
    )


def note_changes(connection: sqlite3.Connection, tables: Tables) -> None:
    """Have this connection remember which rows it changes, those included that go with others; see `take_changes`."""
    connection.execute("CREATE TEMP TABLE noted (kind TEXT, key TEXT)")
    for table in tables.values():
        for event, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            notes = "".join(
                f"INSERT INTO noted VALUES ('{table.name}', {table.noted_key(row)});"  # noqa: S608  # our own
                for row in rows
            )
            connection.execute(
                f"CREATE TEMP TRIGGER note_{event}_{table.name} AFTER {event} ON main.{table.name} BEGIN {notes} END"
            )


def take_changes(connection: sqlite3.Connection, tables: Tables) -> list[SharedRow]:
    """The rows that were changed since the last time, as they are now. In the transaction that changed them."""
    noted = connection.execute("SELECT DISTINCT kind, key FROM temp.noted ORDER BY kind, key").fetchall()
    connection.execute("DELETE FROM temp.noted")
    return [_as_it_is(connection, tables[kind], SharedRow(kind, key, None)) for kind, key in noted]


def _as_it_is(connection: sqlite3.Connection, table: Table, noted: SharedRow) -> SharedRow:
    found = connection.execute(
        f"SELECT {', '.join(table.columns)} FROM main.{table.name} WHERE {table.where_key}",  # noqa: S608
        table.key_of(noted),
    ).fetchone()
    return noted if found is None else _row(table, found)


def is_there(connection: sqlite3.Connection, tables: Tables, row: SharedRow) -> bool:
    """Whether there is this very row. Raises UnknownRow."""
    return _as_it_is(connection, _table_of(row, tables), SharedRow(row.kind, row.key, None)) == row


def every_row(connection: sqlite3.Connection, tables: Tables) -> Iterator[SharedRow]:
    for table in tables.values():
        for found in connection.execute(f"SELECT {', '.join(table.columns)} FROM main.{table.name}"):  # noqa: S608
            yield _row(table, found)


def put_rows(connection: sqlite3.Connection, tables: Tables, rows: Sequence[SharedRow]) -> None:
    """Have these rows as they are here. In a transaction of the caller's, whose connection enforces no foreign keys.

    Those that are replaced go first, all of them: one may have taken what another gave up. Raises UnknownRow.
    """
    for row in rows:
        table = _table_of(row, tables)
        connection.execute(f"DELETE FROM main.{table.name} WHERE {table.where_key}", table.key_of(row))  # noqa: S608
    add_rows(connection, tables, (row for row in rows if row.content is not None))


def add_rows(connection: sqlite3.Connection, tables: Tables, rows: Iterable[SharedRow]) -> None:
    """Insert rows that are not there yet; otherwise like `put_rows`."""
    for row in rows:
        table = _table_of(row, tables)
        columns: dict[str, Any] = json.loads(row.content or "{}")
        if not columns.keys() <= set(table.columns):
            raise UnknownRow(f"a row of {table.name} has columns that this program does not know")
        names = ", ".join(columns)
        places = ", ".join("?" for _ in columns)
        values = [_value(table, column, value) for column, value in columns.items()]
        connection.execute(f"INSERT INTO main.{table.name} ({names}) VALUES ({places})", values)  # noqa: S608


def _table_of(row: SharedRow, tables: Tables) -> Table:
    table = tables.get(row.kind)
    if table is None:
        raise UnknownRow(f"this program knows no rows of {row.kind[:80]!r}")
    return table


def _row(table: Table, values: Sequence[Any]) -> SharedRow:
    columns = {
        column: value.hex() if isinstance(value, bytes) else value
        for column, value in zip(table.columns, values, strict=True)
    }
    return SharedRow(table.name, _json([columns[column] for column in table.key]), _json(columns))


def _value(table: Table, column: str, value: Any) -> Any:
    return bytes.fromhex(value) if column in table.blobs and value is not None else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

"""Rows of an index on SQLite that are changed behind the gateway's back, and put back."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

Value = int | str | bytes | None
Row = dict[str, Value]

_NONE: Mapping[str, str] = MappingProxyType({})


class Table:
    """The rows of one table of the index, changed and put back by another process's connection."""

    def __init__(self, index: sqlite3.Connection, name: str) -> None:
        self._index = index
        self.name = name
        self.rows: list[Row] = [dict(row) for row in index.execute(f"SELECT * FROM {name}")]
        info = index.execute(f"PRAGMA table_info({name})").fetchall()
        self.columns: list[str] = [column["name"] for column in info]
        self._key = [column["name"] for column in info if column["pk"]]

    @contextmanager
    def changed(self, row: Row, column: str, value: Value, cast: str = "?") -> Iterator[None]:
        with self.replaced(row, {column: value}, {column: cast}):
            yield

    @contextmanager
    def replaced(self, row: Row, changes: Row, casts: Mapping[str, str] = _NONE) -> Iterator[None]:
        changed = {**row, **changes}
        self._replace(row, changed, casts)
        try:
            yield
        finally:
            self._replace(changed, row, {}, casts)

    def _replace(self, old: Row, new: Row, casts: Mapping[str, str], old_casts: Mapping[str, str] = _NONE) -> None:
        where = " AND ".join(f"{name} = {old_casts.get(name, '?')}" for name in self._key)
        values = ", ".join(casts.get(name, "?") for name in self.columns)
        with self._index:
            gone = self._index.execute(f"DELETE FROM {self.name} WHERE {where}", [old[name] for name in self._key])
            assert gone.rowcount == 1
            self._index.execute(f"INSERT INTO {self.name} VALUES ({values})", [new[name] for name in self.columns])


def flips(value: Value, randoms: random.Random) -> Iterator[Value]:
    """`value` with one bit changed, at both ends and somewhere in between; something in place of nothing."""
    match value:
        case None:
            yield from ()
        case int():
            yield from (value ^ 1 << bit for bit in (0, 1, randoms.randrange(2, 62)))
        case str():
            for place in {0, len(value) - 1, randrange(len(value), randoms)} - {-1}:
                yield value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
        case bytes():
            for place in {0, len(value) - 1, randrange(len(value), randoms), randrange(len(value), randoms)} - {-1}:
                changed = bytearray(value)
                changed[place] ^= 1 << randoms.randrange(8)
                yield bytes(changed)


def randrange(length: int, randoms: random.Random) -> int:
    return randoms.randrange(length) if length else -1

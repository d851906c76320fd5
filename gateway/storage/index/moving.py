"""The rows of an index moved between SQLite and PostgreSQL, and each compared afterwards.

Nobody may change either side meanwhile. The source is left as it is, and stays in charge until the operator says
otherwise; what was not moved whole is not there at the target. Seals of rows are bound to what the rows say, not to
the engine that has them. Memory is that of a few batches, however many rows there are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from database.targets import Differs, NotEmpty, remove_database, require_absent, sync
from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.postgresql.schema import ERRORS, MIGRATIONS
from gateway.storage.index.sqlite.connection import connect
from gateway.storage.index.sqlite.errors import translated
from gateway.storage.index.sqlite.schema import migrate

Row = tuple[Any, ...]
Told = Callable[[int, int], None]
_Step = Callable[[int], None]

_BATCH_ROWS: Final = 200
"""A row with many parts may be some 100 kB long."""


@dataclass(frozen=True, slots=True)
class _Table:
    """One of both engines: its columns, those of them that are truth values, and an order that both can read it in."""

    name: str
    columns: tuple[str, ...]
    order: str
    booleans: frozenset[str] = frozenset()

    def to_postgresql(self, row: Row) -> Row:
        return tuple(
            bool(value) if name in self.booleans else value for name, value in zip(self.columns, row, strict=True)
        )

    def to_sqlite(self, row: Row) -> Row:
        return tuple(int(value) if isinstance(value, bool) else value for value in row)


def _table(name: str, columns: str, order: str, *booleans: str) -> _Table:
    return _Table(name, tuple(columns.split()), order, frozenset(booleans))


# Those that others refer to come first. SQLite's `history` is 0 where PostgreSQL's `is_current` is true. Versions
# come in the order of SQLite's primary key.
TABLES: Final = (
    _table("bucket", "bucket_id account_id name region created_us revision sealed", "bucket_id"),
    _table(
        "object_version",
        "bucket_id is_current key vsort row_uid version_id kind size modified_us mode wrapped key_arn key_version "
        "blob_id manifest_id part_count revision blob_count has_parts sealed ahead_us",
        "bucket_id, is_current DESC, key, vsort",
        "is_current",
        "has_parts",
    ),
    _table("object_parts", "row_uid blob_ids sealed_parts", "row_uid"),
    _table("blob", "blob_id stored_bytes is_inline refs condemned_us", "blob_id", "is_inline"),
    _table("inline_blob", "blob_id data", "blob_id"),
    _table(
        "multipart_upload",
        "upload_id bucket_id key row_uid initiated_us mode wrapped key_arn key_version revision sealed key_changed",
        "upload_id",
    ),
    _table(
        "multipart_part", "upload_id part_number blob_id size modified_us revision sealed", "upload_id, part_number"
    ),
    _table("key_epoch", "purpose epoch wrapped created_us", "purpose, epoch"),
    _table("job", "name owner until_us note", "name"),
    _table("client_token", "bucket_id token request used_us", "bucket_id, token"),
    _table("bucket_key", "bucket_id requester key_arn key_version wrapped created_us sealed", "bucket_id, requester"),
    _table("batch_job", "job_id kind state created_us revision sealed", "job_id"),
    _table("bad_blob", "blob_id problem found_us", "blob_id"),
)


async def move_to_postgresql(path: Path, connection: Any, schema: str, told: Told = lambda *_: None) -> int:
    """From the file at `path`, brought to the newest schema before, in one transaction; how many rows.

    `told` is given how many were sent and compared so far, each counted twice, and of how many.
    `connection` finds `schema`, which has the newest migration, first. Raises NotEmpty, Differs, StorageUnavailable.
    """
    with _sqlite_errors(), closing(connect(path)) as file:
        migrate(file)
        file.execute("BEGIN")  # one state of it, until it is closed
        async with _postgresql_errors(), connection.transaction():
            await _require_newest(connection, schema)
            names = ", ".join(table.name for table in TABLES)
            await connection.execute(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")
            await _require_empty(connection)
            total = sum(file.execute(_count(table)).fetchone()[0] for table in TABLES)
            step = _step(told, 2 * total)
            count = 0
            for table in TABLES:
                rows = map(table.to_postgresql, _sqlite_rows(file, table))
                records = _counted(rows, step, count)
                await connection.copy_records_to_table(table.name, records=records, columns=table.columns)
                count += await connection.fetchval(_count(table))
            await _compare(file, connection, step, count)
            return count


async def move_to_sqlite(connection: Any, schema: str, path: Path, told: Told = lambda *_: None) -> int:
    """Into a new file at `path`, which is there when all of it is on the disk; how many rows.

    Otherwise as move_to_postgresql.
    """
    require_absent(path)
    staging = path.with_name(f".{path.name}.moving")
    remove_database(staging)
    try:
        with _sqlite_errors(), closing(connect(staging)) as file:
            migrate(file)
            async with _postgresql_errors(), connection.transaction(isolation="repeatable_read", readonly=True):
                await _require_newest(connection, schema)
                total = sum([await connection.fetchval(_count(table)) for table in TABLES])
                step = _step(told, 2 * total)
                count = await _fill(file, connection, step)
            if file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                raise StorageUnavailable(f"index: another program has {staging} open")
        sync(staging)
        staging.rename(path)
        sync(path.parent)
    except OSError as error:
        raise StorageUnavailable(f"index: {path} cannot be written: {error.strerror}") from error
    finally:
        remove_database(staging)
    return count


async def _fill(file: sqlite3.Connection, connection: Any, step: _Step) -> int:
    file.execute("BEGIN IMMEDIATE")
    count = 0
    for table in TABLES:
        insert = _insert(table)
        async for row in _postgresql_rows(connection, table):
            file.execute(insert, table.to_sqlite(row))
            count += 1
            step(count)
    broken = file.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise Differs(f"a row of {broken[0]} names one of {broken[2]} that is not there")
    await _compare(file, connection, step, count)
    file.execute("COMMIT")
    return count


async def _compare(file: sqlite3.Connection, connection: Any, step: _Step, count: int) -> None:
    for table in TABLES:
        expected = _sqlite_rows(file, table)
        async for row in _postgresql_rows(connection, table):
            if next(expected, None) != table.to_sqlite(row):
                raise Differs(f"a row of {table.name} is another one, or is not there")
            count += 1
            step(count)
        if next(expected, None) is not None:
            raise Differs(f"{table.name} has more rows in the file than in the database")


def _sqlite_rows(file: sqlite3.Connection, table: _Table) -> Iterator[Row]:
    columns = ", ".join(table.columns).replace("is_current", "1 - history")
    order = table.order.replace("is_current DESC", "history")
    return file.execute(f"SELECT {columns} FROM {table.name} ORDER BY {order}")  # noqa: S608  # our own schema


async def _postgresql_rows(connection: Any, table: _Table) -> AsyncIterator[Row]:
    statement = f"SELECT {', '.join(table.columns)} FROM {table.name} ORDER BY {table.order}"  # noqa: S608
    async for record in connection.cursor(statement, prefetch=_BATCH_ROWS):
        yield tuple(record)


def _insert(table: _Table) -> str:
    places = ["1 - ?" if name == "is_current" else "?" for name in table.columns]
    columns = ", ".join(table.columns).replace("is_current", "history")
    return f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join(places)})"  # noqa: S608


def _count(table: _Table) -> str:
    return f"SELECT count(*) FROM {table.name}"  # noqa: S608  # our own schema


def _step(told: Told, total: int) -> _Step:
    return lambda done: told(done, total)


def _counted(rows: Iterator[Row], step: _Step, before: int) -> Iterator[Row]:
    for number, row in enumerate(rows, before + 1):
        yield row
        step(number)


async def _require_newest(connection: Any, schema: str) -> None:
    newest, applied = MIGRATIONS.all()[-1].number, await MIGRATIONS.applied(connection, schema)
    if applied != newest:
        raise StorageUnavailable(f"index: the database has schema {applied}, and this release needs {newest}")


async def _require_empty(connection: Any) -> None:
    for table in TABLES:
        if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table.name})"):  # noqa: S608
            raise NotEmpty(f"the table {table.name} of the database holds rows already")


@asynccontextmanager
async def _postgresql_errors() -> AsyncIterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ERRORS.refused(error) from error


@contextmanager
def _sqlite_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error) from error

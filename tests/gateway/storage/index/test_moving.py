"""The index moved between its engines: rows of every table, there and back, and what is refused."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database.schema import migrate as migrate_postgresql
from database.targets import Differs, NotEmpty
from gateway.storage.errors import StorageUnavailable
from gateway.storage.index import moving
from gateway.storage.index.moving import move_to_postgresql, move_to_sqlite
from gateway.storage.index.postgresql.schema import MIGRATIONS
from gateway.storage.index.setting_aside import set_aside_tables
from gateway.storage.index.sqlite.connection import connect
from gateway.storage.index.sqlite.schema import migrate
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

_UNMOVED = {"schema_migration", "key_lock"}
_NUMBERS = {"token_no"}


@pytest.fixture
async def database() -> AsyncIterator[tuple[Any, str]]:
    schema = f"moving_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(shared_postgresql().url, server_settings={"search_path": schema})
    await migrate_postgresql(connection, schema, MIGRATIONS)
    yield connection, schema
    await connection.execute(f"DROP SCHEMA {schema} CASCADE")
    await connection.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three rows in every table, each column of which has a value of its own, or NULL where it may be."""
    path = tmp_path / "index.sqlite"
    with closing(connect(path, durable=False)) as file:
        migrate(file)
        file.execute("PRAGMA foreign_keys = OFF")  # tables are filled in any order; checked below
        for table in _tables(file):
            for number in (3, 1, 2):
                _insert(file, table, number)
        assert file.execute("PRAGMA foreign_key_check").fetchall() == []
    return path


def _insert(file: sqlite3.Connection, table: str, number: int) -> None:
    values: list[object] = []
    for place, name, kind, required, *_ in file.execute(f"PRAGMA table_info({table})").fetchall():
        if name in {"is_inline", "has_parts", "history"}:
            values.append(number % 2)
        elif name in _NUMBERS:
            values.append(number)
        elif not required and number == 2:
            values.append(None)
        elif kind == "INTEGER":
            values.append(number if name in {"kind", "mode"} else 100 * place + number)
        elif kind == "TEXT":
            values.append(f"{name} {number} é")
        else:
            values.append(f"{name} {number}".encode() + b"\0\xff")
    file.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)


def _tables(file: sqlite3.Connection) -> list[str]:
    names = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return sorted(name for name in names - _UNMOVED if not name.startswith("sqlite_"))


def _everything(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Rows in the order in which the file gives them; the numbers of client tokens are not the index's own."""
    with closing(connect(path)) as file:
        rows = {name: file.execute(f"SELECT * FROM {name}").fetchall() for name in _tables(file)}
    rows["client_token"] = [row[1:] for row in rows["client_token"]]
    return {name: each if name == "object_version" else sorted(each, key=repr) for name, each in rows.items()}


async def test_every_row_is_moved_there_and_back(source: Path, database: tuple[Any, str], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    count = await move_to_postgresql(source, *database, lambda done, total: told.append((done, total)))
    before = _everything(source)
    assert count == 3 * len(before)
    assert told == [(done, 2 * count) for done in range(1, 2 * count + 1)]
    back = tmp_path / "back.sqlite"
    assert await move_to_sqlite(*database, back) == count
    assert _everything(back) == before
    assert back.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in tmp_path.glob("*back*") if each != back) == []


async def test_an_index_is_put_aside_whole_and_nothing_but_it(source: Path, database: tuple[Any, str]) -> None:
    connection, schema = database
    await move_to_postgresql(source, *database)
    await connection.execute("DROP TABLE bad_blob; CREATE TABLE kms_row (of_another_store INTEGER)")

    async def tables(of: str) -> set[str]:
        return {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", of)}

    before = await tables(schema)
    aside = await set_aside_tables(connection, schema, "_aside_20260102030405")
    assert aside == f"{schema[:42]}_aside_20260102030405"
    assert await tables(schema) == {"kms_row"}
    assert await tables(aside) == before - {"kms_row"}
    assert await connection.fetchval(f"SELECT count(*) FROM {aside}.object_version") == 3
    await migrate_postgresql(connection, schema, MIGRATIONS)
    assert await connection.fetchval(f"SELECT count(*) FROM {schema}.object_version") == 0
    await connection.execute(f"DROP SCHEMA {aside} CASCADE")


async def test_every_column_of_both_engines_is_moved(source: Path, database: tuple[Any, str]) -> None:
    moved = {(table.name, column) for table in moving.TABLES for column in table.columns}
    rows = await database[0].fetch(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1", database[1]
    )
    there = {tuple(row) for row in rows if row[0] not in _UNMOVED}
    assert there - {("object_version", "version_no")} == moved
    with closing(connect(source)) as file:
        here = {(name, row[1]) for name in _tables(file) for row in file.execute(f"PRAGMA table_info({name})")}
    here = {each for each in here if each[1] not in _NUMBERS} - {("object_version", "history")}
    assert here == moved - {("object_version", "is_current")}


async def test_a_target_that_holds_something_is_refused(
    source: Path, database: tuple[Any, str], tmp_path: Path
) -> None:
    await move_to_postgresql(source, *database)
    with pytest.raises(NotEmpty, match="bucket"):
        await move_to_postgresql(source, *database)
    before = _everything(source)
    with pytest.raises(NotEmpty, match="is there already"):
        await move_to_sqlite(*database, source)
    assert _everything(source) == before


async def test_a_move_that_is_interrupted_leaves_nothing_and_can_be_begun_again(
    source: Path, database: tuple[Any, str], tmp_path: Path
) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(count: int, total: int) -> None:
        if count in {20, 60}:
            raise Interrupted

    with pytest.raises(Interrupted):
        await move_to_postgresql(source, *database, interrupt)
    for table in moving.TABLES:
        assert await database[0].fetchval(f"SELECT count(*) FROM {table.name}") == 0
    count = await move_to_postgresql(source, *database)
    with pytest.raises(Interrupted):
        await move_to_sqlite(*database, tmp_path / "back.sqlite", interrupt)
    assert list(tmp_path.glob("*back*")) == []
    assert await move_to_sqlite(*database, tmp_path / "back.sqlite") == count


async def test_a_row_that_arrives_changed_is_noticed(source: Path, database: tuple[Any, str]) -> None:
    await database[0].execute(
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.sealed := NEW.sealed || '\\x00'::bytea; RETURN NEW; END $$;"
        "CREATE TRIGGER spoil BEFORE INSERT ON batch_job FOR EACH ROW EXECUTE FUNCTION spoil()"
    )
    with pytest.raises(Differs, match="batch_job"):
        await move_to_postgresql(source, *database)
    assert await database[0].fetchval("SELECT count(*) FROM bucket") == 0


@pytest.mark.parametrize("number", [1, 1_000])
async def test_another_schema_is_refused(number: int, source: Path, database: tuple[Any, str]) -> None:
    await database[0].execute("DELETE FROM schema_migration")
    await database[0].execute("INSERT INTO schema_migration VALUES ($1, 'another', 0)", number)
    with pytest.raises(StorageUnavailable, match=f"schema {number}"):
        await move_to_postgresql(source, *database)

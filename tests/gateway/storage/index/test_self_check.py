"""What no seal covers is held against what it must agree with, by both engines; older rows are brought to say it."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from database.schema import Migrations, migrate
from gateway.storage.errors import Conflict
from gateway.storage.index.interface import Index
from gateway.storage.index.postgresql import self_check
from gateway.storage.index.postgresql.index import open_postgresql_index
from gateway.storage.index.postgresql.schema import MIGRATIONS
from gateway.storage.index.records import Deletion, KeyEpochRow, NewBlob
from gateway.storage.index.sqlite import schema
from gateway.storage.index.sqlite.connection import connect
from gateway.storage.index.sqlite.index import open_sqlite_index
from gateway.storage.index.version_columns import LATEST
from tests.conformance.index import NOW_US, bucket_row, new_id, object_row, put, upload_row, version_row
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

BREAKS = {
    "UPDATE object_version SET vsort = vsort - 1 WHERE key = 'a'": "that do not stand in the place",
    "UPDATE object_version SET ahead_us = ahead_us + 1 WHERE key = 'a'": "that do not stand in the place",
    "UPDATE object_version SET ahead_us = -1, vsort = vsort + 1 WHERE key = 'a'": "that do not stand in the place",
    "UPDATE object_version SET modified_us = -modified_us WHERE key = 'a'": "that do not stand in the place",
    "UPDATE object_version SET kind = 1 WHERE key = 'a'": "or no objects",
    "UPDATE object_version SET has_parts = NOT has_parts WHERE key = 'a'": "not where they say",
    "UPDATE object_version SET blob_count = 2 WHERE key = 'a'": "of another number of blobs",
    "DELETE FROM object_parts": "not where they say",
    "UPDATE blob SET refs = 1 WHERE refs = 0": "condemned with some",
    "UPDATE blob SET refs = -1 WHERE refs = 1": "that are not condemned",
    "UPDATE blob SET condemned_us = condemned_us + 4": "blobs condemned at a time",
    "UPDATE blob SET is_inline = NOT is_inline": "inline blobs that are not where they say",
    "UPDATE inline_blob SET data = 'other length'": "or of another length",
    "UPDATE multipart_upload SET key_changed = 'another upload'": "that name another one",
    "UPDATE key_epoch SET created_us = created_us - 1": "keys of the service",
}
ON_SQLITE = {
    "UPDATE object_version SET history = 1 WHERE key = 'a'": "newest objects that are not current",
    "UPDATE object_version SET history = 2 WHERE key = 'a'": "neither current nor history",
}
ON_POSTGRESQL = {"UPDATE object_version SET is_current = FALSE WHERE key = 'a'": "newest objects that are not current"}


async def fill(index: Index) -> None:
    """Rows of every kind that the checks look at."""
    bucket = bucket_row()
    await index.create_bucket(bucket)
    bucket_id = bucket.bucket_id
    for key in (b"a", b"b"):
        await put(index, object_row(bucket_id, key), inline=b"body." if key == b"b" else None)
    await index.delete_object(bucket_id, Deletion(b"b"))
    await put(index, object_row(bucket_id, b"inline"), inline=b"body.")
    await put(index, object_row(bucket_id, b"parts", blob_ids=(new_id(), new_id()), sealed_parts=b"sealed"))
    await index.create_upload(upload_row(bucket_id, b"versions"))
    for number in (9, 2, 30):  # the clock goes back for the second one
        await put(index, version_row(bucket_id, number, b"versions"))
    await index.add_key_epoch(KeyEpochRow("index", 1, b"wrapped", NOW_US + 5))
    assert [row.created_us for row in await index.key_epochs("index")] == [NOW_US]


def for_sqlite(statement: str) -> str:
    return re.sub(r"'([^']*)'", r"CAST('\1' AS BLOB)", statement)


@pytest.mark.parametrize("statement", [*BREAKS, *ON_SQLITE])
async def test_what_no_seal_covers_is_checked_on_sqlite(tmp_path: Path, statement: str) -> None:
    index = await open_sqlite_index(tmp_path / "index.sqlite", durable=False, clock_us=lambda: NOW_US)
    await fill(index)
    assert await index.self_check() == []
    with closing(sqlite3.connect(tmp_path / "index.sqlite")) as file, file:
        assert file.execute(for_sqlite(statement)).rowcount
    found = await index.self_check()
    assert {**BREAKS, **ON_SQLITE}[statement] in " ".join(found)
    await index.close()


@pytest.fixture
async def database() -> AsyncIterator[tuple[Any, str]]:
    schema_name = f"checked_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(shared_postgresql().url, server_settings={"search_path": schema_name})
    yield connection, schema_name
    await connection.execute(f"DROP SCHEMA {schema_name} CASCADE")
    await connection.close()


@pytest.mark.skipif(find_postgresql() is None, reason=MISSING)
async def test_what_no_seal_covers_is_checked_on_postgresql(database: tuple[Any, str]) -> None:
    connection, schema_name = database
    index = await open_postgresql_index(
        shared_postgresql().url, schema=schema_name, durable=False, clock_us=lambda: NOW_US
    )
    await fill(index)
    assert await index.self_check() == []
    for statement, what in {**BREAKS, **ON_POSTGRESQL}.items():
        transaction = connection.transaction()
        await transaction.start()
        assert await connection.execute(statement) != "UPDATE 0"
        found = [each for each in await broken(connection) if what in each]
        await transaction.rollback()
        assert found, statement
    assert await index.self_check() == []
    await index.close()


async def broken(connection: Any) -> list[str]:
    """As `self_check`, by a connection that sees what is not committed."""
    return [what for what, where in self_check._NEVER.items() if await connection.fetchval(f"SELECT count(*) {where}")]


# Rows of before

BUCKET, PLAIN, LATE, UPLOAD, OTHER = (bytes([number]) * 16 for number in range(1, 6))


def older_rows(hexadecimal: str) -> list[str]:
    """Of the last schema without these columns; `hexadecimal` is how the engine writes bytes."""

    def literal(value: bytes) -> str:
        return hexadecimal.format(value.hex())

    def version(key: bytes, vsort: int, uid: bytes) -> str:
        return (
            "INSERT INTO object_version (bucket_id, {current}, key, vsort, row_uid, version_id, kind, size, "
            f"modified_us, mode, wrapped, blob_id, part_count, revision, blob_count, has_parts, sealed) VALUES "
            f"({literal(BUCKET)}, {{is_current}}, {literal(key)}, {vsort}, {literal(uid)}, 'null', 0, 5, "
            f"{NOW_US + 3}, 1, {literal(b'')}, "
            f"{literal(uid)}, 0, 1, 1, {{false}}, {literal(b'sealed')})"
        )

    def upload(uid: bytes, is_changed: str) -> str:
        return (
            "INSERT INTO multipart_upload (upload_id, bucket_id, key, row_uid, initiated_us, mode, wrapped, revision, "
            f"sealed, is_key_changed) VALUES ({literal(uid)}, {literal(BUCKET)}, {literal(b'k')}, {literal(uid)}, "
            f"{NOW_US}, 1, {literal(b'')}, 1, {literal(b'sealed')}, {{{is_changed}}})"
        )

    return [
        f"INSERT INTO bucket VALUES ({literal(BUCKET)}, '1', 'photos', 'r', {NOW_US}, 1, {literal(b'sealed')})",
        version(b"plain", LATEST - NOW_US - 3, PLAIN),
        version(b"late", LATEST - NOW_US - 10, LATE),
        "INSERT INTO blob (blob_id, stored_bytes, is_inline, refs, condemned_us) VALUES "
        f"({literal(PLAIN)}, 5, {{true}}, 1, NULL), ({literal(LATE)}, 5, {{false}}, 1, NULL), "
        f"({literal(OTHER)}, 5, {{false}}, 0, {NOW_US + 900})",
        f"INSERT INTO inline_blob SELECT {{blob}}, {literal(b'body.')} FROM blob WHERE is_inline",
        f"INSERT INTO bad_blob VALUES ({literal(LATE)}, 'cut', {NOW_US})",
        upload(UPLOAD, "true"),
        upload(OTHER, "false"),
        f"INSERT INTO key_epoch VALUES ('index', 1, {literal(b'wrapped')}, {NOW_US + 900})",
    ]


async def check_migrated(index: Index) -> None:
    assert await index.self_check() == []
    versions = await index.list_versions(BUCKET, prefix=b"", delimiter=b"", after=None, max_keys=9, whole=True)
    assert [entry.row.blob_ids for entry in versions.entries] == [(LATE,), (PLAIN,)]
    assert await index.read_inline(PLAIN) == b"body."
    assert [bad.blob_id for bad in await index.list_bad_blobs(after=b"", limit=9)] == [LATE]
    blobs = {blob.blob_id: blob for blob in await index.list_blobs(after=b"", limit=9)}
    assert {blob_id: blob.references for blob_id, blob in blobs.items()} == {PLAIN: 1, LATE: 1, OTHER: 0}
    assert blobs[OTHER].condemned_us == NOW_US
    assert [row.created_us for row in await index.key_epochs("index")] == [NOW_US]
    for upload_id, expected in ((UPLOAD, [True]), (OTHER, [False])):
        told: list[bool] = []

        def note(_newest: object, is_changed: bool, told: list[bool] = told) -> None:
            told.append(is_changed)

        row = object_row(BUCKET, b"k", row_uid=upload_id, blob_ids=(new_id(),), manifest_id=new_id())
        with pytest.raises(Conflict):
            await index.complete_upload(upload_id, row, NewBlob(row.manifest_id or b"", 5), note)
        assert told == expected


async def test_older_rows_are_migrated_on_sqlite(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    names = {"current": "history", "is_current": "0", "true": "1", "false": "0", "blob": "blob_no"}
    with closing(connect(path, durable=False)) as file:
        for migration in schema.migrations()[:8]:
            schema._apply(file, migration)
        for statement in older_rows("x'{}'"):
            file.execute(statement.format(**names))
    index = await open_sqlite_index(path, durable=False, clock_us=lambda: NOW_US)
    await check_migrated(index)
    assert index._database.rows("PRAGMA foreign_key_check") == []
    assert {row[1] for row in index._database.rows("PRAGMA index_list(blob)")} >= {"blob_condemned"}
    await index.close()


@pytest.mark.skipif(find_postgresql() is None, reason=MISSING)
async def test_older_rows_are_migrated_on_postgresql(
    database: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, schema_name = database
    all_migrations = MIGRATIONS.all()
    with monkeypatch.context() as before:
        before.setattr(Migrations, "all", lambda _: all_migrations[:3])
        await migrate(connection, schema_name, MIGRATIONS)
    names = {"current": "is_current", "is_current": "TRUE", "true": "TRUE", "false": "FALSE", "blob": "blob_id"}
    for statement in older_rows(r"'\x{}'"):
        await connection.execute(statement.format(**names))
    index = await open_postgresql_index(
        shared_postgresql().url, schema=schema_name, durable=False, clock_us=lambda: NOW_US
    )
    await check_migrated(index)
    await index.close()

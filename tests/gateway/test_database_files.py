"""Databases that cannot be served with are told by file, before anything is started, and touched by nobody."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway import database_files as module
from gateway.config import Settings
from gateway.database_files import DatabaseUnusable, database_files, require_usable, troubles
from gateway.key_stores import open_keys
from gateway.storage.index.sqlite.index import open_sqlite_index
from gateway.supervisor import Supervisor
from iam.store.database import open_database
from kms.store.interface import StoreUnavailable
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.database import open_writer


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("made")
    settings = Settings(data_directory=data)
    for path in (settings.keys_path, settings.identities_path, settings.index_path):
        path.parent.mkdir()
    SQLiteKeyStore(settings.keys_path).close()
    open_database(settings.identities_path).close()

    async def make_index() -> None:
        await (await open_sqlite_index(settings.index_path)).close()

    asyncio.run(make_index())
    return data


@pytest.fixture
def settings(made: Path, tmp_path: Path) -> Settings:
    return Settings(data_directory=Path(shutil.copytree(made, tmp_path / "data")))


def _overwrite(path: Path, first: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(first)
        file.write(data)


def _be_newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")
        if path.name == "index.sqlite":
            connection.execute("INSERT INTO schema_migration VALUES (999, 'later', 0)")
        connection.commit()


def _be_anothers(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")


def _be_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (Path.unlink, "is missing"),
    "empty": (lambda path: os.truncate(path, 0), "is empty"),
    "truncated": (lambda path: os.truncate(path, 20_000), "is damaged, or none of ours"),
    "cut in its first page": (lambda path: os.truncate(path, 1_000), "is damaged, or none of ours"),
    "no database": (lambda path: _overwrite(path, 0, b"\xff" * 20_000), "is damaged, or none of ours"),
    "without its schema": (lambda path: _overwrite(path, 100, b"\xff" * 3_996), "is damaged, or none of ours"),
    "a directory": (_be_a_directory, "is no file"),
    "newer": (_be_newer, "was written by a newer Sealgate (schema 999"),
}
REMEDIES = {
    "kms/keys.sqlite": "restore it from a backup (docs/backup.md); without it no object can be read",
    "iam/identities.sqlite": "restore it from a backup (docs/backup.md)",
    "index/index.sqlite": "make it anew from the blobs (docs/rebuild.md)",
}


def test_what_can_be_used_is(settings: Settings) -> None:
    require_usable(settings)
    assert {str(each.path.relative_to(settings.data_directory)) for each in database_files(settings)} == set(REMEDIES)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", REMEDIES)
async def test_a_gateway_does_not_start_on_what_is_none_and_says_which_file_and_what_to_do(
    settings: Settings, name: str, damage: str
) -> None:
    do, complaint = DAMAGES[damage]
    path = settings.data_directory / name
    do(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(DatabaseUnusable) as raised:
        await Supervisor(settings, lambda addresses: None).run()
    [line] = str(raised.value).splitlines()
    assert f"{path} {complaint}" in line
    assert (REMEDIES[name] in line) is (damage != "newer")
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("name", REMEDIES)
def test_a_database_of_another_program_is_none(settings: Settings, name: str) -> None:
    _be_anothers(settings.data_directory / name)
    [trouble] = troubles(database_files(settings))
    assert str(settings.data_directory / name) in trouble


def test_an_empty_one_keeps_its_log(settings: Settings) -> None:
    """SQLite deletes the log of a database without a page."""
    log = settings.index_path.with_name("index.sqlite-wal")
    os.truncate(settings.index_path, 0)
    log.write_bytes(b"what was not in the database yet")
    with pytest.raises(DatabaseUnusable, match="is empty"):
        require_usable(settings)
    assert log.read_bytes() == b"what was not in the database yet"


def test_all_that_is_wrong_is_told(settings: Settings) -> None:
    for name in REMEDIES:
        (settings.data_directory / name).unlink()
    with pytest.raises(DatabaseUnusable) as raised:
        require_usable(settings)
    assert len(str(raised.value).splitlines()) == 3


def test_one_that_another_locks_is_not_called_damaged(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.0)
    with closing(sqlite3.connect(settings.identities_path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        [trouble] = [each.trouble() for each in database_files(settings) if each.path == settings.identities_path]
    assert trouble is not None
    assert trouble.endswith("cannot be read: database is locked")


def test_one_that_may_not_be_read_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != settings.index_path)  # tests may run as root
    with pytest.raises(DatabaseUnusable, match="may not be read and written by this user"):
        require_usable(settings)


def test_a_command_does_not_migrate_beneath_a_gateway_of_an_earlier_release(settings: Settings) -> None:
    (keys, *_) = database_files(settings)
    earlier = keys.newest_schema - 1
    keys.path.unlink()
    open_writer(keys.path, schema=earlier).close()
    settings.run_directory.mkdir()
    with (settings.run_directory / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreUnavailable, match="earlier release"):
            open_keys(settings)
    assert keys.schema() == earlier
    open_keys(settings).close()
    assert keys.schema() == keys.newest_schema

"""What a restore takes out of a backup's body, and what it does not, whoever made it; copies of databases in use."""

from __future__ import annotations

import io
import os
import sqlite3
import tarfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import pytest

from gateway.backup.archive import BadBackup, BodyReader, BodyWriter
from gateway.backup.contents import (
    INDEX,
    KEYS,
    MANIFEST,
    Manifest,
    _manifest_of,
    _require_same_stores,
    _unpack,
    make_backup,
    opened_backup,
)
from gateway.backup.stores import copy_database, put_aside, require_sound
from gateway.config import Settings
from gateway.storage.errors import StorageUnavailable
from kms.api.secrets import SecretBytes


def body_of(*members: tuple[tarfile.TarInfo, bytes], after: bytes = b"") -> BodyReader:
    key, stored = SecretBytes(os.urandom(32)), io.BytesIO()
    body = BodyWriter(stored, key)
    with tarfile.open(fileobj=cast(BinaryIO, body), mode="w|") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    body.write(after)
    body.finish()
    return BodyReader(io.BytesIO(stored.getvalue()), key, len(stored.getvalue()))


def member(name: str, content: bytes = b"content", **attributes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info, content


def test_members_are_unpacked_privately(tmp_path: Path) -> None:
    _unpack(body_of(member(MANIFEST), member(INDEX, bytes(3 << 20)), after=bytes(100_000)), tmp_path)
    assert (tmp_path / INDEX).stat().st_size == 3 << 20
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "hostile",
    [
        member("../escaped"),
        member("/tmp/escaped"),
        member("other"),
        member("index.sqlite/x"),
        member(INDEX, b"", type=tarfile.DIRTYPE),
        member(INDEX, b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member(INDEX, b"", type=tarfile.LNKTYPE, linkname=MANIFEST),
        member(INDEX, b"", type=tarfile.FIFOTYPE),
        member(MANIFEST),  # for the second time
    ],
)
def test_nothing_else_is(tmp_path: Path, hostile: tuple[tarfile.TarInfo, bytes]) -> None:
    with pytest.raises(BadBackup):
        _unpack(body_of(member(MANIFEST), hostile), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    key, stored = SecretBytes(os.urandom(32)), io.BytesIO()
    body = BodyWriter(stored, key)
    body.write(os.urandom(2000))
    body.finish()
    with pytest.raises(BadBackup, match="cannot be read"):
        _unpack(BodyReader(io.BytesIO(stored.getvalue()), key, len(stored.getvalue())), tmp_path)


@pytest.mark.parametrize(
    "manifest", [b"", b"{}", b"[", Manifest(1, [MANIFEST]), Manifest(1, [KEYS, INDEX]), Manifest(1, ["../x", KEYS])]
)
def test_members_must_be_those_of_the_list(tmp_path: Path, manifest: bytes | Manifest) -> None:
    encoded = manifest if isinstance(manifest, bytes) else msgspec.json.encode(manifest)
    (tmp_path / MANIFEST).write_bytes(encoded)
    (tmp_path / KEYS).touch()
    with pytest.raises(BadBackup):
        _manifest_of(tmp_path)


def test_stores_are_put_back_where_they_were() -> None:
    here = Settings()
    there = replace(here, storage=replace(here.storage, index="postgresql://db/x"))
    both = [MANIFEST, INDEX, "identities.sqlite", KEYS]
    _require_same_stores(here, Manifest(1, both))
    _require_same_stores(there, Manifest(1, [MANIFEST, "identities.sqlite", KEYS], [INDEX]))
    for settings, members in ((there, both), (here, [MANIFEST, "identities.sqlite", KEYS]), (here, both[:2])):
        with pytest.raises(BadBackup):
            _require_same_stores(settings, Manifest(1, members))


def test_keys_that_gateways_share_are_not_backed_up_from_one(tmp_path: Path) -> None:
    here = Settings()
    shared = replace(here, kms=replace(here.kms, store="postgresql://db/x"))
    with pytest.raises(BadBackup, match="pg_dump"):
        make_backup(shared, tmp_path / "backup")
    with pytest.raises(BadBackup, match="pg_dump"), opened_backup(shared, tmp_path / "backup"):
        raise AssertionError("it must not get so far")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x BLOB)")
        connection.executemany("INSERT INTO t VALUES (?)", [(os.urandom(1000),) for _ in range(100)])
    return path


def test_a_database_is_copied_while_it_is_written(database: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("DELETE FROM t WHERE rowid > 50")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM t")
        copy_database(database, tmp_path / "copy")
        writer.execute("COMMIT")
    require_sound(tmp_path / "copy")
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(tmp_path / "copy")) as copy:
        assert copy.execute("SELECT count(*) FROM t").fetchone() == (50,)
        assert copy.execute("PRAGMA freelist_count").fetchone() == (0,)


@pytest.mark.parametrize("damage", [lambda data: data[:5000], lambda data: data[:4096] + bytes(len(data) - 4096)])
def test_a_damaged_database_is_refused(database: Path, damage: Callable[[bytes], bytes]) -> None:
    database.write_bytes(damage(database.read_bytes()))
    with pytest.raises(StorageUnavailable, match="damaged"):
        require_sound(database)


def test_what_is_put_aside_takes_its_log_along(database: Path) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as writer:
        writer.execute("INSERT INTO t VALUES (x'00')")
        kept = put_aside(database, ".old")
        assert kept is not None
        assert not database.exists() and not database.with_name("a.sqlite-wal").exists()
        with closing(sqlite3.connect(kept)) as found:
            assert found.execute("SELECT count(*) FROM t").fetchone() == (101,)
    assert put_aside(database, ".older") is None

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from kms.api.types import KeyState, Tag
from kms.store.interface import StoreTooNew, StoreUnavailable
from kms.store.migration import migrations
from kms.store.records import NewKey, StoredAlias, StoredVersion
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.grants import GrantSuite
from tests.conformance.key_store import ACCOUNT, NOW, REGION, KeyStoreSuite, inserted, new_key, schedule
from tests.kms.stores import opened_store, seal_older_rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteKeyStore]:
    store = opened_store(path)
    yield store
    store.close()


@pytest.fixture
def stored(store: SQLiteKeyStore) -> NewKey:
    new = new_key()
    store.insert_key(new)
    return new


class TestSQLiteKeyStore(KeyStoreSuite, GrantSuite):
    pass


def test_file_is_the_owners_alone(store: SQLiteKeyStore, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writes_are_on_disk_before_they_are_answered(store: SQLiteKeyStore) -> None:
    assert store._database._writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._database._writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_another_process_sees_what_was_written_and_nothing_is_lost_by_reopening(
    store: SQLiteKeyStore, path: Path
) -> None:
    key_id = inserted(store)
    other = opened_store(path)
    assert other.key(key_id, REGION) == store.key(key_id, REGION)
    other.change_state(
        key_id,
        REGION,
        expected=KeyState.ENABLED,
        state=KeyState.DISABLED,
        deletion_us=None,
        now_us=NOW,
    )
    other.close()
    key = store.key(key_id, REGION)
    assert key is not None
    assert key.metadata.state is KeyState.DISABLED


def bytes_on_disk(path: Path) -> bytes:
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def doomed(store: SQLiteKeyStore) -> bytes:
    """The record of a key whose window is over at NOW."""
    new = new_key()
    store.insert_key(new)
    schedule(store, new.metadata.key_id, NOW)
    assert new.version is not None and new.version.record is not None
    return new.version.record


def test_destroyed_record_is_nowhere_in_the_files(store: SQLiteKeyStore, path: Path) -> None:
    record = doomed(store)
    assert record in bytes_on_disk(path)
    assert len(store.destroy_expired(NOW, 10)) == 1
    assert record not in bytes_on_disk(path)


def test_a_log_that_another_process_reads_is_emptied_later(
    store: SQLiteKeyStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    record = doomed(store)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM kms_key").fetchall()
        assert len(store.destroy_expired(NOW, 10)) == 1
        assert "still lies in the log" in caplog.text
        assert record in bytes_on_disk(path)
        reader.execute("COMMIT")
    assert store.destroy_expired(NOW, 10) == []
    assert record not in bytes_on_disk(path)


def test_a_log_that_a_killed_process_left_is_emptied_by_the_next(
    store: SQLiteKeyStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = doomed(store)
    monkeypatch.setattr(store._database, "empty_log", lambda: None)  # it is killed after its commit
    assert len(store.destroy_expired(NOW, 10)) == 1
    assert record in bytes_on_disk(path)
    with closing(opened_store(path)) as next_store:
        assert next_store.destroy_expired(NOW, 10) == []
        assert record not in bytes_on_disk(path)


def test_database_of_a_later_release_is_refused_untouched(path: Path) -> None:
    opened_store(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="9999"):
        opened_store(path)
    assert path.read_bytes() == before


def test_file_that_is_no_database_is_unavailable(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to look at its header" * 40)
    with pytest.raises(StoreUnavailable):
        opened_store(path)


def test_failing_write_is_unavailable_and_leaves_the_store_usable(store: SQLiteKeyStore) -> None:
    key_id = inserted(store)
    store._database._writer.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable):
        store.set_meta("name", b"value")
    with pytest.raises(StoreUnavailable):
        inserted(store)
    store._database._writer.execute("PRAGMA query_only = OFF")
    assert store.key(key_id, REGION) is not None
    store.set_meta("name", b"value")


def test_migrations_are_numbered_without_gaps() -> None:
    numbers = [number for number, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_keys_of_the_first_schema_are_kept(path: Path) -> None:
    """A store as migration 1 left it: one key with its version and alias, and one that was destroyed."""
    (first, sql), *_ = migrations()
    assert first == 1
    key_id, gone = str(uuid4()), str(uuid4())
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.executescript(sql)
        for each, destroyed_us in ((key_id, None), (gone, NOW)):
            old.execute(
                "INSERT INTO kms_key (key_id, account_id, region, created_us, state, destroyed_us, description,"
                " manager, key_spec, key_usage, origin, multi_region, tags, current_version)"
                " VALUES (?, ?, ?, ?, 'Enabled', ?, 'é', 'CUSTOMER', 'SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'AWS_KMS',"
                ' 0, \'[{"key":"a","value":"b"}]\', 1)',
                (each, ACCOUNT, REGION, NOW, destroyed_us),
            )
        old.execute("INSERT INTO kms_key_version VALUES (?, 1, 'ab', x'01', ?)", (key_id, NOW))
        old.execute("INSERT INTO kms_alias VALUES (?, ?, 'alias/a', ?, ?, ?)", (ACCOUNT, REGION, key_id, NOW, NOW))
        old.execute("PRAGMA user_version = 1")
    with closing(SQLiteKeyStore(path)) as store:
        seal_older_rows(store)
        key = store.key(key_id, REGION)
        assert key is not None
        assert (key.metadata.key_material_id, key.metadata.description, key.tags) == ("ab", "é", (Tag("a", "b"),))
        assert (key.policy, key.metadata.protection, key.sequence) == ("", "software", 1)
        assert store.version(key_id, 1) == StoredVersion(key_id, 1, "ab", b"\x01", NOW)
        assert store.alias(ACCOUNT, REGION, "alias/a") == StoredAlias(ACCOUNT, REGION, "alias/a", key_id, NOW, NOW)
        destroyed_key = store.key(gone, REGION)
        assert destroyed_key is not None
        assert destroyed_key.destroyed_us == NOW
        store.insert_key(new_key())
        assert store.count_keys(ACCOUNT, REGION) == 2

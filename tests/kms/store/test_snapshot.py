from __future__ import annotations

import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest

from kms.store.interface import StoreTooNew, StoreUnavailable
from kms.store.migration import migrations
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.snapshot import require_sound, take_snapshot
from tests.conformance.key_store import REGION, inserted, new_key
from tests.kms.stores import opened_store


def schema_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_snapshot_is_one_private_file_with_everything(tmp_path: Path) -> None:
    with closing(opened_store(tmp_path / "keys")) as store:
        key_id = inserted(store)
        assert take_snapshot(tmp_path / "keys", tmp_path / "copy") == migrations()[-1][0]
        assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]
        assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
        require_sound(tmp_path / "copy")
        with closing(opened_store(tmp_path / "copy")) as copy:
            assert copy.key(key_id, REGION) == store.key(key_id, REGION)
            assert copy.versions(key_id) == store.versions(key_id)
            assert inserted(copy) != key_id  # sequences go on


def test_a_snapshot_is_of_one_moment(tmp_path: Path) -> None:
    """Each key comes with an alias in one transaction; a copy in between would show one without the other."""
    stop = threading.Event()

    def write(store: SQLiteKeyStore) -> None:
        number = 0
        while not stop.is_set():
            store.insert_key(new_key(alias=f"alias/{number}"))
            number += 1

    with closing(opened_store(tmp_path / "keys")) as store:
        writer = threading.Thread(target=write, args=(store,))
        writer.start()
        try:
            counts = []
            for turn in range(10):
                copy = tmp_path / f"copy{turn}"
                take_snapshot(tmp_path / "keys", copy)
                with closing(sqlite3.connect(copy)) as connection:
                    counts.append(
                        connection.execute(
                            "SELECT (SELECT count(*) FROM kms_key), (SELECT count(*) FROM kms_key_version),"
                            " (SELECT count(*) FROM kms_alias)"
                        ).fetchone()
                    )
        finally:
            stop.set()
            writer.join()
    assert all(keys == versions == aliases for keys, versions, aliases in counts)
    assert counts[-1] > counts[0], "nobody wrote meanwhile: the test has shown nothing"


def test_nothing_of_a_deleted_record_is_in_it(tmp_path: Path) -> None:
    with closing(opened_store(tmp_path / "keys")) as store:
        key_id = inserted(store)
        record = store.versions(key_id)[0].record
        assert record is not None
        store.remove_material(key_id, 1)
        take_snapshot(tmp_path / "keys", tmp_path / "copy")
    assert record not in (tmp_path / "copy").read_bytes()


def test_what_only_the_log_holds_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "crashed").mkdir()
    with closing(opened_store(tmp_path / "keys")) as store:
        store.set_meta("name", b"value")
        for name in ("keys", "keys-wal"):
            shutil.copy(tmp_path / name, tmp_path / "crashed" / name)
    take_snapshot(tmp_path / "crashed" / "keys", tmp_path / "copy")
    with closing(opened_store(tmp_path / "copy")) as copy:
        assert copy.meta("name") == b"value"


def test_an_older_store_is_migrated_in_the_copy_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "keys")) as connection:
        connection.executescript(migrations()[0][1])
        connection.execute("PRAGMA user_version = 1")
    assert take_snapshot(tmp_path / "keys", tmp_path / "copy") == migrations()[-1][0]
    assert schema_of(tmp_path / "keys") == 1
    assert schema_of(tmp_path / "copy") == migrations()[-1][0]


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    opened_store(tmp_path / "keys").close()
    with closing(sqlite3.connect(tmp_path / "keys")) as connection:
        connection.execute("PRAGMA user_version = 999")
    for refuse in (
        lambda: take_snapshot(tmp_path / "keys", tmp_path / "copy"),
        lambda: require_sound(tmp_path / "keys"),
    ):
        with pytest.raises(StoreTooNew):
            refuse()


def test_what_is_no_key_store_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"no database" * 1000)
    for name in ("keys", "nowhere"):
        with pytest.raises(StoreUnavailable):
            take_snapshot(tmp_path / name, tmp_path / f"copy of {name}")


def test_damage_is_found(tmp_path: Path) -> None:
    with closing(opened_store(tmp_path / "keys")) as store:
        for _ in range(100):
            inserted(store)
    take_snapshot(tmp_path / "keys", tmp_path / "copy")
    data = bytearray((tmp_path / "copy").read_bytes())
    data[-4096 * 3 : -4096 * 2] = bytes(4096)
    (tmp_path / "copy").write_bytes(data)
    with pytest.raises(StoreUnavailable, match="damaged"):
        require_sound(tmp_path / "copy")


def test_rows_that_refer_to_nothing_are_found(tmp_path: Path) -> None:
    with closing(opened_store(tmp_path / "keys")) as store:
        store.insert_key(new_key(alias="alias/a"))
    with closing(sqlite3.connect(tmp_path / "keys")) as connection:
        connection.execute("DELETE FROM kms_key")
        connection.commit()
    with pytest.raises(StoreUnavailable, match="refer to nothing"):
        require_sound(tmp_path / "keys")

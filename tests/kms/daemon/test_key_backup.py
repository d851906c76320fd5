"""Backup and restore of a key store with a file root; by the commands and with a token: tests/acceptance."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from kms.api.types import KeyState
from kms.daemon.key_backup import Made, Unreadable, back_up, put_in_place, remove_stale_staging, staged
from kms.daemon.rotation import Place, opened, remove_older, rotate
from kms.daemon.settings import RootSettings
from kms.epoch import EpochLocked, SharedEpoch
from kms.hsm.file_root import FileRoot, create_key_file
from kms.hsm.interface import RootError, RootUnavailable
from kms.keys.wrapping import make_record, open_record
from kms.service.initialise import initialise_key_store
from kms.store.archive import BadArchive, authenticated_message
from kms.store.interface import StoreError, StoreTooNew, StoreUnavailable
from kms.store.records import key_bytes
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_store import NOW, REGION, new_key
from tests.kms.stores import trusting_store


@dataclass(frozen=True)
class Installation:
    """A key store with its root in a directory, and where its archive goes."""

    directory: Path

    @property
    def place(self) -> Place:
        kms = self.directory / "kms"
        root = RootSettings(kind="file", root_file=kms / "root", key_file=self.directory / "key")
        return Place(kms / "keys.sqlite", root)

    @property
    def epoch_path(self) -> Path:
        return self.place.directory / "epoch"

    @property
    def archive(self) -> Path:
        return self.directory / "archive"

    def make_key(self) -> str:
        """A key with a record under the current root."""
        with opened(self.place) as (store, roots):
            new = new_key()
            assert new.version is not None
            record = make_record(roots, UUID(bytes=key_bytes(new.metadata.key_id)), 1, created_us=NOW)
            store.insert_key(replace(new, version=replace(new.version, record=record)))
            return new.metadata.key_id

    def back_up(self, **options: bool) -> Made:
        return back_up(self.place, self.archive, **options)

    def restore(
        self, archive: Path | None = None, *, replaces: bool = True, keeps_unreadable: bool = False
    ) -> Path | None:
        with staged(self.place, archive or self.archive, keeps_unreadable=keeps_unreadable) as ready:
            return put_in_place(self.place, ready, epoch_path=self.epoch_path, replaces=replaces)

    def opens(self, key_id: str) -> bool:
        with opened(self.place) as (store, roots):
            version = store.version(key_id, 1)
            if version is None or version.record is None:
                return False
            return len(open_record(roots, version.record, UUID(bytes=key_bytes(key_id)), 1)) == 32

    def lose_key_store(self) -> None:
        for path in self.place.directory.glob("keys.sqlite*"):
            path.unlink()

    def contents(self) -> dict[str, bytes]:
        """But for what SQLite leaves beside a database that was only read: its shared memory, and an empty log."""
        return {
            str(path.relative_to(self.directory)): path.read_bytes()
            for path in self.directory.rglob("*")
            if path.is_file()
            and not path.name.endswith("-shm")
            and not (path.name.endswith("-wal") and not path.stat().st_size)
        }


MakeInstallation = Callable[[str], Installation]


@pytest.fixture
def make_installation(tmp_path: Path) -> MakeInstallation:
    def make(name: str) -> Installation:
        made = Installation(tmp_path / name)
        made.place.directory.mkdir(parents=True)
        root_file, key_file = made.place.root.root_file, made.place.root.key_file
        assert root_file is not None
        assert key_file is not None
        create_key_file(key_file)
        description = FileRoot.create(root_file, key_file=key_file)
        with closing(FileRoot.open(root_file, key_file=key_file)) as root:
            initialise_key_store(made.place.keys_path, root, region=REGION, check_value=description.check_value)
        return made

    return make


@pytest.fixture
def here(make_installation: MakeInstallation) -> Installation:
    return make_installation("here")


def forge(archive: Path, change: Callable[[sqlite3.Connection], object]) -> None:
    """Change the database in an archive, and make its digest right again, as one can without the root."""
    data = archive.read_bytes()
    start = 44 + data[33] + int.from_bytes(data[34 + data[33] : 36 + data[33]])
    database = archive.with_name("forged.sqlite")
    database.write_bytes(data[start:-64])
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        change(connection)
        connection.commit()
    content = database.read_bytes()
    database.unlink()
    body = data[: start - 8] + len(content).to_bytes(8) + content
    archive.write_bytes(body + hashlib.sha256(body).digest() + data[-32:])


def test_what_was_backed_up_comes_back(here: Installation) -> None:
    key_id = here.make_key()
    made = here.back_up()
    assert (made.proven.keys, made.proven.versions, made.proven.unreadable) == (2, 2, [])
    assert made.size_bytes == here.archive.stat().st_size
    assert stat.S_IMODE(here.archive.stat().st_mode) == 0o600
    with closing(trusting_store(here.place.keys_path)) as store:
        before = store.key(key_id, REGION)
    here.lose_key_store()
    assert here.restore(replaces=False) is None
    assert here.opens(key_id)
    with closing(trusting_store(here.place.keys_path)) as store:
        assert store.key(key_id, REGION) == before
    assert sorted(path.name for path in here.directory.iterdir()) == ["archive", "key", "kms"]


def test_a_backup_is_never_overwritten_unasked(here: Installation) -> None:
    here.archive.write_bytes(b"something else")
    with pytest.raises(FileExistsError):
        here.back_up()
    assert here.archive.read_bytes() == b"something else"
    here.back_up(overwrites=True)
    with staged(here.place, here.archive):
        pass


def acts_of(here: Installation) -> list[tuple[str, dict[str, object]]]:
    """What is to be told in the audit trail."""
    with closing(SQLiteKeyStore(here.place.keys_path)) as store:
        return [(act.name, json.loads(act.details)) for act in store.acts(100)]


def test_both_are_told_and_so_is_what_the_replaced_store_had_not_told(here: Installation) -> None:
    made = here.back_up()
    facts = {
        "archiveSha256": made.digest.hex(),
        "archiveTime": datetime.fromtimestamp(made.header.created_us / 1_000_000, UTC).isoformat(),
        "root": made.header.root_id.hex(),
        "keyVersions": 1,
    }
    backed_up = ("BackUpKeyStore", {**facts, "unreadableRecords": 0})
    assert acts_of(here) == [backed_up]
    rotated(here, removes=False)
    steps = [name for name, _ in acts_of(here)]
    assert steps == ["BackUpKeyStore", "StartRootRotation", "SwitchRoot", "FinishRootRotation"]
    here.restore()
    restored = ("RestoreKeyStore", {**facts, "returningVersions": 0, "lostVersions": 0})
    assert [name for name, _ in acts_of(here)] == [*steps, "RestoreKeyStore"]
    assert [acts_of(here)[0], acts_of(here)[-1]] == [backed_up, restored]


def test_a_backup_that_cannot_be_told_is_not_made(here: Installation) -> None:
    with closing(sqlite3.connect(here.place.keys_path)) as connection:
        connection.execute("CREATE TRIGGER full BEFORE INSERT ON kms_act BEGIN SELECT RAISE(ABORT, 'full'); END")
        connection.commit()
    with pytest.raises(StoreUnavailable):
        here.back_up()
    assert sorted(path.name for path in here.directory.iterdir()) == ["key", "kms"]


def test_a_backup_changes_nothing_but_its_own_line(here: Installation) -> None:
    with closing(sqlite3.connect(here.place.keys_path)) as connection:
        before = list(connection.iterdump())
    here.back_up()
    with closing(sqlite3.connect(here.place.keys_path)) as connection:
        connection.execute("DELETE FROM kms_act")
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'kms_act'")
        assert list(connection.iterdump()) == before


def test_a_backup_needs_its_root(here: Installation) -> None:
    assert here.place.root.root_file is not None
    here.place.root.root_file.unlink()
    with pytest.raises(RootUnavailable):
        here.back_up()
    assert sorted(path.name for path in here.directory.iterdir()) == ["key", "kms"]


def test_the_present_store_is_kept_aside(here: Installation) -> None:
    first = here.make_key()
    here.back_up()
    second = here.make_key()
    with pytest.raises(FileExistsError):
        here.restore(replaces=False)
    assert here.opens(second)
    kept = here.restore()
    assert (here.opens(first), here.opens(second)) == (True, False)
    assert kept is not None
    with closing(trusting_store(kept)) as store:
        assert store.key(second, REGION) is not None


def test_what_comes_back_and_what_is_lost_is_told(here: Installation) -> None:
    destroyed, imported = here.make_key(), here.make_key()
    here.back_up()
    made = here.make_key()
    with opened(here.place) as (store, _):
        store.change_state(
            destroyed,
            REGION,
            expected=KeyState.ENABLED,
            state=KeyState.PENDING_DELETION,
            deletion_us=NOW,
            now_us=NOW,
            pending_window_days=7,
        )
        assert len(store.destroy_expired(NOW + 1, 10)) == 1
        store.remove_material(imported, 1)
    with staged(here.place, here.archive) as ready:
        assert ready.difference is not None
        assert ready.difference.returning == sorted([(destroyed, 1), (imported, 1)])
        assert ready.difference.lost == [(made, 1)]
    here.restore()
    assert here.opens(destroyed)


def test_a_damaged_store_is_replaced(here: Installation) -> None:
    key_id = here.make_key()
    here.back_up()
    here.place.keys_path.write_bytes(b"damaged" * 1000)
    log = here.place.keys_path.with_name("keys.sqlite-wal")
    log.write_bytes(b"a log")
    kept = here.restore()
    assert kept is not None
    assert kept.read_bytes().startswith(b"damaged")
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"a log"
    assert here.opens(key_id)
    assert not log.exists()


def test_a_log_without_its_store_is_not_applied_to_the_new_one(here: Installation) -> None:
    key_id = here.make_key()
    here.back_up()
    with opened(here.place) as (store, _):
        store.remove_material(key_id, 1)
        log = here.place.keys_path.with_name("keys.sqlite-wal").read_bytes()
    here.lose_key_store()
    here.place.keys_path.with_name("keys.sqlite-wal").write_bytes(log)
    here.restore(replaces=False)
    assert here.opens(key_id)
    assert (here.place.directory / "keys.sqlite.orphan-wal").read_bytes() == log


def test_nothing_is_put_in_place_under_a_process_that_has_it_open(here: Installation) -> None:
    key_id = here.make_key()
    here.back_up()
    with closing(trusting_store(here.place.keys_path)) as store:
        assert store.key(key_id, REGION) is not None
        with pytest.raises(StoreUnavailable, match="another process"):
            here.restore()
    with closing(SharedEpoch.open_writer(here.epoch_path)), pytest.raises(EpochLocked):
        here.restore()
    assert not list(here.place.directory.glob("*.replaced-*"))
    here.restore()


def test_the_epoch_rises(here: Installation) -> None:
    SharedEpoch.open_writer(here.epoch_path).close()
    here.back_up()
    with closing(SharedEpoch.open_reader(here.epoch_path)) as epoch:
        before = epoch.value
        here.restore()
        assert epoch.value > before


# What is refused, with nothing changed


@pytest.fixture
def refuses(here: Installation) -> Callable[[type[Exception], str], None]:
    """Has the archive refused, and proves that nothing changed, neither where there is a key store nor where not."""

    def refuses(error: type[Exception], says: str) -> None:
        for replaces in (True, False):
            if not replaces:
                here.lose_key_store()
            before = here.contents()
            with pytest.raises(error, match=says):
                here.restore(replaces=replaces)
            assert here.contents() == before
            assert not list(here.place.directory.glob(".restore-*"))

    return refuses


Refuses = Callable[[type[Exception], str], None]


@pytest.mark.parametrize("at", [0, 4, 12, 20, 40, 100, 200, 5000, -65, -40, -1])
def test_a_flipped_byte(here: Installation, refuses: Refuses, at: int) -> None:
    here.back_up()
    data = bytearray(here.archive.read_bytes())
    data[at] ^= 0x40
    here.archive.write_bytes(data)
    refuses(BadArchive, ".")


def test_a_cut_archive(here: Installation, refuses: Refuses) -> None:
    here.back_up()
    with here.archive.open("r+b") as file:
        file.truncate(here.archive.stat().st_size - 4096)
    refuses(BadArchive, "cut off")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM kms_key_version WHERE rowid_is_not_there",
        "DELETE FROM kms_key_version",
        "UPDATE kms_key SET policy = '{}'",
        "UPDATE kms_key SET state = 'Enabled'",
        "DELETE FROM kms_meta",
    ],
)
def test_what_was_dropped_or_rewritten_without_the_root(here: Installation, refuses: Refuses, sql: str) -> None:
    key_id = here.make_key()
    here.back_up()
    sql = sql.replace("rowid_is_not_there", f"key_id = '{key_id}'")
    forge(here.archive, lambda connection: connection.execute(sql))
    refuses(BadArchive, "authentication code")


def test_another_root(here: Installation, make_installation: MakeInstallation, refuses: Refuses) -> None:
    other = make_installation("other")
    other.back_up()
    shutil.copy(other.archive, here.archive)
    refuses(RootUnavailable, "foreign")


def test_a_missing_root(here: Installation, refuses: Refuses) -> None:
    here.back_up()
    assert here.place.root.root_file is not None
    here.place.root.root_file.unlink()
    refuses(RootUnavailable, "there is no file")


def test_an_archive_authenticated_by_a_root_of_its_own(
    here: Installation, make_installation: MakeInstallation, refuses: Refuses
) -> None:
    """All that a forger can make right: his own root's archive, with the id of ours."""
    other = make_installation("other")
    other.back_up()
    here.back_up()
    ours, theirs = here.archive.read_bytes(), bytearray(other.archive.read_bytes())
    theirs[17:33] = ours[17:33]
    body = bytes(theirs[:-64])
    digest = hashlib.sha256(body).digest()
    root_file, key_file = other.place.root.root_file, other.place.root.key_file
    assert root_file is not None
    with closing(FileRoot.open(root_file, key_file=key_file)) as root:
        here.archive.write_bytes(body + digest + root.mac(authenticated_message(digest)))
    refuses(RootUnavailable, "foreign")


def test_a_newer_schema(here: Installation, refuses: Refuses) -> None:
    here.back_up()
    data = bytearray(here.archive.read_bytes())
    data[13:17] = (999).to_bytes(4)
    here.archive.write_bytes(bytes(data[:-64]) + hashlib.sha256(data[:-64]).digest() + bytes(data[-32:]))
    refuses(BadArchive, "schema 999")
    with pytest.raises(StoreTooNew):
        _with_schema(here, 999)


def _with_schema(here: Installation, number: int) -> None:
    initialised = here.place.keys_path.with_name("newer.sqlite")
    SQLiteKeyStore(initialised).close()
    with closing(sqlite3.connect(initialised)) as connection:
        connection.execute(f"PRAGMA user_version = {number}")
    back_up(Place(initialised, here.place.root), here.directory / "newer")


def test_a_changed_record_is_backed_up_and_restored_only_when_told(here: Installation) -> None:
    """It was bad before the archive was made; the other keys must not be held hostage by it."""
    good, bad = here.make_key(), here.make_key()
    with closing(sqlite3.connect(here.place.keys_path)) as connection:
        (record,) = connection.execute("SELECT record FROM kms_key_version WHERE key_id = ?", (bad,)).fetchone()
        changed = record[:-1] + bytes([record[-1] ^ 1])
        connection.execute("UPDATE kms_key_version SET record = ? WHERE key_id = ?", (changed, bad))
        connection.commit()
    with pytest.raises(Unreadable) as caught:
        here.back_up()
    assert caught.value.versions == [(bad, 1)]
    assert not here.archive.exists()
    assert here.back_up(keeps_unreadable=True).proven.unreadable == [(bad, 1)]
    before = here.contents()
    with pytest.raises(Unreadable):
        here.restore()
    assert here.contents() == before
    here.restore(keeps_unreadable=True)
    assert here.opens(good)


# Roots that came after, and before


def rotated(here: Installation, *, removes: bool = False) -> None:
    with opened(here.place) as (store, roots):
        rotate(here.place, store, roots)
        if removes:
            assert len(remove_older(here.place, store, roots).destroyed) == 1


def test_each_step_to_the_end_of_a_root_is_told(here: Installation) -> None:
    rotated(here, removes=True)
    told = acts_of(here)
    assert [name for name, _ in told] == [
        "StartRootRotation",
        "SwitchRoot",
        "FinishRootRotation",
        "RetireRoot",
        "DestroyRoot",
    ]
    older, newer = told[0][1]["root"], told[0][1]["successor"]
    assert [details["root"] for _, details in told[1:]] == [newer, newer, older, older]
    assert (told[2][1]["movedRecords"], told[2][1]["unreadableRecords"], told[4][1]["destroyedKeys"]) == (2, 0, 1)


def test_a_root_file_is_overwritten_on_the_disk_before_its_name_goes(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert here.place.root.root_file is not None
    path, synced = here.place.root.root_file, list[bytes]()
    rotated(here)
    inode, fsync = path.stat().st_ino, os.fsync

    def watch(descriptor: int) -> None:
        fsync(descriptor)
        if os.fstat(descriptor).st_ino == inode:
            synced.append(path.read_bytes())

    with opened(here.place) as (store, roots), monkeypatch.context() as patch:
        patch.setattr(os, "fsync", watch)
        remove_older(here.place, store, roots)
    assert synced == [bytes(len(synced[0]))]
    assert not path.exists()


def test_after_a_rotation_the_new_root_answers(here: Installation) -> None:
    key_id = here.make_key()
    rotated(here, removes=True)
    here.back_up()
    here.lose_key_store()
    here.restore(replaces=False)
    assert here.opens(key_id)


def test_an_archive_from_before_a_rotation_opens_while_the_older_root_is_there(here: Installation) -> None:
    key_id = here.make_key()
    here.back_up()
    rotated(here)
    here.restore()
    assert here.opens(key_id)
    rotated(here, removes=True)
    with pytest.raises(RootUnavailable):
        here.restore()


def test_an_older_root_that_records_need_must_be_there(here: Installation, make_installation: MakeInstallation) -> None:
    key_id, other = here.make_key(), here.make_key()
    with closing(trusting_store(here.place.keys_path)) as store:
        record = store.versions(key_id)[0].record
    rotated(here)
    with opened(here.place) as (store, _), store._database.transaction() as connection:
        connection.execute("UPDATE kms_key_version SET record = ? WHERE key_id = ?", (record, key_id))
    here.back_up()
    here.restore()
    assert here.opens(key_id)
    assert here.place.root.root_file is not None
    older = here.place.root.root_file
    older.rename(older.with_name("away"))
    before = here.contents()
    with pytest.raises(RootError, match="which 1 records need, does not answer"):
        here.restore()
    with pytest.raises(RootError, match="which 1 records need, does not answer"):
        back_up(here.place, here.directory / "second")
    assert here.contents() == before
    # The other keys are not lost with it, if one says so.
    assert here.back_up(overwrites=True, keeps_unreadable=True).proven.unreadable == [(key_id, 1)]
    with pytest.raises(RootError, match="which 1 records need, does not answer"):
        here.restore()
    here.restore(keeps_unreadable=True)
    assert here.opens(other)


def test_restored_elsewhere_it_finds_its_root_there(here: Installation) -> None:
    """The whole directory on another machine, and the archive beside."""
    key_id = here.make_key()
    rotated(here, removes=True)
    here.back_up()
    there = Installation(here.directory.with_name("there"))
    shutil.copytree(here.directory, there.directory)
    shutil.rmtree(here.directory)
    there.lose_key_store()
    there.restore(replaces=False)
    assert there.opens(key_id)


def test_into_an_installation_with_another_root_that_has_this_one_as_well(
    here: Installation, make_installation: MakeInstallation
) -> None:
    """A directory that was made anew: the configuration names its new root, the archive the one of before."""
    key_id = here.make_key()
    made = here.back_up()
    there = make_installation("there")
    assert there.place.root.root_file is not None
    assert here.place.root.root_file is not None
    shutil.copy(here.directory / "key", there.directory / "key")
    shutil.copy(here.place.root.root_file, there.place.directory / f"root-{made.header.root_id.hex()[:8]}")
    there.restore(here.archive)
    assert there.opens(key_id)


def test_an_interrupted_restore_leaves_what_the_next_removes(here: Installation) -> None:
    left = here.place.directory / ".restore-abc"
    left.mkdir()
    (left / "keys.sqlite").touch()
    remove_stale_staging(here.place.directory)
    assert not left.exists()


def test_the_directory_is_made_where_it_was_lost_and_left_away_when_refused(here: Installation, tmp_path: Path) -> None:
    here.back_up()
    there = Place(tmp_path / "new" / "keys.sqlite", here.place.root)
    cut = tmp_path / "cut"
    cut.write_bytes(here.archive.read_bytes()[:-1])
    (tmp_path / "new").parent.mkdir(exist_ok=True)
    with pytest.raises(BadArchive), staged(there, cut):
        pass
    assert not (tmp_path / "new").exists()
    with staged(there, here.archive) as ready:
        put_in_place(there, ready, epoch_path=tmp_path / "new" / "epoch", replaces=False)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_the_mac_is_the_roots_over_the_digest(here: Installation) -> None:
    made = here.back_up()
    root_file, key_file = here.place.root.root_file, here.place.root.key_file
    assert root_file is not None
    with closing(FileRoot.open(root_file, key_file=key_file)) as root:
        assert hmac.compare_digest(here.archive.read_bytes()[-32:], root.mac(b"sealgate/v1/kms-backup" + made.digest))


def test_no_disk_space_leaves_nothing(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = here.contents()
    with pytest.raises((OSError, StoreError)):
        here.back_up()
    assert here.contents() == before


def test_a_rename_that_fails_leaves_all_as_it_was(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    here.back_up()
    key_id = here.make_key()
    before = here.contents().keys()

    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, "Permission denied", str(path), None, str(target))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        here.restore()
    assert here.contents().keys() == before
    assert here.opens(key_id)

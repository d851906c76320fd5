"""Backup and restore of a key store, from the settings that kmsd is told: for commands. Blocks.

    backup    beside whoever serves: snapshot, proof of every record, archive authenticated by the root in use
    restore   with nobody serving: copy out of the archive, its authentication, proof of every record by the root that
              it names; only then one rename. Before it nothing is changed, and after it everything

The root is looked for where the configuration says that roots are, never where the archive says: whoever could forge
an archive would name a root of his own there. The root itself is in no archive.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from kms.audit.files import sync_directory
from kms.daemon.root import found_root, ready_roots
from kms.daemon.root_location import format_location
from kms.daemon.rotation import Place
from kms.daemon.settings import RootSettings
from kms.epoch import SharedEpoch
from kms.hsm.interface import RootMisconfigured, RootUnavailable
from kms.hsm.roots import Roots
from kms.service.key_backup import Difference, KeyVersion, Proven, archive_mac, compare, prove_records, verify_archive
from kms.store.archive import ArchiveHeader, BadArchive, read_archive, write_archive
from kms.store.interface import StoreError, StoreUnavailable
from kms.store.migration import migrations
from kms.store.opening import KeyDatabase, replace_keys
from kms.store.records import RootUse, StoredAct, StoredRoot, new_act
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.snapshot import require_sound, settle, take_snapshot

_STAGING = ".restore-"
_EXCLUSIVE_SECONDS = 1.0

MAX_CARRIED_ACTS = 10_000
"""Acts that wait in the key store to be replaced; kmsd tells them within seconds, so that there are a few at most."""


class Unreadable(Exception):
    """Records that their own root does not authenticate, or whose root is not there; `versions` are they."""

    def __init__(self, versions: list[KeyVersion]) -> None:
        named = ", ".join(f"{key_id} version {version}" for key_id, version in versions[:3])
        super().__init__(f"{len(versions)} records are not authentic: {named}{', …' if len(versions) > 3 else ''}")
        self.versions = versions


@dataclass(frozen=True, slots=True)
class Made:
    """An archive: its header, its digest (32 bytes), its size, and what was proven of its records."""

    header: ArchiveHeader
    digest: bytes
    size_bytes: int
    proven: Proven


@dataclass(frozen=True, slots=True)
class Staged:
    """The key store of an archive, proven and ready to be put in place, and how it differs from the present one (None
    where there is none, or none that can be read)."""

    database: Path
    header: ArchiveHeader
    digest: bytes
    proven: Proven
    present: Present | None

    @property
    def difference(self) -> Difference | None:
        return None if self.present is None else self.present.difference


@dataclass(frozen=True, slots=True)
class Present:
    """The key store that is to be replaced: how it differs, and the acts that no audit trail knows of yet."""

    difference: Difference
    acts: list[StoredAct]


def back_up(place: Place, target: Path, *, overwrites: bool = False, keeps_unreadable: bool = False) -> Made:
    """Make an archive of the key store in the file `target` (mode 0600): whole and durable, or not at all.

    Raises FileExistsError, Unreadable, StoreError, RootError, OSError.
    """
    _refuse_existing(target, overwrites)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as directory:
        database, archive = Path(directory) / "keys.sqlite", Path(directory) / "archive"
        created_us = time.time_ns() // 1000
        schema = _snapshot(place, database)
        with contextlib.closing(SQLiteKeyStore(database)) as store:
            check_value = store.root_check_value()
            if check_value is None:
                raise RootMisconfigured("the key store knows no root; `sealgate init` has not finished")
            with ready_roots(place.root, store, place.directory) as roots:
                proven = _proven(store, roots, keeps_unreadable)
                identity = roots.identity
                header = ArchiveHeader(created_us, schema, identity.root_id, identity.label, check_value)
                with _new_file(archive) as file, database.open("rb") as content:
                    digest = write_archive(file, header, content, database.stat().st_size)
                    file.write(archive_mac(roots, digest))
                    file.flush()
                    os.fsync(file.fileno())
        size_bytes = archive.stat().st_size
        _refuse_existing(target, overwrites)
        # First, so that no archive is there that the audit trail will not know of.
        with contextlib.closing(place.open_keys()) as store:
            facts = _facts(header, digest, proven)
            store.add_acts([new_act("BackUpKeyStore", created_us, **facts, unreadableRecords=len(proven.unreadable))])
        archive.replace(target)
        sync_directory(target.parent)
    return Made(header, digest, size_bytes, proven)


@contextlib.contextmanager
def staged(place: Place, source: Path, *, keeps_unreadable: bool = False) -> Iterator[Staged]:
    """The key store of the archive `source`, beside the place where it would go, for as long as the block lasts.

    Raises BadArchive, Unreadable, StoreError, RootError, OSError.
    """
    with _staging_directory(place.directory) as directory:
        database = directory / place.keys_path.name
        with source.open("rb") as file, _new_file(database) as content:
            archive = read_archive(file, content)
        header = archive.header
        if header.schema > migrations()[-1][0]:
            raise BadArchive(
                f"the archive's key store has schema {header.schema}, of a later release; this one knows "
                f"{migrations()[-1][0]}"
            )
        with found_root(place.root, header.root_id, header.label, header.check_value) as (root, location):
            verify_archive(root, archive)
        require_sound(database)
        settle(database)
        with contextlib.closing(SQLiteKeyStore(database)) as store:
            _place_roots(place, store, header, location)
            with ready_roots(place.root, store, place.directory) as roots:
                proven = _proven(store, roots, keeps_unreadable)
            present = _present(place, store)
        yield Staged(database, header, archive.digest, proven, present)


def put_in_place(place: Place, ready: Staged, *, epoch_path: Path, replaces: bool) -> Path | None:
    """Put the proven key store where kmsd finds it, by one rename; where the one before is kept, if there was one.

    On PostgreSQL by one transaction, after which every node has these keys and no other. The caller sees to it that
    nobody serves here and nobody starts to. Raises FileExistsError unless it `replaces` what is
    there, EpochLocked while a kmsd lives, StoreUnavailable while any other process has the key store open, OSError.
    """
    keys_path = place.keys_path
    _tell_restored(ready)
    with contextlib.ExitStack() as holding, contextlib.ExitStack() as undoing:
        if epoch_path.exists():
            # Beside the lock: whatever was remembered about keys is of another time now.
            holding.enter_context(contextlib.closing(SharedEpoch.open_writer(epoch_path)))
        kept = None
        if place.key_database is not None:
            return _share(place, place.key_database, ready, replaces=replaces)
        if keys_path.exists():
            if not replaces:
                raise FileExistsError(f"there is a key store at {keys_path} already")
            kept = _kept_name(keys_path)
            holding.enter_context(_alone_with(keys_path))
            os.link(keys_path, kept)
            undoing.callback(kept.unlink)
        _put_log_away(keys_path, kept or keys_path.with_name(f"{keys_path.name}.orphan"))
        sync_directory(place.directory)
        ready.database.replace(keys_path)
        undoing.pop_all()
        sync_directory(place.directory)
    return kept


def _share(place: Place, database: KeyDatabase, ready: Staged, *, replaces: bool) -> Path | None:
    """Make the proven keys those of all nodes; where those before are kept, if there were any."""
    kept = None
    if has_keys(place):
        if not replaces:
            raise FileExistsError(f"there are keys in schema {database.schema} of the database already")
        kept = _kept_name(place.keys_path)
        _snapshot(place, kept)
        sync_directory(place.directory)
    asyncio.run(replace_keys(database, ready.database))
    return kept


def has_keys(place: Place) -> bool:
    """Whether a restore would replace something. Raises StoreError."""
    if place.key_database is None:
        return place.keys_path.exists()
    with contextlib.closing(place.open_keys()) as store:
        return store.root_check_value() is not None


def _kept_name(keys_path: Path) -> Path:
    return keys_path.with_name(f"{keys_path.name}.replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")


def _snapshot(place: Place, target: Path) -> int:
    """`take_snapshot` of the key store; of one that nodes share, of this node's copy as it is brought up to date."""
    if place.key_database is None:
        return take_snapshot(place.keys_path, target)
    with contextlib.closing(place.open_keys()):
        return take_snapshot(place.keys_path, target)


def _tell_restored(ready: Staged) -> None:
    """Write into the restored key store that it is one, and what the one before did not tell yet; all on the disk."""
    waiting = [] if ready.present is None else ready.present.acts
    facts: dict[str, str | int] = _facts(ready.header, ready.digest, ready.proven)
    if ready.difference is not None:
        facts |= {"returningVersions": len(ready.difference.returning), "lostVersions": len(ready.difference.lost)}
    with contextlib.closing(SQLiteKeyStore(ready.database)) as store:
        store.add_acts([*waiting, new_act("RestoreKeyStore", time.time_ns() // 1000, **facts)])
    settle(ready.database)
    with ready.database.open("rb") as content:
        os.fsync(content.fileno())


def _facts(header: ArchiveHeader, digest: bytes, proven: Proven) -> dict[str, str | int]:
    return {
        "archiveSha256": digest.hex(),
        "archiveTime": datetime.fromtimestamp(header.created_us / 1_000_000, UTC).isoformat(),
        "root": header.root_id.hex(),
        "keyVersions": proven.versions,
    }


def _proven(store: SQLiteKeyStore, roots: Roots, keeps_unreadable: bool) -> Proven:
    proven = prove_records(store, roots, needs_every_root=not keeps_unreadable)
    if proven.unreadable and not keeps_unreadable:
        raise Unreadable(proven.unreadable)
    return proven


def _place_roots(place: Place, store: SQLiteKeyStore, header: ArchiveHeader, location: RootSettings) -> None:
    """Write down where the roots were found now: the token may be another device than when the archive was made."""
    now_us = time.time_ns() // 1000
    settings = format_location(location, place.directory)
    current = StoredRoot(
        header.root_id, header.label, settings, header.check_value, RootUse.CURRENT, header.created_us, now_us
    )
    store.place_root(current)
    for root in store.roots():
        if root.state is RootUse.OLDER and root.check_value is not None:
            # One that is not in the configured token stays where it was; whether it answers, its records will tell.
            with (
                contextlib.suppress(RootUnavailable),
                found_root(place.root, root.root_id, root.label, root.check_value) as (_, found),
            ):
                store.place_root(replace(root, settings=format_location(found, place.directory)))


def _present(place: Place, archived: SQLiteKeyStore) -> Present | None:
    try:
        if not has_keys(place):
            return None
        with tempfile.TemporaryDirectory(dir=place.directory, prefix=_STAGING) as directory:
            copy = Path(directory) / "present.sqlite"
            _snapshot(place, copy)
            with contextlib.closing(SQLiteKeyStore(copy)) as present:
                return Present(compare(present, archived), present.acts(MAX_CARRIED_ACTS))
    except StoreError:
        return None  # it is to be replaced, perhaps just because it cannot be read


@contextlib.contextmanager
def _alone_with(keys_path: Path) -> Iterator[None]:
    """Keep every other process out of a key store, its log emptied into it. One that is damaged is let be."""
    with contextlib.closing(sqlite3.connect(keys_path, timeout=_EXCLUSIVE_SECONDS, isolation_level=None)) as connection:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise StoreUnavailable(f"another process has the key store {keys_path} open") from error
        except sqlite3.DatabaseError:
            pass
        yield


def _put_log_away(keys_path: Path, beside: Path) -> None:
    """A log that is left (of a damaged or vanished database) must not be taken for the log of the new one."""
    log = keys_path.with_name(keys_path.name + "-wal")
    if log.exists():
        log.rename(beside.with_name(beside.name + "-wal"))
    keys_path.with_name(keys_path.name + "-shm").unlink(missing_ok=True)


@contextlib.contextmanager
def _staging_directory(parent: Path) -> Iterator[Path]:
    """A private directory in `parent`, which is made if need be, and goes again if nothing came of it."""
    made_parent = not parent.exists()
    parent.mkdir(mode=0o700, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=parent, prefix=_STAGING) as directory:
            yield Path(directory)
    finally:
        if made_parent:
            with contextlib.suppress(OSError):  # not empty: it is in use
                parent.rmdir()


def remove_stale_staging(directory: Path) -> None:
    """Remove what an interrupted restore left behind; only while no other restore can be under way. Raises OSError."""
    for left in directory.glob(f"{_STAGING}*"):
        shutil.rmtree(left)


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file


def _refuse_existing(target: Path, overwrites: bool) -> None:
    if target.exists() and not overwrites:
        raise FileExistsError(f"{target} exists, and is not overwritten")
    if target.exists() and not target.is_file():
        raise FileExistsError(f"{target} is no file")

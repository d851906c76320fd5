"""What is in a backup, how it is taken while the gateway serves, and how it is put back.

The order makes it consistent: the index first, then identities, then keys. What a row of the index names (a KMS key, a
version of it, an account) was there before the row, and is not taken away in the seconds between: keys are destroyed
days after somebody asked for it. Bodies are in no backup, but for those inside the index: docs/backup.md.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from gateway.backup.archive import (
    BackupHeader,
    BadBackup,
    BodyReader,
    BodyWriter,
    format_header,
    new_header,
    read_header,
    verified_key,
)
from gateway.backup.stores import copy_database, put_aside, require_sound
from gateway.config import CONFIG_NAME, Settings
from gateway.kmsd import root_settings
from gateway.private_files import sync_directory
from kms.daemon.key_backup import Staged, back_up, put_in_place, remove_stale_staging, staged
from kms.daemon.root import found_root
from kms.daemon.rotation import Place
from kms.store.archive import read_header_only

MANIFEST: Final = "backup.json"
KEYS: Final = "keys.sgkb"
INDEX: Final = "index.sqlite"
IDENTITIES: Final = "identities.sqlite"
NOTES: Final = "index-notes"
MARK: Final = "restoring"
"""A file in the data directory while parts of a backup take the places of others: a gateway does not serve then."""

_MEMBERS: Final = (MANIFEST, CONFIG_NAME, INDEX, NOTES, IDENTITIES, KEYS)
_STAGING: Final = ".restore-"
_MAX_SMALL_BYTES: Final = 1 << 20


class Manifest(msgspec.Struct, frozen=True):
    """The first member of a backup. `absent` are stores that are elsewhere: on PostgreSQL."""

    created_us: int
    members: list[str]
    absent: list[str] = []


@dataclass(frozen=True, slots=True)
class MadeBackup:
    header: BackupHeader
    manifest: Manifest
    size_bytes: int


@dataclass(slots=True)
class Restored:
    """What is ready to be put in place, proven, in a private directory beside it; and where what was there is kept."""

    header: BackupHeader
    manifest: Manifest
    directory: Path
    keys: Staged
    kept: list[Path] = field(default_factory=list)


def make_backup(settings: Settings, target: Path, *, overwrites: bool = False) -> MadeBackup:
    """Write a backup into `target` (mode 0600): whole and durable, or not at all.

    Raises BadBackup, FileExistsError, StorageUnavailable, and what `kms.daemon.key_backup.back_up` does.
    """
    _require_own_keys(settings)
    if target.exists() and not (overwrites and target.is_file()):
        raise FileExistsError(f"{target} exists, and is not overwritten")
    created_us = time.time_ns() // 1000
    with tempfile.TemporaryDirectory(dir=settings.run_directory, prefix="backup-") as name:
        directory = Path(name)
        manifest = _take(settings, directory, created_us)
        place = Place(settings.keys_path, root_settings(settings))
        with (directory / KEYS).open("rb") as file:
            of_keys = read_header_only(file)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            with found_root(place.root, of_keys.root_id, of_keys.label, of_keys.check_value) as (root, _):
                header, key = new_header(root, created_us, of_keys.check_value)
                start = format_header(root, header)
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(start)
                body = BodyWriter(file, key)
                with tarfile.open(fileobj=cast(BinaryIO, body), mode="w|", format=tarfile.PAX_FORMAT) as members:
                    for member in manifest.members:
                        members.add(directory / member, member, filter=_anonymous)
                body.finish()
                file.flush()
                os.fsync(file.fileno())
            size_bytes = partial.stat().st_size
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(target.parent)
    return MadeBackup(header, manifest, size_bytes)


def _require_own_keys(settings: Settings) -> None:
    """Raises BadBackup where several gateways share the keys: a file of one of them is no place for those of all."""
    if settings.key_database is not None:
        raise BadBackup("keys are on PostgreSQL, and nearly all else with them: pg_dump is the way (docs/backup.md)")


def _take(settings: Settings, directory: Path, created_us: int) -> Manifest:
    storage, absent = settings.storage, []
    if storage.index == "sqlite":
        copy_database(settings.index_path, directory / INDEX)
    else:
        absent.append(INDEX)
    for source, name in (
        (settings.notes_path, NOTES),
        (settings.data_directory / CONFIG_NAME, CONFIG_NAME),
    ):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(source, directory / name)
    if storage.identities == "sqlite":
        copy_database(settings.identities_path, directory / IDENTITIES)
    else:
        absent.append(IDENTITIES)
    back_up(Place(settings.keys_path, root_settings(settings)), directory / KEYS)
    members = [name for name in _MEMBERS if name == MANIFEST or (directory / name).exists()]
    manifest = Manifest(created_us, members, absent)
    (directory / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return manifest


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o600
    return member


def remove_leftovers(settings: Settings) -> None:
    """What a restore that was killed unpacked; only while no other one can be under way. Raises OSError."""
    for left in settings.data_directory.glob(f"{_STAGING}*"):
        shutil.rmtree(left)
    remove_stale_staging(settings.keys_path.parent)


@contextlib.contextmanager
def opened_backup(settings: Settings, source: Path) -> Iterator[Restored]:
    """A backup opened by the root that the configuration names, all of it authenticated and looked at.

    Nothing is changed. Raises BadBackup, StorageUnavailable, and what `kms.daemon.key_backup.staged` does.
    """
    _require_own_keys(settings)
    place = Place(settings.keys_path, root_settings(settings))
    with tempfile.TemporaryDirectory(dir=settings.data_directory, prefix=_STAGING) as name:
        directory = Path(name)
        with source.open("rb") as file:
            header, mac = read_header(file)
            with found_root(place.root, header.root_id, header.label, header.check_value) as (root, _):
                key = verified_key(root, header, mac)
            sealed_bytes = os.fstat(file.fileno()).st_size - file.tell()
            _unpack(BodyReader(file, key, sealed_bytes), directory)
        manifest = _manifest_of(directory)
        _require_same_stores(settings, manifest)
        for database in (INDEX, IDENTITIES):
            if database in manifest.members:
                require_sound(directory / database)
        with staged(place, directory / KEYS) as keys:
            yield Restored(header, manifest, directory, keys)


def _unpack(body: BodyReader, directory: Path) -> None:
    """Files of the names that a backup has, each once, and nothing else; all of the body is read."""
    try:
        with tarfile.open(fileobj=cast(BinaryIO, body), mode="r|") as members:
            for member in members:
                path = directory / member.name
                if member.name not in _MEMBERS or not member.isreg() or path.exists():
                    raise BadBackup(f"the backup holds what no release of this program writes: {member.name!r}")
                content = members.extractfile(member)
                assert content is not None
                with content, os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    shutil.copyfileobj(content, file, 1 << 20)
                    file.flush()
                    os.fsync(file.fileno())
    except tarfile.TarError as error:
        raise BadBackup(f"the backup's contents cannot be read: {error}") from error
    while body.read(1 << 20):
        pass  # what follows the last member is authenticated, too: the body ends where its writer ended it


def _manifest_of(directory: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((directory / MANIFEST).read_bytes()[:_MAX_SMALL_BYTES], type=Manifest)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadBackup("the backup has no list of its contents") from error
    missing = [name for name in manifest.members if name not in _MEMBERS or not (directory / name).exists()]
    if missing or KEYS not in manifest.members:
        raise BadBackup(f"the backup lacks {', '.join(missing) or KEYS}")
    return manifest


def _require_same_stores(settings: Settings, manifest: Manifest) -> None:
    """A store that is elsewhere is restored there, and one that was here goes nowhere else."""
    for name, kept_at in ((INDEX, settings.storage.index), (IDENTITIES, settings.storage.identities)):
        if (name in manifest.members) != (kept_at == "sqlite"):
            where = "in the backup" if name in manifest.members else "on PostgreSQL when the backup was made"
            raise BadBackup(f"{name} was {where}, and the configuration says {kept_at.partition(':')[0]}")


def restore(settings: Settings, ready: Restored, *, replaces: bool) -> None:
    """Put everything in place; what was there is kept beside, as `*.replaced-TIME`.

    The caller sees to it that nobody serves. The mark is there from before the first step until after the last: a
    restore that was cut short is begun again, and nothing serves until then. Raises FileExistsError unless it
    `replaces` what is there, OSError, and what `put_in_place` does.
    """
    suffix = f".replaced-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}"
    places = {INDEX: settings.index_path, IDENTITIES: settings.identities_path}
    places = {name: path for name, path in places.items() if name in ready.manifest.members}
    there = [path for path in (*places.values(), settings.keys_path) if path.exists()]
    mark = settings.data_directory / MARK
    if there and not replaces and not mark.exists():
        raise FileExistsError(f"there is {there[0]} already")
    mark.touch(mode=0o600)
    sync_directory(settings.data_directory)
    for name, path in places.items():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        kept = put_aside(path, suffix)
        if kept is not None:
            ready.kept.append(kept)
        (ready.directory / name).replace(path)
        sync_directory(path.parent)
    if NOTES in ready.manifest.members and not settings.notes_path.exists():
        settings.notes_path.parent.mkdir(mode=0o700, exist_ok=True)
        (ready.directory / NOTES).replace(settings.notes_path)
        sync_directory(settings.notes_path.parent)
    place = Place(settings.keys_path, root_settings(settings))
    kept = put_in_place(place, ready.keys, epoch_path=settings.epoch_path, replaces=True)
    if kept is not None:
        ready.kept.append(kept)
    mark.unlink()
    sync_directory(settings.data_directory)

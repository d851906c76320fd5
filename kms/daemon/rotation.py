"""A rotation of the root from beginning to end, from the settings that kmsd is told: for commands, beside a kmsd or
without one. The steps and their order: kms/service/root_rotation.py. Blocks.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kms.audit.files import sync_directory
from kms.audit.handover import SWITCH, BadHandover, hand_over
from kms.daemon.root import driver_of, name_softhsm_conf, pin_of, ready_roots
from kms.daemon.root_location import format_location, parse_location, resolve_location, successor_file
from kms.daemon.settings import RootSettings
from kms.hsm.check_value import make_check_value
from kms.hsm.description import audit_public_key_or_none
from kms.hsm.file_root import FileRoot
from kms.hsm.interface import NotOffered, RootError, RootIdentity, RootMisconfigured
from kms.hsm.roots import Roots
from kms.hsm.succession import destroy_root, make_successor
from kms.hsm.tokens import read_pin
from kms.hsm.uri import format_uri, parse_uri
from kms.service.root_rotation import Note, Rewrapped, prepare, preparing, removable, rewrap
from kms.service.row_seals import open_seals
from kms.store.opening import KeyDatabase, open_key_store
from kms.store.records import RootRecords, RootUse, StoredRoot, new_act
from kms.store.sqlite import SQLiteKeyStore

ROUNDS = 3
"""How often records are looked for: keys made at the moment of the switch may have come under the older root."""


class NothingToResume(Exception):
    """No rotation was begun, and none was to be begun."""


class AnotherTarget(Exception):
    """A rotation to another place was begun; the message says to which."""


@dataclass(frozen=True, slots=True)
class Place:
    """A key store, as `DaemonSettings` names it, and how its root was configured."""

    keys_path: Path
    root: RootSettings
    key_database: KeyDatabase | None = None

    def open_keys(self) -> SQLiteKeyStore:
        """Raises StoreError."""
        return open_key_store(self.keys_path, self.key_database)

    @property
    def directory(self) -> Path:
        return self.keys_path.parent


@dataclass(frozen=True, slots=True)
class Standing:
    """What a rotation would find: the root in use, all that are known, and the records of each."""

    current: RootIdentity
    roots: list[StoredRoot]
    records: list[RootRecords]

    def count(self, root_id: bytes, *, is_hsm: bool | None = None) -> int:
        return sum(each.count for each in self.records if each.root_id == root_id and is_hsm in (None, each.is_hsm))

    @property
    def movable(self) -> int:
        """Records that are not under the current root, and can be moved there."""
        return sum(each.count for each in self.records if each.root_id != self.current.root_id and not each.is_hsm)

    @property
    def kept(self) -> int:
        """Records that an older root keeps for good: those of protection `hsm`."""
        return sum(each.count for each in self.records if each.root_id != self.current.root_id and each.is_hsm)

    @property
    def is_unfinished(self) -> bool:
        return self.movable > 0 or any(root.state is RootUse.PREPARING for root in self.roots)


@dataclass
class Removed:
    """What became of older roots: keys destroyed by root id, and why those of others were not."""

    destroyed: dict[str, int] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def opened(place: Place) -> Iterator[tuple[SQLiteKeyStore, Roots]]:
    """The key store and its roots, the current one ready. Raises RootError, StoreError."""
    store = place.open_keys()
    with contextlib.ExitStack() as closing:
        closing.callback(store.close)
        if store.root_check_value() is None:
            raise RootMisconfigured(f"the key store {place.keys_path} knows no root")
        roots = closing.enter_context(ready_roots(place.root, store, place.directory))
        open_seals(store, roots, now_us=_now_us())
        yield store, roots


def standing(store: SQLiteKeyStore, roots: Roots) -> Standing:
    return Standing(roots.identity, store.roots(), store.records_by_root())


def rotate(
    place: Place,
    store: SQLiteKeyStore,
    roots: Roots,
    *,
    target: RootSettings | None = None,
    resumes_only: bool = False,
    on_batch: Callable[[int], None] = lambda moved: None,
    note: Note = lambda step: None,
) -> Rewrapped:
    """Finish the rotation that was begun, or begin one and finish it.

    `target` is where the new root shall be; by default in the token, or beside the file, of the present one. Raises
    NothingToResume, AnotherTarget, RootError, StoreError; whatever is raised, the same call goes on where it ended.
    """
    if not standing(store, roots).is_unfinished:
        if resumes_only:
            raise NothingToResume
        _prepare(place, store, roots, target, note)
    successor = preparing(store)
    if successor is not None:
        location = parse_location(successor.settings, place.directory)
        if target is not None and not _is_same_place(target, location):
            raise AnotherTarget(f"a rotation to {location.uri or location.root_file} was begun and is not finished")
        note("make")
        made = _make(location, successor.root_id)
        handover = _hand_over(roots, made.audit_public_key)
        note("switch")
        now_us = _now_us()
        store.switch_root(
            successor.root_id,
            check_value=made.check_value,
            settings=format_location(made.location, place.directory),
            now_us=now_us,
            act=new_act(SWITCH, now_us, root=successor.root_id.hex(), **handover),
        )
        note("switched")
    result = Rewrapped()
    for _ in range(ROUNDS):
        round_ = rewrap(store, roots, on_batch=on_batch, note=note)
        result.moved += round_.moved
        result.unreadable = round_.unreadable
        if not round_.moved:
            break
    root_id = roots.identity.root_id.hex()
    moved, unreadable = result.moved, len(result.unreadable)
    store.add_acts(
        [new_act("FinishRootRotation", _now_us(), root=root_id, movedRecords=moved, unreadableRecords=unreadable)]
    )
    note("end")
    return result


def remove_older(place: Place, store: SQLiteKeyStore, roots: Roots, *, note: Note = lambda step: None) -> Removed:
    """Destroy the keys of all older roots that no record needs. The current root proves itself first."""
    roots.check()
    removed = Removed()
    for root in removable(store):
        if root.state is RootUse.OLDER:
            note("retire")
            now_us = _now_us()
            store.retire_root(root.root_id, now_us=now_us, act=new_act("RetireRoot", now_us, root=root.root_id.hex()))
        note("destroy")
        try:
            count = _destroy(resolve_location(root.settings, place.root, place.directory))
        except (RootError, OSError) as error:
            removed.failed[root.root_id.hex()] = str(error)
        else:
            if count or root.state is RootUse.OLDER:
                removed.destroyed[root.root_id.hex()] = count
                store.add_acts([new_act("DestroyRoot", _now_us(), root=root.root_id.hex(), destroyedKeys=count)])
    return removed


def abandon(place: Place, store: SQLiteKeyStore) -> StoredRoot | None:
    """Give up a rotation whose new root is not in use yet: destroy what was made of its keys. None if there is none."""
    successor = preparing(store)
    if successor is None:
        return None
    location = parse_location(successor.settings, place.directory)
    if location.kind == "pkcs11":
        uri = replace(parse_uri(location.uri), root_id=successor.root_id)
        location = replace(location, uri=format_uri(uri))
    _destroy(location)
    act = new_act("AbandonRootRotation", _now_us(), successor=successor.root_id.hex())
    store.abandon_root(successor.root_id, act)
    return successor


def _prepare(place: Place, store: SQLiteKeyStore, roots: Roots, target: RootSettings | None, note: Note) -> StoredRoot:
    present = _present_location(place, store, roots)
    label = roots.identity.label

    def successor_location(root_id: bytes) -> str:
        settings = target or present
        if settings.kind == "pkcs11":
            uri = replace(parse_uri(settings.uri), root_id=None)
            settings = replace(settings, uri=format_uri(uri))
        elif target is None:
            assert present.root_file is not None
            settings = replace(settings, root_file=successor_file(present.root_file, root_id))
        return format_location(settings, place.directory)

    if target is not None and target.kind == "pkcs11":
        label = parse_uri(target.uri).label
    return prepare(
        store,
        roots,
        location=format_location(present, place.directory),
        successor_location=successor_location,
        label=label,
        now_us=_now_us(),
        note=note,
    )


def _present_location(place: Place, store: SQLiteKeyStore, roots: Roots) -> RootSettings:
    """Where the root in use is, with its id."""
    identity = roots.identity
    for root in store.roots():
        if root.root_id == identity.root_id:
            return resolve_location(root.settings, place.root, place.directory)
    if place.root.kind == "file":
        return place.root
    uri = replace(parse_uri(place.root.uri), root_id=identity.root_id, pin_source=None)
    pin_file = place.root.pin_file or parse_uri(place.root.uri).pin_source
    return replace(place.root, uri=format_uri(uri), pin_file=pin_file)


def _hand_over(roots: Roots, audit_public_key: bytes | None) -> dict[str, str]:
    """The root in use vouches for the audit key of the new one; empty if either of them has none.

    A root without such a key never signed a checkpoint that could be handed on. Raises RootError.
    """
    if audit_public_key is None:
        return {}
    try:
        return hand_over(roots, audit_public_key)
    except NotOffered:
        return {}
    except BadHandover as error:
        raise RootMisconfigured(f"the root in use does not vouch for the new one's audit key: {error}") from error


@dataclass(frozen=True, slots=True)
class _Made:
    """A new root: where it is, exactly, its check value, and the public half of its audit-sign."""

    location: RootSettings
    check_value: bytes
    audit_public_key: bytes | None


def _make(location: RootSettings, root_id: bytes) -> _Made:
    """Make the keys of the new root, or complete them."""
    if location.kind == "pkcs11":
        name_softhsm_conf(location)
        uri = parse_uri(location.uri)
        description = make_successor(uri, pin_of(location, uri), root_id, driver_of(location))
        location = replace(location, uri=description.uri)
        return _Made(location, description.check_value, description.audit_public_key)
    assert location.root_file is not None
    passphrase = None if location.key_file is not None else read_pin(_passphrase_file(location))
    if not location.root_file.exists():
        made = FileRoot.create(location.root_file, passphrase=passphrase, key_file=location.key_file, root_id=root_id)
        return _Made(location, made.check_value, made.audit_public_key)
    root = FileRoot.open(location.root_file, passphrase=passphrase, key_file=location.key_file)
    if root.identity.root_id != root_id:
        raise RootMisconfigured(f"{location.root_file} is another root's file")
    return _Made(location, make_check_value(root), audit_public_key_or_none(root))


def _destroy(location: RootSettings) -> int:
    """Destroy a root's keys; how many there were."""
    if location.kind == "pkcs11":
        name_softhsm_conf(location)
        uri = parse_uri(location.uri)
        return destroy_root(uri, pin_of(location, uri), driver_of(location))
    assert location.root_file is not None
    if not location.root_file.exists():
        return 0
    with location.root_file.open("r+b") as file:
        file.write(bytes(location.root_file.stat().st_size))
        file.flush()
        # Before the name goes: afterwards the system may let the zeros go with it, and the keys stay on the disk.
        os.fsync(file.fileno())
    location.root_file.unlink()
    sync_directory(location.root_file.parent)
    return 1


def _passphrase_file(location: RootSettings) -> Path:
    if location.pin_file is None:
        raise RootMisconfigured("neither a passphrase file nor a key file says how to seal the file root")
    return location.pin_file


def _is_same_place(one: RootSettings, other: RootSettings) -> bool:
    if one.kind != other.kind:
        return False
    if one.kind == "file":
        return one.root_file == other.root_file
    uris = parse_uri(one.uri), parse_uri(other.uri)
    return len({(uri.module_path.resolve(), uri.token, uri.label) for uri in uris}) == 1


def _now_us() -> int:
    return time.time_ns() // 1000

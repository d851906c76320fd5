"""Rotation of the root: a new one takes its place, and every record that can moves under it, while keys are in use.

    prepare    the successor's id and place are written down, before any key is made       (KeyStore: preparing)
    make       its keys are made, or completed, in the token                               (kms/hsm/succession.py)
    switch     in one transaction it becomes the current one: new records are made under it, kmsd asks at every call;
               the act of it, written there too, has the older root's signature for the audit key of the new one
    rewrap     batch by batch, each one transaction, records move; what changed meanwhile is left to the next round
    retire     once no record needs an older root: no record can come to it any more; then its keys are destroyed

Every step may be interrupted anywhere and done again: what is left to do shows in the rows themselves, and there is no
cursor. kmsd opens a record by the root that it names (kms/hsm/roots.py), so that records of both may lie side by
side. Records of protection `hsm` stay: nobody can unwrap them, by design, and their root stays with them.

For `sealgate hsm rotate-root`. Blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

from kms.hsm.interface import Root, UnwrapFailed
from kms.hsm.uri import ROOT_ID_SIZE
from kms.keys.record_format import parse_header
from kms.keys.wrapping import make_record, open_record
from kms.store.records import RootUse, StoredRoot, WrappedVersion, key_bytes, new_act
from kms.store.sqlite import SQLiteKeyStore

BATCH = 50
"""Records of one transaction: some 100 ms of a local token's time, and 1 ms of the database's write lock."""

Note = Callable[[str], None]
"""Told the name of each step before it is done; tests end the process there."""


def _unnoted(_: str) -> None: ...


@dataclass
class Rewrapped:
    """How far it came: records that moved, and (key id, version) of those that do not open under their own root."""

    moved: int = 0
    unreadable: list[tuple[str, int]] = field(default_factory=list)


def preparing(store: SQLiteKeyStore) -> StoredRoot | None:
    """The root that an interrupted rotation began to make."""
    return next((root for root in store.roots() if root.state is RootUse.PREPARING), None)


def prepare(
    store: SQLiteKeyStore,
    root: Root,
    *,
    location: str,
    successor_location: Callable[[bytes], str],
    label: str,
    now_us: int,
    note: Note = _unnoted,
) -> StoredRoot:
    """Write down that `root`, at `location`, shall be succeeded by a new one, and where; returns the successor's row.

    Raises RootError, StoreError; KeyConflict when another rotation was begun.
    """
    identity = root.identity
    check_value = store.root_check_value()
    present = StoredRoot(identity.root_id, identity.label, location, check_value, RootUse.CURRENT, now_us, now_us)
    root_id = root.random(ROOT_ID_SIZE)
    # A microsecond later, for the order in which roots are listed.
    successor = StoredRoot(root_id, label, successor_location(root_id), None, RootUse.PREPARING, now_us + 1, now_us + 1)
    note("prepare")
    act = new_act("StartRootRotation", now_us, root=identity.root_id.hex(), successor=root_id.hex())
    store.prepare_root(present, successor, act)
    return successor


def rewrap(
    store: SQLiteKeyStore,
    roots: Root,
    *,
    on_batch: Callable[[int], None] = lambda moved: None,
    note: Note = _unnoted,
) -> Rewrapped:
    """Move every record of protection `software` under the current root of `roots`.

    `on_batch` is told how many records each transaction moved. Raises RootError and StoreError, with what was moved
    before moved for good.
    """
    result = Rewrapped()
    current = roots.identity.root_id
    after = ("", 0)
    while versions := store.versions_not_under(current, after=after, limit=BATCH):
        changes = []
        for version in versions:
            try:
                changes.append((version, _rewrapped(roots, version)))
            except UnwrapFailed:
                result.unreadable.append((version.key_id, version.version))
        note("batch")
        moved = store.replace_records(changes)
        note("batch done")
        result.moved += moved
        on_batch(moved)
        after = (versions[-1].key_id, versions[-1].version)
    store.forget_older_pages()
    return result


def _rewrapped(roots: Root, version: WrappedVersion) -> bytes:
    """The same material under the current root, which proves that it can open it."""
    key_id = UUID(bytes=key_bytes(version.key_id))
    material = open_record(roots, version.record, key_id, version.version)
    header = parse_header(version.record)
    record = make_record(
        roots,
        key_id,
        version.version,
        created_us=header.created_us,
        key_spec=header.key_spec,
        origin=header.origin,
        material=material,
    )
    if open_record(roots, record, key_id, version.version) != material:
        raise AssertionError(f"the root wrapped other bytes than it was given for key {version.key_id}")
    return record


def removable(store: SQLiteKeyStore) -> list[StoredRoot]:
    """Roots whose keys may be destroyed: older ones that no record needs, and retired ones, in case keys are left."""
    needed = {records.root_id for records in store.records_by_root()}
    return [
        root
        for root in store.roots()
        if root.state is RootUse.RETIRED or (root.state is RootUse.OLDER and root.root_id not in needed)
    ]

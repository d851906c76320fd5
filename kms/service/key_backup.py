"""What makes the archive of a key store trustworthy: the root's word for the whole of it, and for each of its records.

The records authenticate themselves, but a record that is missing does not tell, nor a policy that was rewritten. So
the root's HMAC key answers for the archive as a whole too. Blocks; for `sealgate kms`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from kms.hsm.interface import Protection, Root, RootError, RootMisconfigured, UnwrapFailed
from kms.keys.record_format import parse_header
from kms.keys.wrapping import prove_record
from kms.store.archive import BadArchive, ReadArchive, authenticated_message
from kms.store.records import RootRecords, WrappedVersion, key_bytes
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.seals import SEAL_KEY_ID

BATCH = 500

KeyVersion = tuple[str, int]
"""Key id and version."""


@dataclass
class Proven:
    """Records that the roots were asked about: how many, of how many keys; and those that none of them answered for."""

    keys: int = 0
    versions: int = 0
    unreadable: list[KeyVersion] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Difference:
    """What becomes of key material when an archive takes the place of a key store, by key version."""

    returning: list[KeyVersion]
    """In the archive alone: it was destroyed, or deleted, since the archive was made."""
    lost: list[KeyVersion]
    """In the present store alone: what it encrypted cannot be opened any more."""


def archive_mac(root: Root, digest: bytes) -> bytes:
    """The MAC of the archive with this digest, 32 bytes. Raises RootError."""
    return root.mac(authenticated_message(digest))


def verify_archive(root: Root, archive: ReadArchive) -> None:
    """Raises BadArchive unless this very root authenticated the archive; RootError."""
    if not hmac.compare_digest(archive_mac(root, archive.digest), archive.mac):
        raise BadArchive("the archive's authentication code is wrong: it was made anew by someone without the root")


def prove_records(store: SQLiteKeyStore, roots: Root, *, needs_every_root: bool = True) -> Proven:
    """Have every record authenticated by the root that it names; one call of the root for each.

    Raises RootError when a root that records need is unknown, does not answer, or is not what it was; unless
    `needs_every_root`, its records count as unreadable.
    """
    absent = set()
    for needed in store.records_by_root():
        try:
            _require_root(roots, needed)
        except RootError:
            if needs_every_root:
                raise
            absent.add((needed.root_id, needed.is_hsm))
    proven = Proven()
    last_key_id = ""
    for version in _versions(store):
        if version.key_id != SEAL_KEY_ID:  # a record like any, and nobody's key
            proven.versions += 1
            proven.keys += version.key_id != last_key_id
            last_key_id = version.key_id
        if not _is_authentic(roots, version, absent):
            proven.unreadable.append((version.key_id, version.version))
    return proven


def compare(present: SQLiteKeyStore, archived: SQLiteKeyStore) -> Difference:
    """Which material would come back, and which would be lost. Raises StoreUnavailable."""
    there, coming = _material(present), _material(archived)
    return Difference(sorted(coming - there), sorted(there - coming))


def _material(store: SQLiteKeyStore) -> set[KeyVersion]:
    """Of keys; each store has the key that sealed its own rows."""
    return {(version.key_id, version.version) for version in _versions(store) if version.key_id != SEAL_KEY_ID}


def _is_authentic(roots: Root, version: WrappedVersion, absent: set[tuple[bytes, bool]]) -> bool:
    try:
        header = parse_header(version.record)
        if (header.root.root_id, header.protection is Protection.HSM) in absent:
            return False
        prove_record(roots, version.record, UUID(bytes=key_bytes(version.key_id)), version.version)
    except UnwrapFailed:
        return False
    return True


def _require_root(roots: Root, needed: RootRecords) -> None:
    name = f"root {needed.root_id.hex()}, which {needed.count} records need,"
    root = roots.holding(needed.root_id)
    try:
        root.check()
    except RootError as error:
        raise type(error)(f"{name} does not answer: {error}") from error
    if root.identity.root_id != needed.root_id:
        raise RootMisconfigured(f"{name} is not known here: it was removed, or lies in a token that nothing names")
    if needed.is_hsm and root.strict_identity is None:
        raise RootMisconfigured(f"{name} has lost the key that wraps those of protection {Protection.HSM.value}")


def _versions(store: SQLiteKeyStore) -> Iterator[WrappedVersion]:
    after = ("", 0)
    while versions := store.all_versions(after=after, limit=BATCH):
        yield from versions
        after = (versions[-1].key_id, versions[-1].version)

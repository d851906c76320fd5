"""Rows of the key store as values. Nothing here is secret: key material is wrapped by the root."""

from __future__ import annotations

from dataclasses import dataclass

from kms.api.types import KeyMetadata, KeyState, Tag


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the version that encrypts.

    `sequence` grows with creation and orders listings; `destroyed_us` is set once the key's records were destroyed
    (the row stays, so that a key id is never taken for one that never was); `key_bytes` is the UUID's 16 bytes.
    """

    metadata: KeyMetadata
    key_bytes: bytes
    current_version: int
    sequence: int
    tags: tuple[Tag, ...] = ()
    destroyed_us: int | None = None

    def is_gone(self, now_us: int) -> bool:
        """Whether the key counts as deleted: destroyed, or its deletion window is over."""
        if self.destroyed_us is not None:
            return True
        deletion_us = self.metadata.deletion_us
        return self.metadata.state is KeyState.PENDING_DELETION and deletion_us is not None and deletion_us <= now_us


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of a key's material: `record` as `kms.keys.wrapping` makes it, `material_id` 64 hex digits."""

    key_id: str
    version: int
    material_id: str
    record: bytes
    created_us: int


@dataclass(frozen=True, slots=True)
class StoredAlias:
    """`name` begins with "alias/" and is unique in its account and region."""

    account_id: str
    region: str
    name: str
    key_id: str
    created_us: int
    updated_us: int


@dataclass(frozen=True, slots=True)
class NewKey:
    """What `KeyStore.insert_key` writes at once: the key, its first version and, for predefined keys, its alias."""

    metadata: KeyMetadata
    version: StoredVersion
    tags: tuple[Tag, ...] = ()
    alias: StoredAlias | None = None

"""Rows of the key store as values. Nothing here is secret: key material is wrapped by the root."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from uuid import UUID, uuid4

from kms.api.types import GrantConstraints, KeyMetadata, KeyState, Tag

MULTI_REGION_PREFIX = "mrk-"
_USABLE = frozenset({KeyState.ENABLED, KeyState.DISABLED})


def key_bytes(key_id: str) -> bytes:
    """The 16 bytes of a key id, as blobs and records hold it."""
    if key_id.startswith(MULTI_REGION_PREFIX):
        return bytes.fromhex(key_id.removeprefix(MULTI_REGION_PREFIX))
    return UUID(key_id).bytes


def key_ids(id_bytes: bytes) -> tuple[str, str]:
    """The two key ids that 16 bytes can mean: of a single-Region and of a multi-Region key."""
    return str(UUID(bytes=id_bytes)), MULTI_REGION_PREFIX + id_bytes.hex()


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key with the version that encrypts.

    `sequence` grows with creation and orders listings; `destroyed_us` is set once the key's records were destroyed
    (the row stays, so that a key id is never taken for one that never was); `key_bytes` is the 16 bytes of its id.
    `policy` is the key policy as it was put, empty for the account's default one.
    """

    metadata: KeyMetadata
    key_bytes: bytes
    current_version: int
    sequence: int
    tags: tuple[Tag, ...] = ()
    destroyed_us: int | None = None
    policy: str = ""
    rotation_period_days: int | None = None
    next_rotation_us: int | None = None
    newest_version: int = 1
    """The highest version there is: above `current_version` while imported material waits for its rotation."""
    material_ends_us: int | None = None
    """When the first imported material expires that is in use; None for never."""
    lacks_material: bool = False
    """Whether material must be imported, again or at all, before the key can be used."""

    def at(self, now_us: int) -> StoredKey:
        """The key as it is at `now_us`: pending import once its material expired, also before that was swept."""
        if self.material_ends_us is None or self.material_ends_us > now_us or self.metadata.state not in _USABLE:
            return self
        return replace(self, metadata=replace(self.metadata, state=KeyState.PENDING_IMPORT), lacks_material=True)

    def is_gone(self, now_us: int) -> bool:
        """Whether the key counts as deleted: destroyed, or its deletion window is over."""
        if self.destroyed_us is not None:
            return True
        deletion_us = self.metadata.deletion_us
        return self.metadata.state is KeyState.PENDING_DELETION and deletion_us is not None and deletion_us <= now_us


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One version of a key's material: `record` as `kms.keys.wrapping` makes it, `material_id` 64 hex digits.

    `record` is None for imported material that expired or was deleted. A version above the key's current one waits for
    its rotation; `rotated_us` and `rotation_type` (AUTOMATIC, ON_DEMAND) say how a later one became current.
    """

    key_id: str
    version: int
    material_id: str
    record: bytes | None
    created_us: int
    rotated_us: int | None = None
    rotation_type: str | None = None
    valid_to_us: int | None = None
    description: str | None = None
    material_check: bytes | None = None

    def is_over(self, now_us: int) -> bool:
        """Whether there is no material: it was deleted, or expired."""
        return self.record is None or (self.valid_to_us is not None and self.valid_to_us <= now_us)


@dataclass(frozen=True, slots=True)
class StoredUsage:
    """The last use of a key: `operation` as GetKeyLastUsage spells it."""

    key_id: str
    region: str
    operation: str
    used_us: int
    request_id: str


@dataclass(frozen=True, slots=True)
class WrappedVersion:
    """A version that has a record, as far as its record goes."""

    key_id: str
    version: int
    record: bytes


class RootUse(StrEnum):
    PREPARING = "preparing"
    """Its keys are being made."""
    CURRENT = "current"
    """What new records are made under; one."""
    OLDER = "older"
    """Records may be under it still."""
    RETIRED = "retired"
    """Its keys are destroyed, or about to be; no record is under it, and none will be."""


@dataclass(frozen=True, slots=True)
class StoredRoot:
    """A root that was known at some time: 16 bytes of id, and how it is reached, as JSON without any secret.

    `check_value` proves it when it is opened (kms/hsm/check_value.py); None while its keys are being made.
    """

    root_id: bytes
    label: str
    settings: str
    check_value: bytes | None
    state: RootUse
    created_us: int
    changed_us: int


@dataclass(frozen=True, slots=True)
class RootRecords:
    """How many records a root has, of protection `hsm` or of `software`."""

    root_id: bytes
    is_hsm: bool
    count: int


@dataclass(frozen=True, slots=True)
class StoredAct:
    """What an operator's command did, for the audit trail. `details` is a JSON object; `event_id` tells it from others
    for good, should it be told twice. `sequence` orders what waits (0 before it was stored)."""

    event_id: str
    name: str
    acted_us: int
    details: str
    sequence: int = 0


def new_act(name: str, acted_us: int, **details: str | int) -> StoredAct:
    """An act that was just done, or is being done in the transaction that writes it down."""
    return StoredAct(str(uuid4()), name, acted_us, json.dumps(details))


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
    """What `KeyStore.insert_key` writes at once: the key, its first version (None while it is pending import, or for a
    replica, whose material is there) and, for predefined keys, its alias."""

    metadata: KeyMetadata
    version: StoredVersion | None
    tags: tuple[Tag, ...] = ()
    alias: StoredAlias | None = None
    policy: str = ""
    current_version: int = 1
    rotation_period_days: int | None = None
    next_rotation_us: int | None = None


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant on the key `key_id` in `region`.

    `sequence` grows with creation and orders listings (0 before it was stored). `token_key` is 32 random bytes that
    authenticate its tokens.
    """

    grant_id: str
    key_id: str
    region: str
    grantee_principal: str
    retiring_principal: str | None
    issuing_account_id: str
    name: str
    operations: tuple[str, ...]
    constraints: GrantConstraints
    created_us: int
    token_key: bytes = field(repr=False)
    sequence: int = 0

    def is_retry_of(self, other: StoredGrant) -> bool:
        """Whether both were asked for with the same name and parameters, so that they are one grant."""
        return bool(self.name) and self._parameters() == other._parameters()

    def _parameters(self) -> tuple[object, ...]:
        principals = self.grantee_principal, self.retiring_principal, self.issuing_account_id
        return self.key_id, self.region, self.name, principals, frozenset(self.operations), self.constraints

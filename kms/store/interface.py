"""`KeyStore`: keys, the wrapped versions of their material, aliases, and what is known about the root.

Methods block. Reads are short (tens of microseconds) and may run on the event loop; writes wait for the disk and
belong in a thread. All are safe to call from several threads and see every write that returned before, of any process.
A write is one transaction: it happened whole and survives power loss when the method returns, and did not happen when
it raises, except for StoreUnavailable, after which either may be the case.

Every method raises StoreUnavailable when the database cannot be read or written; trying again may help. Rows about
keys, their versions, aliases and grants carry seals, by a key that the root opens (`kms.service.row_seals`): methods
about them raise SealsNotOpen before that, and DamagedRow for a row whose seal is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from kms.api.secrets import SecretBytes
from kms.api.types import KeyState
from kms.store.records import NewKey, StoredAct, StoredAlias, StoredGrant, StoredKey, StoredUsage, StoredVersion

ROOT_CHECK_VALUE = "root-check-value"
"""Name of the meta row with the check value of the root that new records are made under."""


class StoreError(Exception):
    """Base of everything a key store raises."""


class StoreUnavailable(StoreError):
    """Disk full, I/O error, database locked for too long or damaged. The cause is chained."""


class OutcomeUnknown(StoreUnavailable):
    """The database was lost in a commit, which may have happened."""


class SealsNotOpen(StoreUnavailable):
    """Rows about keys can be neither proven nor written before the root has opened the seal key."""

    def __init__(self) -> None:
        super().__init__("the seals of the key store's rows are not open: the root has to be there first")


class DamagedRow(StoreUnavailable):
    """A row is not as a key service wrote it: damaged, or changed by somebody else. Nothing is done by what it says."""


class StoreTooNew(StoreError):
    """The database was written by a later release, whose rows this one cannot understand."""


class AliasExists(StoreError):
    """The name is taken in this account and region."""


class AliasNotFound(StoreError):
    """No such alias."""


class GrantNotFound(StoreError):
    """No such grant on this key."""


class TooManyGrants(StoreError):
    """The key has as many grants as it may have."""


class KeyConflict(StoreError):
    """The key is not in the state the caller expected (anymore): read it again and decide anew."""


class KeyStore(Protocol):
    def key(self, key_id: str, region: str) -> StoredKey | None:
        """The key with this id in this region, destroyed ones included; None if there never was one."""
        ...

    def version(self, key_id: str, version: int) -> StoredVersion | None:
        """One version of a key's material, shared by its regions; None if it never was or was destroyed."""
        ...

    def keys(self, account_id: str, region: str, *, after: int, now_us: int, limit: int) -> list[StoredKey]:
        """Up to `limit` keys with a sequence above `after`, in order of creation, without those gone at `now_us`."""
        ...

    def count_keys(self, account_id: str, region: str) -> int:
        """How many keys are not destroyed."""
        ...

    def alias(self, account_id: str, region: str, name: str) -> StoredAlias | None: ...

    def aliases(self, account_id: str, region: str, *, key_id: str | None, after: str, limit: int) -> list[StoredAlias]:
        """Up to `limit` aliases with a name above `after`, in the order of names; only those of `key_id` if given."""
        ...

    def insert_key(self, new: NewKey) -> None:
        """Write the key, its version and its alias. Raises AliasExists, and writes nothing, if the name is taken."""
        ...

    def change_state(
        self,
        key_id: str,
        region: str,
        *,
        expected: KeyState,
        state: KeyState,
        deletion_us: int | None,
        now_us: int,
        pending_window_days: int | None = None,
    ) -> None:
        """Set state and deletion if the state is still `expected` and the key is not gone; else KeyConflict."""
        ...

    def insert_alias(self, alias: StoredAlias) -> None:
        """Raises AliasExists, or KeyConflict when the target was destroyed."""
        ...

    def retarget_alias(self, account_id: str, region: str, name: str, *, key_id: str, now_us: int) -> None:
        """Raises AliasNotFound, or KeyConflict when the target was destroyed. Twice is the same as once."""
        ...

    def delete_alias(self, account_id: str, region: str, name: str) -> None:
        """Raises AliasNotFound."""
        ...

    def expired_keys(self, now_us: int, limit: int) -> list[StoredKey]:
        """Up to `limit` keys whose deletion window is over at `now_us`: those that `destroy_expired` would destroy."""
        ...

    def destroy_expired(self, now_us: int, limit: int) -> list[StoredKey]:
        """Destroy up to `limit` keys whose deletion window is over at `now_us`; returns them as they were.

        Aliases, and wrapped records with the last region of a key, are deleted and overwritten on disk, copies in
        backups excepted.
        """
        ...

    def edit_key(self, key_id: str, region: str, edit: Callable[[StoredKey], StoredKey]) -> None:
        """Replace description, tags and rotation by what `edit` makes of the stored key, inside the transaction.

        What `edit` raises passes through, and nothing is changed. Raises KeyConflict when the key was destroyed.
        """
        ...

    def versions(self, key_id: str) -> list[StoredVersion]:
        """All versions of a key's material, in order."""
        ...

    def keys_due_for_rotation(self, now_us: int, limit: int) -> list[StoredKey]:
        """Enabled keys whose next rotation is not after `now_us`, the most overdue first."""
        ...

    def add_version(self, version: StoredVersion, *, expected_current: int, next_rotation_us: int | None) -> None:
        """Add a version and make it the current one in every region of the key.

        Raises KeyConflict unless `expected_current` is the current one and the key (its primary) is enabled.
        """
        ...

    def make_current(
        self, key_id: str, version: int, *, expected_current: int, now_us: int, rotation_type: str
    ) -> None:
        """Make a version current that was there before. Raises KeyConflict unless `expected_current` is current."""
        ...

    def insert_replica(self, new: NewKey) -> None:
        """Write the row of a key in a further region; its material is there already.

        Raises KeyConflict unless the primary is enabled and the key is not in this region yet.
        """
        ...

    def set_primary_region(self, key_id: str, expected: str, region: str) -> None:
        """Move the primary, and rotation with it, from `expected` to `region`, where the key must be enabled.

        Raises KeyConflict.
        """
        ...

    def begin_deletions(self, now_us: int) -> int:
        """Begin the deletion windows of primaries whose last replica was destroyed; returns of how many."""
        ...

    def put_material(self, version: StoredVersion, *, expected_newest: int) -> None:
        """Write imported material: of a version that is there, or of a new one.

        A key that was pending import is enabled once every version up to the current one has material. Raises
        KeyConflict when the newest version is not `expected_newest` (0: none), or the key is pending deletion.
        """
        ...

    def remove_material(self, key_id: str, version: int) -> None:
        """Delete the record of a version, overwritten on disk; the key is pending import then, unless pending deletion.

        A version above the current one is deleted altogether, and leaves the key as it is.
        """
        ...

    def keys_of_expired_material(self, now_us: int, limit: int) -> list[StoredKey]:
        """The keys that `expire_material` would return."""
        ...

    def expire_material(self, now_us: int, limit: int) -> list[StoredKey]:
        """Remove up to `limit` records whose `valid_to_us` is not after `now_us`; returns their keys as they were."""
        ...

    def usage(self, key_id: str, region: str) -> StoredUsage | None:
        """The last use that was written down."""
        ...

    def usage_tracked_since(self) -> int: ...

    def put_usage(self, usages: Sequence[StoredUsage]) -> None:
        """Write down uses; one that is older than what stands there changes nothing."""
        ...

    def set_policy(self, key_id: str, region: str, policy: str) -> None:
        """Replace the key policy, in whatever state the key is. Raises KeyConflict when it was destroyed."""
        ...

    def insert_grant(self, grant: StoredGrant, limit: int) -> StoredGrant:
        """Write the grant, unless there is one already of which it is a retry; returns the one that is there now.

        Raises TooManyGrants when the key has `limit` grants, KeyConflict when it was destroyed.
        """
        ...

    def grant(self, grant_id: str) -> StoredGrant | None: ...

    def grants_to(self, key_id: str, region: str, grantees: Sequence[str]) -> list[StoredGrant]:
        """The grants of a key to any of these principals, in order of creation."""
        ...

    def grants(
        self,
        key_id: str,
        region: str,
        *,
        grant_id: str | None,
        grantee: str | None,
        after: int,
        limit: int,
    ) -> list[StoredGrant]:
        """Up to `limit` grants of a key with a sequence above `after`, in order of creation; filtered if asked."""
        ...

    def retirable_grants(self, region: str, retiring: str, *, after: int, limit: int) -> list[StoredGrant]:
        """The same, for grants of whichever key that `retiring` may retire."""
        ...

    def delete_grant(self, grant_id: str, key_id: str, region: str) -> None:
        """Raises GrantNotFound."""
        ...

    def add_acts(self, acts: Sequence[StoredAct]) -> None:
        """Write down what a command did; what was written down already, by its event id, stays as it is."""
        ...

    def acts(self, limit: int) -> list[StoredAct]:
        """Up to `limit` acts that wait for their lines in the audit trail, in their order."""
        ...

    def remove_acts(self, acts: Sequence[StoredAct]) -> None:
        """Their lines are on the disk. Twice is the same as once."""
        ...

    def take_job(self, name: str, holder: str, *, now_us: int, until_us: int) -> bool:
        """Whether `name` is `holder`'s to do until `until_us`: nobody else's lease on it goes beyond `now_us`."""
        ...

    def meta(self, name: str) -> bytes | None: ...

    def set_meta(self, name: str, value: bytes) -> None: ...

    @property
    def has_open_seals(self) -> bool:
        """Whether `open_seals` was called."""
        ...

    def open_seals(self, key: SecretBytes) -> None:
        """Prove and seal rows by this key, 32 bytes, from now on."""
        ...

    def seal_key_record(self) -> bytes | None:
        """The record of the seal key, which the root authenticates; None before there is one."""
        ...

    def begin_seals(self, record: bytes) -> None:
        """Write down the seal key's record. Raises KeyConflict if there is one, or keys that it did not seal."""
        ...

    def seal_older_rows(
        self, record: bytes, key: SecretBytes, *, expected_check_value: bytes, check_value: bytes
    ) -> None:
        """Write down the seal key's record, seal every row as it is, and replace the root's check value, all at once.

        For a store of a release before there were seals. Raises KeyConflict if there is a seal key already, or the
        check value is another one.
        """
        ...

    def replace_check_value(self, expected: bytes, check_value: bytes) -> None:
        """Of the current root. Raises KeyConflict if it is another one."""
        ...

    def prove_rows(self) -> list[str]:
        """Look at the seal of every row that has one: the tables and keys of those that are damaged, in words."""
        ...

    def require_current(self) -> None:
        """Raises StoreUnavailable while what it says may be outdated: other nodes' changes may not have come."""
        ...

    async def catch_up(self) -> bool:
        """Bring other nodes' changes here. Whether that was done, and what was not found is to be looked for again."""
        ...

    def close(self) -> None: ...

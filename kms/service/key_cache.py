"""Rows of keys, aliases and grants as last read, good for one epoch.

Every look-up compares the epoch; a difference forgets everything. The epoch is read before the store, so that a row
read while another thread commits is at worst forgotten once too often, never kept once too long.
"""

from __future__ import annotations

from iam.policy.principals import role_arn
from iam.principals import Principal
from kms.epoch import Epoch
from kms.store.interface import KeyStore
from kms.store.records import StoredGrant, StoredKey

MAX_ROWS = 20_000
"""Rows kept of each kind, some 20 MB; beyond, all are forgotten and read again as needed."""


def grantee_forms(principal: Principal) -> tuple[str, ...]:
    """The ARNs by which a grant can name `principal`: its own and, for a session, its role's."""
    role = role_arn(principal)
    return (principal.arn,) if role is None else (principal.arn, role)


class KeyCache:
    """Reads through to `store`, and tells nothing while that may be outdated: raises StoreUnavailable then.

    A key or alias that does not exist is not remembered: it may exist a moment later.
    """

    def __init__(self, store: KeyStore, epoch: Epoch) -> None:
        self._store = store
        self._epoch = epoch
        self._seen = epoch.value
        self._keys: dict[tuple[str, str], StoredKey] = {}
        self._aliases: dict[tuple[str, str, str], str] = {}
        self._names: dict[tuple[str, str], tuple[str, ...]] = {}
        self._grants: dict[tuple[str, str, str], tuple[StoredGrant, ...]] = {}

    def key(self, key_id: str, region: str) -> StoredKey | None:
        self._compare_epoch()
        key = self._keys.get((key_id, region))
        if key is None:
            key = self._store.key(key_id, region)
            if key is not None:
                self._keys[key_id, region] = key
        return key

    def alias_target(self, account_id: str, region: str, name: str) -> str | None:
        """The id of the key that the alias names in this account and region."""
        self._compare_epoch()
        key_id = self._aliases.get((account_id, region, name))
        if key_id is None:
            alias = self._store.alias(account_id, region, name)
            if alias is not None:
                key_id = self._aliases[account_id, region, name] = alias.key_id
        return key_id

    def aliases_of(self, key_id: str, region: str) -> tuple[str, ...]:
        """The names of all aliases of a key."""
        self._compare_epoch()
        names = self._names.get((key_id, region))
        if names is None:
            key = self.key(key_id, region)
            account_id = "" if key is None else key.metadata.account_id
            found = self._store.aliases(account_id, region, key_id=key_id, after="", limit=MAX_ROWS)
            names = self._names[key_id, region] = tuple(alias.name for alias in found)
        return names

    def grants_to(self, key_id: str, region: str, principal: Principal) -> tuple[StoredGrant, ...]:
        """The grants of a key to this principal, by whichever of its names. None is remembered as well."""
        self._compare_epoch()
        name = (key_id, region, principal.arn)
        grants = self._grants.get(name)
        if grants is None:
            grants = self._grants[name] = tuple(self._store.grants_to(key_id, region, grantee_forms(principal)))
        return grants

    def forget(self) -> None:
        for rows in (self._keys, self._aliases, self._names, self._grants):
            rows.clear()

    def _compare_epoch(self) -> None:
        self._store.require_current()
        epoch = self._epoch.value
        is_full = max(len(self._keys), len(self._aliases), len(self._names), len(self._grants)) > MAX_ROWS
        if epoch != self._seen or is_full:
            self.forget()
            self._seen = epoch

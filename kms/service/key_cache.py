"""Rows of keys and aliases as last read, good for one epoch.

Every look-up compares the epoch; a difference forgets everything. The epoch is read before the store, so that a row
read while another thread commits is at worst forgotten once too often, never kept once too long.
"""

from __future__ import annotations

from kms.epoch import Epoch
from kms.store.interface import KeyStore
from kms.store.records import StoredKey

MAX_ROWS = 20_000
"""Rows kept of each kind, some 20 MB; beyond, all are forgotten and read again as needed."""


class KeyCache:
    """Reads through to `store`. What does not exist is not remembered: it may exist a moment later."""

    def __init__(self, store: KeyStore, epoch: Epoch) -> None:
        self._store = store
        self._epoch = epoch
        self._seen = epoch.value
        self._keys: dict[tuple[str, str], StoredKey] = {}
        self._aliases: dict[tuple[str, str, str], str] = {}

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

    def forget(self) -> None:
        self._keys.clear()
        self._aliases.clear()

    def _compare_epoch(self) -> None:
        epoch = self._epoch.value
        if epoch != self._seen or len(self._keys) > MAX_ROWS or len(self._aliases) > MAX_ROWS:
            self.forget()
            self._seen = epoch

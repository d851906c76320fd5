"""Key stores for tests whose seals are open."""

from __future__ import annotations

from pathlib import Path

from kms.api.secrets import SecretBytes
from kms.store.interface import ROOT_CHECK_VALUE
from kms.store.sqlite import SQLiteKeyStore

SEAL_KEY = SecretBytes(bytes(range(32)))


def opened_store(path: Path, key: SecretBytes = SEAL_KEY) -> SQLiteKeyStore:
    """The key store at `path`, made if there is none, its rows sealed by `key` without a root that holds it."""
    store = SQLiteKeyStore(path)
    store.open_seals(key)
    return store


def seal_older_rows(store: SQLiteKeyStore, key: SecretBytes = SEAL_KEY) -> None:
    """As `kms.service.row_seals` does, of a store that an earlier release wrote."""
    store.set_meta(ROOT_CHECK_VALUE, b"old")
    store.seal_older_rows(b"record", key, expected_check_value=b"old", check_value=b"new")


def trusting_store(path: Path) -> SQLiteKeyStore:
    """The key store at `path`, whose rows are read without proof."""
    store = SQLiteKeyStore(path)
    store.trust_rows()
    return store

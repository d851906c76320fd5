"""The key store that the settings name, for commands; kmsd opens it by its order."""

from __future__ import annotations

from collections.abc import Callable

from gateway.config import Settings
from gateway.database_files import DatabaseUnusable, require_not_migrated_beneath
from kms.store.interface import StoreUnavailable
from kms.store.opening import open_key_store
from kms.store.sqlite import SQLiteKeyStore


def open_keys(settings: Settings, *, on_change: Callable[[], object] = lambda: None) -> SQLiteKeyStore:
    """See `kms.store.opening.open_key_store`. Raises StoreError, also where an older release's gateway serves."""
    try:
        require_not_migrated_beneath(settings)
    except DatabaseUnusable as error:
        raise StoreUnavailable(str(error)) from None
    return open_key_store(settings.keys_path, settings.key_database, on_change=on_change)

"""The key store in SQLite: one file, WAL, every commit on disk before it is answered."""

from __future__ import annotations

from pathlib import Path

from kms.store.sqlite.acts import SQLiteActs
from kms.store.sqlite.aliases import SQLiteAliases
from kms.store.sqlite.database import Database
from kms.store.sqlite.grants import SQLiteGrants
from kms.store.sqlite.imports import SQLiteImports
from kms.store.sqlite.keys import SQLiteKeys
from kms.store.sqlite.meta import SQLiteMeta
from kms.store.sqlite.regions import SQLiteRegions
from kms.store.sqlite.roots import SQLiteRoots
from kms.store.sqlite.sealed_rows import SQLiteSealedRows
from kms.store.sqlite.usage import SQLiteUsage
from kms.store.sqlite.versions import SQLiteVersions

__all__ = ["SQLiteKeyStore"]


class SQLiteKeyStore(
    SQLiteKeys,
    SQLiteVersions,
    SQLiteImports,
    SQLiteRegions,
    SQLiteAliases,
    SQLiteGrants,
    SQLiteUsage,
    SQLiteActs,
    SQLiteMeta,
    SQLiteRoots,
    SQLiteSealedRows,
):
    """`KeyStore` in the SQLite database at `path`, made (mode 0600) and migrated when opened.

    Raises StoreUnavailable when the file cannot be opened, StoreTooNew when a later release wrote it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(self._opened(path))

    def _opened(self, path: Path) -> Database:
        return Database(path)

    def require_current(self) -> None:
        self._database.require_current()

    async def catch_up(self) -> bool:
        return False

    def close(self) -> None:
        self._database.close()

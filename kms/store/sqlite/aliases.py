"""Aliases."""

from __future__ import annotations

import sqlite3

from kms.store.interface import AliasExists, AliasNotFound, KeyConflict
from kms.store.records import StoredAlias
from kms.store.sqlite.database import StorePart, translated


class SQLiteAliases(StorePart):
    """The part of `KeyStore` about aliases."""

    @translated
    def alias(self, account_id: str, region: str, name: str) -> StoredAlias | None:
        row = self._database.one(
            "SELECT account_id, region, name, key_id, created_us, updated_us FROM intact_alias"
            " WHERE account_id = ? AND region = ? AND name = ?",
            (account_id, region, name),
        )
        return StoredAlias(*row) if row else None

    @translated
    def aliases(self, account_id: str, region: str, *, key_id: str | None, after: str, limit: int) -> list[StoredAlias]:
        rows = self._database.all(
            "SELECT account_id, region, name, key_id, created_us, updated_us FROM intact_alias"
            " WHERE account_id = :account_id AND region = :region AND name > :after"
            " AND (:key_id IS NULL OR key_id = :key_id) ORDER BY name LIMIT :limit",
            {"account_id": account_id, "region": region, "key_id": key_id, "after": after, "limit": limit},
        )
        return [StoredAlias(*row) for row in rows]

    @translated
    def insert_alias(self, alias: StoredAlias) -> None:
        with self._database.transaction() as connection:
            require_key(connection, alias.key_id, alias.region)
            insert_alias(connection, alias)

    @translated
    def retarget_alias(self, account_id: str, region: str, name: str, *, key_id: str, now_us: int) -> None:
        with self._database.transaction() as connection:
            require_key(connection, key_id, region)
            changed = connection.execute(
                "UPDATE kms_alias SET key_id = ?, updated_us = ? WHERE account_id = ? AND region = ? AND name = ?",
                (key_id, now_us, account_id, region, name),
            )
            if changed.rowcount != 1:
                raise AliasNotFound(name)

    @translated
    def delete_alias(self, account_id: str, region: str, name: str) -> None:
        with self._database.transaction() as connection:
            deleted = connection.execute(
                "DELETE FROM kms_alias WHERE account_id = ? AND region = ? AND name = ?", (account_id, region, name)
            )
            if deleted.rowcount != 1:
                raise AliasNotFound(name)


def require_key(connection: sqlite3.Connection, key_id: str, region: str) -> None:
    """Raises KeyConflict when the key was destroyed."""
    row = connection.execute(
        "SELECT 1 FROM intact_key WHERE key_id = ? AND region = ? AND destroyed_us IS NULL", (key_id, region)
    ).fetchone()
    if row is None:
        raise KeyConflict(f"key {key_id} was destroyed")


def insert_alias(connection: sqlite3.Connection, alias: StoredAlias) -> None:
    """Raises AliasExists."""
    try:
        connection.execute(
            "INSERT INTO kms_alias (account_id, region, name, key_id, created_us, updated_us)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (alias.account_id, alias.region, alias.name, alias.key_id, alias.created_us, alias.updated_us),
        )
    except sqlite3.IntegrityError as error:
        raise AliasExists(alias.name) from error

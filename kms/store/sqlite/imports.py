"""Imported material: put there, removed, expired."""

from __future__ import annotations

import sqlite3

from kms.api.types import KeyState
from kms.store.interface import KeyConflict
from kms.store.records import StoredKey, StoredVersion
from kms.store.sqlite.database import StorePart, translated
from kms.store.sqlite.keys import VERSION_COLUMNS, key_of_row

_PENDING_DELETION = f"('{KeyState.PENDING_DELETION.value}', '{KeyState.PENDING_REPLICA_DELETION.value}')"

_EXPIRED = (
    "SELECT key_id, version FROM intact_version WHERE valid_to_us <= :now_us AND record IS NOT NULL"
    " ORDER BY valid_to_us, key_id, version LIMIT :limit"
)
_KEYS = "SELECT * FROM intact_key_row WHERE key_id = :key_id AND destroyed_us IS NULL"


class SQLiteImports(StorePart):
    """The part of `KeyStore` about imported material."""

    @translated
    def put_material(self, version: StoredVersion, *, expected_newest: int) -> None:
        key_id = version.key_id
        with self._database.transaction() as connection:
            admitted = connection.execute(
                "SELECT 1 FROM intact_key_row WHERE key_id = ? AND newest_version = ? AND destroyed_us IS NULL"  # noqa: S608
                f" AND state NOT IN {_PENDING_DELETION}",
                (key_id, expected_newest),
            ).fetchone()
            if admitted is None:
                raise KeyConflict(f"key {key_id} has other versions than {expected_newest}, or is pending deletion")
            connection.execute(
                f"INSERT INTO kms_key_version ({VERSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                " ON CONFLICT (key_id, version) DO UPDATE SET record = excluded.record,"
                " valid_to_us = excluded.valid_to_us, description = excluded.description",
                (
                    key_id,
                    version.version,
                    version.material_id,
                    version.record,
                    version.created_us,
                    version.rotated_us,
                    version.rotation_type,
                    version.valid_to_us,
                    version.description,
                    version.material_check,
                ),
            )
            connection.execute(
                "UPDATE kms_key SET state = ? WHERE key_id = ? AND state = ? AND destroyed_us IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM intact_version v WHERE v.key_id = kms_key.key_id"
                " AND v.version <= kms_key.current_version AND v.record IS NULL)",
                (KeyState.ENABLED.value, key_id, KeyState.PENDING_IMPORT.value),
            )

    @translated
    def remove_material(self, key_id: str, version: int) -> None:
        with self._database.transaction() as connection:
            _remove(connection, key_id, version)
        # What secure_delete zeroed is in the log; older pages with the record go when it is emptied.
        self._database.empty_log()

    @translated
    def keys_of_expired_material(self, now_us: int, limit: int) -> list[StoredKey]:
        expired = self._database.all(_EXPIRED, {"now_us": now_us, "limit": limit})
        rows = [row for key_id, _ in expired for row in self._database.all(_KEYS, {"key_id": key_id})]
        return [key_of_row(row) for row in rows]

    @translated
    def expire_material(self, now_us: int, limit: int) -> list[StoredKey]:
        keys: list[StoredKey] = []
        with self._database.transaction() as connection:
            expired = connection.execute(_EXPIRED, {"now_us": now_us, "limit": limit}).fetchall()
            for key_id, version in expired:
                keys += [key_of_row(row) for row in connection.execute(_KEYS, {"key_id": key_id}).fetchall()]
                _remove(connection, key_id, version)
        if expired:
            self._database.empty_log()
        return keys


def _remove(connection: sqlite3.Connection, key_id: str, version: int) -> None:
    """A version that waits for its rotation goes altogether, since nothing was encrypted by it."""
    of_version = (key_id, version)
    connection.execute(
        "DELETE FROM kms_key_version WHERE key_id = ? AND version = ?"
        " AND version > (SELECT max(k.current_version) FROM intact_key k WHERE k.key_id = kms_key_version.key_id)",
        of_version,
    )
    removed = connection.execute(
        "UPDATE kms_key_version SET record = NULL, valid_to_us = NULL WHERE key_id = ? AND version = ?", of_version
    )
    if removed.rowcount:
        connection.execute(
            f"UPDATE kms_key SET state = ? WHERE key_id = ? AND state NOT IN {_PENDING_DELETION}"  # noqa: S608 - constant
            " AND destroyed_us IS NULL",
            (KeyState.PENDING_IMPORT.value, key_id),
        )

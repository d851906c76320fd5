"""The versions of keys' material, and rotation."""

from __future__ import annotations

from kms.api.types import KeyState
from kms.store.interface import KeyConflict
from kms.store.records import StoredKey, StoredVersion
from kms.store.sqlite.database import StorePart, translated
from kms.store.sqlite.keys import VERSION_COLUMNS, insert_version, key_of_row


class SQLiteVersions(StorePart):
    """The part of `KeyStore` about versions."""

    @translated
    def version(self, key_id: str, version: int) -> StoredVersion | None:
        row = self._database.one(
            f"SELECT {VERSION_COLUMNS} FROM intact_version WHERE key_id = ? AND version = ?",  # noqa: S608 - constant
            (key_id, version),
        )
        return StoredVersion(*row) if row else None

    @translated
    def versions(self, key_id: str) -> list[StoredVersion]:
        rows = self._database.all(
            f"SELECT {VERSION_COLUMNS} FROM intact_version WHERE key_id = :key_id ORDER BY version",  # noqa: S608
            {"key_id": key_id},
        )
        return [StoredVersion(*row) for row in rows]

    @translated
    def keys_due_for_rotation(self, now_us: int, limit: int) -> list[StoredKey]:
        rows = self._database.all(
            "SELECT * FROM intact_key_row WHERE next_rotation_us <= :now_us AND state = :enabled"
            " AND destroyed_us IS NULL ORDER BY next_rotation_us LIMIT :limit",
            {"now_us": now_us, "enabled": KeyState.ENABLED.value, "limit": limit},
        )
        return [key_of_row(row) for row in rows]

    @translated
    def add_version(self, version: StoredVersion, *, expected_current: int, next_rotation_us: int | None) -> None:
        key_id = version.key_id
        with self._database.transaction() as connection:
            own = connection.execute(
                "UPDATE kms_key SET next_rotation_us = ? WHERE key_id = ? AND current_version = ? AND state = ?"
                " AND (primary_region IS NULL OR region = primary_region) AND destroyed_us IS NULL",
                (next_rotation_us, key_id, expected_current, KeyState.ENABLED.value),
            )
            if own.rowcount != 1:
                raise KeyConflict(f"version {expected_current} of key {key_id} is not the current one, or not enabled")
            connection.execute(
                "UPDATE kms_key SET current_version = ? WHERE key_id = ? AND destroyed_us IS NULL",
                (version.version, key_id),
            )
            insert_version(connection, version)

    @translated
    def make_current(
        self, key_id: str, version: int, *, expected_current: int, now_us: int, rotation_type: str
    ) -> None:
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE kms_key SET current_version = ? WHERE key_id = ? AND current_version = ?"
                " AND destroyed_us IS NULL",
                (version, key_id, expected_current),
            )
            if not changed.rowcount:
                raise KeyConflict(f"version {expected_current} of key {key_id} is not the current one")
            connection.execute(
                "UPDATE kms_key_version SET rotated_us = ?, rotation_type = ? WHERE key_id = ? AND version = ?",
                (now_us, rotation_type, key_id, version),
            )

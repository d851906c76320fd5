"""The regions of multi-Region keys."""

from __future__ import annotations

import sqlite3

from kms.api.types import KeyState
from kms.store.interface import KeyConflict
from kms.store.records import NewKey
from kms.store.sqlite.database import StorePart, translated
from kms.store.sqlite.keys import insert_key

_DAY_US = 86_400 * 1_000_000


class SQLiteRegions(StorePart):
    """The part of `KeyStore` about multi-Region keys."""

    @translated
    def insert_replica(self, new: NewKey) -> None:
        metadata = new.metadata
        with self._database.transaction() as connection:
            primary = connection.execute(
                "SELECT 1 FROM intact_key WHERE key_id = ? AND region = primary_region AND region = ? AND state = ?"
                " AND destroyed_us IS NULL",
                (metadata.key_id, metadata.primary_region, KeyState.ENABLED.value),
            ).fetchone()
            if primary is None:
                raise KeyConflict(f"key {metadata.key_id} is not enabled in {metadata.primary_region}")
            # A replica that was destroyed keeps its row, whose place the new one takes.
            connection.execute(
                "DELETE FROM kms_key WHERE key_id = ? AND region = ? AND destroyed_us IS NOT NULL",
                (metadata.key_id, metadata.region),
            )
            try:
                insert_key(connection, new)
            except sqlite3.IntegrityError as error:
                raise KeyConflict(f"key {metadata.key_id} is in {metadata.region} already") from error
            # Not the version of the row it was copied from, should a rotation have come in between.
            connection.execute(
                "UPDATE kms_key SET current_version = (SELECT p.current_version FROM intact_key p WHERE p.key_id = ?"
                " AND p.region = p.primary_region) WHERE key_id = ? AND region = ?",
                (metadata.key_id, metadata.key_id, metadata.region),
            )

    @translated
    def set_primary_region(self, key_id: str, expected: str, region: str) -> None:
        with self._database.transaction() as connection:
            rotation = connection.execute(
                "SELECT rotation_period_days, next_rotation_us FROM intact_key WHERE key_id = ? AND region = ?"
                " AND primary_region = ? AND destroyed_us IS NULL",
                (key_id, expected, expected),
            ).fetchone()
            moved = connection.execute(
                "UPDATE kms_key SET rotation_period_days = ?, next_rotation_us = ? WHERE key_id = ? AND region = ?"
                " AND state = ? AND destroyed_us IS NULL",
                (*(rotation or (None, None)), key_id, region, KeyState.ENABLED.value),
            )
            if rotation is None or moved.rowcount != 1:
                raise KeyConflict(f"key {key_id} has not its primary in {expected}, or is not enabled in {region}")
            connection.execute(
                "UPDATE kms_key SET rotation_period_days = NULL, next_rotation_us = NULL"
                " WHERE key_id = ? AND region = ?",
                (key_id, expected),
            )
            connection.execute("UPDATE kms_key SET primary_region = ? WHERE key_id = ?", (region, key_id))

    @translated
    def begin_deletions(self, now_us: int) -> int:
        with self._database.transaction() as connection:
            begun = connection.execute(
                "UPDATE kms_key AS k SET state = ?, deletion_us = ? + pending_window_days * ?"
                " WHERE state = ? AND destroyed_us IS NULL AND NOT EXISTS (SELECT 1 FROM intact_key r"
                " WHERE r.key_id = k.key_id AND r.region <> k.region AND r.destroyed_us IS NULL)",
                (
                    KeyState.PENDING_DELETION.value,
                    now_us,
                    _DAY_US,
                    KeyState.PENDING_REPLICA_DELETION.value,
                ),
            )
            return begun.rowcount

"""Keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec

from kms.api.types import KeyManager, KeyMetadata, KeyState, Tag
from kms.store.interface import KeyConflict
from kms.store.records import NewKey, StoredKey, StoredVersion, key_bytes
from kms.store.sqlite.aliases import insert_alias
from kms.store.sqlite.database import StorePart, translated

_tags = msgspec.json.Decoder(tuple[Tag, ...])
_regions = msgspec.json.Decoder(tuple[str, ...])

VERSION_COLUMNS = (
    "key_id, version, material_id, record, created_us, rotated_us, rotation_type, valid_to_us, description,"
    " material_check"
)

_EXPIRED = (
    "SELECT * FROM intact_key_row WHERE state = :state AND deletion_us <= :now_us AND destroyed_us IS NULL"
    " ORDER BY deletion_us, key_id, region LIMIT :limit"
)


class SQLiteKeys(StorePart):
    """The part of `KeyStore` about keys."""

    @translated
    def key(self, key_id: str, region: str) -> StoredKey | None:
        row = self._database.one("SELECT * FROM intact_key_row WHERE key_id = ? AND region = ?", (key_id, region))
        return key_of_row(row) if row else None

    @translated
    def keys(self, account_id: str, region: str, *, after: int, now_us: int, limit: int) -> list[StoredKey]:
        rows = self._database.all(
            "SELECT * FROM intact_key_row WHERE account_id = :account_id AND region = :region AND sequence > :after"
            " AND destroyed_us IS NULL AND (deletion_us IS NULL OR deletion_us > :now_us)"
            " ORDER BY sequence LIMIT :limit",
            {"account_id": account_id, "region": region, "after": after, "now_us": now_us, "limit": limit},
        )
        return [key_of_row(row) for row in rows]

    @translated
    def count_keys(self, account_id: str, region: str) -> int:
        # Without a look at their seals: there may be many, and nothing rests on this but a quota.
        row = self._database.one(
            "SELECT count(*) FROM kms_key WHERE account_id = ? AND region = ? AND destroyed_us IS NULL",
            (account_id, region),
        )
        assert row is not None
        return int(row[0])

    @translated
    def insert_key(self, new: NewKey) -> None:
        with self._database.transaction() as connection:
            insert_key(connection, new)
            if new.version is not None:
                insert_version(connection, new.version)
            if new.alias is not None:
                insert_alias(connection, new.alias)

    @translated
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
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE kms_key SET state = :state, deletion_us = :deletion_us, pending_window_days = :days"
                " WHERE key_id = :key_id AND region = :region AND state = :expected"
                " AND destroyed_us IS NULL AND (deletion_us IS NULL OR deletion_us > :now_us)",
                {
                    "key_id": key_id,
                    "region": region,
                    "expected": expected.value,
                    "state": state.value,
                    "deletion_us": deletion_us,
                    "days": pending_window_days,
                    "now_us": now_us,
                },
            )
            if changed.rowcount != 1:
                raise KeyConflict(f"key {key_id} in {region} is not in state {expected.value}")

    @translated
    def set_policy(self, key_id: str, region: str, policy: str) -> None:
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE kms_key SET policy = ? WHERE key_id = ? AND region = ? AND destroyed_us IS NULL",
                (policy, key_id, region),
            )
            if changed.rowcount != 1:
                raise KeyConflict(f"key {key_id} in {region} was destroyed")

    @translated
    def edit_key(self, key_id: str, region: str, edit: Callable[[StoredKey], StoredKey]) -> None:
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT * FROM intact_key_row WHERE key_id = ? AND region = ? AND destroyed_us IS NULL",
                (key_id, region),
            ).fetchone()
            if row is None:
                raise KeyConflict(f"key {key_id} in {region} was destroyed")
            edited = edit(key_of_row(row))
            connection.execute(
                "UPDATE kms_key SET description = ?, tags = ?, rotation_period_days = ?, next_rotation_us = ?"
                " WHERE key_id = ? AND region = ?",
                (
                    edited.metadata.description,
                    msgspec.json.encode(edited.tags).decode(),
                    edited.rotation_period_days,
                    edited.next_rotation_us,
                    key_id,
                    region,
                ),
            )

    @translated
    def expired_keys(self, now_us: int, limit: int) -> list[StoredKey]:
        return [key_of_row(row) for row in self._database.all(_EXPIRED, _expired(now_us, limit))]

    @translated
    def destroy_expired(self, now_us: int, limit: int) -> list[StoredKey]:
        with self._database.transaction() as connection:
            keys = [key_of_row(row) for row in connection.execute(_EXPIRED, _expired(now_us, limit)).fetchall()]
            for key in keys:
                _destroy(connection, key.metadata.key_id, key.metadata.region, now_us)
        if keys:
            # The pages that secure_delete zeroed are in the log; older ones with the record go when it is emptied.
            self._database.empty_log()
        else:
            self._database.finish_emptying_log()
        return keys


def _expired(now_us: int, limit: int) -> dict[str, object]:
    """The parameters of _EXPIRED."""
    return {"state": KeyState.PENDING_DELETION.value, "now_us": now_us, "limit": limit}


def insert_key(connection: sqlite3.Connection, new: NewKey) -> None:
    """Insert the row of a key, without its version and alias."""
    key = new.metadata
    connection.execute(
        "INSERT INTO kms_key (key_id, account_id, region, created_us, state, deletion_us, description, manager,"
        " key_spec, key_usage, origin, multi_region, tags, current_version, policy, protection, primary_region,"
        " rotation_period_days, next_rotation_us)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.key_id,
            key.account_id,
            key.region,
            key.created_us,
            key.state.value,
            key.deletion_us,
            key.description,
            key.manager.value,
            key.key_spec,
            key.key_usage,
            key.origin,
            int(key.multi_region),
            msgspec.json.encode(new.tags).decode(),
            new.current_version if new.version is None else new.version.version,
            new.policy,
            key.protection,
            key.primary_region,
            new.rotation_period_days,
            new.next_rotation_us,
        ),
    )


def insert_version(connection: sqlite3.Connection, version: StoredVersion) -> None:
    connection.execute(
        f"INSERT INTO kms_key_version ({VERSION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant
        (
            version.key_id,
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


def _destroy(connection: sqlite3.Connection, key_id: str, region: str, now_us: int) -> None:
    """Destroy a key in one region, and its material once it has no other."""
    connection.execute("DELETE FROM kms_alias WHERE key_id = ? AND region = ?", (key_id, region))
    connection.execute("DELETE FROM kms_grant WHERE key_id = ? AND region = ?", (key_id, region))
    connection.execute("UPDATE kms_key SET destroyed_us = ? WHERE key_id = ? AND region = ?", (now_us, key_id, region))
    connection.execute(
        "DELETE FROM kms_key_version WHERE key_id = :key_id"
        " AND NOT EXISTS (SELECT 1 FROM intact_key WHERE key_id = :key_id AND destroyed_us IS NULL)",
        {"key_id": key_id},
    )


def key_of_row(row: tuple[Any, ...]) -> StoredKey:
    (sequence, key_id, account_id, region, created_us, state, deletion_us, destroyed_us, description) = row[:9]
    (manager, key_spec, key_usage, origin, multi_region, tags, current_version, material_id) = row[9:17]
    (policy, protection, primary_region, pending_window_days, rotation_period_days, next_rotation_us) = row[17:23]
    (valid_to_us, replica_regions, newest_version, material_ends_us, lacks_material) = row[23:]
    metadata = KeyMetadata(
        account_id=account_id,
        region=region,
        key_id=key_id,
        key_arn=f"arn:aws:kms:{region}:{account_id}:key/{key_id}",
        created_us=created_us,
        state=KeyState(state),
        description=description,
        manager=KeyManager(manager),
        key_spec=key_spec,
        key_usage=key_usage,
        origin=origin,
        multi_region=bool(multi_region),
        deletion_us=deletion_us,
        key_material_id=material_id,
        protection=protection,
        pending_window_days=pending_window_days,
        valid_to_us=valid_to_us,
        primary_region=primary_region,
        replica_regions=() if replica_regions is None else _regions.decode(replica_regions),
    )
    return StoredKey(
        metadata,
        key_bytes(key_id),
        current_version,
        sequence,
        _tags.decode(tags),
        destroyed_us,
        policy,
        rotation_period_days,
        next_rotation_us,
        newest_version,
        material_ends_us,
        bool(lacks_material),
    )

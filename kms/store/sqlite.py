"""The key store in SQLite: one file, WAL, every commit on disk before it is answered.

One connection reads and one writes, so that a read on the event loop never waits for a commit in a thread. Writers of
other processes (`sealgate init`, tools) queue by SQLite's lock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import msgspec

from kms.api.types import KeyManager, KeyMetadata, KeyState, Tag
from kms.store.interface import AliasExists, AliasNotFound, KeyConflict, StoreUnavailable
from kms.store.migration import migrate
from kms.store.records import NewKey, StoredAlias, StoredKey, StoredVersion

BUSY_SECONDS = 4.0
"""How long a write waits for another process; below the 5 s within which the key service answers."""

_tags = msgspec.json.Decoder(tuple[Tag, ...])

P = ParamSpec("P")
R = TypeVar("R")


def _translated(
    method: Callable[Concatenate[SQLiteKeyStore, P], R],
) -> Callable[Concatenate[SQLiteKeyStore, P], R]:
    @wraps(method)
    def call(self: SQLiteKeyStore, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(self, *args, **kwargs)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"key store, {method.__name__}: {error}") from error

    return call


class SQLiteKeyStore:
    """`KeyStore` in the SQLite database at `path`, made (mode 0600) and migrated when opened.

    Raises StoreUnavailable when the file cannot be opened, StoreTooNew when a later release wrote it.
    """

    def __init__(self, path: Path) -> None:
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        try:
            path.touch(mode=0o600)
            self._writer = _connect(path)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"key store {path}: {error}") from error
        try:
            # WAL: readers never wait for the writer, and a commit costs one fsync.
            self._writer.execute("PRAGMA journal_mode = WAL")
            migrate(self._writer)
            self._reader = _connect(path)
        except BaseException as error:
            self._writer.close()
            if isinstance(error, sqlite3.Error):
                raise StoreUnavailable(f"key store {path}: {error}") from error
            raise
        self._reader.execute("PRAGMA query_only = ON")

    # Reads

    @_translated
    def key(self, key_id: str) -> StoredKey | None:
        row = self._one("SELECT * FROM kms_key_row WHERE key_id = ?", (key_id,))
        return _key(row) if row else None

    @_translated
    def version(self, key_id: str, version: int) -> StoredVersion | None:
        row = self._one(
            "SELECT key_id, version, material_id, record, created_us FROM kms_key_version"
            " WHERE key_id = ? AND version = ?",
            (key_id, version),
        )
        return StoredVersion(*row) if row else None

    @_translated
    def keys(self, account_id: str, region: str, *, after: int, now_us: int, limit: int) -> list[StoredKey]:
        rows = self._all(
            "SELECT * FROM kms_key_row WHERE account_id = :account_id AND region = :region AND sequence > :after"
            " AND destroyed_us IS NULL AND (deletion_us IS NULL OR deletion_us > :now_us)"
            " ORDER BY sequence LIMIT :limit",
            {"account_id": account_id, "region": region, "after": after, "now_us": now_us, "limit": limit},
        )
        return [_key(row) for row in rows]

    @_translated
    def count_keys(self, account_id: str, region: str) -> int:
        row = self._one(
            "SELECT count(*) FROM kms_key WHERE account_id = ? AND region = ? AND destroyed_us IS NULL",
            (account_id, region),
        )
        assert row is not None
        return int(row[0])

    @_translated
    def alias(self, account_id: str, region: str, name: str) -> StoredAlias | None:
        row = self._one(
            "SELECT account_id, region, name, key_id, created_us, updated_us FROM kms_alias"
            " WHERE account_id = ? AND region = ? AND name = ?",
            (account_id, region, name),
        )
        return StoredAlias(*row) if row else None

    @_translated
    def aliases(self, account_id: str, region: str, *, key_id: str | None, after: str, limit: int) -> list[StoredAlias]:
        rows = self._all(
            "SELECT account_id, region, name, key_id, created_us, updated_us FROM kms_alias"
            " WHERE account_id = :account_id AND region = :region AND name > :after"
            " AND (:key_id IS NULL OR key_id = :key_id) ORDER BY name LIMIT :limit",
            {"account_id": account_id, "region": region, "key_id": key_id, "after": after, "limit": limit},
        )
        return [StoredAlias(*row) for row in rows]

    @_translated
    def meta(self, name: str) -> bytes | None:
        row = self._one("SELECT value FROM kms_meta WHERE name = ?", (name,))
        return bytes(row[0]) if row else None

    # Writes

    @_translated
    def insert_key(self, new: NewKey) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO kms_key (key_id, account_id, region, created_us, state, deletion_us, description,"
                " manager, key_spec, key_usage, origin, multi_region, tags, current_version)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                _key_values(new),
            )
            version = new.version
            connection.execute(
                "INSERT INTO kms_key_version (key_id, version, material_id, record, created_us) VALUES (?, ?, ?, ?, ?)",
                (version.key_id, version.version, version.material_id, version.record, version.created_us),
            )
            if new.alias is not None:
                _insert_alias(connection, new.alias)

    @_translated
    def change_state(
        self, key_id: str, *, expected: KeyState, state: KeyState, deletion_us: int | None, now_us: int
    ) -> None:
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE kms_key SET state = :state, deletion_us = :deletion_us"
                " WHERE key_id = :key_id AND state = :expected"
                " AND destroyed_us IS NULL AND (deletion_us IS NULL OR deletion_us > :now_us)",
                {
                    "key_id": key_id,
                    "expected": expected.value,
                    "state": state.value,
                    "deletion_us": deletion_us,
                    "now_us": now_us,
                },
            )
            if changed.rowcount != 1:
                raise KeyConflict(f"key {key_id} is not in state {expected.value}")

    @_translated
    def insert_alias(self, alias: StoredAlias) -> None:
        with self._transaction() as connection:
            _require_target(connection, alias.key_id)
            _insert_alias(connection, alias)

    @_translated
    def retarget_alias(self, account_id: str, region: str, name: str, *, key_id: str, now_us: int) -> None:
        with self._transaction() as connection:
            _require_target(connection, key_id)
            changed = connection.execute(
                "UPDATE kms_alias SET key_id = ?, updated_us = ? WHERE account_id = ? AND region = ? AND name = ?",
                (key_id, now_us, account_id, region, name),
            )
            if changed.rowcount != 1:
                raise AliasNotFound(name)

    @_translated
    def delete_alias(self, account_id: str, region: str, name: str) -> None:
        with self._transaction() as connection:
            deleted = connection.execute(
                "DELETE FROM kms_alias WHERE account_id = ? AND region = ? AND name = ?", (account_id, region, name)
            )
            if deleted.rowcount != 1:
                raise AliasNotFound(name)

    @_translated
    def destroy_expired(self, now_us: int, limit: int) -> list[str]:
        with self._transaction() as connection:
            rows = connection.execute(
                "SELECT key_id FROM kms_key WHERE state = ? AND deletion_us <= ? AND destroyed_us IS NULL"
                " ORDER BY deletion_us LIMIT ?",
                (KeyState.PENDING_DELETION.value, now_us, limit),
            ).fetchall()
            connection.executemany("DELETE FROM kms_alias WHERE key_id = ?", rows)
            connection.executemany("DELETE FROM kms_key_version WHERE key_id = ?", rows)
            connection.executemany(
                "UPDATE kms_key SET destroyed_us = ? WHERE key_id = ?", [(now_us, key_id) for (key_id,) in rows]
            )
        if rows:
            # The pages that secure_delete zeroed are in the log; older ones with the record go when it is emptied.
            with self._write_lock:
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return [key_id for (key_id,) in rows]

    @_translated
    def set_meta(self, name: str, value: bytes) -> None:
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO kms_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?",
                (name, value, value),
            )

    def close(self) -> None:
        with self._read_lock, self._write_lock:
            self._reader.close()
            self._writer.close()

    # The lock of the reader is for callers in several threads; sqlite3 serialises single steps, not a whole query.

    def _one(self, sql: str, parameters: tuple[object, ...]) -> tuple[Any, ...] | None:
        with self._read_lock:
            row: tuple[Any, ...] | None = self._reader.execute(sql, parameters).fetchone()
        return row

    def _all(self, sql: str, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
        with self._read_lock:
            return self._reader.execute(sql, parameters).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A write transaction: IMMEDIATE, so that what it reads stays true until it commits."""
        with self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA secure_delete = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _require_target(connection: sqlite3.Connection, key_id: str) -> None:
    row = connection.execute("SELECT 1 FROM kms_key WHERE key_id = ? AND destroyed_us IS NULL", (key_id,)).fetchone()
    if row is None:
        raise KeyConflict(f"key {key_id} was destroyed")


def _insert_alias(connection: sqlite3.Connection, alias: StoredAlias) -> None:
    try:
        connection.execute(
            "INSERT INTO kms_alias (account_id, region, name, key_id, created_us, updated_us)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (alias.account_id, alias.region, alias.name, alias.key_id, alias.created_us, alias.updated_us),
        )
    except sqlite3.IntegrityError as error:
        raise AliasExists(alias.name) from error


def _key_values(new: NewKey) -> tuple[object, ...]:
    key = new.metadata
    return (
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
        new.version.version,
    )


def _key(row: tuple[Any, ...]) -> StoredKey:
    (sequence, key_id, account_id, region, created_us, state, deletion_us, destroyed_us, description) = row[:9]
    (manager, key_spec, key_usage, origin, multi_region, tags, current_version, material_id) = row[9:]
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
    )
    return StoredKey(metadata, UUID(key_id).bytes, current_version, sequence, _tags.decode(tags), destroyed_us)

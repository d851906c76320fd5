"""The versions of one key. Functions for use inside a transaction.

Invariants, kept here: at most one version of a key has history 0; it is an object, and newer than those with history
1. So a key whose newest version is a delete marker has history 1 only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.protocol.version_ids import NULL_VERSION_ID, time_of_version
from gateway.storage.index.listing import Row
from gateway.storage.index.records import NewBlob, ObjectRow, RowKind
from gateway.storage.index.sqlite.blob_rows import add_blob, release_blobs
from gateway.storage.index.sqlite.connection import Database
from gateway.storage.index.version_columns import (
    COLUMNS,
    LATEST,
    NAMES,
    ahead_us,
    all_blobs,
    column_values,
    has_parts,
    part_values,
    row_of_columns,
    rows_of_columns,
    uids_with_parts,
)

# The part columns come in the same statement, hence from the same snapshot.
SELECTED_WITH_PARTS = f"""
    {", ".join(f"v.{name}" for name in NAMES)},
    CASE WHEN has_parts THEN (SELECT p.blob_ids FROM object_parts p WHERE p.row_uid = v.row_uid) END,
    CASE WHEN has_parts THEN (SELECT p.sealed_parts FROM object_parts p WHERE p.row_uid = v.row_uid) END,
    vsort, history
"""  # noqa: S608  # constants only
_WITH_PARTS = f"SELECT {SELECTED_WITH_PARTS} FROM object_version v "  # noqa: S608  # constants only

GET_CURRENT = _WITH_PARTS + "WHERE bucket_id = ? AND history = 0 AND key = ?"
GET_NEWEST_IN_HISTORY = _WITH_PARTS + "WHERE bucket_id = ? AND history = 1 AND key = ? ORDER BY vsort LIMIT 1"
_GET_NULL_IN_HISTORY = _WITH_PARTS + "WHERE bucket_id = ? AND history = 1 AND key = ? AND version_id = 'null'"
# A version never stands behind the place that its time gives it (see `place_version`): usually it is the first row.
_GET_VERSION_IN_HISTORY = (
    _WITH_PARTS
    + "WHERE bucket_id = ? AND history = 1 AND key = ? AND vsort <= ? AND version_id = ? ORDER BY vsort DESC LIMIT 1"
)

_INSERT = f"""
    INSERT INTO object_version (bucket_id, history, vsort, ahead_us, {COLUMNS})
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""  # noqa: S608  # constants only
_DELETE = "DELETE FROM object_version WHERE bucket_id = ? AND history = ? AND key = ? AND vsort = ?"
_CHANGE = """
    UPDATE object_version SET revision = ?, sealed = ? WHERE bucket_id = ? AND history = ? AND key = ? AND vsort = ?
"""
_REWRAP = """
    UPDATE object_version SET mode = ?, wrapped = ?, key_arn = ?, key_version = ?, manifest_id = ?, blob_id = ?
    WHERE bucket_id = ? AND history = ? AND key = ? AND vsort = ?
"""
_HAS_CURRENT = "SELECT 1 FROM object_version WHERE bucket_id = ? AND history = 0 AND key = ?"
_NOTE_CHANGE = "UPDATE multipart_upload SET key_changed = upload_id WHERE bucket_id = ? AND key = ?"
_MOVE = "UPDATE object_version SET history = ? WHERE bucket_id = ? AND history = ? AND key = ? AND vsort = ?"


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version and where it stands."""

    row: ObjectRow
    vsort: int
    history: int
    has_parts: bool

    @property
    def position(self) -> tuple[bytes, int, bytes, int]:
        return self.row.bucket_id, self.history, self.row.key, self.vsort


def object_row(bucket_id: bytes, columns: Row) -> ObjectRow:
    """From SELECTED_WITH_PARTS."""
    *listed, blob_ids, sealed_parts, _vsort, _history = columns
    return row_of_columns(bucket_id, listed, blob_ids, sealed_parts)


def newest_in_history(database: Database, bucket_id: bytes, key: bytes) -> ObjectRow | None:
    """What is newest of a key that has no current object: a delete marker, if anything."""
    found = database.row(GET_NEWEST_IN_HISTORY, (bucket_id, key))
    return None if found is None else object_row(bucket_id, found)


def whole_rows(database: Database, bucket_id: bytes, columns: Sequence[Row]) -> tuple[ObjectRow, ...]:
    """From COLUMNS of each, without `sealed_parts`; asks for the lists of blobs where they stand elsewhere."""
    lists = {}
    for uid in uids_with_parts(columns):
        found = database.row("SELECT blob_ids FROM object_parts WHERE row_uid = ?", (uid,))
        if found is not None:
            lists[uid] = found[0]
    return rows_of_columns(bucket_id, columns, lists)


def add_blobs(connection: sqlite3.Connection, blobs: Iterable[NewBlob]) -> None:
    for blob in blobs:
        add_blob(connection, blob)


def find_version(
    connection: sqlite3.Connection | Database, bucket_id: bytes, key: bytes, version_id: str
) -> StoredVersion | None:
    """The version of that id, newest or older."""
    current = _one(connection, GET_CURRENT, (bucket_id, key))
    if current is not None and current.row.version_id == version_id:
        return current
    return _version_in_history(connection, bucket_id, key, version_id)


def _version_in_history(
    connection: sqlite3.Connection | Database, bucket_id: bytes, key: bytes, version_id: str
) -> StoredVersion | None:
    if version_id == NULL_VERSION_ID:
        return _one(connection, _GET_NULL_IN_HISTORY, (bucket_id, key))
    return _one(connection, _GET_VERSION_IN_HISTORY, (bucket_id, key, latest_place(version_id), version_id))


def latest_place(version_id: str) -> int:
    """The greatest vsort that a version of this id may have."""
    time_us = time_of_version(version_id)
    return LATEST if time_us is None else LATEST - time_us


def current_version(connection: sqlite3.Connection, bucket_id: bytes, key: bytes) -> StoredVersion | None:
    """The newest version of the key, be it an object or a delete marker."""
    return _one(connection, GET_CURRENT, (bucket_id, key)) or _one(connection, GET_NEWEST_IN_HISTORY, (bucket_id, key))


def place_version(connection: sqlite3.Connection, row: ObjectRow, current: StoredVersion | None, now_us: int) -> None:
    """Make `row` the newest version, whose blobs have their references already; `current` is what was newest.

    The version with the same version id, newest or older, is replaced; any other one stays as history.
    """
    vsort = LATEST - row.modified_us
    if current is not None:
        vsort = min(vsort, current.vsort - 1)  # newest by rank also when the clock went back
        replaced: StoredVersion | None = current
        if current.row.version_id != row.version_id:
            replaced = _version_in_history(connection, row.bucket_id, row.key, row.version_id)
            if not current.history:
                connection.execute(_MOVE, (1, *current.position))
        if replaced is not None:
            _remove(connection, replaced, now_us)
    _insert(connection, row, vsort)
    connection.execute(_NOTE_CHANGE, (row.bucket_id, row.key))


def change_version(connection: sqlite3.Connection, version: StoredVersion, row: ObjectRow) -> None:
    """Write a version's next revision in its place: what is sealed, nothing else."""
    connection.execute(_CHANGE, (row.revision, row.sealed, *version.position))
    if row.sealed_parts != version.row.sealed_parts:  # up to megabytes, and mostly the same
        connection.execute(
            "UPDATE object_parts SET sealed_parts = ? WHERE row_uid = ?", (row.sealed_parts, row.row_uid)
        )


def rewrap_version(connection: sqlite3.Connection, version: StoredVersion, row: ObjectRow, now_us: int) -> None:
    """Write a version's next revision, with its wrap, manifest and blobs, which have their references already."""
    wrap = row.wrap
    columns = (wrap.mode.value, wrap.wrapped, wrap.key_arn, wrap.key_version, row.manifest_id)
    blob_id = row.blob_ids[0] if row.blob_ids and not version.has_parts else None
    connection.execute(_REWRAP, (*columns, blob_id, *version.position))
    change_version(connection, version, row)
    if version.has_parts and row.blob_ids != version.row.blob_ids:
        connection.execute(
            "UPDATE object_parts SET blob_ids = ? WHERE row_uid = ?", (b"".join(row.blob_ids), row.row_uid)
        )
    kept = set(all_blobs(row))
    release_blobs(connection, [blob_id for blob_id in all_blobs(version.row) if blob_id not in kept], now_us)


def remove_version(connection: sqlite3.Connection, version: StoredVersion, now_us: int) -> None:
    """Remove a version; if the newest one then is an object that stands in history, it becomes current."""
    _remove(connection, version, now_us)
    position = (version.row.bucket_id, version.row.key)
    if connection.execute(_HAS_CURRENT, position).fetchone() is not None:
        return
    newest = _one(connection, GET_NEWEST_IN_HISTORY, position)
    if newest is None or version.vsort < newest.vsort:
        connection.execute(_NOTE_CHANGE, position)
    if newest is not None and newest.row.kind is RowKind.OBJECT:
        connection.execute(_MOVE, (0, *newest.position))


def _one(connection: sqlite3.Connection | Database, sql: str, parameters: tuple[Any, ...]) -> StoredVersion | None:
    if isinstance(connection, Database):
        columns = connection.row(sql, parameters)
    else:
        columns = connection.execute(sql, parameters).fetchone()
    if columns is None:
        return None
    vsort, history = columns[-2:]
    return StoredVersion(object_row(parameters[0], columns), vsort, history, has_parts=has_parts(columns))


def _remove(connection: sqlite3.Connection, version: StoredVersion, now_us: int) -> None:
    connection.execute(_DELETE, version.position)
    if version.has_parts:
        connection.execute("DELETE FROM object_parts WHERE row_uid = ?", (version.row.row_uid,))
    release_blobs(connection, all_blobs(version.row), now_us)


def _insert(connection: sqlite3.Connection, row: ObjectRow, vsort: int) -> None:
    columns = column_values(row)
    history = 0 if row.kind is RowKind.OBJECT else 1
    connection.execute(_INSERT, (row.bucket_id, history, vsort, ahead_us(row, vsort), *columns))
    if has_parts(columns):
        connection.execute(
            "INSERT INTO object_parts (row_uid, blob_ids, sealed_parts) VALUES (?, ?, ?)", part_values(row)
        )

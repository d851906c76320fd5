"""The versions of one key. Functions for use inside a transaction; those that write need the key's lock.

Invariants, kept here: at most one version of a key is current; it is an object, and the newest. So a key whose newest
version is a delete marker has no current one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from database.connection import Transaction
from gateway.protocol.version_ids import NULL_VERSION_ID, time_of_version
from gateway.storage.index.listing import Row
from gateway.storage.index.postgresql.blob_rows import release_blobs
from gateway.storage.index.records import ObjectRow, RowKind
from gateway.storage.index.version_columns import (
    COLUMNS,
    LATEST,
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
def _with_parts(bucket_id: str, key: str) -> str:
    return f"""
        SELECT {COLUMNS},
            CASE WHEN has_parts THEN (SELECT p.blob_ids FROM object_parts p WHERE p.row_uid = v.row_uid) END,
            CASE WHEN has_parts THEN (SELECT p.sealed_parts FROM object_parts p WHERE p.row_uid = v.row_uid) END,
            vsort, is_current
        FROM object_version v WHERE bucket_id = {bucket_id} AND key = {key}
    """  # noqa: S608  # constants only


def newest_version_of(bucket_id: str, key: str) -> str:
    """The query for the newest version of a key; `stored_version` reads it."""
    return _with_parts(bucket_id, key) + "ORDER BY vsort LIMIT 1"


_WITH_PARTS = _with_parts("$1", "$2")
GET_NEWEST = newest_version_of("$1", "$2")
GET_NULL = f"""
    ({_WITH_PARTS} AND is_current AND version_id = 'null')
    UNION ALL
    ({_WITH_PARTS} AND NOT is_current AND version_id = 'null')
    LIMIT 1
"""
# A version never stands behind the place that its time gives it (see `place_version`): usually it is the first row.
GET_VERSION = _WITH_PARTS + "AND vsort <= $3 AND version_id = $4 ORDER BY vsort DESC LIMIT 1"

_LISTED_PARTS = "SELECT row_uid, blob_ids FROM object_parts WHERE row_uid = ANY($1::bytea[])"

_NOTED = "UPDATE multipart_upload SET key_changed = upload_id WHERE bucket_id = $1 AND key = {} AND key_changed IS NULL"
_NOTE_CHANGE = _NOTED.format("$2")
# One round trip: every new version is a change that uploads of its key have to know of.
_INSERT = f"""
    WITH noted AS ({_NOTED.format("$4")})
    INSERT INTO object_version (bucket_id, is_current, vsort, {COLUMNS}, ahead_us)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
"""  # noqa: S608  # constants only
_INSERT_PARTS = "INSERT INTO object_parts (row_uid, blob_ids, sealed_parts) VALUES ($1, $2, $3)"
_AT_POSITION = "WHERE bucket_id = $1 AND key = $2 AND vsort = $3"
_DELETE = f"DELETE FROM object_version {_AT_POSITION}"  # noqa: S608  # constants only
_CHANGE = f"UPDATE object_version SET revision = $4, sealed = $5 {_AT_POSITION}"  # noqa: S608  # constants only
_REWRAP = f"""
    UPDATE object_version SET mode = $4, wrapped = $5, key_arn = $6, key_version = $7, manifest_id = $8,
        blob_id = $9 {_AT_POSITION}
"""  # noqa: S608  # constants only
_MOVE = f"UPDATE object_version SET is_current = $4 {_AT_POSITION}"  # noqa: S608  # constants only


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """A version and where it stands."""

    row: ObjectRow
    vsort: int
    is_current: bool
    has_parts: bool

    @property
    def position(self) -> tuple[bytes, bytes, int]:
        return self.row.bucket_id, self.row.key, self.vsort


async def whole_rows(transaction: Transaction, bucket_id: bytes, columns: Sequence[Row]) -> tuple[ObjectRow, ...]:
    """From COLUMNS of each, without `sealed_parts`; asks for the lists of blobs, which stand elsewhere, all at once.

    In the snapshot that the columns came from.
    """
    uids = uids_with_parts(columns)
    return rows_of_columns(bucket_id, columns, dict(await transaction.rows(_LISTED_PARTS, uids)) if uids else {})


async def newest_version(transaction: Transaction, bucket_id: bytes, key: bytes) -> StoredVersion | None:
    """Be it an object or a delete marker."""
    return await _one(transaction, GET_NEWEST, bucket_id, key)


async def find_version(transaction: Transaction, bucket_id: bytes, key: bytes, version_id: str) -> StoredVersion | None:
    """The version of that id, newest or older."""
    if version_id == NULL_VERSION_ID:
        return await _one(transaction, GET_NULL, bucket_id, key)
    if "\0" in version_id:
        return None  # TEXT cannot hold it, so no row has it
    time_us = time_of_version(version_id)
    first = LATEST if time_us is None else LATEST - time_us
    return await _one(transaction, GET_VERSION, bucket_id, key, first, version_id)


async def place_version(transaction: Transaction, row: ObjectRow, newest: StoredVersion | None, now_us: int) -> None:
    """Make `row` the newest version, whose blobs have their references already; `newest` is what was.

    The version with the same version id, newest or older, is replaced; any other one stays as history.
    """
    vsort = LATEST - row.modified_us
    if newest is not None:
        vsort = min(vsort, newest.vsort - 1)  # newest by rank also when the clock went back
        replaced: StoredVersion | None = newest
        if newest.row.version_id != row.version_id:
            replaced = await find_version(transaction, row.bucket_id, row.key, row.version_id)
            if newest.is_current:
                await transaction.change(_MOVE, *newest.position, False)
        if replaced is not None:
            await _remove(transaction, replaced, now_us)
    await _insert(transaction, row, vsort)


async def change_version(transaction: Transaction, version: StoredVersion, row: ObjectRow) -> None:
    """Write a version's next revision in its place: what is sealed, nothing else."""
    await transaction.change(_CHANGE, *version.position, row.revision, row.sealed)
    if row.sealed_parts != version.row.sealed_parts:  # up to megabytes, and mostly the same
        await transaction.change(
            "UPDATE object_parts SET sealed_parts = $2 WHERE row_uid = $1", row.row_uid, row.sealed_parts
        )


async def rewrap_version(transaction: Transaction, version: StoredVersion, row: ObjectRow, now_us: int) -> None:
    """Write a version's next revision, with its wrap, manifest and blobs, which have their references already."""
    wrap = row.wrap
    columns = (wrap.mode, wrap.wrapped, wrap.key_arn, wrap.key_version, row.manifest_id)
    blob_id = row.blob_ids[0] if row.blob_ids and not version.has_parts else None
    await transaction.change(_REWRAP, *version.position, *columns, blob_id)
    await change_version(transaction, version, row)
    if version.has_parts and row.blob_ids != version.row.blob_ids:
        await transaction.change(
            "UPDATE object_parts SET blob_ids = $2 WHERE row_uid = $1", row.row_uid, b"".join(row.blob_ids)
        )
    kept = set(all_blobs(row))
    await release_blobs(transaction, [blob_id for blob_id in all_blobs(version.row) if blob_id not in kept], now_us)


async def remove_version(transaction: Transaction, version: StoredVersion, now_us: int) -> None:
    """Remove a version; if the newest one then is an object, it becomes current."""
    await _remove(transaction, version, now_us)
    newest = await newest_version(transaction, version.row.bucket_id, version.row.key)
    if newest is None or version.vsort < newest.vsort:
        await transaction.change(_NOTE_CHANGE, version.row.bucket_id, version.row.key)
    if newest is not None and newest.row.kind is RowKind.OBJECT and not newest.is_current:
        await transaction.change(_MOVE, *newest.position, True)


async def _one(transaction: Transaction, sql: str, bucket_id: bytes, *parameters: object) -> StoredVersion | None:
    columns = await transaction.row(sql, bucket_id, *parameters)
    return None if columns is None else stored_version(bucket_id, columns)


def stored_version(bucket_id: bytes, columns: Row) -> StoredVersion:
    """From what the queries here select."""
    *listed, blob_ids, sealed_parts, vsort, is_current = columns
    row = row_of_columns(bucket_id, listed, blob_ids, sealed_parts)
    return StoredVersion(row, vsort, is_current, has_parts=has_parts(listed))


async def _remove(transaction: Transaction, version: StoredVersion, now_us: int) -> None:
    await transaction.change(_DELETE, *version.position)
    if version.has_parts:
        await transaction.change("DELETE FROM object_parts WHERE row_uid = $1", version.row.row_uid)
    await release_blobs(transaction, all_blobs(version.row), now_us)


async def _insert(transaction: Transaction, row: ObjectRow, vsort: int) -> None:
    """Uploads of its key are told as well."""
    columns = column_values(row)
    await transaction.change(_INSERT, row.bucket_id, row.kind is RowKind.OBJECT, vsort, *columns, ahead_us(row, vsort))
    if has_parts(columns):
        await transaction.change(_INSERT_PARTS, *part_values(row))

"""Buckets. See BucketIndex for the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway.storage.errors import BucketExists, BucketNotEmpty, Conflict, NoSuchBucket, TooManyBuckets
from gateway.storage.index.interface import NO_BODY
from gateway.storage.index.records import BucketRow, ObjectRow
from gateway.storage.index.sqlite.bucket_keys import forget_bucket_keys_of_bucket
from gateway.storage.index.sqlite.part import IndexPart
from gateway.storage.index.sqlite.uploads import forget_uploads_of_bucket
from gateway.storage.index.sqlite.versions import SELECTED_WITH_PARTS, newest_in_history, object_row

_COLUMNS = "bucket_id, account_id, name, region, created_us, revision, sealed"
_COLUMN_COUNT = len(_COLUMNS.split(","))
_GET_WITH_CURRENT = f"""
    SELECT {", ".join(f"b.{name}" for name in _COLUMNS.split(", "))}, {SELECTED_WITH_PARTS},
    CASE WHEN v.size <= ? AND NOT v.has_parts THEN (SELECT i.data FROM inline_blob i WHERE i.blob_id = v.blob_id) END
    FROM bucket b LEFT JOIN object_version v ON v.bucket_id = b.bucket_id AND v.history = 0 AND v.key = ?
    WHERE b.name = ?
"""  # noqa: S608  # constants only
_AFTER_ALL_NAMES = "\U0010ffff"


class SQLiteBuckets(IndexPart):
    async def create_bucket(self, row: BucketRow, *, most: int | None = None) -> None:
        def create(connection: sqlite3.Connection) -> None:
            taken = connection.execute("SELECT account_id FROM bucket WHERE name = ?", (row.name,)).fetchone()
            if taken:
                raise BucketExists(taken[0])
            if most is not None:
                counted = connection.execute("SELECT count(*) FROM bucket WHERE account_id = ?", (row.account_id,))
                if counted.fetchone()[0] >= most:
                    raise TooManyBuckets
            connection.execute(
                f"INSERT INTO bucket ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608  # constants only
                (row.bucket_id, row.account_id, row.name, row.region, row.created_us, row.revision, row.sealed),
            )

        await self._database.write(create)

    async def get_bucket(self, name: str) -> BucketRow:
        found = self._database.row(f"SELECT {_COLUMNS} FROM bucket WHERE name = ?", (name,))  # noqa: S608
        if found is None:
            raise NoSuchBucket
        return _bucket_row(found)

    async def get_bucket_and_object(
        self, name: str, key: bytes, *, inline_bytes: int = NO_BODY
    ) -> tuple[BucketRow, ObjectRow | None, bytes | None]:
        found = self._database.row(_GET_WITH_CURRENT, (inline_bytes, key, name))
        if found is None:
            raise NoSuchBucket
        bucket, current = _bucket_row(found[:_COLUMN_COUNT]), found[_COLUMN_COUNT:-1]
        if current[0] is None:
            return bucket, newest_in_history(self._database, bucket.bucket_id, key), None
        return bucket, object_row(bucket.bucket_id, current), found[-1]

    async def list_buckets(self, account_id: str, *, prefix: str, after: str, limit: int) -> Sequence[BucketRow]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM bucket WHERE account_id = ? AND name > ? AND name >= ? AND name < ? "  # noqa: S608
            "ORDER BY name LIMIT ?",
            (account_id, after, prefix, prefix + _AFTER_ALL_NAMES, limit),
        )
        return [_bucket_row(row) for row in rows]

    async def all_buckets(self, *, after: str, limit: int) -> Sequence[BucketRow]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM bucket WHERE name > ? ORDER BY name LIMIT ?",  # noqa: S608  # constants only
            (after, limit),
        )
        return [_bucket_row(row) for row in rows]

    async def update_bucket(self, row: BucketRow) -> None:
        def update(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                "UPDATE bucket SET revision = ?, sealed = ? WHERE bucket_id = ? AND revision = ?",
                (row.revision, row.sealed, row.bucket_id, row.revision - 1),
            )
            if not cursor.rowcount:
                raise Conflict("the bucket changed since it was read")

        await self._database.write(update)

    async def delete_bucket(self, bucket_id: bytes) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            if connection.execute("SELECT 1 FROM object_version WHERE bucket_id = ? LIMIT 1", (bucket_id,)).fetchone():
                raise BucketNotEmpty
            forget_uploads_of_bucket(connection, bucket_id, self._clock_us())
            forget_bucket_keys_of_bucket(connection, bucket_id)
            if not connection.execute("DELETE FROM bucket WHERE bucket_id = ?", (bucket_id,)).rowcount:
                raise NoSuchBucket

        await self._database.write(delete)


def _bucket_row(columns: tuple[Any, ...]) -> BucketRow:
    return BucketRow(*columns)

"""Bucket keys that are being written with. See BucketKeyIndex for the contract."""

from __future__ import annotations

import sqlite3
from typing import Final

from gateway.storage.errors import NoSuchBucket
from gateway.storage.index.records import BucketKeyRow
from gateway.storage.index.sqlite.part import IndexPart

_FORGOTTEN_AT_ONCE: Final = 100
"""More than one request adds, so that the table shrinks; few enough for a transaction that others wait for."""

_COLUMNS = "bucket_id, requester, key_arn, key_version, wrapped, created_us, sealed"
_FORGET = """
    DELETE FROM bucket_key WHERE (bucket_id, requester) IN
        (SELECT bucket_id, requester FROM bucket_key WHERE created_us < ? ORDER BY created_us LIMIT ?)
"""
_PUT = f"INSERT OR REPLACE INTO bucket_key ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants only


class SQLiteBucketKeys(IndexPart):
    async def bucket_key(self, bucket_id: bytes, requester: bytes) -> BucketKeyRow | None:
        found = self._database.row(
            f"SELECT {_COLUMNS} FROM bucket_key WHERE bucket_id = ? AND requester = ?",  # noqa: S608  # constants only
            (bucket_id, requester),
        )
        return None if found is None else BucketKeyRow(*found)

    async def put_bucket_key(self, row: BucketKeyRow, *, forget_before_us: int) -> None:
        def put(connection: sqlite3.Connection) -> None:
            if not connection.execute("SELECT 1 FROM bucket WHERE bucket_id = ?", (row.bucket_id,)).fetchone():
                raise NoSuchBucket
            connection.execute(_FORGET, (forget_before_us, _FORGOTTEN_AT_ONCE))
            values = (row.bucket_id, row.requester, row.key_arn, row.key_version, row.wrapped)
            connection.execute(_PUT, (*values, row.created_us, row.sealed))

        await self._database.write(put)


def forget_bucket_keys_of_bucket(connection: sqlite3.Connection, bucket_id: bytes) -> None:
    """Inside a transaction."""
    connection.execute("DELETE FROM bucket_key WHERE bucket_id = ?", (bucket_id,))

"""Bucket keys that are being written with. See BucketKeyIndex for the contract."""

from __future__ import annotations

from typing import Final

from database.connection import Transaction
from gateway.storage.index.postgresql.locks import hold_bucket
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.records import BucketKeyRow

_FORGOTTEN_AT_ONCE: Final = 100
"""More than one request adds, so that the table shrinks; few enough for a transaction that others wait for."""

_COLUMNS = "bucket_id, requester, key_arn, key_version, wrapped, created_us, sealed"
GET = f"SELECT {_COLUMNS} FROM bucket_key WHERE bucket_id = $1 AND requester = $2"  # noqa: S608  # constants only
_FORGET = """
    DELETE FROM bucket_key WHERE (bucket_id, requester) IN (
        SELECT bucket_id, requester FROM bucket_key WHERE created_us < $1 ORDER BY created_us LIMIT $2
        FOR UPDATE SKIP LOCKED
    )
"""
_PUT = f"""
    INSERT INTO bucket_key ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (bucket_id, requester) DO UPDATE SET key_arn = excluded.key_arn, key_version = excluded.key_version,
        wrapped = excluded.wrapped, created_us = excluded.created_us, sealed = excluded.sealed
"""  # noqa: S608  # constants only


class PostgreSQLBucketKeys(IndexPart):
    async def bucket_key(self, bucket_id: bytes, requester: bytes) -> BucketKeyRow | None:
        found = await self._database.row(GET, bucket_id, requester)
        return None if found is None else BucketKeyRow(*found)

    async def put_bucket_key(self, row: BucketKeyRow, *, forget_before_us: int) -> None:
        async def put(transaction: Transaction) -> None:
            await hold_bucket(transaction, row.bucket_id)
            await transaction.change(_FORGET, forget_before_us, _FORGOTTEN_AT_ONCE)
            values = (row.bucket_id, row.requester, row.key_arn, row.key_version, row.wrapped)
            await transaction.change(_PUT, *values, row.created_us, row.sealed)

        await self._database.write(put)


async def forget_bucket_keys_of_bucket(transaction: Transaction, bucket_id: bytes) -> None:
    await transaction.change("DELETE FROM bucket_key WHERE bucket_id = $1", bucket_id)

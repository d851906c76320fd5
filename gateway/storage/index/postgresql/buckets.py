"""Buckets. See BucketIndex for the contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from database.connection import Transaction
from gateway.storage.errors import BucketExists, BucketNotEmpty, Conflict, NoSuchBucket, TooManyBuckets
from gateway.storage.index.interface import NO_BODY
from gateway.storage.index.postgresql.bucket_keys import forget_bucket_keys_of_bucket
from gateway.storage.index.postgresql.locks import lock_keys
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.postgresql.uploads import forget_uploads_of_bucket
from gateway.storage.index.postgresql.versions import newest_version_of, stored_version
from gateway.storage.index.records import BucketRow, ObjectRow

_COLUMNS = "bucket_id, account_id, name, region, created_us, revision, sealed"
_AFTER_ALL_NAMES: Final = "\U0010ffff"
_WHOLE_INDEX: Final = b""
"""The scope of the locks on names and accounts."""

_COLUMN_COUNT = len(_COLUMNS.split(","))
GET_WITH_NEWEST = f"""
    SELECT {", ".join(f"b.{name}" for name in _COLUMNS.split(", "))}, newest.*,
    CASE WHEN newest.size <= $3 AND NOT newest.has_parts
    THEN (SELECT i.data FROM inline_blob i WHERE i.blob_id = newest.blob_id) END
    FROM bucket b LEFT JOIN LATERAL ({newest_version_of("b.bucket_id", "$2")}) AS newest ON TRUE WHERE b.name = $1
"""  # noqa: S608  # constants only
GET = f"SELECT {_COLUMNS} FROM bucket WHERE name = $1"  # noqa: S608  # constants only
LIST = f"""
    SELECT {_COLUMNS} FROM bucket WHERE account_id = $1 AND name > $2 AND name >= $3 AND name < $4
    ORDER BY name LIMIT $5
"""  # noqa: S608  # constants only
LIST_ALL = f"SELECT {_COLUMNS} FROM bucket WHERE name > $1 ORDER BY name LIMIT $2"  # noqa: S608  # constants only
_CREATE = f"INSERT INTO bucket ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)"  # noqa: S608  # constants only
_COUNT = "SELECT count(*) FROM bucket WHERE account_id = $1"
_UPDATE = "UPDATE bucket SET revision = $2, sealed = $3 WHERE bucket_id = $1 AND revision = $4"


class PostgreSQLBuckets(IndexPart):
    async def create_bucket(self, row: BucketRow, *, most: int | None = None) -> None:
        async def create(transaction: Transaction) -> None:
            names = (f"name {row.name}", f"account {row.account_id}")
            await lock_keys(transaction, [(_WHOLE_INDEX, name.encode()) for name in names])
            taken = await transaction.row("SELECT account_id FROM bucket WHERE name = $1", row.name)
            if taken is not None:
                raise BucketExists(taken[0])
            if most is not None:
                ((count,),) = await transaction.rows(_COUNT, row.account_id)
                if count >= most:
                    raise TooManyBuckets
            values = (row.bucket_id, row.account_id, row.name, row.region, row.created_us, row.revision, row.sealed)
            await transaction.change(_CREATE, *values)

        await self._database.write(create)

    async def get_bucket(self, name: str) -> BucketRow:
        found = None if "\0" in name else await self._database.row(GET, name)  # TEXT cannot hold a NUL
        if found is None:
            raise NoSuchBucket
        return BucketRow(*found)

    async def get_bucket_and_object(
        self, name: str, key: bytes, *, inline_bytes: int = NO_BODY
    ) -> tuple[BucketRow, ObjectRow | None, bytes | None]:
        found = None if "\0" in name else await self._database.row(GET_WITH_NEWEST, name, key, inline_bytes)
        if found is None:
            raise NoSuchBucket
        bucket, newest = BucketRow(*found[:_COLUMN_COUNT]), found[_COLUMN_COUNT:-1]
        if newest[0] is None:
            return bucket, None, None
        return bucket, stored_version(bucket.bucket_id, newest).row, found[-1]

    async def list_buckets(self, account_id: str, *, prefix: str, after: str, limit: int) -> Sequence[BucketRow]:
        if "\0" in prefix:
            return []
        after = after.partition("\0")[0]  # no name has a NUL: after "a\0" is after "a"
        rows = await self._database.rows(LIST, account_id, after, prefix, prefix + _AFTER_ALL_NAMES, limit)
        return [BucketRow(*row) for row in rows]

    async def all_buckets(self, *, after: str, limit: int) -> Sequence[BucketRow]:
        rows = await self._database.rows(LIST_ALL, after.partition("\0")[0], limit)
        return [BucketRow(*row) for row in rows]

    async def update_bucket(self, row: BucketRow) -> None:
        async def update(transaction: Transaction) -> None:
            if not await transaction.change(_UPDATE, row.bucket_id, row.revision, row.sealed, row.revision - 1):
                raise Conflict("the bucket changed since it was read")

        await self._database.write(update)

    async def delete_bucket(self, bucket_id: bytes) -> None:
        async def delete(transaction: Transaction) -> None:
            # Whoever writes into the bucket holds it until its end: afterwards nobody can.
            present = await transaction.row("SELECT 1 FROM bucket WHERE bucket_id = $1 FOR UPDATE", bucket_id)
            if present is None:
                raise NoSuchBucket
            if await transaction.row("SELECT 1 FROM object_version WHERE bucket_id = $1 LIMIT 1", bucket_id):
                raise BucketNotEmpty
            await forget_uploads_of_bucket(transaction, bucket_id, self._clock_us())
            await forget_bucket_keys_of_bucket(transaction, bucket_id)
            await transaction.change("DELETE FROM bucket WHERE bucket_id = $1", bucket_id)

        await self._database.write(delete)

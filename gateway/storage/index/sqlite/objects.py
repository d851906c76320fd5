"""Object versions: reading, placing and removing them. See ObjectIndex for the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.storage.errors import BlobMissing, NoSuchKey
from gateway.storage.index.interface import Precondition
from gateway.storage.index.listing import Position, Row, list_page, skip_given_prefix
from gateway.storage.index.records import NewBlob, ObjectPage, ObjectRow
from gateway.storage.index.sqlite.blob_rows import share_blobs
from gateway.storage.index.sqlite.bucket_rows import require_bucket
from gateway.storage.index.sqlite.part import IndexPart
from gateway.storage.index.sqlite.versions import (
    COLUMNS,
    GET_CURRENT,
    GET_NEWEST_IN_HISTORY,
    add_blobs,
    all_blobs,
    current_version,
    listed_row,
    object_row,
    place_version,
    remove_current,
)

MAX_PAGE_BLOBS = 100_000
"""Blob ids in one page of a listing: it ends early rather than take more. Memory for a page is bounded by this (about
7 MB), also in a bucket of multipart objects with 10 000 parts each."""

_LIST = f"""
    SELECT {COLUMNS} FROM object_version
    WHERE bucket_id = ? AND history = 0 AND key >= ? AND key < ? ORDER BY key LIMIT ?
"""  # noqa: S608  # constants only


class SQLiteObjects(IndexPart):
    async def put_object(
        self, row: ObjectRow, blobs: Sequence[NewBlob], precondition: Precondition | None = None
    ) -> None:
        def put(connection: sqlite3.Connection) -> None:
            require_bucket(connection, row.bucket_id)
            current = current_version(connection, row.bucket_id, row.key)
            if precondition:
                precondition(current.row if current else None)
            add_blobs(connection, blobs)
            new = {blob.blob_id for blob in blobs}
            # Sharing comes before the replaced version lets go: a copy onto itself must not condemn its own blobs.
            share_blobs(connection, [blob_id for blob_id in all_blobs(row) if blob_id not in new])
            place_version(connection, row, current, self._clock_us())

        await self._database.write(put)

    async def get_object(self, bucket_id: bytes, key: bytes) -> ObjectRow:
        found = self._database.row(GET_CURRENT, (bucket_id, key)) or self._database.row(
            GET_NEWEST_IN_HISTORY, (bucket_id, key)
        )
        if found is None:
            raise NoSuchKey
        return object_row(bucket_id, found)

    async def delete_object(
        self, bucket_id: bytes, key: bytes, precondition: Precondition | None = None
    ) -> ObjectRow | None:
        def delete(connection: sqlite3.Connection) -> ObjectRow | None:
            current = current_version(connection, bucket_id, key)
            if precondition:
                precondition(current.row if current else None)
            if current is None:
                return None
            remove_current(connection, current, self._clock_us())
            return current.row

        return await self._database.write(delete)

    async def delete_objects(self, bucket_id: bytes, keys: Sequence[bytes]) -> None:
        def delete(connection: sqlite3.Connection) -> None:
            now_us = self._clock_us()
            for key in keys:
                current = current_version(connection, bucket_id, key)
                if current is not None:
                    remove_current(connection, current, now_us)

        await self._database.write(delete)

    async def list_objects(
        self, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, after: bytes, max_keys: int
    ) -> ObjectPage:
        with self._database.snapshot():
            page = list_page(
                lambda position, end, limit: self._list(bucket_id, position, end, limit),
                skip_given_prefix((after, b"\0"), prefix=prefix, delimiter=delimiter, after=after),
                prefix=prefix,
                delimiter=delimiter,
                page_size=max_keys,
                is_full=_BlobBudget(),
            )
            rows = tuple([listed_row(self._database, bucket_id, row) for row in page.rows])
        last = page.last_prefix or (rows[-1].key if rows else None)
        return ObjectPage(rows, tuple(page.common_prefixes), last if page.is_truncated else None)

    async def read_inline(self, blob_id: bytes) -> bytes:
        found = self._database.row(
            "SELECT data FROM inline_blob WHERE blob_no = (SELECT blob_no FROM blob WHERE blob_id = ?)", (blob_id,)
        )
        if found is None:
            raise BlobMissing(f"inline blob {blob_id.hex()}")
        data: bytes = found[0]
        return data

    def _list(self, bucket_id: bytes, position: Position, end: bytes, limit: int) -> Sequence[Row]:
        # One row a key is all there is here: a tie means "after this key".
        key, tie = position
        return self._database.rows(_LIST, (bucket_id, key + b"\0" if tie else key, end, limit))


class _BlobBudget:
    """Counts the blobs of the rows it is called with; true when a page can take no more."""

    def __init__(self) -> None:
        self._left = MAX_PAGE_BLOBS

    def __call__(self, row: Row) -> bool:
        blob_count: int = row[3]
        self._left -= blob_count
        return self._left <= 0

"""Multipart uploads. See UploadIndex for the contract.

An upload's row is held by those who add parts, together, and locked by whoever ends it. Locks are taken in the order
key, bucket, upload, part.
"""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Transaction
from gateway.storage.errors import Conflict, NoSuchUpload
from gateway.storage.index.interface import CompletionPrecondition
from gateway.storage.index.listing import list_page
from gateway.storage.index.pages import first_upload, upload_page
from gateway.storage.index.postgresql.blob_rows import add_blobs, release_blobs
from gateway.storage.index.postgresql.listing_queries import can_skip, listing_queries, run_listing
from gateway.storage.index.postgresql.locks import hold_bucket, lock_keys, lock_keys_in_bucket
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.postgresql.versions import newest_version, place_version
from gateway.storage.index.records import NewBlob, ObjectRow, PartRow, UploadPage, UploadRow
from gateway.storage.index.upload_columns import COLUMNS, PART_COLUMNS, column_values, part_values, upload_row

LIST = listing_queries("multipart_upload", COLUMNS, tie="upload_id")
GET = f"SELECT {COLUMNS} FROM multipart_upload WHERE upload_id = $1 AND bucket_id = $2 AND key = $3"  # noqa: S608
LIST_PARTS = f"""
    SELECT {PART_COLUMNS} FROM multipart_part WHERE upload_id = $1 AND part_number > $2::bigint
    ORDER BY part_number LIMIT $3
"""  # noqa: S608  # constants only

_CREATE = f"""
    INSERT INTO multipart_upload ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""  # noqa: S608  # constants only
_HOLD = "SELECT 1 FROM multipart_upload WHERE upload_id = $1 FOR KEY SHARE"
_LOCK = """
    SELECT key_changed IS NOT NULL FROM multipart_upload WHERE upload_id = $1 AND bucket_id = $2 AND key = $3 FOR UPDATE
"""
_LOCK_OF_BUCKET = "SELECT upload_id FROM multipart_upload WHERE bucket_id = $1 ORDER BY upload_id FOR UPDATE"
_PUT_PART = f"""
    WITH replaced AS (SELECT blob_id FROM multipart_part WHERE upload_id = $1 AND part_number = $2),
        put AS (
            INSERT INTO multipart_part ({PART_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7)
            ON CONFLICT (upload_id, part_number) DO UPDATE SET blob_id = excluded.blob_id, size = excluded.size,
                modified_us = excluded.modified_us, revision = excluded.revision, sealed = excluded.sealed
        )
    SELECT blob_id FROM replaced
"""  # noqa: S608  # constants only


class PostgreSQLUploads(IndexPart):
    async def create_upload(self, row: UploadRow) -> None:
        async def create(transaction: Transaction) -> None:
            await hold_bucket(transaction, row.bucket_id)
            await transaction.change(_CREATE, *column_values(row))

        await self._database.write(create)

    async def get_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> UploadRow:
        found = await self._database.row(GET, upload_id, bucket_id, key)
        if found is None:
            raise NoSuchUpload
        return upload_row(found)

    async def list_uploads(
        self,
        bucket_id: bytes,
        *,
        prefix: bytes,
        delimiter: bytes,
        after: tuple[bytes, bytes | None] | None,
        max_uploads: int,
    ) -> UploadPage:
        async def list_all(transaction: Transaction) -> UploadPage:
            pages = list_page(
                first_upload(after, prefix, delimiter),
                prefix=prefix,
                delimiter=delimiter,
                page_size=max_uploads,
                engine_skips=can_skip(delimiter),
            )
            listing = await run_listing(
                transaction,
                LIST,
                pages,
                bucket_id,
                position=lambda fetch: fetch.position,
                prefix=prefix,
                delimiter=delimiter,
            )
            return upload_page(listing, [upload_row(row) for row in listing.rows])

        return await self._database.read(list_all)

    async def put_part(self, row: PartRow, blob: NewBlob) -> None:
        async def put(transaction: Transaction) -> None:
            if await transaction.row(_HOLD, row.upload_id) is None:
                raise NoSuchUpload
            await lock_keys(transaction, [(row.upload_id, row.part_number.to_bytes(4, "big"))])
            await add_blobs(transaction, [blob])
            replaced = await transaction.rows(_PUT_PART, *part_values(row))
            await release_blobs(transaction, [blob_id for (blob_id,) in replaced], self._clock_us())

        await self._database.write(put)

    async def list_parts(self, upload_id: bytes, *, after: int, limit: int) -> Sequence[PartRow]:
        return [PartRow(*row) for row in await self._database.rows(LIST_PARTS, upload_id, after, limit)]

    async def complete_upload(
        self,
        upload_id: bytes,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: CompletionPrecondition | None = None,
    ) -> None:
        async def complete(transaction: Transaction) -> None:
            if not await lock_keys_in_bucket(transaction, row.bucket_id, [row.key]):
                raise NoSuchUpload  # it went with its bucket
            is_changed = await _lock_upload(transaction, row.bucket_id, row.key, upload_id)
            newest = await newest_version(transaction, row.bucket_id, row.key)
            if precondition:
                precondition(newest.row if newest else None, is_changed)
            uploaded = await _part_blobs(transaction, upload_id)
            wanted = set(row.blob_ids)
            if not wanted <= uploaded or len(wanted) != len(row.blob_ids):
                raise Conflict("a part was replaced since it was read")
            # The reference that a part held passes to the object: nothing to write for the blobs that stay.
            now_us = self._clock_us()
            await release_blobs(transaction, uploaded - wanted, now_us)
            await _forget_upload(transaction, upload_id)
            await add_blobs(transaction, [manifest])
            await place_version(transaction, row, newest, now_us)

        await self._database.write(complete)

    async def abort_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> None:
        async def abort(transaction: Transaction) -> None:
            await abort_upload(transaction, bucket_id, key, upload_id, self._clock_us())

        await self._database.write(abort)


async def abort_upload(transaction: Transaction, bucket_id: bytes, key: bytes, upload_id: bytes, now_us: int) -> None:
    """Raises NoSuchUpload."""
    await _lock_upload(transaction, bucket_id, key, upload_id)
    await release_blobs(transaction, await _part_blobs(transaction, upload_id), now_us)
    await _forget_upload(transaction, upload_id)


async def forget_uploads_of_bucket(transaction: Transaction, bucket_id: bytes, now_us: int) -> None:
    """Abort every upload of the bucket, which is locked."""
    for (upload_id,) in await transaction.rows(_LOCK_OF_BUCKET, bucket_id):
        await release_blobs(transaction, await _part_blobs(transaction, upload_id), now_us)
        await _forget_upload(transaction, upload_id)


async def _lock_upload(transaction: Transaction, bucket_id: bytes, key: bytes, upload_id: bytes) -> bool:
    """Whether the key's newest version became another one since the upload was created. Raises NoSuchUpload."""
    found = await transaction.row(_LOCK, upload_id, bucket_id, key)
    if found is None:
        raise NoSuchUpload
    return bool(found[0])


async def _part_blobs(transaction: Transaction, upload_id: bytes) -> set[bytes]:
    rows = await transaction.rows("SELECT blob_id FROM multipart_part WHERE upload_id = $1", upload_id)
    return {blob_id for (blob_id,) in rows}


async def _forget_upload(transaction: Transaction, upload_id: bytes) -> None:
    """Its parts go with it: ON DELETE CASCADE."""
    await transaction.change("DELETE FROM multipart_upload WHERE upload_id = $1", upload_id)

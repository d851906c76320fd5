"""Multipart uploads. See UploadIndex for the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.storage.errors import Conflict, NoSuchUpload
from gateway.storage.index.interface import CompletionPrecondition
from gateway.storage.index.listing import Fetch, Row, list_page, run
from gateway.storage.index.pages import first_upload, upload_page
from gateway.storage.index.records import NewBlob, ObjectRow, PartRow, UploadPage, UploadRow
from gateway.storage.index.sqlite.blob_rows import add_blob, release_blobs
from gateway.storage.index.sqlite.bucket_rows import require_bucket
from gateway.storage.index.sqlite.part import IndexPart
from gateway.storage.index.sqlite.versions import current_version, place_version
from gateway.storage.index.upload_columns import COLUMNS, PART_COLUMNS, column_values, part_values, upload_row

_LIST = f"""
    SELECT {COLUMNS} FROM multipart_upload
    WHERE bucket_id = ? AND (key, upload_id) >= (?, ?) AND key < ? ORDER BY key, upload_id LIMIT ?
"""  # noqa: S608  # constants only


class SQLiteUploads(IndexPart):
    async def create_upload(self, row: UploadRow) -> None:
        def create(connection: sqlite3.Connection) -> None:
            require_bucket(connection, row.bucket_id)
            connection.execute(
                f"INSERT INTO multipart_upload ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                column_values(row),
            )

        await self._database.write(create)

    async def get_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> UploadRow:
        found = self._database.row(
            f"SELECT {COLUMNS} FROM multipart_upload WHERE upload_id = ? AND bucket_id = ? AND key = ?",  # noqa: S608
            (upload_id, bucket_id, key),
        )
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
        def rows(fetch: Fetch) -> Sequence[Row]:
            return self._database.rows(_LIST, (bucket_id, *fetch.position, fetch.end, fetch.limit))

        pages = list_page(
            first_upload(after, prefix, delimiter), prefix=prefix, delimiter=delimiter, page_size=max_uploads
        )
        with self._database.snapshot():
            page = run(pages, rows)
        return upload_page(page, [upload_row(row) for row in page.rows])

    async def put_part(self, row: PartRow, blob: NewBlob) -> None:
        def put(connection: sqlite3.Connection) -> None:
            if not connection.execute(
                "SELECT 1 FROM multipart_upload WHERE upload_id = ?", (row.upload_id,)
            ).fetchone():
                raise NoSuchUpload
            replaced = connection.execute(
                "SELECT blob_id FROM multipart_part WHERE upload_id = ? AND part_number = ?",
                (row.upload_id, row.part_number),
            ).fetchall()
            add_blob(connection, blob)
            connection.execute(
                f"INSERT OR REPLACE INTO multipart_part ({PART_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                part_values(row),
            )
            release_blobs(connection, [blob_id for (blob_id,) in replaced], self._clock_us())

        await self._database.write(put)

    async def list_parts(self, upload_id: bytes, *, after: int, limit: int) -> Sequence[PartRow]:
        rows = self._database.rows(
            f"SELECT {PART_COLUMNS} FROM multipart_part "  # noqa: S608
            "WHERE upload_id = ? AND part_number > ? ORDER BY part_number LIMIT ?",
            (upload_id, after, limit),
        )
        return [PartRow(*row) for row in rows]

    async def complete_upload(
        self,
        upload_id: bytes,
        row: ObjectRow,
        manifest: NewBlob,
        precondition: CompletionPrecondition | None = None,
    ) -> None:
        def complete(connection: sqlite3.Connection) -> None:
            is_changed = _require_upload(connection, row.bucket_id, row.key, upload_id)
            current = current_version(connection, row.bucket_id, row.key)
            if precondition:
                precondition(current.row if current else None, is_changed)
            uploaded = _part_blobs(connection, upload_id)
            wanted = set(row.blob_ids)
            if not wanted <= uploaded or len(wanted) != len(row.blob_ids):
                raise Conflict("a part was replaced since it was read")
            # The reference that a part held passes to the object: nothing to write for the blobs that stay.
            now_us = self._clock_us()
            release_blobs(connection, uploaded - wanted, now_us)
            _forget_upload(connection, upload_id)
            add_blob(connection, manifest)
            place_version(connection, row, current, now_us)

        await self._database.write(complete)

    async def abort_upload(self, bucket_id: bytes, key: bytes, upload_id: bytes) -> None:
        def abort(connection: sqlite3.Connection) -> None:
            abort_upload(connection, bucket_id, key, upload_id, self._clock_us())

        await self._database.write(abort)


def abort_upload(connection: sqlite3.Connection, bucket_id: bytes, key: bytes, upload_id: bytes, now_us: int) -> None:
    """Inside a write transaction. Raises NoSuchUpload."""
    _require_upload(connection, bucket_id, key, upload_id)
    release_blobs(connection, _part_blobs(connection, upload_id), now_us)
    _forget_upload(connection, upload_id)


def forget_uploads_of_bucket(connection: sqlite3.Connection, bucket_id: bytes, now_us: int) -> None:
    """Abort every upload of the bucket, inside a write transaction."""
    uploads = connection.execute("SELECT upload_id FROM multipart_upload WHERE bucket_id = ?", (bucket_id,)).fetchall()
    for (upload_id,) in uploads:
        release_blobs(connection, _part_blobs(connection, upload_id), now_us)
        _forget_upload(connection, upload_id)


def _require_upload(connection: sqlite3.Connection, bucket_id: bytes, key: bytes, upload_id: bytes) -> bool:
    """Whether the key's newest version became another one since the upload was created. Raises NoSuchUpload."""
    found = connection.execute(
        "SELECT key_changed IS NOT NULL FROM multipart_upload WHERE upload_id = ? AND bucket_id = ? AND key = ?",
        (upload_id, bucket_id, key),
    ).fetchone()
    if found is None:
        raise NoSuchUpload
    return bool(found[0])


def _part_blobs(connection: sqlite3.Connection, upload_id: bytes) -> set[bytes]:
    rows = connection.execute("SELECT blob_id FROM multipart_part WHERE upload_id = ?", (upload_id,))
    return {blob_id for (blob_id,) in rows}


def _forget_upload(connection: sqlite3.Connection, upload_id: bytes) -> None:
    """Its parts go with it: ON DELETE CASCADE."""
    connection.execute("DELETE FROM multipart_upload WHERE upload_id = ?", (upload_id,))

"""What scrubbing asks about blobs. See BlobIndex for the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.storage.index.records import BadBlob, BlobRow
from gateway.storage.index.sqlite.part import IndexPart

_ROWS = "SELECT blob_id, stored_bytes, is_inline, refs, condemned_us FROM blob"
_BAD = """
    INSERT INTO bad_blob (blob_id, problem, found_us) SELECT ?1, ?2, ?3 FROM blob WHERE blob_id = ?1
    ON CONFLICT (blob_id) DO UPDATE SET problem = excluded.problem
"""


class SQLiteBlobs(IndexPart):
    async def list_blobs(self, *, after: bytes, limit: int) -> Sequence[BlobRow]:
        rows = self._database.rows(f"{_ROWS} WHERE blob_id > ? ORDER BY blob_id LIMIT ?", (after, limit))
        return [_blob_row(*row) for row in rows]

    async def get_blob(self, blob_id: bytes) -> BlobRow | None:
        found = self._database.row(f"{_ROWS} WHERE blob_id = ?", (blob_id,))
        return None if found is None else _blob_row(*found)

    async def count_blobs(self) -> int:
        ((count,),) = self._database.rows("SELECT count(*) FROM blob")
        return int(count)

    async def put_bad_blob(self, bad: BadBlob) -> None:
        def put(connection: sqlite3.Connection) -> None:
            connection.execute(_BAD, (bad.blob_id, bad.problem, bad.found_us))

        await self._database.write(put)

    async def list_bad_blobs(self, *, after: bytes, limit: int) -> Sequence[BadBlob]:
        rows = self._database.rows(
            "SELECT blob_id, problem, found_us FROM bad_blob WHERE blob_id > ? ORDER BY blob_id LIMIT ?",
            (after, limit),
        )
        return [BadBlob(*row) for row in rows]

    async def forget_bad_blob(self, blob_id: bytes) -> None:
        def forget(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM bad_blob WHERE blob_id = ?", (blob_id,))

        await self._database.write(forget)


def _blob_row(blob_id: bytes, stored_bytes: int, is_inline: int, references: int, condemned_us: int | None) -> BlobRow:
    return BlobRow(blob_id, stored_bytes, bool(is_inline), references, condemned_us)

"""What scrubbing asks about blobs. See BlobIndex for the contract."""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Transaction
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.records import BadBlob, BlobRow

_ROWS = "SELECT blob_id, stored_bytes, is_inline, refs, condemned_us FROM blob"
LIST_BLOBS = f"{_ROWS} WHERE blob_id > $1 ORDER BY blob_id LIMIT $2"
GET_BLOB = f"{_ROWS} WHERE blob_id = $1"
_ESTIMATE = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'blob'::regclass"
_COUNTED_UP_TO = 100_000
_COUNT = "SELECT count(*) FROM blob"
_BAD = """
    INSERT INTO bad_blob (blob_id, problem, found_us) SELECT blob_id, $2::text, $3::bigint FROM blob WHERE blob_id = $1
    ON CONFLICT (blob_id) DO UPDATE SET problem = excluded.problem
"""
_LIST_BAD = "SELECT blob_id, problem, found_us FROM bad_blob WHERE blob_id > $1 ORDER BY blob_id LIMIT $2"


class PostgreSQLBlobs(IndexPart):
    async def list_blobs(self, *, after: bytes, limit: int) -> Sequence[BlobRow]:
        return [BlobRow(*row) for row in await self._database.rows(LIST_BLOBS, after, limit)]

    async def get_blob(self, blob_id: bytes) -> BlobRow | None:
        found = await self._database.row(GET_BLOB, blob_id)
        return None if found is None else BlobRow(*found)

    async def count_blobs(self) -> int:
        """Exact for a small table; of a large one what the server estimates, as counting would read it all."""
        ((estimate,),) = await self._database.rows(_ESTIMATE)
        if estimate > _COUNTED_UP_TO:
            return int(estimate)
        ((count,),) = await self._database.rows(_COUNT)
        return int(count)

    async def put_bad_blob(self, bad: BadBlob) -> None:
        async def put(transaction: Transaction) -> None:
            await transaction.change(_BAD, bad.blob_id, bad.problem, bad.found_us)

        await self._database.write(put)

    async def list_bad_blobs(self, *, after: bytes, limit: int) -> Sequence[BadBlob]:
        return [BadBlob(*row) for row in await self._database.rows(_LIST_BAD, after, limit)]

    async def forget_bad_blob(self, blob_id: bytes) -> None:
        async def forget(transaction: Transaction) -> None:
            await transaction.change("DELETE FROM bad_blob WHERE blob_id = $1", blob_id)

        await self._database.write(forget)

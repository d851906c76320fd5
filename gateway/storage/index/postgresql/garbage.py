"""Garbage and the jobs that collect it. See GarbageIndex and JobIndex for the contracts."""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Transaction, columns_of
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.records import NewBlob

CONDEMNED = """
    SELECT blob_id FROM blob WHERE NOT is_inline AND condemned_us < $1 ORDER BY condemned_us LIMIT $2
"""
KNOWN = "SELECT blob_id FROM blob WHERE blob_id = ANY($1::bytea[])"
_FORGET = "DELETE FROM blob WHERE blob_id = ANY($1::bytea[]) AND condemned_us IS NOT NULL"
# The bytes go with the row: ON DELETE CASCADE. What another gateway forgets just now is its own.
FORGET_INLINE = """
    DELETE FROM blob WHERE blob_id = ANY(ARRAY(
        SELECT blob_id FROM blob WHERE is_inline AND condemned_us < $1 ORDER BY condemned_us LIMIT $2
        FOR UPDATE SKIP LOCKED
    ))
"""
_HOLD = """
    INSERT INTO blob (blob_id, stored_bytes, is_inline, refs)
    SELECT held.blob_id, held.stored_bytes, FALSE, 1
    FROM unnest($1::bytea[], $2::bigint[]) AS held (blob_id, stored_bytes) ON CONFLICT DO NOTHING
"""
_TAKE = """
    INSERT INTO job AS present (name, owner, until_us) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE
    SET owner = excluded.owner, until_us = excluded.until_us WHERE present.owner = $2 OR present.until_us <= $4
"""
_NOTE = "UPDATE job SET note = $3 WHERE name = $1 AND owner = $2"
_FINISH = "UPDATE job SET owner = NULL, until_us = $3 WHERE name = $1 AND owner = $2"


class PostgreSQLGarbage(IndexPart):
    async def condemned_blobs(self, *, before_us: int, limit: int) -> Sequence[bytes]:
        return [blob_id for (blob_id,) in await self._database.rows(CONDEMNED, before_us, limit)]

    async def forget_blobs(self, blob_ids: Sequence[bytes]) -> None:
        async def forget(transaction: Transaction) -> None:
            await transaction.change(_FORGET, list(blob_ids))

        await self._database.write(forget)

    async def forget_inline_blobs(self, *, before_us: int, limit: int) -> int:
        async def forget(transaction: Transaction) -> int:
            return await transaction.change(FORGET_INLINE, before_us, limit)

        return await self._database.write(forget)

    async def hold_blobs(self, blobs: Sequence[NewBlob]) -> None:
        async def hold(transaction: Transaction) -> None:
            columns = columns_of([(blob.blob_id, blob.stored_bytes) for blob in blobs])
            await transaction.change(_HOLD, *columns)

        if blobs:
            await self._database.write(hold)

    async def known_blobs(self, blob_ids: Sequence[bytes]) -> frozenset[bytes]:
        return frozenset([blob_id for (blob_id,) in await self._database.rows(KNOWN, list(blob_ids))])


class PostgreSQLJobs(IndexPart):
    async def take_job(self, name: str, owner: str, *, now_us: int, until_us: int) -> bool:
        async def take(transaction: Transaction) -> bool:
            return await transaction.change(_TAKE, name, owner, until_us, now_us) > 0

        return await self._database.write(take)

    async def finish_job(self, name: str, owner: str, *, due_us: int) -> None:
        async def finish(transaction: Transaction) -> None:
            await transaction.change(_FINISH, name, owner, due_us)

        await self._database.write(finish)

    async def job_note(self, name: str) -> bytes | None:
        found = await self._database.row("SELECT note FROM job WHERE name = $1", name)
        return None if found is None else found[0]

    async def note_job(self, name: str, owner: str, note: bytes) -> bool:
        async def write(transaction: Transaction) -> bool:
            return await transaction.change(_NOTE, name, owner, note) > 0

        return await self._database.write(write)

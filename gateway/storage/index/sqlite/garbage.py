"""Garbage and the jobs that collect it. See GarbageIndex and JobIndex for the contracts."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

from gateway.storage.index.records import NewBlob
from gateway.storage.index.sqlite.part import IndexPart

_IDS_PER_QUERY = 500


class SQLiteGarbage(IndexPart):
    async def condemned_blobs(self, *, before_us: int, limit: int) -> Sequence[bytes]:
        rows = self._database.rows(
            "SELECT blob_id FROM blob WHERE is_inline = 0 AND condemned_us < ? ORDER BY condemned_us LIMIT ?",
            (before_us, limit),
        )
        return [blob_id for (blob_id,) in rows]

    async def forget_blobs(self, blob_ids: Sequence[bytes]) -> None:
        def forget(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "DELETE FROM blob WHERE blob_id = ? AND condemned_us IS NOT NULL", [(id_,) for id_ in blob_ids]
            )

        await self._database.write(forget)

    async def forget_inline_blobs(self, *, before_us: int, limit: int) -> int:
        def forget(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(
                "DELETE FROM blob WHERE blob_id IN "
                "(SELECT blob_id FROM blob WHERE is_inline = 1 AND condemned_us < ? ORDER BY condemned_us LIMIT ?)",
                (before_us, limit),
            )
            return cursor.rowcount  # the bytes go with the row: ON DELETE CASCADE

        return await self._database.write(forget)

    async def hold_blobs(self, blobs: Sequence[NewBlob]) -> None:
        def hold(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO blob (blob_id, stored_bytes, is_inline, refs) VALUES (?, ?, 0, 1) ON CONFLICT DO NOTHING",
                [(blob.blob_id, blob.stored_bytes) for blob in blobs],
            )

        await self._database.write(hold)

    async def known_blobs(self, blob_ids: Sequence[bytes]) -> frozenset[bytes]:
        known: set[bytes] = set()
        for some in _slices(blob_ids, _IDS_PER_QUERY):
            marks = ",".join("?" * len(some))
            rows = self._database.rows(f"SELECT blob_id FROM blob WHERE blob_id IN ({marks})", some)  # noqa: S608
            known.update(blob_id for (blob_id,) in rows)
        return frozenset(known)


class SQLiteJobs(IndexPart):
    async def take_job(self, name: str, owner: str, *, now_us: int, until_us: int) -> bool:
        def take(connection: sqlite3.Connection) -> bool:
            cursor = connection.execute(
                "INSERT INTO job (name, owner, until_us) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE "
                "SET owner = ?2, until_us = ?3 WHERE owner = ?2 OR until_us <= ?4",
                (name, owner, until_us, now_us),
            )
            return cursor.rowcount > 0

        return await self._database.write(take)

    async def finish_job(self, name: str, owner: str, *, due_us: int) -> None:
        def finish(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE job SET owner = NULL, until_us = ? WHERE name = ? AND owner = ?", (due_us, name, owner)
            )

        await self._database.write(finish)

    async def job_note(self, name: str) -> bytes | None:
        found = self._database.row("SELECT note FROM job WHERE name = ?", (name,))
        return None if found is None else found[0]

    async def note_job(self, name: str, owner: str, note: bytes) -> bool:
        def write(connection: sqlite3.Connection) -> bool:
            return (
                connection.execute("UPDATE job SET note = ? WHERE name = ? AND owner = ?", (note, name, owner)).rowcount
                > 0
            )

        return await self._database.write(write)


def _slices(ids: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    return (ids[i : i + size] for i in range(0, len(ids), size))

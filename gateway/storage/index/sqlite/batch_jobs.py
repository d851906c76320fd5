"""Work on many objects that somebody asked for. See BatchJobIndex for the contract."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from gateway.storage.errors import Conflict, NoSuchJob
from gateway.storage.index.records import BatchJobRow
from gateway.storage.index.sqlite.part import IndexPart

_COLUMNS = "job_id, kind, state, created_us, revision, sealed"
_GET = f"SELECT {_COLUMNS} FROM batch_job WHERE job_id = ?"  # noqa: S608  # constants only
_LIST = f"""
    SELECT {_COLUMNS} FROM batch_job
    WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR state IN (SELECT value FROM json_each(?2)))
    ORDER BY created_us DESC, job_id LIMIT ?3
"""  # noqa: S608  # constants only
_ADD = f"INSERT INTO batch_job ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608  # constants only
_UPDATE = "UPDATE batch_job SET state = ?, revision = ?, sealed = ? WHERE job_id = ? AND revision = ?"


class SQLiteBatchJobs(IndexPart):
    async def add_batch_job(self, row: BatchJobRow) -> None:
        def add(connection: sqlite3.Connection) -> None:
            if connection.execute(_GET, (row.job_id,)).fetchone() is not None:
                raise Conflict("a job of that id exists")
            connection.execute(_ADD, (row.job_id, row.kind, row.state, row.created_us, row.revision, row.sealed))

        await self._database.write(add)

    async def get_batch_job(self, job_id: str) -> BatchJobRow:
        found = self._database.row(_GET, (job_id,))
        if found is None:
            raise NoSuchJob
        return BatchJobRow(*found)

    async def list_batch_jobs(
        self, *, limit: int, kind: str | None = None, states: Sequence[str] | None = None
    ) -> Sequence[BatchJobRow]:
        wanted = None if states is None else json.dumps(list(states))
        return [BatchJobRow(*row) for row in self._database.rows(_LIST, (kind, wanted, limit))]

    async def update_batch_job(self, row: BatchJobRow) -> None:
        def update(connection: sqlite3.Connection) -> None:
            values = (row.state, row.revision, row.sealed, row.job_id, row.revision - 1)
            if not connection.execute(_UPDATE, values).rowcount:
                raise Conflict("the job was changed since it was read")

        await self._database.write(update)

    async def delete_batch_job(self, job_id: str) -> None:
        await self._database.write(
            lambda connection: connection.execute("DELETE FROM batch_job WHERE job_id = ?", (job_id,))
        )

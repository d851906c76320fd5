"""Work on many objects that somebody asked for. See BatchJobIndex for the contract."""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Transaction
from gateway.storage.errors import Conflict, NoSuchJob
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.records import BatchJobRow

_COLUMNS = "job_id, kind, state, created_us, revision, sealed"
GET_BATCH_JOB = f"SELECT {_COLUMNS} FROM batch_job WHERE job_id = $1"  # noqa: S608  # constants only
_LIST = f"""
    SELECT {_COLUMNS} FROM batch_job
    WHERE ($1::text IS NULL OR kind = $1) AND ($2::text[] IS NULL OR state = ANY($2))
    ORDER BY created_us DESC, job_id LIMIT $3
"""  # noqa: S608  # constants only
_ADD = f"""
    INSERT INTO batch_job ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (job_id) DO NOTHING
"""  # noqa: S608  # constants only
_UPDATE = "UPDATE batch_job SET state = $1, revision = $2, sealed = $3 WHERE job_id = $4 AND revision = $5"


class PostgreSQLBatchJobs(IndexPart):
    async def add_batch_job(self, row: BatchJobRow) -> None:
        async def add(transaction: Transaction) -> None:
            values = (row.job_id, row.kind, row.state, row.created_us, row.revision, row.sealed)
            if not await transaction.change(_ADD, *values):
                raise Conflict("a job of that id exists")

        await self._database.write(add)

    async def get_batch_job(self, job_id: str) -> BatchJobRow:
        found = await self._database.row(GET_BATCH_JOB, job_id)
        if found is None:
            raise NoSuchJob
        return BatchJobRow(*found)

    async def list_batch_jobs(
        self, *, limit: int, kind: str | None = None, states: Sequence[str] | None = None
    ) -> Sequence[BatchJobRow]:
        return [BatchJobRow(*row) for row in await self._database.rows(_LIST, kind, states, limit)]

    async def update_batch_job(self, row: BatchJobRow) -> None:
        async def update(transaction: Transaction) -> None:
            values = (row.state, row.revision, row.sealed, row.job_id, row.revision - 1)
            if not await transaction.change(_UPDATE, *values):
                raise Conflict("the job was changed since it was read")

        await self._database.write(update)

    async def delete_batch_job(self, job_id: str) -> None:
        async def delete(transaction: Transaction) -> None:
            await transaction.change("DELETE FROM batch_job WHERE job_id = $1", job_id)

        await self._database.write(delete)

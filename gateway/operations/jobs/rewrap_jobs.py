"""Rewrap jobs as rows of the index: what is to be done, how far it has come, and what was counted.

Sealed as the other rows are. Who goes on with them is `gateway.operations.jobs.rewrap_runner`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from gateway.operations.jobs.integrity import not_authentic
from gateway.operations.sealed_rows import SealedRows
from gateway.sealing.errors import SealingError
from gateway.storage.errors import Conflict, NoSuchJob
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BatchJobRow

KIND: Final = "rewrap"

MAX_FAILURES: Final = 1000
"""That are told one by one; all are counted."""

MAX_JOBS: Final = 1000
"""That are remembered; the oldest that have ended are forgotten beyond."""


class JobState(StrEnum):
    ACTIVE = "Active"
    PAUSED = "Paused"
    CANCELLED = "Cancelled"
    COMPLETE = "Complete"


ENDED: Final = frozenset({JobState.CANCELLED, JobState.COMPLETE})


class Failure(msgspec.Struct, frozen=True):
    """A version that still has its old wrap, and why."""

    bucket: str
    key: str
    version_id: str
    reason: str


class RewrapDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job does, and how far it has come.

    `key_arn` is the key whose versions are looked at, `to` the one that wraps them then: the same, for the newest
    version of its material, which is `newest` once that is known. `bucket` and `prefix` narrow it. With `reencrypt` the
    data is sealed anew, too, under data keys of its own. `total` was counted when it began. Of what was `seen`, `done`
    were changed (with `dry_run`: would have been), `passed` were not asked for, or deleted or moved by others
    meanwhile, and `failed` counts the rest by reason. `waiting` says what for.
    """

    key_arn: str
    to: str
    bucket: str | None = None
    prefix: str = ""
    dry_run: bool = False
    reencrypt: bool = False
    objects_per_second: float = 0.0
    total: int = 0
    newest: int | None = None
    cursor: bytes | None = None
    seen: int = 0
    done: int = 0
    done_bytes: int = 0
    passed: int = 0
    failed: dict[str, int] = {}
    failures: list[Failure] = []
    waiting: str | None = None
    begun_us: int = 0
    ended_us: int | None = None


_decoder = msgspec.json.Decoder(RewrapDocument)


@dataclass(frozen=True, slots=True)
class RewrapJob:
    row: BatchJobRow
    document: RewrapDocument

    @property
    def job_id(self) -> str:
        return self.row.job_id

    @property
    def state(self) -> JobState:
        return JobState(self.row.state)


class RewrapJobs:
    """The jobs in an index."""

    def __init__(
        self,
        index: Index,
        rows: SealedRows,
        integrity_event: Callable[[str, str], None],
        clock_us: Callable[[], int] | None = None,
    ) -> None:
        self._index = index
        self._rows = rows
        self._integrity_event = integrity_event
        self._clock_us = clock_us or (lambda: time.time_ns() // 1000)

    async def begin(self, document: RewrapDocument) -> RewrapJob:
        """A new job, which whoever serves the index goes on with."""
        await self._forget_oldest()
        now_us = self._clock_us()
        row = BatchJobRow(os.urandom(16).hex(), KIND, JobState.ACTIVE, now_us, 1, b"")
        document = msgspec.structs.replace(
            document, begun_us=now_us, total=await self._index.count_objects_of_key(document.key_arn)
        )
        sealed = self._rows.seal_job(row, document)
        await self._index.add_batch_job(sealed)
        return RewrapJob(sealed, document)

    async def get(self, job_id: str) -> RewrapJob:
        """Raises NoSuchJob, AuthenticationFailed."""
        row = await self._index.get_batch_job(job_id)
        if row.kind != KIND:
            raise NoSuchJob
        return self._opened(row)

    async def list(self) -> list[RewrapJob]:
        """The newest first; what was tampered with is reported, and left out."""
        found = []
        for row in await self._index.list_batch_jobs(limit=2 * MAX_JOBS, kind=KIND):
            try:
                found.append(self._opened(row))
            except SealingError:
                self._integrity_event("row", not_authentic(row.job_id))
        return found

    async def active(self) -> Sequence[str]:
        """Ids of those to go on with, the oldest first."""
        rows = await self._index.list_batch_jobs(limit=2 * MAX_JOBS, kind=KIND, states=(JobState.ACTIVE,))
        return [row.job_id for row in reversed(rows)]

    async def set_state(self, job_id: str, state: JobState) -> RewrapJob:
        """Pause, resume or cancel; a job that has ended stays as it is. Raises NoSuchJob."""
        while True:
            job = await self.get(job_id)
            if job.state in ENDED or job.state is state:
                return job
            try:
                return await self.save(job, job.document, state)
            except Conflict:
                continue

    async def save(self, job: RewrapJob, document: RewrapDocument, state: JobState | None = None) -> RewrapJob:
        """Raises Conflict if somebody else changed it."""
        new_state = state or job.state
        if new_state in ENDED and document.ended_us is None:
            document = msgspec.structs.replace(document, ended_us=self._clock_us())
        row = replace(job.row, state=new_state, revision=job.row.revision + 1)
        sealed = self._rows.seal_job(row, document)
        await self._index.update_batch_job(sealed)
        return RewrapJob(sealed, document)

    def _opened(self, row: BatchJobRow) -> RewrapJob:
        return RewrapJob(row, self._rows.open_job(row, _decoder))

    async def _forget_oldest(self) -> None:
        for row in (await self._index.list_batch_jobs(limit=2 * MAX_JOBS, kind=KIND))[MAX_JOBS - 1 :]:
            if row.state in ENDED:
                await self._index.delete_batch_job(row.job_id)

"""Jobs of S3 Batch Operations as rows of the index: what was asked for by whom, and how far it has come.

Sealed as the other rows are; the row's kind names the account, so that each account's jobs are found without opening
those of others. Who goes on with them is `gateway.operations.jobs.batch_runner`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

import msgspec

from gateway.operations.jobs.integrity import not_authentic
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.batch_jobs import ENDED, JobStatus, NewJob, job_arn, no_such_job
from gateway.protocol.errors import S3Error
from gateway.protocol.timestamps import SECOND_US
from gateway.protocol.xml.documents.batch_jobs import ToldJob
from gateway.sealing.errors import SealingError
from gateway.storage.errors import Conflict, NoSuchJob
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BatchJobRow

_KIND: Final = "batch-"

MAX_OPEN: Final = 100
"""Of one account that have not ended."""

MAX_OPEN_OF_ALL: Final = 1000

MAX_KEPT: Final = 900
"""Of one account that have ended; and none longer than KEPT_SECONDS ("Managing S3 Batch Operations jobs")."""

KEPT_SECONDS: Final = 90 * 86_400
MAX_LISTED: Final = MAX_OPEN + MAX_KEPT + 100
MAX_TOLD_FAILURES: Final = 20
OPEN: Final = tuple(status for status in JobStatus if status not in ENDED)


class BatchDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a job does, and how far it has come.

    `digest` is that of the request that created it, for requests that come twice. `bucket_id` is that of the bucket as
    it was when the job was prepared; it is about versions that were there at `prepared_us`. `position` (key and version
    id) is how far it has come: in counting `total` first, then in the work itself. `failed` counts by code; `failure`
    is why the job failed.
    """

    account_id: str
    asked: NewJob
    digest: bytes
    priority: int
    bucket_id: bytes | None = None
    prepared_us: int | None = None
    position: tuple[bytes, str | None] | None = None
    total: int = 0
    succeeded: int = 0
    failed: dict[str, int] = {}
    failure: tuple[str, str] | None = None
    active_us: int | None = None
    suspended_us: int | None = None
    ended_us: int | None = None
    update_reason: str | None = None

    @property
    def number_failed(self) -> int:
        return sum(self.failed.values())


_decoder = msgspec.json.Decoder(BatchDocument)


@dataclass(frozen=True, slots=True)
class BatchJob:
    row: BatchJobRow
    document: BatchDocument

    @property
    def job_id(self) -> str:
        return self.row.job_id

    @property
    def status(self) -> JobStatus:
        return JobStatus(self.row.state)

    def told(self, region: str, now_us: int) -> ToldJob:
        document = self.document
        failures = [] if document.failure is None else [document.failure]
        by_code = sorted(document.failed.items(), key=lambda item: -item[1])[:MAX_TOLD_FAILURES]
        failures += [(code, f"{number} tasks failed") for code, number in by_code]
        until_us = now_us if document.ended_us is None else document.ended_us
        active_us = 0 if document.active_us is None else max(until_us - document.active_us, 0)
        return ToldJob(
            job_id=self.job_id,
            arn=job_arn(region, document.account_id, self.job_id),
            status=self.status,
            asked=document.asked,
            priority=document.priority,
            created_us=self.row.created_us,
            total=document.total,
            succeeded=document.succeeded,
            failed=document.number_failed,
            active_seconds=active_us // SECOND_US,
            ended_us=document.ended_us,
            suspended_us=document.suspended_us,
            update_reason=document.update_reason,
            failures=failures,
        )


class BatchJobs:
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
        self.clock_us = clock_us or (lambda: time.time_ns() // 1000)

    async def create(self, account_id: str, asked: NewJob) -> str:
        """The id of the new job, or of the one that the same request created before.

        Raises S3Error IdempotencyException for another request with the token of an earlier one, and
        TooManyRequestsException.
        """
        digest = sha256(msgspec.json.encode(asked)).digest()
        job_id = sha256(f"{account_id} {asked.token}".encode()).hexdigest()[:32]
        try:
            return self._same(await self.get(account_id, job_id), digest)
        except S3Error as error:
            if error.code != "NotFoundException":
                raise
        await self._make_room(account_id)
        document = BatchDocument(account_id, asked, digest, asked.priority)
        row = BatchJobRow(job_id, _KIND + account_id, JobStatus.NEW, self.clock_us(), 1, b"")
        try:
            await self._index.add_batch_job(self._rows.seal_job(row, document))
        except Conflict:
            return self._same(await self.get(account_id, job_id), digest)
        return job_id

    async def get(self, account_id: str, job_id: str) -> BatchJob:
        """Raises S3Error NotFoundException for what is no job of that account; AuthenticationFailed."""
        try:
            row = await self._index.get_batch_job(job_id)
        except NoSuchJob:
            raise no_such_job() from None
        if row.kind != _KIND + account_id:
            raise no_such_job()
        return self._opened(row)

    async def of_account(self, account_id: str) -> list[BatchJob]:
        """The newest first; what was tampered with is reported, and left out."""
        rows = await self._index.list_batch_jobs(limit=MAX_LISTED, kind=_KIND + account_id)
        return self._all_opened(rows)

    async def open(self) -> list[BatchJob]:
        """Of all accounts, those that have not ended, the oldest first."""
        rows = await self._index.list_batch_jobs(limit=MAX_OPEN_OF_ALL, states=OPEN)
        return self._all_opened(row for row in reversed(rows) if row.kind.startswith(_KIND))

    async def again(self, job: BatchJob) -> BatchJob:
        """As it is now. Raises S3Error NotFoundException, AuthenticationFailed."""
        return await self.get(job.document.account_id, job.job_id)

    async def save(self, job: BatchJob, document: BatchDocument, status: JobStatus | None = None) -> BatchJob:
        """Raises Conflict if somebody else changed it."""
        new_status = status or job.status
        if new_status in ENDED and document.ended_us is None:
            document = msgspec.structs.replace(document, ended_us=self.clock_us())
        row = replace(job.row, state=new_status, revision=job.row.revision + 1)
        sealed = self._rows.seal_job(row, document)
        await self._index.update_batch_job(sealed)
        return BatchJob(sealed, document)

    async def change(self, account_id: str, job_id: str, changed: Callable[[BatchJob], BatchJob]) -> BatchJob:
        """What `changed` makes of the job's document and state, whoever changes it meanwhile. Raises as `get`."""
        while True:
            job = await self.get(account_id, job_id)
            wanted = changed(job)
            try:
                return await self.save(job, wanted.document, wanted.status)
            except Conflict:
                continue

    @staticmethod
    def _same(job: BatchJob, digest: bytes) -> str:
        if job.document.digest != digest:
            raise S3Error("IdempotencyException", "The ClientRequestToken was used for another request before.")
        return job.job_id

    async def _make_room(self, account_id: str) -> None:
        rows = await self._index.list_batch_jobs(limit=MAX_LISTED, kind=_KIND + account_id)
        ended = [row for row in rows if row.state in ENDED]
        of_all = await self._index.list_batch_jobs(limit=MAX_OPEN_OF_ALL, states=OPEN)
        if len(rows) - len(ended) >= MAX_OPEN or len(of_all) >= MAX_OPEN_OF_ALL:
            raise S3Error("TooManyRequestsException", "There are too many jobs that have not ended.")
        eldest_us = self.clock_us() - KEPT_SECONDS * SECOND_US
        for number, row in enumerate(ended, 1):
            if number >= MAX_KEPT or row.created_us < eldest_us:
                await self._index.delete_batch_job(row.job_id)

    def _opened(self, row: BatchJobRow) -> BatchJob:
        return BatchJob(row, self._rows.open_job(row, _decoder))

    def _all_opened(self, rows: Iterable[BatchJobRow]) -> list[BatchJob]:
        found = []
        for row in rows:
            try:
                found.append(self._opened(row))
            except SealingError:
                self._integrity_event("row", not_authentic(row.job_id))
        return found

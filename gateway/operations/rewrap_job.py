"""Jobs that wrap the data keys of many object versions anew: for the newest version of their KMS key, or another key.

Theory of operation. A job is a row of the index, sealed as the others are: what is to be done, how far it has come, and
what it counted. Any process of the service may go on with it (a lease, prolonged after each page), and continues at the
cursor that the row has; what a process had done after its last note when it died is not done again, nor counted.
Each version is one transaction of the index, decided by the row as it was read: whoever changes or deletes it meanwhile
wins, and the job looks again. Nothing but the wrap changes, so that no reader and no listing can tell.

The job acts as the root user of each bucket's account, through S3: what key policies refuse to that account is counted
as refused, not done.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from gateway.operations.encryption import EncryptionChoice
from gateway.operations.rewrapping import Rewrapper
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.errors import S3Error
from gateway.protocol.names import BucketName, ObjectKey, object_arn
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.errors import SealingError
from gateway.sealing.format import KEY_SIZE
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import Conflict, NoSuchBucket, NoSuchJob, NoSuchKey, NoSuchVersion, StorageError
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BatchJobRow, BucketRow, KeyedObject, ObjectRow
from iam.principals import Caller, root_principal
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import GenerateDataKey

KIND: Final = "rewrap"
PAGE: Final = 100
NOTE_SECONDS: Final = 1.0
"""Between two notes of how far a job has come; one is made after each page at the latest."""

LEASE_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 2.0
"""While the KMS is away, or has enough."""

ATTEMPTS: Final = 5
"""To wrap a version that others change."""

MAX_FAILURES: Final = 1000
"""That are told one by one; all are counted."""

MAX_JOBS: Final = 1000
"""That are remembered; the oldest that have ended are forgotten beyond."""

_OVERLOAD: Final = frozenset({"ThrottlingException", "LimitExceededException"})


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
        return self._opened(await self._index.get_batch_job(job_id))

    async def list(self) -> list[RewrapJob]:
        """The newest first; what was tampered with is reported, and left out."""
        found = []
        for row in await self._index.list_batch_jobs(limit=2 * MAX_JOBS):
            try:
                found.append(self._opened(row))
            except SealingError:
                self._integrity_event("row", _not_authentic(row.job_id))
        return found

    async def active(self) -> Sequence[str]:
        """Ids of those to go on with, the oldest first."""
        rows = await self._index.list_batch_jobs(limit=2 * MAX_JOBS)
        return [row.job_id for row in reversed(rows) if row.kind == KIND and row.state == JobState.ACTIVE]

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
        for row in (await self._index.list_batch_jobs(limit=2 * MAX_JOBS))[MAX_JOBS - 1 :]:
            if row.state in ENDED:
                await self._index.delete_batch_job(row.job_id)


class RewrapRunner:
    """Goes on with jobs; `owner` is unique among running processes. `data_keys` and `kms` ask the KMS."""

    def __init__(
        self,
        jobs: RewrapJobs,
        *,
        kms: KeyService,
        index: Index,
        blobs: BlobStore,
        rows: SealedRows,
        data_keys: DataKeys,
        inline_limit_bytes: int,
        integrity_event: Callable[[str, str], None],
        owner: str,
        via_service: str,
    ) -> None:
        self._jobs = jobs
        self._kms = kms
        self._index = index
        self._blobs = blobs
        self._rows = rows
        self._data_keys = data_keys
        self._inline_limit_bytes = inline_limit_bytes
        self._integrity_event = integrity_event
        self._owner = owner
        self._via_service = via_service
        self._pace = _Pace()
        self._targets: dict[tuple[str, str], int | str] = {}
        self._reported: set[str] = set()

    async def run_active(self) -> None:
        """Do what there is to be done of all active jobs, one after the other. Raises StorageError."""
        active = await self._jobs.active()
        self._reported.intersection_update(active)
        for job_id in active:
            await self.run(job_id)

    async def run(self, job_id: str) -> None:
        """Go on with a job until it ends, is paused, or somebody else has it. Raises StorageError.

        A job that was tampered with is reported, once, and keeps no other job waiting.
        """
        self._targets.clear()
        try:
            await self._go_on(job_id)
        except SealingError:  # of the job's row: those of objects are counted as refused
            if job_id not in self._reported:
                self._reported.add(job_id)
                self._integrity_event("row", _not_authentic(job_id))
        await self._index.finish_job(_lease(job_id), self._owner, due_us=0)

    async def _go_on(self, job_id: str) -> None:
        while await self._take(job_id):
            try:
                job = await self._jobs.get(job_id)
            except NoSuchJob:
                break
            if job.state is not JobState.ACTIVE:
                break
            tally = _Tally(job.document)
            try:
                is_last = await self._page(tally, job)
            except (KMSUnavailable, _Overloaded) as error:
                await self._note(job, tally.result(waiting=str(error) or type(error).__name__))
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                await self._note(job, tally.result(), is_last=is_last)

    async def _take(self, job_id: str) -> bool:
        now_us = time.time_ns() // 1000
        until_us = now_us + int(LEASE_SECONDS * 1_000_000)
        return await self._index.take_job(_lease(job_id), self._owner, now_us=now_us, until_us=until_us)

    async def _note(self, job: RewrapJob, document: RewrapDocument, *, is_last: bool = False) -> None:
        """Only its state may have been changed by others: of those that go on with it there is one."""
        while True:
            state = JobState.COMPLETE if is_last and job.state is JobState.ACTIVE else job.state
            try:
                await self._jobs.save(job, document, state)
            except Conflict:
                job = await self._jobs.get(job.job_id)
            else:
                return

    async def _page(self, tally: _Tally, job: RewrapJob) -> bool:
        """Some versions, for as long as NOTE_SECONDS; whether they were the last."""
        document = job.document
        began = time.monotonic()
        if document.to == document.key_arn and tally.newest is None and not document.reencrypt:
            await self._begin(tally, document)
        page = await self._index.list_objects_of_key(document.key_arn, after=document.cursor, limit=PAGE)
        for each in page.objects:
            if tally.newest is not None and (each.row.wrap.key_version or 0) >= tally.newest:
                return True  # they come in order of version: the rest has what is asked for
            if document.reencrypt and _is_sealed_since(document.begun_us, each.row):
                tally.cursor = each.position
                continue  # by this job: under a newer version of the key it comes once more
            await self._pace.wait(document.objects_per_second)
            await self._version(tally, each, job)
            tally.cursor = each.position
            if time.monotonic() - began > NOTE_SECONDS:
                return False
        return page.next_after is None

    async def _begin(self, tally: _Tally, document: RewrapDocument) -> None:
        """Of a job within one key: which version is its newest, and how many versions of objects have an older one."""
        target = await self._target(document, document.key_arn.split(":")[4])
        if isinstance(target, int):
            tally.newest = target
            tally.total = await self._index.count_objects_of_key(document.key_arn, before_version=target)

    async def _target(self, document: RewrapDocument, account_id: str) -> int | str:
        """The newest version of the key that is to wrap, or why the account cannot use it; asked for once."""
        known = self._targets.get((document.to, account_id))
        if known is None:
            caller = Caller(root_principal(account_id), f"job-{KIND}", via_service=self._via_service)
            try:
                made = await self._kms.call(caller, GenerateDataKey(document.to, KEY_SIZE, {}))
                known = made.ciphertext.key_version
            except KMSUnavailable:
                raise
            except KMSError as error:
                if error.code in _OVERLOAD:
                    raise _Overloaded(error.code) from error
                known = f"KMS.{error.code}"
            self._targets[document.to, account_id] = known
        return known

    async def _version(self, tally: _Tally, each: KeyedObject, job: RewrapJob) -> None:
        document = tally.document
        tally.seen += 1
        if not _is_asked_for(document, each):
            tally.passed += 1
            return
        for _ in range(ATTEMPTS):
            try:
                await self._rewrap(tally, each, job)
            except (NoSuchKey, NoSuchVersion, NoSuchBucket):
                tally.passed += 1  # deleted meanwhile
            except Conflict:
                continue
            except KMSUnavailable:
                raise
            except KMSError as error:
                if error.code in _OVERLOAD:
                    raise _Overloaded(error.code) from error
                tally.fail(each, f"KMS.{error.code}")
            except SealingError:
                self._integrity_event("row", f"{each.row.row_uid.hex()}, met by job {job.job_id}")
                tally.fail(each, "Damaged")
            except S3Error:  # of a body, which has been reported
                tally.fail(each, "Damaged")
            except StorageError:
                raise
            return
        tally.fail(each, "ChangedMeanwhile")

    async def _rewrap(self, tally: _Tally, each: KeyedObject, job: RewrapJob) -> None:
        document = tally.document
        bucket = await self._index.get_bucket(each.bucket_name)
        if bucket.bucket_id != each.row.bucket_id:
            raise NoSuchBucket
        row = await self._index.get_object(each.row.bucket_id, each.row.key, each.row.version_id)
        if row.row_uid != each.row.row_uid or row.wrap.key_arn != document.key_arn:
            tally.passed += 1  # another one took its place, or somebody else wrapped it anew
            return
        arn = object_arn(BucketName(bucket.name), ObjectKey(row.key.decode()))
        rewrapper = self._rewrapper(bucket, job)
        if document.dry_run:
            await rewrapper.open(bucket, row, arn)
            target = await self._target(document, bucket.account_id)
            if isinstance(target, str):
                tally.fail(each, target)
                return
        else:
            change = rewrapper.reseal if document.reencrypt else rewrapper.rewrap
            await change(bucket, row, EncryptionChoice(row.wrap.mode, document.to), arn)
        tally.done += 1
        tally.done_bytes += row.size

    def _rewrapper(self, bucket: BucketRow, job: RewrapJob) -> Rewrapper:
        caller = Caller(root_principal(bucket.account_id), f"job-{job.job_id}", via_service=self._via_service)
        return Rewrapper(
            self._index,
            self._blobs,
            self._rows,
            self._data_keys,
            self._inline_limit_bytes,
            self._integrity_event,
            caller,
        )


class _Overloaded(Exception):
    """The KMS has enough for a moment."""


class _Pace:
    """So many a second, evenly; 0: as many as there are."""

    def __init__(self) -> None:
        self._next = 0.0

    async def wait(self, per_second: float) -> None:
        if not per_second:
            await asyncio.sleep(0)
            return
        now = time.monotonic()
        self._next = max(self._next, now - 1.0 / per_second)
        if self._next > now:
            await asyncio.sleep(self._next - now)
        self._next += 1.0 / per_second


class _Tally:
    """What a page adds to a job's counts."""

    def __init__(self, document: RewrapDocument) -> None:
        self.document = document
        self.newest = document.newest
        self.total = document.total
        self.cursor = document.cursor
        self.seen = document.seen
        self.done = document.done
        self.done_bytes = document.done_bytes
        self.passed = document.passed
        self._failed = dict(document.failed)
        self._failures = list(document.failures)

    def fail(self, each: KeyedObject, reason: str) -> None:
        self._failed[reason] = self._failed.get(reason, 0) + 1
        if len(self._failures) < MAX_FAILURES:
            key = each.row.key.decode("utf-8", "surrogateescape")
            self._failures.append(Failure(each.bucket_name, key, each.row.version_id, reason))

    def result(self, waiting: str | None = None) -> RewrapDocument:
        return msgspec.structs.replace(
            self.document,
            newest=self.newest,
            total=self.total,
            cursor=self.cursor,
            seen=self.seen,
            done=self.done,
            done_bytes=self.done_bytes,
            passed=self.passed,
            failed=self._failed,
            failures=self._failures,
            waiting=waiting,
        )


def _is_asked_for(document: RewrapDocument, each: KeyedObject) -> bool:
    if document.bucket is not None and each.bucket_name != document.bucket:
        return False
    return each.row.key.startswith(document.prefix.encode())


def _is_sealed_since(begun_us: int, row: ObjectRow) -> bool:
    """Blob ids begin with their time, in milliseconds."""
    return bool(row.blob_ids) and int.from_bytes(row.blob_ids[0][:6]) * 1000 >= begun_us


def _not_authentic(job_id: str) -> str:
    return f"job {job_id} is not authentic"


def _lease(job_id: str) -> str:
    return f"{KIND}-{job_id}"

"""Jobs that wrap the data keys of many object versions anew: for the newest version of their KMS key, or another key.

Theory of operation. A job is a row of the index (`rewrap_jobs`). Any process of the service may go on with it (a lease,
prolonged after each page), and continues at the cursor that the row has; what a process had done after its last note
when it died is not done again, nor counted.
Each version is one transaction of the index, decided by the row as it was read: whoever changes or deletes it meanwhile
wins, and the job looks again. Nothing but the wrap changes, so that no reader and no listing can tell.

The job acts as the root user of each bucket's account, through S3: what key policies refuse to that account is counted
as refused, not done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec

from gateway.operations.encryption import EncryptionChoice
from gateway.operations.jobs.integrity import not_authentic
from gateway.operations.jobs.rewrap_jobs import (
    KIND,
    MAX_FAILURES,
    Failure,
    JobState,
    RewrapDocument,
    RewrapJob,
    RewrapJobs,
)
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
from gateway.storage.index.records import BucketRow, KeyedObject, ObjectRow
from iam.principals import Caller, root_principal
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import GenerateDataKey

PAGE: Final = 100
NOTE_SECONDS: Final = 1.0
"""Between two notes of how far a job has come; one is made after each page at the latest."""

LEASE_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 2.0
"""While the KMS is away, or has enough."""

ATTEMPTS: Final = 5
"""To wrap a version that others change."""

OVERLOAD: Final = frozenset({"ThrottlingException", "LimitExceededException"})


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
                self._integrity_event("row", not_authentic(job_id))
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
                if error.code in OVERLOAD:
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
                if error.code in OVERLOAD:
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


def _lease(job_id: str) -> str:
    return f"{KIND}-{job_id}"

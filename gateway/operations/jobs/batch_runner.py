"""Goes on with jobs of S3 Batch Operations: UpdateObjectEncryption of many object versions of a bucket.

Theory of operation. A job is a row of the index (`batch_jobs`). Each that has not ended gets a slice of a second in its
turn, those of higher priority first, from whichever process takes its lease; it continues at the position that the row
has. First its object versions are counted (Preparing), then each is a task: the operation that a request of the job's
role would be, decided by all that is in force at that moment: the role's policies, the bucket's, the object's, the
key's. Nothing is remembered from when the job was created but what was asked for. A role that is gone, or does not
trust the service any more, ends the job.

What a process had done after its last note when it died is done again, and counted once or not at all.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import quote

import msgspec

from gateway.operations.admission import admit
from gateway.operations.authorisation import ARN_PREFIX, Permissions
from gateway.operations.condition_keys import RequestContext, Signing
from gateway.operations.context import Authentication, Call, Services
from gateway.operations.jobs.batch_jobs import BatchDocument, BatchJob, BatchJobs
from gateway.operations.object import update_encryption
from gateway.operations.table import Operation
from gateway.operations.translate import to_s3_error
from gateway.protocol.addressing import Address
from gateway.protocol.batch_jobs import ENDED, JobStatus, ObjectFilter, job_arn
from gateway.protocol.content_sha256 import ContentSHA256
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Request
from gateway.protocol.query import Query
from gateway.sealing.errors import SealingError
from gateway.storage.errors import Conflict, NoSuchBucket, RowDamaged, StorageError, StorageUnavailable
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind
from iam.policy.cache import PolicyCache
from iam.policy.decisions import Decisions
from iam.policy.variables import NOTHING_KNOWN, Context
from iam.principals import Caller
from iam.scope import Form
from kms.api.errors import KMSError, KMSUnavailable

_log = logging.getLogger(__name__)

PAGE: Final = 100
SLICE_SECONDS: Final = 1.0
LEASE_SECONDS: Final = 30.0
PAUSE_SECONDS: Final = 2.0
"""While the KMS is away, or has enough."""

THRESHOLD_TASKS: Final = 1000
"""After so many, a job of which more than half have failed ends ("Tracking job failures")."""

MAX_FAILURE_CODES: Final = 50
LISTS: Final = "s3:PutInventoryConfiguration"
"""What a role needs on the bucket for its objects to be listed ("Granting permissions for Batch Operations")."""

_OVERLOAD: Final = frozenset({"ServiceUnavailable", "SlowDown"})


class RoleRefused(Exception):
    """The job's role is not there, or does not trust the service. `str()` says which."""


class Roles(Protocol):
    """Who a job acts as."""

    def assume(self, role_arn: str, account_id: str, job_arn: str, request_id: str) -> Caller:
        """A session of the role, with the rights that it has now. Raises RoleRefused, StoreUnavailable."""
        ...


class _JobFailed(Exception):
    """What ends a job, in words for its creator."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code)
        self.code = code
        self.reason = reason[:256]


class _Wait(Exception):
    """The KMS is away, or has enough for a moment."""


@dataclass(slots=True)
class _Progress:
    """What a slice adds to a job."""

    position: tuple[bytes, str | None] | None
    total: int
    succeeded: int
    failed: dict[str, int]
    more: dict[str, object] = field(default_factory=dict)

    @classmethod
    def of(cls, document: BatchDocument) -> _Progress:
        return cls(document.position, document.total, document.succeeded, dict(document.failed))

    def fail(self, code: str) -> None:
        known = code if code in self.failed or len(self.failed) < MAX_FAILURE_CODES else "Other"
        self.failed[known] = self.failed.get(known, 0) + 1

    @property
    def number_failed(self) -> int:
        return sum(self.failed.values())

    def put_into(self, document: BatchDocument) -> BatchDocument:
        return msgspec.structs.replace(
            document,
            position=self.position,
            total=self.total,
            succeeded=self.succeeded,
            failed=self.failed,
            **self.more,
        )


class BatchRunner:
    """`operation` is the row of UpdateObjectEncryption; `owner` is unique among running processes."""

    def __init__(
        self,
        services: Services,
        roles: Roles,
        operation: Operation,
        *,
        owner: str,
        via_service: str,
        slice_seconds: float = SLICE_SECONDS,
    ) -> None:
        self._services = services
        self._roles = roles
        self._operation = operation
        self._jobs = BatchJobs(services.index, services.rows, self._report)
        self._owner = owner
        self._via_service = via_service
        self._slice_seconds = slice_seconds
        self._policies = PolicyCache()
        self._waits: dict[str, float] = {}
        self._reported: set[str] = set()

    async def run_open(self) -> bool:
        """A slice of each job that can go on; False if there is none. Raises StorageError, StoreUnavailable."""
        jobs = [job for job in await self._jobs.open() if job.status is not JobStatus.SUSPENDED]
        now = time.monotonic()
        self._waits = {job.job_id: self._waits[job.job_id] for job in jobs if self._waits.get(job.job_id, 0.0) > now}
        is_busy = False
        for job in sorted(jobs, key=lambda each: -each.document.priority):
            if job.job_id not in self._waits and await self._take(job.job_id):
                is_busy = True
                await self._slice(job)
        return is_busy

    async def _take(self, job_id: str) -> bool:
        now_us = time.time_ns() // 1000
        until_us = now_us + int(LEASE_SECONDS * 1_000_000)
        return await self._services.index.take_job(_lease(job_id), self._owner, now_us=now_us, until_us=until_us)

    async def _slice(self, job: BatchJob) -> None:
        try:
            job = await self._jobs.again(job)
            await self._go_on(job)
        except S3Error as error:  # the job itself is gone
            _log.info("batch job %s: %s", job.job_id, error.code)
        except SealingError:
            self._report("row", f"job {job.job_id} is not authentic")
        await self._services.index.finish_job(_lease(job.job_id), self._owner, due_us=0)

    async def _go_on(self, job: BatchJob) -> None:
        progress = _Progress.of(job.document)
        status: JobStatus = job.status
        try:
            match status:
                case JobStatus.CANCELLING:
                    status = JobStatus.CANCELLED
                case JobStatus.NEW:
                    status = JobStatus.PREPARING
                case JobStatus.PREPARING:
                    status = await self._prepare(job, progress)
                case JobStatus.READY:
                    status, progress.more = JobStatus.ACTIVE, {"active_us": self._jobs.clock_us()}
                case JobStatus.ACTIVE:
                    status = await self._work(job, progress)
                case _:
                    return
        except RoleRefused as refused:
            status, progress.more = JobStatus.FAILED, {"failure": ("AccessDenied", str(refused)[:256])}
        except _JobFailed as failed:
            status, progress.more = JobStatus.FAILED, {"failure": (failed.code, failed.reason)}
        except _Wait:
            self._waits[job.job_id] = time.monotonic() + PAUSE_SECONDS
        await self._note(job, progress, status)
        if status in ENDED:
            told = progress.more.get("failure", "")
            _log.info("batch job %s: %s %s", job.job_id, status, told)

    async def _note(self, job: BatchJob, progress: _Progress, status: JobStatus) -> None:
        """Others change its priority and cancel it; of those that go on with it there is one."""
        while True:
            try:
                await self._jobs.save(job, progress.put_into(job.document), status)
            except Conflict:
                before, job = job.status, await self._jobs.again(job)
                if job.status in ENDED:
                    return
                if job.status is not before and status not in ENDED:
                    status = job.status
            else:
                return

    # Its object versions, and who it acts as

    async def _prepare(self, job: BatchJob, progress: _Progress) -> JobStatus:
        """Count, for a slice of time; the status that the job has then."""
        bucket, _ = await self._admitted(job)
        known = {"bucket_id": bucket.bucket_id, "prepared_us": job.document.prepared_us or self._jobs.clock_us()}
        progress.more.update(known)
        document = msgspec.structs.replace(job.document, **known)
        until = time.monotonic() + self._slice_seconds
        while True:
            rows, position = await self._page(bucket, document, progress.position)
            progress.total += len(rows)
            progress.position = position
            if position is None:
                if not document.asked.confirmation_required:
                    return JobStatus.READY
                progress.more["suspended_us"] = self._jobs.clock_us()
                return JobStatus.SUSPENDED
            if time.monotonic() >= until:
                return JobStatus.PREPARING

    async def _work(self, job: BatchJob, progress: _Progress) -> JobStatus:
        bucket, caller = await self._admitted(job)
        until = time.monotonic() + self._slice_seconds
        while True:
            rows, position = await self._page(bucket, job.document, progress.position)
            for row in rows:
                await self._task(job, bucket, row, caller, progress)
                progress.position = row.key, row.version_id
                _refuse_failing(progress)
                if time.monotonic() >= until:
                    return JobStatus.ACTIVE
            if position is None:
                progress.total = progress.succeeded + progress.number_failed
                return JobStatus.COMPLETE
            progress.position = position
            if time.monotonic() >= until:
                return JobStatus.ACTIVE

    async def _page(
        self, bucket: BucketRow, document: BatchDocument, after: tuple[bytes, str | None] | None
    ) -> tuple[list[ObjectRow], tuple[bytes, str | None] | None]:
        """Versions that the job is about, of the next so many of the bucket, and where to go on; None at the end."""
        objects = document.asked.filter or ObjectFilter()
        page = await self._services.index.list_versions(
            bucket.bucket_id,
            prefix=(objects.prefix or "").encode(),
            delimiter=b"",
            after=after,
            max_keys=PAGE,
            whole=True,
        )
        before_us = document.prepared_us or 0
        found = [
            each.row
            for each in page.entries
            if each.row.kind is not RowKind.DELETE_MARKER
            and each.row.modified_us <= before_us
            and objects.matches(each.row.key, each.row.size, each.row.modified_us, each.row.wrap)
        ]
        return found, page.next_after

    def _assume(self, job: BatchJob) -> Caller:
        """Raises RoleRefused."""
        document = job.document
        arn = job_arn(self._services.region, document.account_id, job.job_id)
        caller = self._roles.assume(document.asked.role_arn, document.account_id, arn, f"job-{job.job_id}")
        return replace(caller, via_service=self._via_service, is_secure_transport=True)

    async def _admitted(self, job: BatchJob) -> tuple[BucketRow, Caller]:
        """The job's bucket, if it is the one that it was, and whom the job acts as, who may have it listed.

        Raises RoleRefused, _JobFailed.
        """
        document, caller = job.document, self._assume(job)
        call = self._call(job, caller, Address(document.asked.bucket, None), "")
        try:
            bucket = await call.bucket()
            if document.bucket_id not in (None, bucket.bucket_id):
                raise NoSuchBucket
            call.permissions.require(LISTS, ARN_PREFIX + bucket.name)
        except NoSuchBucket:
            raise _JobFailed("NoSuchBucket", "The source bucket does not exist") from None
        except S3Error as error:
            raise _JobFailed(error.code, error.message) from error
        return bucket, caller

    # One task

    async def _task(
        self, job: BatchJob, bucket: BucketRow, row: ObjectRow, caller: Caller, progress: _Progress
    ) -> None:
        """Raises _Wait, StorageUnavailable."""
        try:
            key = row.key.decode()
            is_versioned = self._services.rows.open_bucket(bucket).versioning is not None
            version_id = row.version_id if is_versioned else None
            call = self._call(job, caller, Address(bucket.name, key), _query(version_id))
            await admit(call, self._operation)
            await update_encryption.update(call, job.document.asked.encryption)
        except S3Error as error:
            progress.fail(error.code)
        except (SealingError, RowDamaged) as error:
            self._report("row", f"{row.row_uid.hex()}, met by job {job.job_id}: {error}")
            progress.fail("InternalError")
        except StorageUnavailable:
            raise
        except KMSUnavailable:
            raise _Wait from None
        except (StorageError, KMSError) as error:
            code = to_s3_error(error).code
            if code in _OVERLOAD:
                raise _Wait from None
            progress.fail(code)
        else:
            progress.succeeded += 1

    def _call(self, job: BatchJob, caller: Caller, address: Address, raw_query: str) -> Call:
        """The request that the role would have sent."""
        owner = job.document.asked.expected_owner
        path = f"/{address.bucket}" if address.key is None else f"/{address.bucket}/{quote(address.key)}"
        request = Request(
            method="PUT",
            target_path=path,
            target_query=raw_query,
            headers={} if owner is None else {"x-amz-expected-bucket-owner": owner},
            body=_NoBody(),
            content_length=0,
            request_id=caller.request_id,
            remote_ip="",
            is_secure=True,
        )
        query, now, services = Query(raw_query), datetime.now(UTC), self._services

        def conditions(known: Context = NOTHING_KNOWN) -> Context:
            return RequestContext(
                caller,
                request,
                query,
                operation=self._operation.name,
                now=now,
                signing=Signing(Form.HEADER, "AWS4-HMAC-SHA256", now),
                region=services.region,
                known=known,
            )

        return Call(
            services=services,
            request=request,
            operation_name=self._operation.name,
            address=address,
            query=query,
            authentication=Authentication(caller, ContentSHA256.parse("UNSIGNED-PAYLOAD"), None),
            permissions=Permissions(caller, conditions, self._policies, services.canonical_id, Decisions()),
        )

    def _report(self, kind: str, detail: str) -> None:
        """Each damage once, as jobs are looked at every second."""
        if detail not in self._reported and len(self._reported) < 10_000:
            self._reported.add(detail)
            self._services.integrity_event(kind, detail)


class _NoBody:
    async def read(self) -> bytes:
        return b""


def _query(version_id: str | None) -> str:
    return "encryption" if version_id is None else f"encryption&versionId={quote(version_id)}"


def _refuse_failing(progress: _Progress) -> None:
    """Raises _JobFailed."""
    failed = progress.number_failed
    if failed + progress.succeeded >= THRESHOLD_TASKS and failed > progress.succeeded:
        raise _JobFailed("FailureThreshold", "More than half of the tasks that were run have failed")


def _lease(job_id: str) -> str:
    return f"batch-{job_id}"

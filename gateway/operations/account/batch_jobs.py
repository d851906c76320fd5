"""CreateJob, DescribeJob, ListJobs, UpdateJobStatus, UpdateJobPriority of S3 Control (API_control_CreateJob, …).

Whoever creates a job passes it a role, and the job does no more than that role may when it comes to an object
(`gateway.operations.jobs.batch_runner`). Sources: User Guide, "Granting permissions for Batch Operations", "Tracking
job status and completion reports"; IAM User Guide, "Grant a user permissions to pass a role to an AWS service".
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import msgspec

from gateway.operations.account.named import own_account
from gateway.operations.context import Call
from gateway.operations.jobs.batch_jobs import BatchJob, BatchJobs
from gateway.operations.render import xml_response
from gateway.protocol.batch_jobs import (
    OPERATION,
    SERVICE,
    STATUSES,
    SUSPENDED_CAUSE,
    JobStatus,
    NewJob,
    job_arn,
    no_such_job,
    parse_job_id,
)
from gateway.protocol.control import named_job
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Response
from gateway.protocol.xml.documents.batch_jobs import (
    MAX_BYTES,
    MAX_PRIORITY,
    CreateJobResult,
    DescribeJobResult,
    ListJobsResult,
    ToldJob,
    UpdateJobPriorityResult,
    UpdateJobStatusResult,
    parse_create_job,
)
from iam.policy.variables import Context

CREATE: Final = "s3:CreateJob"
DESCRIBE: Final = "s3:DescribeJob"
UPDATE_STATUS: Final = "s3:UpdateJobStatus"
UPDATE_PRIORITY: Final = "s3:UpdateJobPriority"
MAX_PAGE: Final = 1000
MAX_REASON_CHARACTERS: Final = 256

_WHAT = "its batch jobs"
_NUMBER = re.compile("[0-9]{1,10}")
_WORKED_ON = frozenset({JobStatus.PREPARING, JobStatus.ACTIVE})
_CANCELLABLE = _WORKED_ON | {JobStatus.NEW, JobStatus.SUSPENDED, JobStatus.READY}


async def create(call: Call) -> Response:
    """Idempotent: the same request with the same token is the same job."""
    account_id = own_account(call, _WHAT)
    asked = parse_create_job(await call.read_document(limit=MAX_BYTES))
    requested = {"s3:requestjobpriority": (str(asked.priority),), "s3:requestjoboperation": (OPERATION,)}
    call.permissions.require_of_account(CREATE, f"arn:aws:s3:{call.services.region}:{account_id}:job/*", requested)
    _require_role(call, account_id, asked)
    return xml_response(CreateJobResult(await _jobs(call).create(account_id, asked)))


async def describe(call: Call) -> Response:
    job = await _job(call, DESCRIBE)
    return xml_response(DescribeJobResult(_told(call, job)))


async def list_jobs(call: Call) -> Response:
    """The newest first."""
    account_id = own_account(call, _WHAT)
    statuses = call.query.get_all("jobStatuses")
    if not STATUSES.issuperset(statuses):
        raise S3Error("InvalidRequestException", "jobStatuses names a status that jobs do not have.")
    most = _number(call, "maxResults", MAX_PAGE) or MAX_PAGE
    token = call.query.get("nextToken")
    found = await _jobs(call).of_account(account_id)
    if token is not None:
        after = [number for number, job in enumerate(found, 1) if job.job_id == token]
        if not after:
            raise S3Error("InvalidNextTokenException")
        found = found[after[0] :]
    matching = [job for job in found if not statuses or job.status in statuses]
    page = matching[:most]
    return xml_response(
        ListJobsResult([_told(call, job) for job in page], page[-1].job_id if len(matching) > len(page) else None)
    )


async def update_status(call: Call) -> Response:
    """Confirm a job that waits for it, or cancel one that has not ended."""
    job = await _job(call, UPDATE_STATUS)
    requested = call.query.get("requestedJobStatus")
    if requested not in {JobStatus.READY, JobStatus.CANCELLED}:
        raise S3Error("BadRequestException", "requestedJobStatus is Ready or Cancelled.")
    reason = call.query.get("statusUpdateReason")
    if reason is not None and not 1 <= len(reason) <= MAX_REASON_CHARACTERS:
        raise S3Error("BadRequestException", f"statusUpdateReason has 1 to {MAX_REASON_CHARACTERS} characters.")

    def changed(found: BatchJob) -> BatchJob:
        status = _ready(found.status) if requested == JobStatus.READY else _cancelled(found.status)
        return BatchJob(
            replace(found.row, state=status),
            msgspec.structs.replace(found.document, update_reason=reason or found.document.update_reason),
        )

    job = await _jobs(call).change(job.document.account_id, job.job_id, changed)
    return xml_response(UpdateJobStatusResult(_told(call, job)))


async def update_priority(call: Call) -> Response:
    job = await _job(call, UPDATE_PRIORITY)
    priority = _number(call, "priority", MAX_PRIORITY)
    if priority is None:
        raise S3Error("BadRequestException", "priority is required.")

    def changed(found: BatchJob) -> BatchJob:
        if found.document.ended_us is not None:
            raise S3Error("BadRequestException", "The priority of a job that has ended cannot be changed.")
        return BatchJob(found.row, msgspec.structs.replace(found.document, priority=priority))

    await _jobs(call).change(job.document.account_id, job.job_id, changed)
    return xml_response(UpdateJobPriorityResult(job.job_id, priority))


def _ready(status: JobStatus) -> JobStatus:
    if status is not JobStatus.SUSPENDED:
        raise S3Error("JobStatusException", f"Only a suspended job can be confirmed; this one is {status}.")
    return JobStatus.READY


def _cancelled(status: JobStatus) -> JobStatus:
    """Whoever works on it ends it within a moment; what nobody works on has ended at once."""
    if status not in _CANCELLABLE:
        raise S3Error("JobStatusException", f"A job that is {status} cannot be cancelled.")
    return JobStatus.CANCELLING if status in _WORKED_ON else JobStatus.CANCELLED


async def _job(call: Call, action: str) -> BatchJob:
    """The job that the path names, if the caller may do `action` to it.

    Raises S3Error NotFoundException, AccessDenied, and what `own_account` does.
    """
    account_id = own_account(call, _WHAT)
    named = named_job(call.request.target_path)
    job_id, found, known = None, None, _known(call, action, None)
    try:
        job_id = parse_job_id("" if named is None else named[0])
        found = await _jobs(call).get(account_id, job_id)
        known = _known(call, action, found)
    except S3Error as error:
        if error.code != "NotFoundException":
            raise
    arn = f"arn:aws:s3:{call.services.region}:{account_id}:job/*" if job_id is None else _arn(call, account_id, job_id)
    call.permissions.require_of_account(action, arn, known)
    if found is None:
        raise no_such_job()
    return found


def _arn(call: Call, account_id: str, job_id: str) -> str:
    return job_arn(call.services.region, account_id, job_id)


def _known(call: Call, action: str, job: BatchJob | None) -> Context:
    """What policies can ask about the job, and what the request makes of it."""
    known: dict[str, tuple[str, ...]] = {}
    if action == UPDATE_PRIORITY and call.query.get("priority"):
        known["s3:requestjobpriority"] = (call.query.get("priority") or "",)
    if job is not None and action != DESCRIBE:
        known["s3:existingjoboperation"] = (OPERATION,)
        known["s3:existingjobpriority"] = (str(job.document.priority),)
        if action == UPDATE_STATUS and job.status is JobStatus.SUSPENDED:
            known["s3:jobsuspendedcause"] = (SUSPENDED_CAUSE,)
    return known


def _require_role(call: Call, account_id: str, asked: NewJob) -> None:
    """Raises S3Error AccessDenied."""
    if asked.role_account != account_id:
        message = "Cross-account pass role is not allowed."
        raise S3Error("AccessDenied", message, decided_by="another account's role", reason=message)
    call.permissions.require_of_account("iam:PassRole", asked.role_arn, {"iam:passedtoservice": (SERVICE,)})


def _number(call: Call, name: str, most: int) -> int | None:
    """Raises S3Error BadRequestException."""
    text = call.query.get(name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise S3Error("BadRequestException", f"{name} is a number of at most {most}.")
    return int(text)


def _jobs(call: Call) -> BatchJobs:
    services = call.services
    return BatchJobs(services.index, services.rows, services.integrity_event)


def _told(call: Call, job: BatchJob) -> ToldJob:
    return job.told(call.services.region, call.now_us)

"""The table of S3 Control: the public access block of an account, tags of buckets, batch jobs. The rest is not served.

Names and paths are those of the service model (botocore `s3control`).
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.operations import rights
from gateway.operations.account import batch_jobs, public_access
from gateway.operations.bucket import resource_tags
from gateway.operations.table import Body, Operation, Target
from gateway.protocol.control import JOBS_PATH, PREFIX, named_job, tagged_bucket

_READ, _WRITE = "s3:GetAccountPublicAccessBlock", "s3:PutAccountPublicAccessBlock"

_OF_ACCOUNTS = (
    Operation("s3control:GetPublicAccessBlock", "GET", Target.SERVICE, _READ, handler=public_access.get),
    Operation(
        "s3control:PutPublicAccessBlock",
        "PUT",
        Target.SERVICE,
        _WRITE,
        body=Body.DOCUMENT,
        handler=public_access.put,
    ),
    Operation("s3control:DeletePublicAccessBlock", "DELETE", Target.SERVICE, _WRITE, handler=public_access.delete),
)
_OF_BUCKETS = (
    Operation(
        "s3control:ListTagsForResource", "GET", Target.BUCKET, "s3:ListTagsForResource", handler=resource_tags.get
    ),
    Operation(
        "s3control:TagResource",
        "POST",
        Target.BUCKET,
        resource_tags.TAG_ACTION,
        body=Body.DOCUMENT,
        authorises_each=True,
        handler=resource_tags.add,
    ),
    Operation(
        "s3control:UntagResource",
        "DELETE",
        Target.BUCKET,
        resource_tags.UNTAG_ACTION,
        authorises_each=True,
        handler=resource_tags.remove,
    ),
)
_OF_JOBS = (
    Operation(
        "s3control:CreateJob",
        "POST",
        Target.SERVICE,
        batch_jobs.CREATE,
        body=Body.DOCUMENT,
        authorises_each=True,
        also=rights.PASSES_ROLE,
        handler=batch_jobs.create,
    ),
    Operation("s3control:ListJobs", "GET", Target.SERVICE, "s3:ListJobs", handler=batch_jobs.list_jobs),
    Operation(
        "s3control:DescribeJob",
        "GET",
        Target.SERVICE,
        batch_jobs.DESCRIBE,
        authorises_each=True,
        handler=batch_jobs.describe,
    ),
    Operation(
        "s3control:UpdateJobStatus",
        "POST",
        Target.SERVICE,
        batch_jobs.UPDATE_STATUS,
        authorises_each=True,
        handler=batch_jobs.update_status,
    ),
    Operation(
        "s3control:UpdateJobPriority",
        "POST",
        Target.SERVICE,
        batch_jobs.UPDATE_PRIORITY,
        authorises_each=True,
        handler=batch_jobs.update_priority,
    ),
)
CONTROL_OPERATIONS = (*_OF_ACCOUNTS, *_OF_BUCKETS, *_OF_JOBS)

_PATH = f"{PREFIX}configuration/publicAccessBlock"
_ROWS: Mapping[tuple[str, Target], Operation] = {(row.method, row.target): row for row in (*_OF_ACCOUNTS, *_OF_BUCKETS)}
_OF_ALL_JOBS = {row.method: row for row in _OF_JOBS[:2]}
_OF_ONE_JOB = {(row.method, rest): row for row, rest in zip(_OF_JOBS[2:], ("", "status", "priority"), strict=True)}
_UNSERVED = Operation("s3control:unknown", "", Target.SERVICE, "s3:*")


def find_control_operation(method: str, target_path: str) -> Operation:
    """The operation meant; one without a handler for what is not served, or is none. Raises S3Error InvalidURI."""
    if target_path == _PATH:
        return _ROWS.get((method, Target.SERVICE), _UNSERVED)
    if target_path == JOBS_PATH:
        return _OF_ALL_JOBS.get(method, _UNSERVED)
    job = named_job(target_path)
    if job is not None:
        return _OF_ONE_JOB.get((method, job[1]), _UNSERVED)
    return _UNSERVED if tagged_bucket(target_path) is None else _ROWS.get((method, Target.BUCKET), _UNSERVED)

"""S3 Batch Operations as values: what a job is to do with which objects, and what may become of it.

Of the operations there is S3UpdateObjectEncryption. Source: Amazon S3 API Reference, "Amazon S3 Control", API_control_
CreateJob and the data types that it names; User Guide, "Tracking job status and completion reports".
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from enum import StrEnum

from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.xml.documents.object_encryption import ObjectEncryption

OPERATION = "S3UpdateObjectEncryption"
SUSPENDED_CAUSE = "AWAITING_CONFIRMATION"

SERVICE = "batchoperations.s3.amazonaws.com"
"""The principal that a job's role has to trust, and that its creator passes the role to."""


class JobStatus(StrEnum):
    NEW = "New"
    PREPARING = "Preparing"
    SUSPENDED = "Suspended"
    """Until it is confirmed."""
    READY = "Ready"
    ACTIVE = "Active"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    COMPLETE = "Complete"
    FAILED = "Failed"


ENDED = frozenset({JobStatus.CANCELLED, JobStatus.COMPLETE, JobStatus.FAILED})
STATUSES = frozenset({*JobStatus, "Completing", "Failing", "Paused", "Pausing"})
"""Those that a listing may ask for: no job is ever in some of them."""

_MODES = {
    "SSE-S3": (Mode.SSE_S3,),
    "SSE-KMS": (Mode.SSE_KMS, Mode.SSE_KMS_BUCKET_KEY),
    "DSSE-KMS": (Mode.DSSE_KMS,),
    "SSE-C": (Mode.SSE_C,),
    "NOT-SSE": (),
}
ENCRYPTIONS = frozenset(_MODES)


@dataclass(frozen=True, slots=True)
class EncryptionFilter:
    """Objects that are encrypted so; `kind` is one of ENCRYPTIONS. None: by any key, with a bucket key or without."""

    kind: str
    key_arn: str | None = None
    has_bucket_key: bool | None = None

    def matches(self, wrap: Wrap) -> bool:
        if wrap.mode not in _MODES[self.kind] or self.key_arn not in (None, wrap.key_arn):
            return False
        return self.has_bucket_key in (None, wrap.mode is Mode.SSE_KMS_BUCKET_KEY)


@dataclass(frozen=True, slots=True)
class ObjectFilter:
    """Which object versions of a bucket a job is about: those for which all holds that is not None. Times are µs."""

    prefix: str | None = None
    suffix: str | None = None
    substring: str | None = None
    created_after_us: int | None = None
    created_before_us: int | None = None
    larger_than: int | None = None
    smaller_than: int | None = None
    encryption: tuple[EncryptionFilter, ...] | None = None
    """Any of these."""

    def matches(self, key: bytes, size: int, created_us: int, wrap: Wrap) -> bool:
        if self.encryption is not None and not any(each.matches(wrap) for each in self.encryption):
            return False
        if self.created_after_us is not None and created_us <= self.created_after_us:
            return False
        if self.created_before_us is not None and created_us >= self.created_before_us:
            return False
        if self.larger_than is not None and size <= self.larger_than:
            return False
        if self.smaller_than is not None and size >= self.smaller_than:
            return False
        return (
            (self.prefix is None or key.startswith(self.prefix.encode()))
            and (self.suffix is None or key.endswith(self.suffix.encode()))
            and (self.substring is None or self.substring.encode() in key)
        )


@dataclass(frozen=True, slots=True)
class NewJob:
    """What CreateJob asked for. `bucket` is that of the manifest generator, and of `expected_owner` if that is said."""

    token: str
    role_arn: str
    priority: int
    encryption: ObjectEncryption
    bucket: str
    bucket_arn: str
    expected_owner: str | None = None
    filter: ObjectFilter | None = None
    description: str | None = None
    confirmation_required: bool = False

    @property
    def role_account(self) -> str:
        return self.role_arn.split(":")[4]


_ROLE_ARN = re.compile(r"arn:aws:iam::[0-9]{12}:role/(?:[!-~]+/)?[A-Za-z0-9_+=,.@-]{1,64}")
MAX_ROLE_ARN_CHARACTERS = 2048


def is_role_arn(text: str) -> bool:
    return len(text) <= MAX_ROLE_ARN_CHARACTERS and _ROLE_ARN.fullmatch(text) is not None


def told_id(job_id: str) -> str:
    """A job's id (32 hex digits) as clients see it."""
    return str(uuid.UUID(job_id))


def parse_job_id(text: str) -> str:
    """The id (32 hex digits) that a client means. Raises S3Error NotFoundException."""
    try:
        found = uuid.UUID(text) if len(text) == 36 else None
    except ValueError:
        found = None
    if found is None or str(found) != text:
        raise no_such_job()
    return found.hex


def no_such_job() -> S3Error:
    return S3Error("NotFoundException", "The specified job does not exist.")


def job_arn(region: str, account_id: str, job_id: str) -> str:
    return f"arn:aws:s3:{region}:{account_id}:job/{told_id(job_id)}"

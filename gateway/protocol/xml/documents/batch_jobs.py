"""The documents of S3 Batch Operations: CreateJobRequest, and what is told of jobs (API_control_CreateJob, …).

What a job could be asked for and is not done here answers NotImplemented, rather than being left aside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.protocol.batch_jobs import (
    ENCRYPTIONS,
    OPERATION,
    SUSPENDED_CAUSE,
    EncryptionFilter,
    JobStatus,
    NewJob,
    ObjectFilter,
    is_role_arn,
    told_id,
)
from gateway.protocol.control import NAMESPACE
from gateway.protocol.errors import S3Error
from gateway.protocol.timestamps import SECOND_US, format_iso8601
from gateway.protocol.xml.documents.object_encryption import ObjectEncryption
from gateway.protocol.xml.reader import Element, boolean, children, integer, malformed, read_document, text_of, texts
from gateway.protocol.xml.writer import document, element, flag

MAX_BYTES = 64 << 10
"""Of a CreateJobRequest; with the longest of all members it has some 12 KiB."""

MAX_PRIORITY = 2**31 - 1
_BUCKET_ARN = re.compile(r"arn:aws:s3:::([A-Za-z0-9._-]{3,255})")
_KEY_ARN = re.compile(r"arn:aws[a-zA-Z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+")
_ACCOUNT_ID = re.compile("[0-9]{12}")
_CONSTRAINTS = {"MatchAnyPrefix": "prefix", "MatchAnySuffix": "suffix", "MatchAnySubstring": "substring"}
_TIMES = {"CreatedAfter": "created_after_us", "CreatedBefore": "created_before_us"}
_SIZES = {"ObjectSizeGreaterThanBytes": "larger_than", "ObjectSizeLessThanBytes": "smaller_than"}
_UNSERVED_FILTERS = frozenset({"EligibleForReplication", "MatchAnyStorageClass", "ObjectReplicationStatuses"})
_OTHER_OPERATIONS = frozenset(
    {
        "LambdaInvoke",
        "S3ComputeObjectChecksum",
        "S3DeleteObjectTagging",
        "S3InitiateRestoreObject",
        "S3PutObjectAcl",
        "S3PutObjectCopy",
        "S3PutObjectLegalHold",
        "S3PutObjectRetention",
        "S3PutObjectTagging",
        "S3ReplicateObject",
    }
)


def parse_create_job(body: bytes) -> NewJob:
    """Raises S3Error MalformedXML, BadRequestException, InvalidRequest, NotImplemented."""
    members = _members(read_document(body, "CreateJobRequest", max_bytes=MAX_BYTES), _MEMBERS)
    for name in ("Operation", "Report", "ClientRequestToken", "Priority", "RoleArn"):
        if name not in members:
            raise _bad(f"Request invalid: {name} is required")
    if "Manifest" in members and "ManifestGenerator" in members:
        raise _bad("A job has a Manifest or a ManifestGenerator, not both")
    if "Manifest" in members:
        raise _unserved("Manifest")
    if "ManifestGenerator" not in members:
        raise _bad("A job needs a Manifest or a ManifestGenerator")
    if "Tags" in members and len(members["Tags"]):
        raise _unserved("Tags")
    _check_report(members["Report"])
    role_arn = text_of(members["RoleArn"]).strip()
    if not is_role_arn(role_arn):
        raise _bad("Invalid job role ARN")
    priority = integer(text_of(members["Priority"]))
    if priority > MAX_PRIORITY:
        raise _bad(f"Priority is at most {MAX_PRIORITY}")
    description = members.get("Description")
    confirmation = members.get("ConfirmationRequired")
    bucket, bucket_arn, owner, objects = _parse_generator(members["ManifestGenerator"])
    return NewJob(
        token=_bounded(members["ClientRequestToken"], "ClientRequestToken", 64),
        role_arn=role_arn,
        priority=priority,
        encryption=_parse_operation(members["Operation"]),
        bucket=bucket,
        bucket_arn=bucket_arn,
        expected_owner=owner,
        filter=objects,
        description=None if description is None else _bounded(description, "Description", 256),
        confirmation_required=confirmation is not None and boolean(text_of(confirmation)),
    )


_MEMBERS = frozenset(
    {
        "ClientRequestToken",
        "ConfirmationRequired",
        "Description",
        "Manifest",
        "ManifestGenerator",
        "Operation",
        "Priority",
        "Report",
        "RoleArn",
        "Tags",
    }
)


def _members(parent: Element, allowed: Iterable[str]) -> dict[str, Element]:
    """Each at most once. Raises S3Error MalformedXML."""
    found: dict[str, Element] = {}
    for name, child in children(parent):
        if name in found or name not in allowed:
            raise malformed()
        found[name] = child
    return found


def _bounded(found: Element, name: str, most: int) -> str:
    text = text_of(found)
    if not 1 <= len(text) <= most:
        raise _bad(f"{name} has 1 to {most} characters")
    return text


def _check_report(report: Element) -> None:
    members = _members(report, ("Bucket", "Enabled", "ExpectedBucketOwner", "Format", "Prefix", "ReportScope"))
    if "Enabled" not in members:
        raise malformed()
    if boolean(text_of(members["Enabled"])):
        raise _unserved("Report")


def _parse_operation(operation: Element) -> ObjectEncryption:
    named = list(children(operation))
    if len(named) != 1:
        raise _bad("A job has exactly one operation")
    name, content = named[0]
    if name in _OTHER_OPERATIONS:
        raise _unserved(name)
    inner = list(children(content))
    if name != OPERATION or len(inner) != 1 or inner[0][0] != "ObjectEncryption":
        raise malformed()
    return ObjectEncryption.of(inner[0][1])


def _parse_generator(generator: Element) -> tuple[str, str, str | None, ObjectFilter | None]:
    """Bucket, its ARN, the owner that is expected, and which of its objects."""
    named = list(children(generator))
    if len(named) != 1 or named[0][0] != "S3JobManifestGenerator":
        raise malformed()
    allowed = ("EnableManifestOutput", "ExpectedBucketOwner", "Filter", "ManifestOutputLocation", "SourceBucket")
    members = _members(named[0][1], allowed)
    if "SourceBucket" not in members or "EnableManifestOutput" not in members:
        raise malformed()
    if boolean(text_of(members["EnableManifestOutput"])) or "ManifestOutputLocation" in members:
        raise _unserved("ManifestOutputLocation")
    bucket_arn = text_of(members["SourceBucket"]).strip()
    bucket = _BUCKET_ARN.fullmatch(bucket_arn)
    if bucket is None:
        raise _bad("SourceBucket is not the ARN of a bucket")
    owner = text_of(members["ExpectedBucketOwner"]).strip() if "ExpectedBucketOwner" in members else None
    if owner is not None and not _ACCOUNT_ID.fullmatch(owner):
        raise _bad("ExpectedBucketOwner has 12 digits")
    return bucket[1], bucket_arn, owner, _parse_filter(members["Filter"]) if "Filter" in members else None


def _parse_filter(found: Element) -> ObjectFilter:
    names = {*_TIMES, *_SIZES, *_UNSERVED_FILTERS, "KeyNameConstraint", "MatchAnyObjectEncryption"}
    members = _members(found, names)
    for name in _UNSERVED_FILTERS & members.keys():
        raise _unserved(name)
    constraints = _parse_constraints(members["KeyNameConstraint"]) if "KeyNameConstraint" in members else {}
    times = {_TIMES[name]: _time_us(text_of(each)) for name, each in members.items() if name in _TIMES}
    sizes = {_SIZES[name]: integer(text_of(each)) for name, each in members.items() if name in _SIZES}
    encryption = members.get("MatchAnyObjectEncryption")
    return ObjectFilter(
        prefix=constraints.get("prefix"),
        suffix=constraints.get("suffix"),
        substring=constraints.get("substring"),
        created_after_us=times.get("created_after_us"),
        created_before_us=times.get("created_before_us"),
        larger_than=sizes.get("larger_than"),
        smaller_than=sizes.get("smaller_than"),
        encryption=None if encryption is None else tuple(_parse_encryptions(encryption)),
    )


def _parse_constraints(found: Element) -> dict[str, str]:
    """Lists of one string each, as the model says."""
    constraints = {}
    for name, each in _members(found, _CONSTRAINTS).items():
        values = list(children(each))
        if len(values) != 1 or values[0][0] != "member":
            raise _bad(f"{name} has exactly one string")
        constraints[_CONSTRAINTS[name]] = _bounded(values[0][1], name, 1024)
    return constraints


def _parse_encryptions(found: Element) -> Iterator[EncryptionFilter]:
    for name, each in children(found):
        if name != "ObjectEncryption":
            raise malformed()
        kinds = list(children(each))
        if len(kinds) != 1 or kinds[0][0] not in ENCRYPTIONS:
            raise malformed()
        kind, content = kinds[0]
        allowed = {"SSE-KMS": ("BucketKeyEnabled", "KmsKeyArn"), "DSSE-KMS": ("KmsKeyArn",)}.get(kind, ())
        members = texts(content, allowed)
        key_arn = members["KmsKeyArn"].strip() if "KmsKeyArn" in members else None
        if key_arn is not None and not (len(key_arn) <= 2048 and _KEY_ARN.fullmatch(key_arn)):
            raise _bad("KmsKeyArn is not the ARN of a KMS key")
        has_bucket_key = boolean(members["BucketKeyEnabled"]) if "BucketKeyEnabled" in members else None
        yield EncryptionFilter(kind, key_arn, has_bucket_key)


def _time_us(text: str) -> int:
    """ISO 8601, with the zone if it is not UTC. Raises S3Error MalformedXML."""
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * SECOND_US)
    except (ValueError, OverflowError):
        raise malformed() from None


def _bad(message: str) -> S3Error:
    return S3Error("BadRequestException", message)


def _unserved(member: str) -> S3Error:
    return S3Error("NotImplemented", f"Batch jobs of this service have no {member}.", fields={"Member": member})


@dataclass(frozen=True, slots=True)
class ToldJob:
    """A job as clients see it. `failures` are codes with their reasons; times are µs."""

    job_id: str
    arn: str
    status: JobStatus
    asked: NewJob
    priority: int
    created_us: int
    total: int
    succeeded: int
    failed: int
    active_seconds: int
    ended_us: int | None
    suspended_us: int | None
    update_reason: str | None
    failures: Sequence[tuple[str, str]] = ()

    def summary(self) -> str:
        """A JobListDescriptor."""
        return "".join(
            (
                "<member>",
                element("JobId", told_id(self.job_id)),
                element("Description", self.asked.description),
                element("Operation", OPERATION),
                element("Priority", self.priority),
                element("Status", self.status),
                element("CreationTime", format_iso8601(self.created_us)),
                _time("TerminationDate", self.ended_us),
                self._progress(),
                "</member>",
            )
        )

    def description(self) -> str:
        """A JobDescriptor."""
        reasons = (
            f"<member>{element('FailureCode', code)}{element('FailureReason', reason)}</member>"
            for code, reason in self.failures
        )
        is_suspended = self.status is JobStatus.SUSPENDED
        return "".join(
            (
                element("JobId", told_id(self.job_id)),
                flag("ConfirmationRequired", self.asked.confirmation_required),
                element("Description", self.asked.description),
                element("JobArn", self.arn),
                element("Status", self.status),
                f"<Operation>{_operation(self.asked)}</Operation>",
                element("Priority", self.priority),
                self._progress(),
                element("StatusUpdateReason", self.update_reason),
                f"<FailureReasons>{''.join(reasons)}</FailureReasons>",
                f"<Report>{flag('Enabled', False)}</Report>",
                element("CreationTime", format_iso8601(self.created_us)),
                _time("TerminationDate", self.ended_us),
                element("RoleArn", self.asked.role_arn),
                _time("SuspendedDate", self.suspended_us if is_suspended else None),
                element("SuspendedCause", SUSPENDED_CAUSE if is_suspended else None),
                f"<ManifestGenerator>{''.join(_generator(self.asked))}</ManifestGenerator>",
            )
        )

    def _progress(self) -> str:
        return "".join(
            (
                "<ProgressSummary>",
                element("TotalNumberOfTasks", self.total),
                element("NumberOfTasksSucceeded", self.succeeded),
                element("NumberOfTasksFailed", self.failed),
                f"<Timers>{element('ElapsedTimeInActiveSeconds', self.active_seconds)}</Timers>",
                "</ProgressSummary>",
            )
        )


def _operation(asked: NewJob) -> str:
    key = element("KMSKeyArn", asked.encryption.key_arn) + flag("BucketKeyEnabled", asked.encryption.has_bucket_key)
    return f"<{OPERATION}><ObjectEncryption><SSE-KMS>{key}</SSE-KMS></ObjectEncryption></{OPERATION}>"


def _generator(asked: NewJob) -> Iterator[str]:
    yield "<S3JobManifestGenerator>"
    yield element("ExpectedBucketOwner", asked.expected_owner)
    yield element("SourceBucket", asked.bucket_arn)
    if asked.filter is not None:
        yield f"<Filter>{''.join(_filter(asked.filter))}</Filter>"
    yield flag("EnableManifestOutput", False)
    yield "</S3JobManifestGenerator>"


def _filter(asked: ObjectFilter) -> Iterator[str]:
    yield _time("CreatedAfter", asked.created_after_us)
    yield _time("CreatedBefore", asked.created_before_us)
    constraints = [
        f"<{name}>{element('member', getattr(asked, member))}</{name}>"
        for name, member in _CONSTRAINTS.items()
        if getattr(asked, member) is not None
    ]
    if constraints:
        yield f"<KeyNameConstraint>{''.join(constraints)}</KeyNameConstraint>"
    yield element("ObjectSizeGreaterThanBytes", asked.larger_than)
    yield element("ObjectSizeLessThanBytes", asked.smaller_than)
    if asked.encryption is not None:
        kinds = "".join(f"<ObjectEncryption>{_kind(each)}</ObjectEncryption>" for each in asked.encryption)
        yield f"<MatchAnyObjectEncryption>{kinds}</MatchAnyObjectEncryption>"


def _kind(each: EncryptionFilter) -> str:
    has_bucket_key = "" if each.has_bucket_key is None else flag("BucketKeyEnabled", each.has_bucket_key)
    return f"<{each.kind}>{element('KmsKeyArn', each.key_arn)}{has_bucket_key}</{each.kind}>"


def _time(name: str, time_us: int | None) -> str:
    return "" if time_us is None else element(name, format_iso8601(time_us))


@dataclass(frozen=True, slots=True)
class CreateJobResult:
    job_id: str

    def format(self) -> bytes:
        return document("CreateJobResult", (element("JobId", told_id(self.job_id)),), namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class DescribeJobResult:
    job: ToldJob

    def format(self) -> bytes:
        return document("DescribeJobResult", ("<Job>", self.job.description(), "</Job>"), namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class ListJobsResult:
    jobs: Sequence[ToldJob]
    next_token: str | None

    def format(self) -> bytes:
        jobs = "".join(each.summary() for each in self.jobs)
        content = (element("NextToken", self.next_token), f"<Jobs>{jobs}</Jobs>")
        return document("ListJobsResult", content, namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class UpdateJobPriorityResult:
    job_id: str
    priority: int

    def format(self) -> bytes:
        content = (element("JobId", told_id(self.job_id)), element("Priority", self.priority))
        return document("UpdateJobPriorityResult", content, namespace=NAMESPACE)


@dataclass(frozen=True, slots=True)
class UpdateJobStatusResult:
    job: ToldJob

    def format(self) -> bytes:
        content = (
            element("JobId", told_id(self.job.job_id)),
            element("Status", self.job.status),
            element("StatusUpdateReason", self.job.update_reason),
        )
        return document("UpdateJobStatusResult", content, namespace=NAMESPACE)

"""Jobs of S3 Batch Operations: object versions under another key, by what a role may, and nothing else."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.clients.conftest import make_bucket
from tests.clients.raw import RawClient
from tests.clients.rights.s3 import bucket_arn
from tests.clients.test_account_public_access import control_of, sent_to_endpoint
from tests.clients.users import TestAccount, allow, client_of, deny, make_account
from tests.harness import REGION, Gateway, wait_until

SERVICE = "batchoperations.s3.amazonaws.com"
EVERYTHING = allow("s3:*", "kms:*")
ENDED = {"Complete", "Failed", "Cancelled"}


def trusting(service: str = SERVICE, **condition: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole", **condition}


def text(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@dataclass
class World:
    gateway: Gateway
    account_id: str

    def __post_init__(self) -> None:
        self.s3 = self.gateway.client("s3")
        self.kms = self.gateway.client("kms")
        self.iam = self.gateway.client("iam")
        self.control = control_of(self.gateway)

    def key(self) -> str:
        return str(self.kms.create_key()["KeyMetadata"]["Arn"])

    def role(self, *statements: dict[str, Any], trust: dict[str, Any] | None = None) -> str:
        """The ARN of a new role, which may do everything to S3 and KMS unless statements say what."""
        name = f"role-{uuid.uuid4()}"
        made = self.iam.create_role(RoleName=name, Path="/batch/", AssumeRolePolicyDocument=text(trust or trusting()))
        self.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=text(*(statements or (EVERYTHING,))))
        return str(made["Role"]["Arn"])

    def user(self, *statements: dict[str, Any]) -> Any:
        """S3 Control as a new user who may do what statements say."""
        name = f"user-{uuid.uuid4()}"
        self.iam.create_user(UserName=name)
        if statements:
            self.iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=text(*statements))
        made = self.iam.create_access_key(UserName=name)["AccessKey"]
        return sent_to_endpoint(client_of(self.gateway, "s3control", made["AccessKeyId"], made["SecretAccessKey"]))

    def asked(self, bucket: str, key: str, role: str, **more: Any) -> dict[str, Any]:
        generator = {"SourceBucket": bucket_arn(bucket), "EnableManifestOutput": False}
        generator |= {name: more.pop(name) for name in ("Filter", "ExpectedBucketOwner") if name in more}
        has_bucket_key = {"BucketKeyEnabled": more.pop("BucketKeyEnabled")} if "BucketKeyEnabled" in more else {}
        encryption = {"SSEKMS": {"KMSKeyArn": key, **has_bucket_key}}
        return {
            "AccountId": self.account_id,
            "ConfirmationRequired": False,
            "Operation": {"S3UpdateObjectEncryption": {"ObjectEncryption": encryption}},
            "Report": {"Enabled": False},
            "ClientRequestToken": str(uuid.uuid4()),
            "Priority": 1,
            "RoleArn": role,
            "ManifestGenerator": {"S3JobManifestGenerator": generator},
            **more,
        }

    def create(self, bucket: str, key: str, role: str, **more: Any) -> str:
        return str(self.control.create_job(**self.asked(bucket, key, role, **more))["JobId"])

    def job(self, job_id: str) -> Any:
        return self.control.describe_job(AccountId=self.account_id, JobId=job_id)["Job"]

    def status(self, job_id: str) -> str:
        return str(self.job(job_id)["Status"])

    def ended(self, job_id: str) -> Any:
        wait_until(lambda: self.status(job_id) in ENDED, "the job has ended", seconds=60)
        return self.job(job_id)

    def suspended(self, job_id: str) -> None:
        wait_until(lambda: self.status(job_id) == "Suspended", "the job waits to be confirmed")

    def run(self, bucket: str, key: str, role: str, **more: Any) -> Any:
        return self.ended(self.create(bucket, key, role, **more))

    def keys_of(self, bucket: str) -> dict[tuple[str, str], str]:
        """The key of each version, with its mode where there is none."""
        found = {}
        for each in self.s3.list_object_versions(Bucket=bucket).get("Versions", ()):
            named = {"Bucket": bucket, "Key": each["Key"], "VersionId": each["VersionId"]}
            told = self.s3.head_object(**named)
            found[each["Key"], each["VersionId"]] = told.get("SSEKMSKeyId", told["ServerSideEncryption"])
        return found


def counted(job: Any) -> tuple[str, int, int, int]:
    """Status; tasks, those that succeeded, and those that failed."""
    progress = job["ProgressSummary"]
    total, succeeded = progress["TotalNumberOfTasks"], progress["NumberOfTasksSucceeded"]
    return job["Status"], total, succeeded, progress["NumberOfTasksFailed"]


@pytest.fixture(scope="module")
def world(gateway: Gateway) -> World:
    return World(gateway, gateway.client("sts").get_caller_identity()["Account"])


@pytest.fixture(scope="module")
def other_account(gateway: Gateway) -> TestAccount:
    return make_account(gateway)


@pytest.fixture(scope="module")
def key(world: World) -> str:
    return world.key()


@pytest.fixture(scope="module")
def new_key(world: World) -> str:
    return world.key()


@pytest.fixture(scope="module")
def role(world: World) -> str:
    return world.role()


def fill(world: World, bucket: str, key: str) -> None:
    world.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for name in ("a/1", "a/2", "b/1"):
        for body in (b"old", b"the newer body"):
            sse = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if name[0] == "a" else {}
            world.s3.put_object(Bucket=bucket, Key=name, Body=body, **sse)
    world.s3.delete_object(Bucket=bucket, Key="a/2")


def test_every_version_of_a_bucket(world: World, key: str, new_key: str, role: str) -> None:
    bucket = make_bucket(world.s3)
    fill(world, bucket, key)
    before = world.keys_of(bucket)
    job = world.run(bucket, new_key, role, Description="to the new key", BucketKeyEnabled=True)
    assert counted(job) == ("Complete", len(before), len(before), 0)
    assert world.keys_of(bucket) == dict.fromkeys(before, new_key)
    assert all(world.s3.head_object(Bucket=bucket, Key=each)["BucketKeyEnabled"] for each in ("a/1", "b/1"))
    assert world.s3.get_object(Bucket=bucket, Key="a/1")["Body"].read() == b"the newer body"
    assert (job["Description"], job["RoleArn"], job["Priority"]) == ("to the new key", role, 1)
    assert job["JobArn"] == f"arn:aws:s3:{REGION}:{world.account_id}:job/{job['JobId']}"
    assert job["TerminationDate"] >= job["CreationTime"]
    asked = world.asked(bucket, new_key, role, BucketKeyEnabled=True)
    assert {name: job[name] for name in ("Operation", "Report", "ManifestGenerator")} == {
        name: asked[name] for name in ("Operation", "Report", "ManifestGenerator")
    }


FILTERS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("prefix", {"KeyNameConstraint": {"MatchAnyPrefix": ["a/"]}}, {"a/1", "a/2"}),
    ("suffix", {"KeyNameConstraint": {"MatchAnySuffix": ["1"]}}, {"a/1", "b/1"}),
    ("both", {"KeyNameConstraint": {"MatchAnyPrefix": ["a"], "MatchAnySubstring": ["/1"]}}, {"a/1"}),
    ("SSE-S3", {"MatchAnyObjectEncryption": [{"SSES3": {}}]}, {"b/1"}),
    ("its key", {"MatchAnyObjectEncryption": [{"SSEKMS": {"KmsKeyArn": "{key}"}}]}, {"a/1", "a/2"}),
    ("another key", {"MatchAnyObjectEncryption": [{"SSEKMS": {"KmsKeyArn": "{new_key}"}}]}, set()),
    ("bucket key", {"MatchAnyObjectEncryption": [{"SSEKMS": {"BucketKeyEnabled": True}}]}, set()),
    ("or", {"MatchAnyObjectEncryption": [{"SSEC": {}}, {"NOTSSE": {}}, {"DSSEKMS": {}}, {"SSES3": {}}]}, {"b/1"}),
    ("future", {"CreatedAfter": datetime.now(UTC) + timedelta(days=1)}, set()),
    ("past", {"CreatedBefore": datetime.now(UTC) + timedelta(days=1)}, {"a/1", "a/2", "b/1"}),
]


def test_what_a_filter_leaves(world: World, key: str, new_key: str, role: str) -> None:
    jobs = []
    for name, asked, expected in FILTERS:
        bucket = make_bucket(world.s3)
        fill(world, bucket, key)
        named = json.loads(json.dumps(asked, default=str).replace("{key}", key).replace("{new_key}", new_key))
        jobs.append((name, bucket, world.create(bucket, new_key, role, Filter=named), expected))
    for name, bucket, job_id, expected in jobs:
        job = world.ended(job_id)
        assert counted(job) == ("Complete", 2 * len(expected), 2 * len(expected), 0), name
        assert {key for (key, _), found in world.keys_of(bucket).items() if found == new_key} == expected, name
        assert "Filter" in job["ManifestGenerator"]["S3JobManifestGenerator"]


def test_sizes(world: World, new_key: str, role: str) -> None:
    bucket = make_bucket(world.s3)
    for size in (1, 2, 3):
        world.s3.put_object(Bucket=bucket, Key=str(size), Body=bytes(size))
    between = {"ObjectSizeGreaterThanBytes": 1, "ObjectSizeLessThanBytes": 3}
    world.run(bucket, new_key, role, Filter=between)
    assert {name for (name, _), found in world.keys_of(bucket).items() if found == new_key} == {"2"}


def test_the_role_decides(world: World, key: str, new_key: str) -> None:
    """What it may not do is counted, by what a request would be told."""
    bucket = make_bucket(world.s3)
    fill(world, bucket, key)
    on = [f"{bucket_arn(bucket)}/b/*", f"{bucket_arn(bucket)}/a/1", bucket_arn(bucket)]
    limited = world.role(allow("s3:UpdateObjectEncryption", "s3:PutInventoryConfiguration", on=on), allow("kms:*"))
    job = world.run(bucket, new_key, limited)
    assert counted(job) == ("Complete", 6, 4, 2)
    assert job["FailureReasons"] == [{"FailureCode": "AccessDenied", "FailureReason": "2 tasks failed"}]
    assert {name for (name, _), found in world.keys_of(bucket).items() if found == new_key} == {"a/1", "b/1"}


def test_the_keys_policies_decide(world: World, key: str, new_key: str) -> None:
    bucket = make_bucket(world.s3)
    world.s3.put_object(Bucket=bucket, Key="k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    jobs = [
        world.create(bucket, new_key, world.role(EVERYTHING, deny(missing)))
        for missing in ("kms:Decrypt", "kms:GenerateDataKey")
    ]
    for job_id in jobs:
        assert counted(world.ended(job_id)) == ("Complete", 1, 0, 1)
    assert world.keys_of(bucket) == {("k", "null"): key}


def test_the_buckets_policy_decides(world: World, new_key: str, role: str) -> None:
    bucket = make_bucket(world.s3)
    world.s3.put_object(Bucket=bucket, Key="k")
    denied = {"Effect": "Deny", "Principal": {"AWS": role}, "Action": "s3:UpdateObjectEncryption"}
    policy = text({**denied, "Resource": f"{bucket_arn(bucket)}/*"})
    world.s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert counted(world.run(bucket, new_key, role)) == ("Complete", 1, 0, 1)
    insecure = {"Bool": {"aws:SecureTransport": "false"}}
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Condition": insecure}
    world.s3.put_bucket_policy(Bucket=bucket, Policy=text({**denied, "Resource": f"{bucket_arn(bucket)}/*"}))
    assert counted(world.run(bucket, new_key, role)) == ("Complete", 1, 1, 0)


def test_a_bucket_of_another_account(world: World, other_account: TestAccount, new_key: str, role: str) -> None:
    """Its owner has to let the role in, and the key must be of its account."""
    own = other_account.client("s3")
    bucket = make_bucket(own)
    own.put_object(Bucket=bucket, Key="k")
    job = world.run(bucket, new_key, role)
    assert (job["Status"], job["FailureReasons"][0]["FailureCode"]) == ("Failed", "AccessDenied")
    letting = {"Effect": "Allow", "Principal": {"AWS": role}}
    arn = bucket_arn(bucket)
    own.put_bucket_policy(
        Bucket=bucket,
        Policy=text(
            {**letting, "Action": "s3:PutInventoryConfiguration", "Resource": arn},
            {**letting, "Action": "s3:UpdateObjectEncryption", "Resource": f"{arn}/*"},
        ),
    )
    assert counted(world.run(bucket, new_key, role)) == ("Complete", 1, 0, 1)
    job = world.run(bucket, new_key, role, ExpectedBucketOwner=world.account_id)
    assert (job["Status"], job["ProgressSummary"]["TotalNumberOfTasks"]) == ("Failed", 0)
    assert "aws:kms" not in str(own.head_object(Bucket=bucket, Key="k"))


UNTRUSTED = {
    "another service": trusting("lambda.amazonaws.com"),
    "another account's jobs": trusting(Condition={"StringEquals": {"aws:SourceAccount": "999999999999"}}),
    "another job": trusting(Condition={"ArnLike": {"aws:SourceArn": f"arn:aws:s3:{REGION}:*:job/none"}}),
}


def test_a_role_that_does_not_trust_the_service(world: World, new_key: str) -> None:
    bucket = make_bucket(world.s3)
    world.s3.put_object(Bucket=bucket, Key="k")
    jobs = {name: world.create(bucket, new_key, world.role(trust=trust)) for name, trust in UNTRUSTED.items()}
    for name, job_id in jobs.items():
        job = world.ended(job_id)
        assert job["Status"] == "Failed", name
        assert SERVICE in job["FailureReasons"][0]["FailureReason"], name
    assert world.keys_of(bucket) == {("k", "null"): "AES256"}


def test_trust_in_jobs_of_the_account(world: World, new_key: str) -> None:
    bucket = make_bucket(world.s3)
    world.s3.put_object(Bucket=bucket, Key="k")
    condition = {
        "StringEquals": {"aws:SourceAccount": world.account_id},
        "ArnLike": {"aws:SourceArn": f"arn:aws:s3:{REGION}:{world.account_id}:job/*"},
    }
    trust = trusting(Condition=condition)
    assert counted(world.run(bucket, new_key, world.role(trust=trust))) == ("Complete", 1, 1, 0)


def test_what_is_gone(world: World, new_key: str, role: str) -> None:
    bucket = make_bucket(world.s3)
    world.s3.put_object(Bucket=bucket, Key="k")
    nobody = f"arn:aws:iam::{world.account_id}:role/nobody"
    misnamed = role.replace("/batch/", "/other/")
    jobs = [world.create(bucket, new_key, gone) for gone in (nobody, misnamed)]
    job = world.run(f"gone-{uuid.uuid4()}", new_key, role)
    assert {world.ended(job_id)["Status"] for job_id in jobs} == {"Failed"}
    assert (job["Status"], job["FailureReasons"][0]["FailureCode"]) == ("Failed", "NoSuchBucket")


def test_rights_that_are_taken_while_it_waits(world: World, new_key: str) -> None:
    bucket = make_bucket(world.s3)
    world.s3.put_object(Bucket=bucket, Key="k")
    role = world.role()
    job_id = world.create(bucket, new_key, role, ConfirmationRequired=True)
    world.suspended(job_id)
    name = role.rpartition("/")[2]
    world.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=text(allow("s3:PutInventory*")))
    world.control.update_job_status(AccountId=world.account_id, JobId=job_id, RequestedJobStatus="Ready")
    assert counted(world.ended(job_id)) == ("Complete", 1, 0, 1)


def test_whoever_creates_a_job_passes_its_role(world: World, other_account: TestAccount, new_key: str) -> None:
    bucket = make_bucket(world.s3)
    role = world.role()
    creates = allow("s3:CreateJob")
    passes = {**allow("iam:PassRole", on=role), "Condition": {"StringEquals": {"iam:PassedToService": SERVICE}}}
    elsewhere = {**passes, "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}
    asked = world.asked(bucket, new_key, role)
    another = allow("iam:PassRole", on=f"{role}x")
    for statements in ((), (creates,), (passes,), (creates, elsewhere), (creates, another)):
        client = world.user(*statements)
        assert refusal(client.create_job, **asked) == (403, "AccessDenied"), statements
    foreign = {**asked, "RoleArn": f"arn:aws:iam::{other_account.account_id}:role/r"}
    assert refusal(world.control.create_job, **foreign) == (403, "AccessDenied")
    assert refusal(control_of(other_account).create_job, **asked) == (403, "AccessDenied")
    job_id = world.user(creates, passes).create_job(**asked)["JobId"]
    assert world.ended(job_id)["Status"] == "Complete"


def test_policies_ask_for_priorities_and_operations(world: World, new_key: str, role: str) -> None:
    condition = {
        "NumericLessThanEquals": {"s3:RequestJobPriority": "5"},
        "StringEquals": {"s3:RequestJobOperation": "S3UpdateObjectEncryption"},
    }
    limited = world.user({**allow("s3:CreateJob"), "Condition": condition}, allow("iam:PassRole"))
    asked = world.asked(make_bucket(world.s3), new_key, role, ConfirmationRequired=True)
    assert refusal(limited.create_job, **{**asked, "Priority": 6}) == (403, "AccessDenied")
    job_id = limited.create_job(**{**asked, "Priority": 5})["JobId"]
    named = {"AccountId": world.account_id, "JobId": job_id}
    existing = {"NumericEquals": {"s3:ExistingJobPriority": "5"}}
    raising = world.user({**allow("s3:UpdateJobPriority"), "Condition": existing})
    assert raising.update_job_priority(**named, Priority=7)["Priority"] == 7
    assert refusal(raising.update_job_priority, **named, Priority=8) == (403, "AccessDenied")
    world.suspended(job_id)
    suspended = {"StringEquals": {"s3:JobSuspendedCause": "AWAITING_CONFIRMATION"}}
    confirming = world.user({**allow("s3:UpdateJobStatus"), "Condition": suspended})
    confirming.update_job_status(**named, RequestedJobStatus="Ready")
    world.ended(job_id)
    assert refusal(confirming.update_job_status, **named, RequestedJobStatus="Cancelled") == (403, "AccessDenied")


def test_confirmed_and_cancelled(world: World, new_key: str, role: str) -> None:
    bucket = make_bucket(world.s3)
    world.s3.put_object(Bucket=bucket, Key="k")
    first, second = (world.create(bucket, new_key, role, ConfirmationRequired=True) for _ in range(2))
    for job_id in (first, second):
        world.suspended(job_id)
    job = world.job(first)
    assert (job["SuspendedCause"], job["ProgressSummary"]["TotalNumberOfTasks"]) == ("AWAITING_CONFIRMATION", 1)
    account = {"AccountId": world.account_id}
    update = world.control.update_job_status
    told = update(**account, JobId=first, RequestedJobStatus="Cancelled", StatusUpdateReason="not today")
    assert (told["JobId"], told["Status"], told["StatusUpdateReason"]) == (first, "Cancelled", "not today")
    assert world.keys_of(bucket) == {("k", "null"): "AES256"}
    for status in ("Ready", "Cancelled"):
        assert refusal(update, **account, JobId=first, RequestedJobStatus=status) == (400, "JobStatusException")
    update(**account, JobId=second, RequestedJobStatus="Ready")
    assert counted(world.ended(second)) == ("Complete", 1, 1, 0)
    priority = {"JobId": second, "Priority": 3}
    assert refusal(world.control.update_job_priority, **account, **priority) == (400, "BadRequestException")


def test_listed(world: World, other_account: TestAccount, new_key: str, role: str) -> None:
    bucket, account = make_bucket(world.s3), {"AccountId": world.account_id}
    ids = [world.create(bucket, new_key, role, ConfirmationRequired=n == 2, Priority=n) for n in range(3)]
    world.suspended(ids[2])
    world.ended(ids[1])
    world.ended(ids[0])
    every = world.control.list_jobs(**account)["Jobs"]
    assert [each["JobId"] for each in every[:3]] == ids[::-1]
    first = every[0]
    assert (first["Status"], first["Priority"], first["Operation"]) == ("Suspended", 2, "S3UpdateObjectEncryption")
    pages = world.control.list_jobs(**account, MaxResults=2)
    after = world.control.list_jobs(**account, MaxResults=2, NextToken=pages["NextToken"])["Jobs"]
    assert [each["JobId"] for each in (*pages["Jobs"], *after)] == [each["JobId"] for each in every[:4]]
    suspended = world.control.list_jobs(**account, JobStatuses=["Suspended", "Paused"])["Jobs"]
    assert ids[2] in {each["JobId"] for each in suspended}
    assert {each["Status"] for each in suspended} == {"Suspended"}
    others = control_of(other_account)
    assert refusal(others.list_jobs, **account) == (403, "AccessDenied")
    assert others.list_jobs(AccountId=other_account.account_id).get("Jobs", []) == []
    named = {"AccountId": other_account.account_id, "JobId": ids[0]}
    for method, more in (("describe_job", {}), ("update_job_priority", {"Priority": 1})):
        assert refusal(getattr(others, method), **named, **more) == (404, "NotFoundException")
    world.control.update_job_status(**account, JobId=ids[2], RequestedJobStatus="Cancelled")


def test_a_token_is_one_job(world: World, new_key: str, role: str) -> None:
    bucket = make_bucket(world.s3)
    asked = world.asked(bucket, new_key, role)
    first = world.control.create_job(**asked)["JobId"]
    assert world.control.create_job(**asked)["JobId"] == first
    other = error_of(world.control.create_job, **{**asked, "Priority": 2})["Error"]
    assert other["Code"] == "IdempotencyException"
    world.ended(first)
    assert world.control.create_job(**asked)["JobId"] == first


def without(asked: dict[str, Any], **changes: Any) -> dict[str, Any]:
    changed = {**asked, **changes}
    return {name: value for name, value in changed.items() if value is not None}


MANIFEST = {
    "Spec": {"Format": "S3BatchOperations_CSV_20180820", "Fields": ["Bucket", "Key"]},
    "Location": {"ObjectArn": "arn:aws:s3:::b/k", "ETag": "e"},
}


def generator(**changes: Any) -> dict[str, Any]:
    given = {"SourceBucket": "arn:aws:s3:::bucket", "EnableManifestOutput": False, **changes}
    return {"ManifestGenerator": {"S3JobManifestGenerator": given}}


NOT_SERVED: list[dict[str, Any]] = [
    {"Operation": {"S3DeleteObjectTagging": {}}},
    {"Report": {"Enabled": True, "Bucket": "arn:aws:s3:::b"}},
    {"Manifest": MANIFEST, "ManifestGenerator": None},
    {"Tags": [{"Key": "k", "Value": "v"}]},
    generator(EnableManifestOutput=True),
    generator(Filter={"EligibleForReplication": True}),
    generator(Filter={"MatchAnyStorageClass": ["STANDARD"]}),
]
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"Manifest": MANIFEST}, "BadRequestException"),
    ({"ManifestGenerator": None}, "BadRequestException"),
    ({"RoleArn": "arn:aws:iam::1:role/r"}, "BadRequestException"),
    ({"Operation": {}}, "BadRequestException"),
    ({"Operation": {"S3UpdateObjectEncryption": {"ObjectEncryption": {}}}}, "InvalidRequest"),
    (generator(SourceBucket="arn:aws:s3:::x/y"), "BadRequestException"),
    (generator(ExpectedBucketOwner="x"), "BadRequestException"),
    (generator(Filter={"KeyNameConstraint": {"MatchAnyPrefix": ["a", "b"]}}), "BadRequestException"),
    (generator(Filter={"MatchAnyObjectEncryption": [{"SSEKMS": {"KmsKeyArn": "x" * 20}}]}), "BadRequestException"),
    (generator(Filter={"MatchAnyObjectEncryption": [{}]}), "MalformedXML"),
    ({"Description": "x" * 257}, "BadRequestException"),
]


def test_what_is_not_served_is_said(world: World, new_key: str, role: str) -> None:
    asked = world.asked("bucket", new_key, role)
    for changes in NOT_SERVED:
        assert refusal(world.control.create_job, **without(asked, **changes)) == (501, "NotImplemented"), changes


def test_requests_that_are_none(world: World, new_key: str, role: str) -> None:
    control = sent_to_endpoint(world.gateway.client("s3control", parameter_validation=False))
    asked = world.asked("bucket", new_key, role)
    for changes, code in REFUSED:
        assert refusal(control.create_job, **without(asked, **changes)) == (400, code), changes
    for name in ("Operation", "Report", "Priority", "RoleArn"):
        assert refusal(control.create_job, **without(asked, **{name: None})) == (400, "BadRequestException"), name


JOB = "/v20180820/jobs/0f0e0d0c-1111-4222-8333-abcdefabcdef"
ODD = [
    ("GET", "/v20180820/jobs/", "", (404, "NotFoundException")),
    ("GET", "/v20180820/jobs/x", "", (404, "NotFoundException")),
    ("GET", JOB.replace(JOB[-36:], JOB[-36:].upper()), "", (404, "NotFoundException")),
    ("GET", "/v20180820/jobs/%00", "", (404, "NotFoundException")),
    ("GET", JOB, "", (404, "NotFoundException")),
    ("GET", f"{JOB}/tagging", "", (501, "NotImplemented")),
    ("POST", f"{JOB}/status", "requestedJobStatus=Ready", (404, "NotFoundException")),
    ("POST", f"{JOB}/priority", "priority=1", (404, "NotFoundException")),
    ("GET", "/v20180820/jobs", "jobStatuses=x", (400, "InvalidRequestException")),
    ("GET", "/v20180820/jobs", "maxResults=1001", (400, "BadRequestException")),
    ("GET", "/v20180820/jobs", "maxResults=x", (400, "BadRequestException")),
    ("GET", "/v20180820/jobs", "nextToken=x", (400, "InvalidNextTokenException")),
    ("POST", "/v20180820/jobs", "", (400, "MalformedXML")),
    ("PUT", "/v20180820/jobs", "", (501, "NotImplemented")),
]


def test_odd_requests(world: World, raw: RawClient) -> None:
    for method, path, query, answer in ODD:
        target = f"{path}?{query}" if query else path
        response = raw.request(method, target, {"x-amz-account-id": world.account_id}, b"")
        assert response.refusal == answer, target


def test_values_of_a_job(world: World, raw: RawClient, new_key: str, role: str) -> None:
    job_id = world.create(make_bucket(world.s3), new_key, role, ConfirmationRequired=True)
    headers = {"x-amz-account-id": world.account_id}
    for query in ("", "priority=", "priority=-1", "priority=2147483648", "priority=x"):
        response = raw.request("POST", f"/v20180820/jobs/{job_id}/priority?{query}", headers, b"")
        assert response.refusal == (400, "BadRequestException"), query
    long = f"requestedJobStatus=Cancelled&statusUpdateReason={'x' * 257}"
    for query in ("", "requestedJobStatus=", "requestedJobStatus=Active", long):
        response = raw.request("POST", f"/v20180820/jobs/{job_id}/status?{query}", headers, b"")
        assert response.refusal == (400, "BadRequestException"), query
    world.control.update_job_status(AccountId=world.account_id, JobId=job_id, RequestedJobStatus="Cancelled")


def test_nobody_and_the_command_line(world: World, raw: RawClient, new_key: str, role: str) -> None:
    """Jobs of the command line are others: neither tells of those of the other."""
    for method, path in (("GET", "/v20180820/jobs"), ("POST", "/v20180820/jobs"), ("GET", JOB)):
        response = raw.send(method, path, {"host": raw.host, "x-amz-account-id": world.account_id})
        assert response.refusal == (403, "AccessDenied")
    job_id = world.create(make_bucket(world.s3), new_key, role)
    world.ended(job_id)
    listed = json.loads(world.gateway.sealgate("jobs", "list", str(world.gateway.data), "--json").stdout)
    assert job_id.replace("-", "") not in str(listed)
    data = str(world.gateway.data)
    assert world.gateway.sealgate("jobs", "status", data, job_id.replace("-", ""), check=False).returncode == 1

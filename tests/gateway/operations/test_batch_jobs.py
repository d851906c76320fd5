"""Jobs of S3 Batch Operations that are interrupted at every step, that meet others, and that are too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.operations.jobs import batch_jobs, batch_runner
from gateway.operations.jobs.batch_jobs import BatchJob, BatchJobs
from gateway.operations.jobs.batch_runner import BatchRunner, RoleRefused
from gateway.operations.rows import UPDATE_OBJECT_ENCRYPTION
from gateway.protocol.batch_jobs import ENDED, EncryptionFilter, JobStatus, NewJob, ObjectFilter
from gateway.protocol.errors import S3Error
from gateway.protocol.modes import Mode, Wrap
from gateway.protocol.xml.documents.object_encryption import ObjectEncryption
from gateway.sealing.data_keys import DataKeys
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.index.interface import Index
from iam.principals import Caller, root_principal
from kms.api.errors import KMSUnavailable
from tests.gateway.gateway_in_process import ACCOUNT_ID, OTHER_ACCOUNT_ID, InProcessGateway, in_process_gateway
from tests.gateway.operations.test_rewrap_jobs import Killed, Steps, create_key, versions_of

OBJECTS = 3


class Roles:
    """The root user of the job's account, until it is refused."""

    is_refused = False

    def assume(self, role_arn: str, account_id: str, job_arn: str, request_id: str) -> Caller:
        if self.is_refused:
            raise RoleRefused("no")
        return Caller(root_principal(account_id), request_id)


@dataclass
class World:
    gateway: InProcessGateway
    key: str
    roles: Roles

    @property
    def jobs(self) -> BatchJobs:
        services = self.gateway.services
        return BatchJobs(services.index, services.rows, services.integrity_event)

    def runner(self, steps: Steps | None = None, owner: str = "a", slice_seconds: float = 0.0) -> BatchRunner:
        services = self.gateway.services
        if steps is not None:
            index = cast(Index, steps.counted(services.index))
            services = replace(services, index=index, blobs=cast(BlobStore, steps.counted(services.blobs)))
        return BatchRunner(
            services,
            self.roles,
            UPDATE_OBJECT_ENCRYPTION,
            owner=owner,
            via_service="s3.us-east-1.amazonaws.com",
            slice_seconds=slice_seconds,
        )

    def asked(self, token: str = "t", **changes: Any) -> NewJob:
        encryption = ObjectEncryption(self.key, ACCOUNT_ID)
        role = f"arn:aws:iam::{ACCOUNT_ID}:role/r"
        return replace(NewJob(token, role, 1, encryption, "bkt", "arn:aws:s3:::bkt"), **changes)

    async def create(self, token: str = "t", account_id: str = ACCOUNT_ID, **changes: Any) -> str:
        return await self.jobs.create(account_id, self.asked(token, **changes))

    async def job(self, job_id: str) -> BatchJob:
        return await self.jobs.get(ACCOUNT_ID, job_id)

    async def run(self, job_id: str, **options: Any) -> BatchJob:
        runner = self.runner(**options)
        for _ in range(200):
            await runner.run_open()
            job = await self.job(job_id)
            if job.status in ENDED:
                return job
        raise AssertionError(f"it is still {job.status}")

    async def keys(self) -> list[str | None]:
        listing = (await self.gateway.call("GET", "/bkt", query={"versions": ""})).body
        answers = [
            await self.gateway.call("HEAD", f"/bkt/{key}", query={"versionId": version_id})
            for key, version_id in versions_of(listing)
        ]
        return [answer.headers.get("x-amz-server-side-encryption-aws-kms-key-id") for answer in answers]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(batch_runner, "LEASE_SECONDS", 0.0)  # a dead owner's ends at once
    async with in_process_gateway(tmp_path) as gateway:
        assert (await gateway.call("PUT", "/bkt")).status == 200
        for number in range(OBJECTS):
            assert (await gateway.call("PUT", f"/bkt/{number}", body=b"body")).status == 200
        yield World(gateway, await create_key(gateway), Roles())


async def test_one_task_a_slice(world: World) -> None:
    job_id = await world.create()
    runner = world.runner()
    seen = []
    for _ in range(7):
        await runner.run_open()
        job = await world.job(job_id)
        seen.append((job.status, job.document.succeeded))
    working = [(JobStatus.ACTIVE, number) for number in range(OBJECTS + 1)]
    assert seen == [(JobStatus.PREPARING, 0), (JobStatus.READY, 0), *working, (JobStatus.COMPLETE, OBJECTS)]


@pytest.mark.usefixtures("unrecorded")
async def test_killed_at_every_step(world: World) -> None:
    """Whoever goes on finds all of it done; what was done and not noted is not done to anything else."""
    end = 0
    while True:
        job_id = await world.create(f"t{end}")
        steps = Steps(end)
        with suppress(Killed):
            await world.run(job_id, steps=steps, owner=f"victim {end}", slice_seconds=10.0)
        if steps.count < end:
            break
        job = await world.run(job_id, owner=f"next {end}")
        assert (job.status, job.document.number_failed) == (JobStatus.COMPLETE, 0), end
        assert await world.keys() == [world.key] * OBJECTS
        end += 1
    assert end > 20
    assert not world.gateway.events


async def test_a_kms_that_is_away_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_runner, "PAUSE_SECONDS", 0.0)
    job_id = await world.create()
    runner = world.runner()
    rewrap, calls = DataKeys.rewrap, 0

    async def away(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise KMSUnavailable("away")
        return await rewrap(*args, **kwargs)

    monkeypatch.setattr(DataKeys, "rewrap", away)
    for _ in range(20):
        await runner.run_open()
    job = await world.job(job_id)
    assert (job.status, job.document.succeeded, job.document.failed) == (JobStatus.COMPLETE, OBJECTS, {})
    assert calls == OBJECTS + 3


async def test_cancelled_while_it_works(world: World) -> None:
    job_id = await world.create()
    runner = world.runner()
    while (await world.job(job_id)).document.succeeded < 1:
        await runner.run_open()
    body = (await world.gateway.call(*_path(job_id), query={"requestedJobStatus": "Cancelled"}, headers=HEADERS)).body
    assert b"<Status>Cancelling</Status>" in body
    await runner.run_open()
    job = await world.job(job_id)
    assert (job.status, job.document.succeeded) == (JobStatus.CANCELLED, 1)
    assert sorted(map(str, await world.keys())) == sorted([world.key, "None", "None"])


HEADERS = {"x-amz-account-id": ACCOUNT_ID}


def _path(job_id: str) -> tuple[str, str]:
    told = f"{job_id[:8]}-{job_id[8:12]}-{job_id[12:16]}-{job_id[16:20]}-{job_id[20:]}"
    return "POST", f"/v20180820/jobs/{told}/status"


async def test_a_role_that_is_refused_meanwhile(world: World) -> None:
    job_id = await world.create()
    runner = world.runner()
    while (await world.job(job_id)).document.succeeded < 1:
        await runner.run_open()
    world.roles.is_refused = True
    await runner.run_open()
    job = await world.job(job_id)
    assert (job.status, job.document.succeeded, job.document.failure) == (JobStatus.FAILED, 1, ("AccessDenied", "no"))


async def test_a_bucket_of_the_same_name_is_another(world: World) -> None:
    job_id = await world.create(filter=ObjectFilter(prefix="0"))
    runner = world.runner()
    while (await world.job(job_id)).status is not JobStatus.ACTIVE:
        await runner.run_open()
    for number in range(OBJECTS):
        await world.gateway.call("DELETE", f"/bkt/{number}")
    await world.gateway.call("DELETE", "/bkt")
    await world.gateway.call("PUT", "/bkt")
    await world.gateway.call("PUT", "/bkt/0")
    job = await world.run(job_id)
    assert job.document.failure == ("NoSuchBucket", "The source bucket does not exist")
    assert await world.keys() == [None]


async def test_versions_that_came_later_are_left_alone(world: World) -> None:
    job_id = await world.create()
    runner = world.runner()
    while (await world.job(job_id)).status is not JobStatus.READY:
        await runner.run_open()
    await asyncio.sleep(0.002)
    await world.gateway.call("PUT", "/bkt/1", body=b"new")
    job = await world.run(job_id)
    assert (job.document.total, job.document.succeeded) == (OBJECTS - 1, OBJECTS - 1)
    assert (await world.keys()).count(None) == 1


async def test_a_job_most_of_whose_tasks_fail_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_runner, "THRESHOLD_TASKS", 2)
    other = world.key.replace(ACCOUNT_ID, OTHER_ACCOUNT_ID)
    job = await world.run(await world.create(encryption=ObjectEncryption(other, OTHER_ACCOUNT_ID)))
    assert (job.status, job.document.failed) == (JobStatus.FAILED, {"AccessDenied": 2})
    assert job.document.failure is not None
    assert job.document.failure[0] == "FailureThreshold"


async def test_priorities(world: World) -> None:
    """Each gets its turn, the higher ones first."""
    low, high = await world.create("low"), await world.create("high", priority=9)
    runner = world.runner()
    order = []
    save = BatchJobs.save

    async def noted(self: BatchJobs, job: BatchJob, *args: Any, **kwargs: Any) -> BatchJob:
        order.append(job.job_id)
        return await save(self, job, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BatchJobs, "save", noted)
        for _ in range(3):
            await runner.run_open()
    assert order == [high, low] * 3


async def test_two_processes_share_jobs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_runner, "LEASE_SECONDS", 30.0)
    ids = [await world.create(str(number), filter=ObjectFilter(prefix=str(number))) for number in range(OBJECTS)]
    runners = [world.runner(owner=owner) for owner in ("a", "b")]
    for _ in range(20):
        await asyncio.gather(*(runner.run_open() for runner in runners))
    for job_id in ids:
        job = await world.job(job_id)
        assert (job.status, job.document.total, job.document.succeeded) == (JobStatus.COMPLETE, 1, 1)


async def test_too_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_jobs, "MAX_OPEN", 2)
    monkeypatch.setattr(batch_jobs, "MAX_OPEN_OF_ALL", 3)
    await world.create("1")
    await world.create("2")
    with pytest.raises(S3Error, match="TooManyRequestsException"):
        await world.create("3")
    await world.create("1", OTHER_ACCOUNT_ID)
    with pytest.raises(S3Error, match="TooManyRequestsException"):
        await world.create("2", OTHER_ACCOUNT_ID)
    assert await world.create("1")


async def test_ended_jobs_are_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_jobs, "MAX_KEPT", 2)
    ids = []
    for number in range(4):
        ids.append(await world.create(str(number), bucket="nowhere"))
        await world.run(ids[-1])
    assert [job.job_id for job in await world.jobs.of_account(ACCOUNT_ID)] == [ids[3], ids[2]]
    monkeypatch.setattr(batch_jobs, "KEPT_SECONDS", -1)
    last = await world.create("last")
    assert [job.job_id for job in await world.jobs.of_account(ACCOUNT_ID)] == [last]


async def test_a_job_that_was_tampered_with_is_told_once(world: World) -> None:
    job_id = await world.create()
    row = (await world.job(job_id)).row
    await world.gateway.index.delete_batch_job(job_id)
    await world.gateway.index.add_batch_job(replace(row, state=JobStatus.ACTIVE))
    runner = world.runner()
    for _ in range(3):
        assert not await runner.run_open()
    assert world.gateway.events == [("row", f"job {job_id} is not authentic")]
    assert await world.jobs.of_account(ACCOUNT_ID) == []
    assert await world.keys() == [None] * OBJECTS


def test_each_filter() -> None:
    plain, kms, cached = Wrap(Mode.SSE_S3, b""), Wrap(Mode.SSE_KMS, b"", "k"), Wrap(Mode.SSE_KMS_BUCKET_KEY, b"", "k")
    wanted = [
        (EncryptionFilter("SSE-S3"), [plain]),
        (EncryptionFilter("SSE-KMS"), [kms, cached]),
        (EncryptionFilter("SSE-KMS", "k", True), [cached]),
        (EncryptionFilter("SSE-KMS", None, False), [kms]),
        (EncryptionFilter("SSE-KMS", "x"), []),
        (EncryptionFilter("NOT-SSE"), []),
    ]
    for asked, matching in wanted:
        found = ObjectFilter(encryption=(asked,))
        assert [each for each in (plain, kms, cached) if found.matches(b"", 0, 0, each)] == matching
    none = ObjectFilter(encryption=())
    assert not none.matches(b"", 0, 0, plain)

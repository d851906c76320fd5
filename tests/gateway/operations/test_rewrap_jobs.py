"""Rewrap jobs that are interrupted at every step, and that meet others' writes: nothing but wraps ever changes."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from gateway.operations.jobs import rewrap_runner
from gateway.operations.jobs.rewrap_jobs import JobState, RewrapDocument, RewrapJobs
from gateway.operations.jobs.rewrap_runner import RewrapRunner
from gateway.operations.key_usage import count_usage
from gateway.sealing.errors import SealingError
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.index.interface import Index
from gateway.storage.index.records import ObjectRow
from gateway.storage.sweep import Sweeper
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from tests.gateway.gateway_in_process import InProcessGateway, in_process_gateway

SSE = "x-amz-server-side-encryption"
NOT_OF_THE_OBJECT = {f"{SSE}-aws-kms-key-id"}


class Killed(BaseException):
    """As SIGKILL: nothing handles it."""


@dataclass
class Steps:
    """Counts the calls of a job to index, blob store and KMS, and ends it before the call of number `end`."""

    end: int | None = None
    count: int = 0

    def step(self) -> None:
        if self.count == self.end:
            raise Killed
        self.count += 1

    def counted(self, target: Any) -> Any:
        steps = self

        class Counted:
            def __getattr__(self, name: str) -> Any:
                found = getattr(target, name)

                async def call(*args: Any, **kwargs: Any) -> Any:
                    steps.step()
                    return await found(*args, **kwargs)

                return call

        return Counted()


@dataclass
class World:
    gateway: InProcessGateway
    source: str
    target: str

    @property
    def jobs(self) -> RewrapJobs:
        return RewrapJobs(self.gateway.index, self.gateway.services.rows, self.gateway.services.integrity_event)

    def runner(self, steps: Steps | None = None, owner: str = "a", kms: KeyService | None = None) -> RewrapRunner:
        steps, services = steps or Steps(), self.gateway.services
        index = cast(Index, steps.counted(self.gateway.index))
        return RewrapRunner(
            RewrapJobs(index, services.rows, services.integrity_event),
            kms=kms or self.gateway.kms,
            index=index,
            blobs=cast(BlobStore, steps.counted(services.blobs)),
            rows=services.rows,
            data_keys=services.data_keys,
            inline_limit_bytes=services.inline_limit_bytes,
            integrity_event=services.integrity_event,
            owner=owner,
            via_service="s3.us-east-1.amazonaws.com",
        )

    async def begin(self, **changes: Any) -> str:
        return (await self.jobs.begin(RewrapDocument(self.source, self.target, **changes))).job_id

    async def put(self, key: str, body: bytes, algorithm: str = "aws:kms", **headers: str) -> None:
        sse = {SSE: algorithm, f"{SSE}-aws-kms-key-id": self.source}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        assert (await self.gateway.call("PUT", f"/bkt/{key}", headers={**sse, **named}, body=body)).status == 200

    async def everything(self) -> list[Any]:
        """All versions, bodies and headers that clients can see, but for the name of the KMS key."""
        listing = (await self.gateway.call("GET", "/bkt", query={"versions": ""})).body
        told: list[Any] = [listing]
        for key, version_id in versions_of(listing):
            answer = await self.gateway.call("GET", f"/bkt/{key}", query={"versionId": version_id})
            headers = {name: value for name, value in answer.headers.items() if name not in NOT_OF_THE_OBJECT}
            told.append((key, version_id, answer.status, headers, answer.body))
        return told

    async def blobs(self) -> set[bytes]:
        """Of bodies, whatever key they are under."""
        return {blob_id for row in await self.rows() for blob_id in row.blob_ids}

    async def rows(self) -> list[ObjectRow]:
        found: list[ObjectRow] = []
        for key_arn in (self.source, self.target):
            page = await self.gateway.index.list_objects_of_key(key_arn, after=None, limit=1000)
            found += [each.row for each in page.objects]
        return found

    async def check_nothing_is_left(self) -> None:
        """After a sweep the store has the blobs of rows, and no others."""
        index, blobs = self.gateway.index, self.gateway.services.blobs
        sweeper = Sweeper(index, blobs, "s", condemned_grace_seconds=-1, orphan_grace_seconds=-1)
        await sweeper.sweep()
        stored = {blob_id async for blob_id in blobs.scan(before_ms=2**48 - 1)}
        bodies = await self.blobs()
        assert stored <= bodies | {row.manifest_id for row in await self.rows()}
        assert len(stored & bodies) == 1  # the large one; the others lie in the index

    async def left(self) -> int:
        return await self.gateway.index.count_objects_of_key(self.source)


def versions_of(listing: bytes) -> list[tuple[str, str]]:
    found = []
    for element in ElementTree.fromstring(listing):
        if element.tag.endswith("}Version"):
            texts = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
            found.append((texts["Key"], texts["VersionId"]))
    return found


async def create_key(gateway: InProcessGateway) -> str:
    """The ARN of a new KMS key."""
    target = {"X-Amz-Target": "TrentService.CreateKey"}
    answer = await gateway.call("POST", "/", service="kms", headers=target, body=b"{}")
    return str(json.loads(answer.body)["KeyMetadata"]["Arn"])


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(rewrap_runner, "LEASE_SECONDS", 0.0)  # a dead owner's ends at once
    monkeypatch.setattr(rewrap_runner, "NOTE_SECONDS", 0.0)  # a note after each version
    monkeypatch.setattr(rewrap_runner, "PAUSE_SECONDS", 0.01)
    async with in_process_gateway(tmp_path) as gateway:
        made = World(gateway, await create_key(gateway), await create_key(gateway))
        assert (await gateway.call("PUT", "/bkt")).status == 200
        await fill(made)
        yield made
        assert gateway.events == []


async def fill(world: World) -> None:
    status = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert (await world.gateway.call("PUT", "/bkt", query={"versioning": ""}, body=status)).status == 200
    for number in range(3):
        await world.put("versions", bytes(number), x_amz_meta_number=str(number))
    assert (await world.gateway.call("DELETE", "/bkt/versions")).status == 204
    await world.put("large", bytes(70_000), "aws:kms:dsse", x_amz_tagging="a=b")
    await world.put("bucket key", b"x", x_amz_server_side_encryption_bucket_key_enabled="true")
    for key in ("copy", "copy of it"):
        source = {"x-amz-copy-source": "/bkt/bucket%20key"}
        headers: Mapping[str, str] = {**source, SSE: "aws:kms", f"{SSE}-aws-kms-key-id": world.source}
        assert (await world.gateway.call("PUT", f"/bkt/{key}", headers=headers)).status == 200


@pytest.mark.parametrize("reencrypt", [False, True])
async def test_ended_at_every_step_it_has_changed_nothing_but_keys(world: World, reencrypt: bool) -> None:
    before, total = await world.everything(), await world.left()
    blobs = await world.blobs()
    await asyncio.sleep(0.002)  # blob ids count milliseconds
    job_id = await world.begin(reencrypt=reencrypt)
    end, generation = 0, 0
    while (await world.jobs.get(job_id)).state is JobState.ACTIVE:
        # Each attempt comes one step further than the one before; together they must get to the end.
        steps, generation = Steps(end), generation + 1
        try:
            await world.runner(steps, owner=f"owner {generation}").run(job_id)
        except Killed:
            end += 1
            assert await world.everything() == before
            left = await world.left()
            assert 0 <= left <= total
            total = left
        assert generation < 500
    assert await world.left() == 0
    assert await world.everything() == before
    job = (await world.jobs.get(job_id)).document
    assert (job.failed, job.waiting) == ({}, None)
    kept = await world.blobs() & blobs
    assert kept == (set() if reencrypt else blobs)
    await world.check_nothing_is_left()


async def test_within_one_key_each_version_is_sealed_anew_once(world: World) -> None:
    world.target = world.source
    before, total, blobs = await world.everything(), await world.left(), await world.blobs()
    rotate = json.dumps({"KeyId": world.source}).encode()
    headers = {"X-Amz-Target": "TrentService.RotateKeyOnDemand"}
    assert (await world.gateway.call("POST", "/", service="kms", headers=headers, body=rotate)).status == 200
    await asyncio.sleep(0.002)
    job_id = await world.begin(reencrypt=True)
    await world.runner().run(job_id)
    job = await world.jobs.get(job_id)
    assert job.state is JobState.COMPLETE
    assert (job.document.seen, job.document.done, job.document.failed) == (total, total, {})
    assert not await world.blobs() & blobs
    assert await world.gateway.index.count_objects_of_key(world.source, before_version=2) == 0
    assert await world.everything() == before
    await world.check_nothing_is_left()


async def test_what_was_sealed_anew_is_of_no_other_key(world: World) -> None:
    job_id = await world.begin(reencrypt=True)
    await world.runner().run(job_id)
    usage = await count_usage(world.gateway.index, world.gateway.services.rows, world.target)
    assert usage.total.only == usage.total.versions


async def test_damaged_data_is_refused_and_reported(world: World) -> None:
    for path in world.gateway.blobs_directory.rglob("*"):
        if path.is_file():
            path.write_bytes(bytes([path.read_bytes()[0]]) + bytes(path.stat().st_size - 1))
    job_id = await world.begin(reencrypt=True)
    await world.runner().run(job_id)
    document = (await world.jobs.get(job_id)).document
    assert document.failed == {"Damaged": 1}
    assert [each.key for each in document.failures] == ["large"]
    assert [kind for kind, _ in world.gateway.events] == ["blob"]
    world.gateway.events.clear()


async def test_what_is_counted_is_what_was_done(world: World) -> None:
    total = await world.left()
    job_id = await world.begin()
    await world.runner().run(job_id)
    job = await world.jobs.get(job_id)
    document = job.document
    assert job.state is JobState.COMPLETE
    assert (document.total, document.seen, document.done, document.passed) == (total, total, total, 0)
    assert document.ended_us is not None


@pytest.mark.parametrize("seed", range(6))
async def test_others_that_write_meanwhile_win(world: World, seed: int) -> None:
    """Before any of its steps somebody puts, deletes or copies, or gives the object another key himself."""
    chance = random.Random(seed)
    written: dict[str, bytes] = {}

    async def interfere() -> None:
        key = chance.choice(["versions", "large", "bucket key", "copy"])
        kind = chance.randrange(3)
        if kind == 0:
            written[key] = chance.randbytes(20)
            await world.put(key, written[key])
        elif kind == 1:
            listing = (await world.gateway.call("GET", "/bkt", query={"versions": ""})).body
            versions = [each for each in versions_of(listing) if each[0] == key]
            if versions and key not in written:
                await world.gateway.call("DELETE", f"/bkt/{key}", query={"versionId": versions[0][1]})
        else:
            body = f"<ObjectEncryption><SSE-KMS><KMSKeyArn>{world.target}</KMSKeyArn></SSE-KMS></ObjectEncryption>"
            await world.gateway.call("PUT", f"/bkt/{key}", query={"encryption": ""}, body=body.encode())

    class Interfering(Steps):
        def counted(self, target: Any) -> Any:
            class Counted:
                def __getattr__(self, name: str) -> Any:
                    found = getattr(target, name)

                    async def call(*args: Any, **kwargs: Any) -> Any:
                        if chance.random() < 0.3:
                            await interfere()
                        return await found(*args, **kwargs)

                    return call

            return Counted()

    job_id = await world.begin()
    await world.runner(Interfering()).run(job_id)
    document = (await world.jobs.get(job_id)).document
    assert document.failed.keys() <= {"ChangedMeanwhile"}
    for key, body in written.items():
        assert (await world.gateway.call("GET", f"/bkt/{key}")).body == body
    listing = (await world.gateway.call("GET", "/bkt", query={"versions": ""})).body
    for key, version_id in versions_of(listing):
        answer = await world.gateway.call("GET", f"/bkt/{key}", query={"versionId": version_id})
        assert answer.status == 200


class Refusing:
    """A KMS that refuses so many calls first."""

    def __init__(self, kms: KeyService, error: KMSError, times: int) -> None:
        self._kms, self._error, self.times = kms, error, times

    async def call(self, *args: Any, **kwargs: Any) -> Any:
        if self.times:
            self.times -= 1
            raise self._error
        return await self._kms.call(*args, **kwargs)


@pytest.mark.parametrize("error", [KMSUnavailable("away", 1), KMSError("ThrottlingException", "enough")])
async def test_it_waits_for_a_kms_that_is_away_or_has_enough(world: World, error: KMSError) -> None:
    world.target = world.source  # which asks for the newest version first
    refusing = Refusing(world.gateway.kms, error, 3)
    job_id = await world.begin()
    await world.runner(kms=cast(KeyService, refusing)).run(job_id)
    job = await world.jobs.get(job_id)
    assert (job.state, job.document.failed, refusing.times) == (JobState.COMPLETE, {}, 0)


CHANGES = {
    "job_id": ["{0}00", "x", "{0[0]}{0[0]}{0}", "ABC"],
    "state": ["Paused", "Complete", "nonsense", ""],
    "created_us": [1, -1, 2**62],
    "revision": [2, 0, -1],
    "sealed": [b"", bytes(44), b"\xff" * 100],
}
"""Of each column that a job's row is not found by; `{0}` is what it was."""


@pytest.mark.parametrize("column", CHANGES)
async def test_a_job_that_was_tampered_with_is_reported_once_and_keeps_no_other_waiting(
    world: World, column: str
) -> None:
    index, runner, events = world.gateway.index, world.runner(), world.gateway.events
    left = await world.left()
    for value in CHANGES[column]:
        row = await index.get_batch_job(await world.begin(bucket="bkt"))
        changed = value.format(row.job_id) if isinstance(value, str) else value
        await index.delete_batch_job(row.job_id)
        await index.add_batch_job(replace(row, **{column: changed}))
        other = await world.begin(bucket="no such bucket")
        for _ in range(2):
            await runner.run_active()
        assert (await world.jobs.get(other)).state is JobState.COMPLETE
        job_id = changed if column == "job_id" else row.job_id
        event = ("row", f"job {job_id} is not authentic")
        assert events == ([event] if changed not in CHANGES["state"] else [])  # the others are not gone on with
        assert [job.job_id for job in await world.jobs.list()] == [other]
        assert events.pop() == event
        for ask in (world.jobs.get(job_id), world.jobs.set_state(job_id, JobState.CANCELLED)):
            with pytest.raises(SealingError):
                await ask
        events.clear()
        for each in await index.list_batch_jobs(limit=10):
            await index.delete_batch_job(each.job_id)
        assert await world.left() == left


async def test_the_document_of_another_job_is_refused(world: World) -> None:
    """Whole or with its clear columns: a job to another key cannot be made of one that somebody asked for."""
    index = world.gateway.index
    first, second = [await index.get_batch_job(await world.begin(dry_run=dry_run)) for dry_run in (True, False)]
    for forged in (replace(first, sealed=second.sealed), replace(second, job_id=first.job_id)):
        await index.delete_batch_job(first.job_id)
        await index.add_batch_job(forged)
        await world.runner().run(first.job_id)
        assert world.gateway.events.pop() == ("row", f"job {first.job_id} is not authentic")
    assert await world.left() > 0

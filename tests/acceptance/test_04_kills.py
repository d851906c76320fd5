"""kill -9 of a worker, of kmsd, of everything, during uploads: what was acknowledged is there, nothing is half-done."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.index.sqlite.index import open_sqlite_index
from gateway.storage.sweep import Sweeper, SweepReport
from tests.acceptance.conftest import StartGateway
from tests.acceptance.workload import Workload
from tests.harness import Gateway, wait_until

BUCKET = "kills"
SEED = 4
CHILDREN = ["gateway.worker", "kms.daemon"]
ROUNDS = [*CHILDREN, "everything", "supervisor", *CHILDREN, "everything"]
ACKNOWLEDGED_BETWEEN_KILLS = 25

pytestmark = pytest.mark.slow


def kill_one(gateway: Gateway, module: str, randoms: random.Random) -> None:
    """kill -9 of one child; returns when the supervisor has put another in its place."""
    before = gateway.children(module)
    victim = randoms.choice(before)
    os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        now = gateway.children(module)
        return victim not in now and len(now) == len(before)

    wait_until(replaced, f"{module} was started again")


def kill_supervisor(gateway: Gateway) -> None:
    """kill -9 of the supervisor alone: its children notice, and end by themselves."""
    assert gateway.process is not None
    gateway.process.kill()
    gateway.process.wait(30)
    gateway.process = None


def temporary_files(gateway: Gateway) -> list[Path]:
    return list((gateway.data / "store" / "tmp").glob("*/*"))


def stored_blobs(gateway: Gateway) -> set[str]:
    return {path.name for path in (gateway.data / "store" / "blobs").glob("*/*/*")}


def known_blobs(gateway: Gateway) -> set[str]:
    """Blobs in files that the index knows."""
    with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
        rows = index.execute("SELECT blob_id FROM blob WHERE is_inline = 0").fetchall()
    return {blob_id.hex() for (blob_id,) in rows}


async def sweep_in_two_days(gateway: Gateway) -> SweepReport:
    """One pass of the sweeper with a clock that is past every grace, over the data of a stopped gateway."""
    index = await open_sqlite_index(gateway.data / "index" / "index.sqlite")
    blobs = FileBlobStore(gateway.data / "store", "sweep")
    try:
        later = Sweeper(index, blobs, "test", clock_us=lambda: time.time_ns() // 1000 + 2 * 86_400 * 1_000_000)
        return await later.sweep()
    finally:
        await index.close()
        await blobs.close()


def abort_uploads(gateway: Gateway) -> None:
    s3 = gateway.client("s3")
    for upload in s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", []):
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"])


def test_acknowledged_objects_survive_every_kill(make_gateway: StartGateway) -> None:
    gateway = make_gateway(workers=2).start()
    gateway.client("s3").create_bucket(Bucket=BUCKET)
    kms_key = gateway.client("kms").create_key()["KeyMetadata"]["KeyId"]
    randoms = random.Random(SEED)
    workload = Workload(gateway, BUCKET, kms_key, clients=4, seed=SEED)
    for victim in ROUNDS:
        with workload.running():
            workload.wait_for_acknowledged(ACKNOWLEDGED_BETWEEN_KILLS)
            if victim == "everything":
                gateway.kill_all()
            elif victim == "supervisor":
                kill_supervisor(gateway)
            else:
                kill_one(gateway, victim, randoms)
                workload.wait_for_acknowledged(ACKNOWLEDGED_BETWEEN_KILLS)
        if victim not in CHILDREN:
            gateway.start()
        # Nobody writes now: whatever lies there was left by the dead, and nobody would ever remove it.
        assert temporary_files(gateway) == []
        workload.check()
    assert workload.unanswered >= len(ROUNDS) - 2  # the kills did hit writes; a restarting kmsd answers 503

    abort_uploads(gateway)
    gateway.stop()
    orphans = stored_blobs(gateway) - known_blobs(gateway)
    assert known_blobs(gateway) <= stored_blobs(gateway)
    report = asyncio.run(sweep_in_two_days(gateway))
    assert report.orphans == len(orphans)
    assert report.condemned_blobs > 0
    assert stored_blobs(gateway) == known_blobs(gateway)
    gateway.start()
    workload.check()


def test_an_orphan_is_swept_after_its_grace_and_not_before(make_gateway: StartGateway) -> None:
    """A blob whose writer died before its row: made here by taking the row away."""
    gateway = make_gateway().start()
    s3 = gateway.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="kept", Body=bytes(100_000))
    s3.put_object(Bucket=BUCKET, Key="lost", Body=bytes(100_000))
    gateway.stop()
    with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index, index:
        (lost,) = index.execute("SELECT blob_id FROM object_version WHERE key = ?", (b"lost",)).fetchone()
        index.execute("DELETE FROM object_version WHERE key = ?", (b"lost",))
        index.execute("DELETE FROM blob WHERE blob_id = ?", (lost,))
    gateway.environment["SEALGATE_STORAGE_SWEEP_SECONDS"] = "1"
    gateway.start()

    def has_looked_for_orphans() -> bool:
        """The job is done for the day."""
        with closing(sqlite3.connect(gateway.data / "index" / "index.sqlite")) as index:
            return bool(index.execute("SELECT 1 FROM job WHERE name = 'sweep-orphans' AND owner IS NULL").fetchone())

    wait_until(has_looked_for_orphans, "the running sweeper has looked")
    assert lost.hex() in stored_blobs(gateway)
    gateway.stop()
    assert asyncio.run(sweep_in_two_days(gateway)).orphans == 1
    assert stored_blobs(gateway) == known_blobs(gateway)
    gateway.start()
    assert gateway.client("s3").get_object(Bucket=BUCKET, Key="kept")["Body"].read() == bytes(100_000)

"""The trail as the key service uses it: written before the answer, synced for changes, failing closed, healing."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kms.audit import journal as journal_module
from kms.audit import writing
from kms.audit.checkpoints import MAX_UNCOVERED_LINES
from kms.audit.journal import Journal
from kms.audit.trail import MAX_QUEUED_LINES, AuditTrail, AuditUnavailable, TrailSettings
from kms.audit.verify import Report, Verifier
from tests.kms.audit.trails import SoftSigner, event, lines, records

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


class Disk:
    """Stands in for write(2) and fsync(2): fails while told to, waits while told to, counts."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.write_failure: OSError | None = None
        self.sync_failure: OSError | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.syncs = 0
        self._write = journal_module.write_all
        self._fsync = os.fsync
        monkeypatch.setattr(journal_module, "write_all", self.write_all)
        monkeypatch.setattr(os, "fsync", self.fsync)
        monkeypatch.setattr(writing, "RETRY_SECONDS", 0.01)

    def write_all(self, descriptor: int, data: bytes) -> None:
        assert self.go_on.wait(30)
        if self.write_failure is not None:
            raise self.write_failure
        self._write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        if self.sync_failure is not None:
            raise self.sync_failure
        self.syncs += 1
        self._fsync(descriptor)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(monkeypatch)
    yield disk
    disk.go_on.set()


@pytest.fixture
def signer() -> Iterator[SoftSigner]:
    signer = SoftSigner()
    yield signer
    signer.go_on.set()


@asynccontextmanager
async def trail(directory: Path, signer: SoftSigner, **settings: object) -> AsyncIterator[AuditTrail]:
    made = AuditTrail(TrailSettings(directory=directory, **settings), signer, lambda: 7)  # type: ignore[arg-type]
    made.start()
    try:
        yield made
    finally:
        await made.close()


def check(directory: Path, signer: SoftSigner, **options: object) -> Report:
    return Verifier(signer.public_keys(), **options).verify(directory)  # type: ignore[arg-type]


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


async def test_what_was_recorded_is_there_when_the_future_is_done(tmp_path: Path, signer: SoftSigner) -> None:
    async with trail(tmp_path, signer) as audit:
        await audit.record(event(1, "Encrypt"))
        [found] = records(tmp_path, "event")
        assert found["eventName"] == "Encrypt"


async def test_a_trail_of_many_callers_is_whole_and_ends_covered(tmp_path: Path, signer: SoftSigner) -> None:
    async with trail(tmp_path, signer, rotate_bytes=65_536) as audit:

        async def caller(number: int) -> None:
            for turn in range(40):
                await audit.record(event(number), is_durable=turn % 10 == 0)

        await asyncio.gather(*(caller(number) for number in range(32)))
    report = check(tmp_path, signer, ends_with_stop=True)
    assert (report.problems, report.events, report.is_stopped) == ([], 32 * 40, True)
    assert report.files > 3


async def test_events_of_one_caller_keep_their_order(tmp_path: Path, signer: SoftSigner) -> None:
    async with trail(tmp_path, signer) as audit:
        for number in range(50):
            audit.note(event(number))
    assert [record["requestID"] for record in records(tmp_path, "event")] == [f"REQUEST{n:09}" for n in range(50)]


async def test_a_trail_goes_on_over_restarts(tmp_path: Path, signer: SoftSigner) -> None:
    for number in range(3):
        async with trail(tmp_path, signer) as audit:
            await audit.record(event(number))
    report = check(tmp_path, signer, ends_with_stop=True)
    assert (report.problems, report.events, report.files) == ([], 3, 1)


async def test_reasons_of_checkpoints(tmp_path: Path, signer: SoftSigner) -> None:
    async with trail(tmp_path, signer, checkpoint_seconds=0.01, rotate_bytes=65_536) as audit:
        await until(lambda: records(tmp_path, "checkpoint"))
        await audit.record(event())
        await until(lambda: len(records(tmp_path, "checkpoint")) == 2)
        for number in range(300):
            await audit.record(event(number))
        await until(lambda: any(record["reason"] == "rotation" for record in records(tmp_path, "checkpoint")))
    made = records(tmp_path, "checkpoint")
    assert [record["reason"] for record in made[:2]] == ["start", "interval"]
    assert made[-1]["reason"] == "stop"
    assert {record["epoch"] for record in made} == {7}


async def test_many_lines_are_covered_before_the_interval_ends(tmp_path: Path, signer: SoftSigner) -> None:
    async with trail(tmp_path, signer, checkpoint_seconds=3600) as audit:
        await audit.record(event())
        for number in range(MAX_UNCOVERED_LINES):
            audit.note(event(number))
        await until(lambda: records(tmp_path, "checkpoint"))


async def test_no_checkpoint_is_made_of_checkpoints_alone(tmp_path: Path, signer: SoftSigner) -> None:
    async with trail(tmp_path, signer, checkpoint_seconds=0.005):
        await until(lambda: records(tmp_path, "checkpoint"))
        await asyncio.sleep(0.1)
        assert len(lines(tmp_path)) == 2


async def test_the_public_key_lies_beside_the_trail_with_those_before(tmp_path: Path) -> None:
    for count in (1, 2):
        async with trail(tmp_path, SoftSigner()) as audit:
            await audit.record(event())
        assert (tmp_path / "audit.pem").read_text().count("BEGIN PUBLIC KEY") == count


async def test_an_absent_hsm_stops_no_line_and_is_made_good(
    tmp_path: Path, signer: SoftSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms.audit.checkpoints.RETRY_SECONDS", 0.01)
    signer.failure = RuntimeError("no token")
    async with trail(tmp_path, signer, checkpoint_seconds=0.01) as audit:
        await audit.record(event(), is_durable=True)
        await until(lambda: audit.unsigned)
        assert audit.trouble is None
        audit.require_writable()
        assert records(tmp_path, "checkpoint") == []
        signer.failure = None
        await until(lambda: records(tmp_path, "checkpoint"))
        assert audit.unsigned is None
    assert check(tmp_path, signer, ends_with_stop=True).problems == []


async def test_a_hanging_hsm_stops_neither_lines_nor_the_end(
    tmp_path: Path, signer: SoftSigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "FINAL_CHECKPOINT_SECONDS", 0.05)
    signer.hangs = True
    async with trail(tmp_path, signer, checkpoint_seconds=0.005) as audit:
        await audit.record(event())
        await asyncio.to_thread(signer.entered.wait, 20)
        await audit.record(event(), is_durable=True)
    report = check(tmp_path, signer)
    assert (report.problems, report.events, report.covered) == ([], 2, 0)


async def test_a_signature_that_does_not_verify_is_not_written(tmp_path: Path, signer: SoftSigner) -> None:
    signer.sign = lambda digest: bytes(64)  # type: ignore[method-assign]
    async with trail(tmp_path, signer, checkpoint_seconds=0.01) as audit:
        await until(lambda: audit.unsigned)
        assert "does not verify" in (audit.unsigned or "")
    assert records(tmp_path, "checkpoint") == []


async def test_changes_wait_for_the_sync(tmp_path: Path, signer: SoftSigner, disk: Disk) -> None:
    async with trail(tmp_path, signer, checkpoint_seconds=3600) as audit:
        await audit.record(event(), is_durable=True)
        before = disk.syncs
        assert before >= 1
        await audit.record(event(), is_durable=True)
        assert disk.syncs > before


@pytest.mark.parametrize(("is_synced_first", "is_told"), [(True, True), (False, False)])
async def test_a_failed_sync_is_told_to_those_who_asked(
    tmp_path: Path, signer: SoftSigner, disk: Disk, is_synced_first: bool, is_told: bool
) -> None:
    async with trail(tmp_path, signer, is_synced_first=is_synced_first, checkpoint_seconds=3600) as audit:
        await audit.record(event(), is_durable=True)
        disk.sync_failure = OSError(errno.EIO, "Input/output error")
        if is_told:
            with pytest.raises(AuditUnavailable, match="Input/output"):
                await audit.record(event())
        else:
            await audit.record(event())
        await until(lambda: audit.trouble)
        disk.sync_failure = None
        await until(lambda: audit.trouble is None)
        await audit.record(event(), is_durable=True)
    report = check(tmp_path, signer, ends_with_stop=True)
    assert report.problems == []
    assert report.files >= 2
    assert "sync" in report.notes[0].sentence


async def test_a_full_disk_fails_closed_and_heals(tmp_path: Path, signer: SoftSigner, disk: Disk) -> None:
    async with trail(tmp_path, signer) as audit:
        await audit.record(event(1))
        disk.write_failure = NO_SPACE
        with pytest.raises(AuditUnavailable, match="No space"):
            await audit.record(event(2))
        for _ in range(3):
            with pytest.raises(AuditUnavailable, match="No space"):
                audit.require_writable()
        disk.write_failure = None
        await until(lambda: audit.trouble is None)
        audit.require_writable()
        await audit.record(event(3))
    [trouble] = records(tmp_path, "trouble")
    assert (trouble["lateLines"], trouble["lostLines"], trouble["refusedCalls"]) == (1, 0, 3)
    assert [record["requestID"] for record in records(tmp_path, "event")] == [f"REQUEST{n:09}" for n in (1, 2, 3)]
    assert check(tmp_path, signer, ends_with_stop=True).problems == []


async def test_a_trail_that_fails_open_answers_and_notes_what_was_lost(
    tmp_path: Path, signer: SoftSigner, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "MAX_OWED_BYTES", 2000)
    async with trail(tmp_path, signer, fails_closed=False) as audit:
        await audit.record(event())
        disk.write_failure = NO_SPACE
        for number in range(10):
            audit.require_writable()
            await audit.record(event(number), is_durable=True)
        assert audit.trouble
        disk.write_failure = None
        await until(lambda: audit.trouble is None)
    [trouble] = records(tmp_path, "trouble")
    late, lost = trouble["lateLines"], trouble["lostLines"]
    assert isinstance(late, int)
    assert isinstance(lost, int)
    assert late + lost == 10
    assert lost > 0
    assert len(records(tmp_path, "event")) == 1 + late
    assert check(tmp_path, signer, ends_with_stop=True).problems == []


async def test_a_directory_that_cannot_be_made_is_waited_for(tmp_path: Path, signer: SoftSigner, disk: Disk) -> None:
    (tmp_path / "place").write_text("a file is in the way")
    async with trail(tmp_path / "place", signer) as audit:
        await until(lambda: audit.trouble)
        with pytest.raises(AuditUnavailable):
            audit.require_writable()
        (tmp_path / "place").unlink()
        await until(lambda: audit.trouble is None)
        await audit.record(event())
    assert check(tmp_path / "place", signer, ends_with_stop=True).problems == []


async def test_what_waits_is_bounded(tmp_path: Path, signer: SoftSigner, disk: Disk) -> None:
    async with trail(tmp_path, signer) as audit:
        await audit.record(event())
        disk.go_on.clear()
        for _ in range(MAX_QUEUED_LINES):
            audit.require_writable()
            audit.note(event())
        with pytest.raises(AuditUnavailable, match="more lines"):
            audit.require_writable()
        disk.go_on.set()
        await until(lambda: len(audit._pending) == 0 and audit._settled == audit._taken)
        audit.require_writable()


async def test_a_caller_that_gives_up_takes_no_line_with_it(tmp_path: Path, signer: SoftSigner) -> None:
    async with trail(tmp_path, signer) as audit:
        future = audit.record(event(1))
        future.cancel()
        await audit.record(event(2))
    assert len(records(tmp_path, "event")) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_real_full_device_gives_the_error_that_is_handled(tmp_path: Path) -> None:
    journal = Journal(tmp_path, rotate_bytes=1 << 20, rotate_seconds=1000)
    head = journal.head
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._descriptor)
    os.close(full)
    with pytest.raises(OSError, match="No space left"):
        journal.append([b'{"record":"event"}'])
    assert journal.head == head
    journal.close()

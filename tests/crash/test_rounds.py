"""A few rounds of `python -m tests.crash`; thousands are in docs/durability.md."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.crash.disk import MISSING, Operation, Place, Step
from tests.crash.history import history_rounds
from tests.crash.jobs import Job
from tests.crash.kill import JobStep, Target, kill_rounds
from tests.crash.power import Report, check, noted_run, rounds_of_run
from tests.crash.progress import Progress
from tests.crash.replay import Luck, Replay
from tests.crash.several import several_rounds
from tests.hsm_faults.build import find_compiler
from tests.postgresql import MISSING as NO_POSTGRESQL
from tests.postgresql import find_postgresql

pytestmark = pytest.mark.slow
needs_compiler = pytest.mark.skipif(find_compiler() is None, reason=MISSING)

CHECKED_OPERATIONS = 200

TARGETS: list[Target] = [
    Step(Operation.RENAME, Place.BLOBS, True),
    Step(Operation.SYNC, Place.INDEX, True),
    Step(Operation.WRITE, Place.AUDIT, True),
    JobStep(Job.REENCRYPT, Step(Operation.RENAME, Place.BLOBS, False)),
    JobStep(Job.LIFECYCLE, Step(Operation.SYNC, Place.INDEX, False)),
    "everything",
]


@needs_compiler
def test_nothing_acknowledged_is_lost_by_kills_at_steps(tmp_path: Path) -> None:
    report = kill_rounds(tmp_path, progress=Progress(len(TARGETS)), seed=1, targets=TARGETS)
    assert report.problems == []
    assert set(report.kills) == {str(target) for target in TARGETS}


@needs_compiler
def test_nothing_acknowledged_is_lost_with_the_power_and_it_would_be_seen(tmp_path: Path) -> None:
    with noted_run(tmp_path, writes=60, seed=1) as run:
        report = Report()
        rounds_of_run(run, tmp_path, report, Progress(2), seed=1)
        assert (report.rounds, report.problems) == (2, [])
        records = list(run.disk.records())
        forgetful = [each for each in records[len(records) // 2 :] if each.operation is not Operation.SYNCED]
        after = tmp_path / "after"
        after.mkdir()
        Replay([*records[: len(records) // 2], *forgetful], run.root_inode).write(after, Luck.LOST, random.Random(1))
        assert check(run, after / "data", run.moments[-1]) != []


@pytest.mark.skipif(find_postgresql() is None, reason=NO_POSTGRESQL)
def test_what_clients_of_several_gateways_see_while_all_fails_is_one_order(tmp_path: Path) -> None:
    report = several_rounds(tmp_path, progress=Progress(1), seed=1, operations=CHECKED_OPERATIONS)
    assert report.problems == []
    assert report.operations.total() >= CHECKED_OPERATIONS


def test_what_many_clients_see_across_kills_is_one_order(tmp_path: Path) -> None:
    report = history_rounds(tmp_path, progress=Progress(1), seed=1, operations=CHECKED_OPERATIONS)
    assert report.problems == []
    assert report.operations.total() >= CHECKED_OPERATIONS

"""Rounds of power loss: one run under load is noted, and for moments of it a disk is made as it may have been then.

On each a gateway is started; it must have what was acknowledged before that moment, and nothing that was not asked for.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from tests.crash.clients import Moments, Workload
from tests.crash.disk import Disk, Operation, make_gateway_on_disk
from tests.crash.progress import Progress
from tests.crash.replay import Luck, Replay
from tests.crash.underneath import problems
from tests.harness import Gateway

CLIENTS = 4
WRITES = 300
"""That are acknowledged while it is noted what the disk is told."""

ROUNDS_OF_A_RUN = 100
INITIALISED = 0
"""The mark after `sealgate init` returned; clients' moments follow."""


@dataclass(slots=True)
class Report:
    """`lost`: rounds by what became of that which was not synced."""

    lost: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rounds(self) -> int:
        return self.lost.total()

    def counts(self) -> Counter[str]:
        """As a tally has them."""
        counts = Counter({"rounds": self.rounds, "problems": len(self.problems), "seconds": round(self.seconds)})
        return counts + self.told + self.lost

    def lines(self) -> Iterator[str]:
        yield f"{self.rounds} power-loss rounds in {self.seconds:.0f} s"
        yield ", ".join(f"{count} {what}" for what, count in sorted(self.told.items()))
        yield from (f"  {count:5} {what}" for what, count in sorted(self.lost.items()))
        yield f"{len(self.problems)} problems"
        yield from self.problems[:50]


@dataclass(slots=True)
class Run:
    """`moments`: which moment of the clients, or INITIALISED, was the last before each record of the log."""

    disk: Disk
    root_inode: int
    workload: Workload
    moments: list[int]

    def cuts(self, randoms: random.Random) -> Iterator[int]:
        """Numbers of records to cut after: any, or those that follow an answer at once."""
        first = self.moments.index(INITIALISED)
        answers = [n for n in range(first, len(self.moments)) if self.moments[n] != self.moments[n - 1]]
        while True:
            if randoms.random() < 0.5:
                yield randoms.randrange(first, len(self.moments)) + 1
            else:
                yield min(randoms.choice(answers) + 1 + randoms.randrange(3), len(self.moments))


def _moments(disk: Disk) -> list[int]:
    moments, last = [], -1
    for record in disk.records():
        if record.operation is Operation.MARK:
            last = record.inode
        moments.append(last)
    return moments


@contextmanager
def noted_run(directory: Path, *, writes: int, seed: int, environment: dict[str, str] | None = None) -> Iterator[Run]:
    gateway, disk = make_gateway_on_disk(directory, workers=1, keeps_log=True)
    gateway.environment |= {"SEALGATE_STORAGE_SWEEP_SECONDS": "1", "SEALGATE_STORAGE_CONDEMNED_GRACE_SECONDS": "5"}
    gateway.environment |= environment or {}
    root_inode = gateway.data.parent.stat().st_ino
    gateway.init()
    disk.mark(INITIALISED)
    gateway.start()
    try:
        workload = Workload.make(gateway, clients=CLIENTS, seed=seed, moments=Moments(disk.mark))
        with workload.running():
            workload.wait_for_acknowledged(writes)
    finally:
        assert gateway.process is not None
        gateway.kill_all()
    yield Run(disk, root_inode, workload, _moments(disk))


def power_rounds(directory: Path, *, progress: Progress, seed: int, writes: int = WRITES) -> Report:
    """As many rounds as `progress` wants, a hundred of each noted run; ends with the first that finds a problem, whose
    disk stays."""
    report, began = Report(), time.monotonic()
    while progress.goes_on(report.rounds, report.problems):
        place = directory / f"run-{report.rounds}"
        place.mkdir()
        with noted_run(place, writes=writes, seed=seed + report.rounds) as run:
            rounds_of_run(run, place, report, progress, seed)
        report.told += run.workload.told
        if not report.problems:
            shutil.rmtree(place)
    report.seconds = time.monotonic() - began
    return report


def rounds_of_run(run: Run, place: Path, report: Report, progress: Progress, seed: int) -> None:
    randoms = random.Random(f"{seed} {report.rounds}")
    for cut in islice(run.cuts(randoms), ROUNDS_OF_A_RUN):
        if not progress.goes_on(report.rounds, report.problems):
            return
        luck = randoms.choice(list(Luck))
        after = place / f"after-{cut}"
        after.mkdir()
        Replay(islice(run.disk.records(), cut), run.root_inode).write(after, luck, randoms)
        what = f"after record {cut}, moment {run.moments[cut - 1]}, {luck}"
        report.problems += [f"{what}: {each}" for each in check(run, after / "data", run.moments[cut - 1])]
        report.lost[luck] += 1
        if report.problems:
            return
        shutil.rmtree(after)


def check(run: Run, data: Path, moment: int) -> list[str]:
    """What is wrong with the disk after the power is back, having been lost at that moment of the clients'."""
    gateway = Gateway(data, workers=1)
    try:
        gateway.start()
        found = run.workload.check_past(gateway, moment) if moment > INITIALISED else []
    except AssertionError as error:
        return [f"the gateway does not start: {error}"]
    finally:
        gateway.stop()
    return found + problems(data)

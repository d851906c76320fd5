"""Rounds of kill -9 under load: at random moments and at named steps; after each, everything acknowledged is there."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash import clients
from tests.crash.clients import BUCKETS, Workload
from tests.crash.disk import Disk, Operation, Place, Step, make_gateway_on_disk, wait_for_children
from tests.crash.underneath import problems, temporary_files
from tests.harness import Gateway, wait_until

WORKERS = 2
CLIENTS = 4
BEFORE_A_KILL = 4
"""Writes that are acknowledged between two kills, at least."""

STEP_SECONDS = 4.0
"""How long a step is waited for; nothing else may have come to it under the load of a moment."""

NOTES_SECONDS = 15.0
"""The same for the notes of the index, which are written every ten seconds if there is anything new."""

ROUNDS_OF_A_RUN = 200
"""On one gateway, which is stopped then, and its stores are looked at from beneath."""

NAMED_SHARE = 0.4
"""Of what clients do, while a step is waited for that only this brings about."""

_OPERATIONS = {
    Place.TEMPORARY: (Operation.OPEN, Operation.WRITE, Operation.SYNC),
    Place.BLOBS: (Operation.MKDIR, Operation.RENAME, Operation.SYNC_DIRECTORY, Operation.UNLINK),
    Place.INDEX: (Operation.WRITE, Operation.SYNC),
    Place.KEYS: (Operation.WRITE, Operation.SYNC),
    Place.IDENTITIES: (Operation.WRITE, Operation.SYNC),
    Place.AUDIT: (Operation.WRITE, Operation.SYNC),
    Place.STORE: (Operation.WRITE, Operation.SYNC, Operation.RENAME),
}
_NAMED = frozenset({Place.KEYS, Place.IDENTITIES, Place.AUDIT, Place.STORE})


def _steps(*places: Place) -> list[Step]:
    return [
        Step(operation, place, after) for place in places for operation in _OPERATIONS[place] for after in (False, True)
    ]


STEPS = _steps(*(place for place in _OPERATIONS if place is not Place.STORE))
RARE_STEPS = _steps(Place.STORE)
RARE_EVERY = 40
"""Rounds, in one of which a rare step is waited for."""
RANDOM = ("a worker", "kmsd", "a worker and kmsd", "everything")


@dataclass(slots=True)
class Report:
    """`kills` by what they hit; `not_reached` are steps that nothing came to while it was waited for."""

    kills: Counter[str] = field(default_factory=Counter)
    not_reached: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def rounds(self) -> int:
        return self.kills.total()

    def lines(self) -> Iterator[str]:
        yield f"{self.rounds} kill rounds in {self.seconds:.0f} s"
        yield ", ".join(f"{count} {what}" for what, count in sorted(self.told.items()))
        yield from (f"  {count:5} {what}" for what, count in sorted(self.kills.items()))
        yield from (f"  not reached in time {count} times: {what}" for what, count in sorted(self.not_reached.items()))
        yield f"{len(self.problems)} problems"
        yield from self.problems[:50]


class Killer:
    def __init__(self, gateway: Gateway, disk: Disk, seed: int) -> None:
        self._gateway = gateway
        self._disk = disk
        self._random = random.Random(f"{seed} killer")

    def kill(self, target: str | Step) -> bool:
        """Whether `target` was hit; whoever died is not yet replaced."""
        if isinstance(target, Step):
            return self._kill_at(target)
        time.sleep(self._random.random() * 0.2)  # a moment at random is what is asked for
        if target == "everything":
            self._gateway.kill_all()
            return True
        if "worker" in target:
            os.kill(self._random.choice(self._gateway.children("gateway.worker")), signal.SIGKILL)
        if "kmsd" in target:
            os.kill(self._gateway.children("kms.daemon")[0], signal.SIGKILL)
        return True

    def _kill_at(self, step: Step) -> bool:
        self._disk.kill_at(step, self._random.randint(1, 4))
        seconds = NOTES_SECONDS if step.place is Place.STORE else STEP_SECONDS
        deadline = time.monotonic() + seconds
        while not self._disk.has_killed and time.monotonic() < deadline:
            time.sleep(0.01)  # what happens is another process's
        self._disk.spare()
        return self._disk.has_killed


@contextmanager
def _gateway(directory: Path) -> Iterator[tuple[Gateway, Disk]]:
    gateway, disk = make_gateway_on_disk(directory, workers=WORKERS)
    gateway.environment |= {"SEALGATE_STORAGE_SWEEP_SECONDS": "1", "SEALGATE_STORAGE_CONDEMNED_GRACE_SECONDS": "1"}
    try:
        yield gateway, disk
    finally:
        gateway.stop()


def kill_rounds(directory: Path, *, rounds: int, seed: int, targets: list[str | Step] | None = None) -> Report:
    """So many rounds in runs on gateways below `directory`; ends at the first round that finds a problem, whose gateway
    stays.

    Without `targets` a third of the rounds kill at random moments, the others at each step in turn.
    """
    report, began = Report(), time.monotonic()
    randoms = random.Random(seed)
    while report.rounds < rounds and not report.problems:
        place = directory / f"run-{report.rounds}"
        place.mkdir()
        _run(place, min(report.rounds + ROUNDS_OF_A_RUN, rounds), seed + report.rounds, randoms, targets, report)
        if not report.problems:
            shutil.rmtree(place)
    report.seconds = time.monotonic() - began
    return report


def _target(turn: int, randoms: random.Random, targets: list[str | Step] | None) -> str | Step:
    if targets is not None:
        return targets[turn % len(targets)]
    if turn % 3 == 0:
        return randoms.choice(RANDOM)
    if turn % RARE_EVERY == 1:
        return randoms.choice(RARE_STEPS)
    return STEPS[(turn - turn // 3) % len(STEPS)]


def _run(
    directory: Path, rounds: int, seed: int, randoms: random.Random, targets: list[str | Step] | None, report: Report
) -> None:
    """Until `report` has so many rounds, or a problem."""
    with _gateway(directory) as (gateway, disk):
        gateway.init().start()
        workload = Workload.make(gateway, clients=CLIENTS, seed=seed)
        killer = Killer(gateway, disk, seed)
        while report.rounds < rounds and not report.problems:
            target = _target(report.rounds + report.not_reached.total(), randoms, targets)
            is_named = isinstance(target, Step) and target.place in _NAMED
            workload.make_named(NAMED_SHARE if is_named else clients.NAMED_SHARE)
            with workload.running():
                workload.wait_for_acknowledged(BEFORE_A_KILL)
                is_hit = killer.kill(target)
            (report.kills if is_hit else report.not_reached)[str(target)] += 1
            if gateway.process is None:
                gateway.start()
            report.problems += [f"after a kill {target}: {each}" for each in workload.check()]
            wait_until(lambda: not temporary_files(gateway.data), f"no temporary file is left after a kill {target}")
            if report.rounds == rounds or report.problems:
                wait_for_children(gateway, WORKERS)
                _look_beneath(gateway, report)
            if report.rounds % 20 == 0:
                print(f"{report.rounds} rounds, {len(report.problems)} problems", file=sys.stderr, flush=True)
        report.told += workload.told


def _look_beneath(gateway: Gateway, report: Report) -> None:
    s3 = gateway.client("s3")
    for bucket in BUCKETS:
        for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    gateway.stop()
    report.problems += problems(gateway.data)

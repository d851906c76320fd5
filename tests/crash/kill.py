"""Rounds of kill -9 under load: at random moments and at named steps; after each, everything acknowledged is there."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.clients import BUCKETS, Workload
from tests.crash.clients import NAMED_SHARE as USUAL_NAMED_SHARE
from tests.crash.disk import Disk, Operation, Place, Step, make_gateway_on_disk, wait_for_children
from tests.crash.jobs import Job, Jobs
from tests.crash.progress import Progress
from tests.crash.serve import PROGRAM
from tests.crash.underneath import problems, temporary_files
from tests.harness import Gateway, wait_until

WORKERS = 2
CLIENTS = 4
BEFORE_A_KILL = 4
"""Writes that are acknowledged between two kills, at least."""

STEP_SECONDS = 3.0
"""How long a step is waited for; nothing else may have come to it under the load of a moment."""

NOTES_SECONDS = 15.0
"""The same for the notes of the index, which are written every ten seconds if there is anything new."""

ROUNDS_OF_A_RUN = 100
"""On one gateway, which is stopped then, and its stores are looked at from beneath."""

ATTEMPTS = 20
"""To hit what was asked for by name."""

JOB_EVERY = 8
READ_EVERY = 8
"""Rounds after which everything is read, not only what was written to; so it is after a job that is killed, too."""

NAMED_SHARE = 0.5
"""Of a client's writes, those to users, aliases and KMS keys, while a step of their stores is waited for."""

SHORT_DAYS = {
    "SEALGATE_LIFECYCLE_EVERY_SECONDS": "0.5",
    "SEALGATE_LIFECYCLE_DAY_SECONDS": "1",
}
"""What a lifecycle rule covers goes within seconds."""

RENEWALS = {
    "SEALGATE_KMS_BUCKET_KEY_SECONDS": "1",
    "SEALGATE_KMS_BUCKET_KEY_WRAPS": "3",
}
"""Bucket keys are asked for anew each second, and made anew after three objects."""

_OPERATIONS = {
    Place.TEMPORARY: (Operation.OPEN, Operation.WRITE, Operation.SYNC),
    Place.BLOBS: (Operation.MKDIR, Operation.RENAME, Operation.SYNC_DIRECTORY, Operation.UNLINK),
    Place.INDEX: (Operation.WRITE, Operation.SYNC),
    Place.KEYS: (Operation.WRITE, Operation.SYNC),
    Place.IDENTITIES: (Operation.WRITE, Operation.SYNC),
    Place.AUDIT: (Operation.WRITE, Operation.SYNC),
    Place.STORE: (Operation.WRITE, Operation.SYNC, Operation.RENAME),
}
_NAMED = frozenset({Place.KEYS, Place.IDENTITIES, Place.STORE})


def _steps(*places: Place) -> list[Step]:
    return [
        Step(operation, place, after) for place in places for operation in _OPERATIONS[place] for after in (False, True)
    ]


STEPS = _steps(*(place for place in _OPERATIONS if place is not Place.STORE))
RARE_STEPS = _steps(Place.STORE)
RARE_EVERY = 40
"""Rounds, in one of which a rare step is waited for."""
RANDOM = ("a worker", "kmsd", "a worker and kmsd", "everything")


@dataclass(frozen=True, slots=True)
class JobStep:
    """A step of a job, while no client writes."""

    job: Job
    step: Step

    def __str__(self) -> str:
        return f"{self.step} in {self.job}"


_OF_A_REWRITE = (
    (Place.TEMPORARY, Operation.WRITE),
    (Place.TEMPORARY, Operation.SYNC),
    (Place.BLOBS, Operation.RENAME),
    (Place.BLOBS, Operation.SYNC_DIRECTORY),
)
_OF_A_JOB = ((Place.INDEX, Operation.WRITE), (Place.INDEX, Operation.SYNC))
JOB_STEPS = [
    JobStep(job, Step(operation, place, after))
    for job in Job
    for place, operation in (*_OF_A_JOB, *(_OF_A_REWRITE if job is Job.REENCRYPT else ()))
    for after in (False, True)
]
Target = str | Step | JobStep


def targets_of(seed: int) -> Iterator[Target]:
    """Without end: each fourth kills at a random moment, each eighth in a job, the others at each step in turn."""
    randoms = random.Random(seed)
    steps, job_steps = (itertools.cycle(randoms.sample(each, len(each))) for each in (STEPS, JOB_STEPS))
    for turn in itertools.count():
        if turn % RARE_EVERY == 2:
            yield randoms.choice(RARE_STEPS)
        elif turn % 4 == 0:
            yield randoms.choice(RANDOM)
        else:
            yield next(job_steps) if turn % 8 == 1 else next(steps)


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

    def counts(self) -> Counter[str]:
        """As a tally has them."""
        counts = Counter({"rounds": self.rounds, "problems": len(self.problems), "seconds": round(self.seconds)})
        counts += self.told + Counter({f"killed {what}": count for what, count in self.kills.items()})
        return counts + Counter({f"not reached: {what}": count for what, count in self.not_reached.items()})

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

    def kill(self, target: Target, begin: Callable[[], None] = lambda: None) -> bool:
        """Whether `target` was hit; whoever died is not yet replaced. `begin` has something come to a step."""
        if not isinstance(target, str):
            return self._kill_at(target.step if isinstance(target, JobStep) else target, begin)
        time.sleep(self._random.random() * 0.2)  # a moment at random is what is asked for
        if target == "everything":
            self._gateway.kill_all()
            return True
        if "worker" in target:
            os.kill(self._random.choice(self._gateway.children("gateway.worker")), signal.SIGKILL)
        if "kmsd" in target:
            os.kill(self._gateway.children("kms.daemon")[0], signal.SIGKILL)
        return True

    def _kill_at(self, step: Step, begin: Callable[[], None]) -> bool:
        self._disk.kill_at(step, self._random.randint(1, 4))
        begin()
        deadline = time.monotonic() + (NOTES_SECONDS if step.place is Place.STORE else STEP_SECONDS)
        while not self._disk.has_killed and time.monotonic() < deadline:
            time.sleep(0.01)  # what happens is another process's
        self._disk.spare()
        return self._disk.has_killed


@contextmanager
def _gateway(directory: Path) -> Iterator[tuple[Gateway, Disk]]:
    gateway, disk = make_gateway_on_disk(directory, workers=WORKERS, program=PROGRAM)
    gateway.environment |= {"SEALGATE_STORAGE_SWEEP_SECONDS": "1", "SEALGATE_STORAGE_CONDEMNED_GRACE_SECONDS": "1"}
    gateway.environment |= RENEWALS | SHORT_DAYS
    try:
        yield gateway, disk
    finally:
        gateway.stop()


def kill_rounds(directory: Path, *, progress: Progress, seed: int, targets: Iterable[Target] | None = None) -> Report:
    """As many rounds as `progress` wants, in runs on gateways below `directory`.

    Ends at the first that finds a problem, whose gateway stays. `targets`: what to kill one after the other, instead
    of `targets_of(seed)`, each until it is hit.
    """
    report, began = Report(), time.monotonic()
    chosen = iter(targets_of(seed) if targets is None else targets)
    while progress.goes_on(report.rounds, report.problems):
        place = directory / f"run-{report.rounds}"
        place.mkdir()
        is_over = _run(place, progress, chosen, 1 if targets is None else ATTEMPTS, seed + report.rounds, report)
        if not report.problems:
            shutil.rmtree(place)
        if is_over:
            break
    report.seconds = time.monotonic() - began
    return report


def _run(
    directory: Path, progress: Progress, targets: Iterator[Target], attempts: int, seed: int, report: Report
) -> bool:
    """Rounds on one gateway, whose stores are looked at then; whether there is no target left."""
    begun_with, is_over = report.rounds, True
    with _gateway(directory) as (gateway, disk):
        gateway.init().start()
        workload = Workload.make(gateway, clients=CLIENTS, seed=seed, may_expire=True)
        rounds = Rounds(gateway, workload, Killer(gateway, disk, seed), Jobs(gateway, workload.kms_keys, seed), report)
        for target in targets:
            any(rounds.one(target) for _ in range(attempts))
            is_over = report.rounds - begun_with >= ROUNDS_OF_A_RUN
            if is_over or not progress.goes_on(report.rounds, report.problems):
                break
        rounds.look_beneath()
        report.told += workload.told + rounds.jobs.ended
    return not is_over


@dataclass(slots=True)
class Rounds:
    gateway: Gateway
    workload: Workload
    killer: Killer
    jobs: Jobs
    report: Report

    def one(self, target: Target) -> bool:
        """Whether it was hit."""
        report, turn = self.report, self.report.rounds + self.report.not_reached.total()
        if self.jobs.are_many:
            report.problems += self.jobs.end()
        if isinstance(target, JobStep):
            is_hit = self.killer.kill(target, lambda: self.jobs.begin(target.job))
        else:
            if turn % JOB_EVERY == JOB_EVERY - 1:
                self.jobs.begin(list(Job)[turn // JOB_EVERY % len(Job)])
            is_named = isinstance(target, Step) and target.place in _NAMED
            for client in self.workload.clients:
                client.named_share = NAMED_SHARE if is_named else USUAL_NAMED_SHARE
            with self.workload.running():
                self.workload.wait_for_acknowledged(BEFORE_A_KILL)
                is_hit = self.killer.kill(target)
        (report.kills if is_hit else report.not_reached)[str(target)] += 1
        if self.gateway.process is None:
            self.gateway.start()
        wait_for_children(self.gateway, WORKERS)
        wait_until(lambda: not temporary_files(self.gateway.data), f"no temporary file is left after a kill {target}")
        self.workload.services.wait_until_open()
        is_read = isinstance(target, JobStep) or turn % READ_EVERY == 0
        report.problems += [f"after a kill {target}: {each}" for each in self.workload.check(everything=is_read)]
        return is_hit

    def look_beneath(self) -> None:
        """Once all jobs have ended and no upload is under way."""
        self.workload.services.wait_until_open()
        self.report.problems += self.jobs.end()
        self.report.problems += self.workload.check()
        s3 = self.workload.services.patient("s3")
        for bucket in BUCKETS:
            for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
        self.gateway.stop()
        self.report.problems += problems(self.gateway.data)

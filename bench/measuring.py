"""Cases run and what they took: medians of several runs with their spread, CPU time by process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from bench.endpoint import Endpoint, Usage
from bench.load import Run, drive
from bench.workloads import Case

WARM_UP = 8
"""One in so many of a case's requests is sent beforehand, uncounted, where more than one is."""


@dataclass(frozen=True, slots=True)
class Spread:
    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Result:
    """Of one case: CPU microseconds an operation (of all processes, and of each), operations a second, milliseconds.

    `gib_cpu_seconds` and `mib_per_second` where bytes are the point. Percentiles are over all runs together.
    """

    endpoint: str
    family: str
    name: str
    clients: int
    operations: int
    runs: int
    cpu_us: Spread
    cpu_us_of: dict[str, float]
    per_second: Spread
    first_byte_ms: dict[str, float]
    whole_ms: dict[str, float]
    resident_mib: dict[str, float]
    peak_mib: dict[str, float]
    mib_per_second: Spread | None = None
    gib_cpu_seconds: Spread | None = None

    def document(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a case: CPU microseconds an operation of each process, and what the clock says."""

    cpu_us: dict[str, float]
    run: Run
    usage: dict[str, Usage]


def take(endpoint: Endpoint, case: Case, number: int, settle_seconds: float) -> Sample:
    """Run number `number` of `case`, counted from 0; the first one after a warm-up.

    `settle_seconds` after it what a server does once it answered (syncs, unlinks) counts as that run's.
    """
    address = endpoint.raw.address
    requests = case.requests(number)
    if number == 0 and len(requests) >= WARM_UP and _may_repeat(requests[0].head):
        drive(address, requests[: len(requests) // WARM_UP], case.clients)
    before = endpoint.usage()
    run = drive(address, requests, case.clients)
    time.sleep(settle_seconds)
    after = endpoint.usage()
    spent = {name: usage.cpu_seconds - before[name].cpu_seconds for name, usage in after.items()}
    return Sample({name: seconds / len(requests) * 1e6 for name, seconds in spent.items()}, run, after)


def measure(endpoint: Endpoint, family: str, case: Case, runs: int, settle_seconds: float) -> Result:
    return summarise(endpoint, family, case, [take(endpoint, case, number, settle_seconds) for number in range(runs)])


def summarise(endpoint: Endpoint, family: str, case: Case, samples: Sequence[Sample]) -> Result:
    done = [sample.run for sample in samples]
    totals = [sum(sample.cpu_us.values()) for sample in samples]
    seconds = [run.seconds for run in done]
    count = done[0].count
    moved = case.body_bytes / (1 << 20)
    last = samples[-1]
    return Result(
        endpoint=endpoint.name,
        family=family,
        name=case.name,
        clients=case.clients,
        operations=count,
        runs=len(samples),
        cpu_us=Spread.of(totals),
        cpu_us_of={name: statistics.median(sample.cpu_us[name] for sample in samples) for name in last.cpu_us},
        per_second=Spread.of([count / each for each in seconds]),
        first_byte_ms=_percentiles(time for run in done for time in run.first_byte),
        whole_ms=_percentiles(time for run in done for time in run.whole),
        resident_mib={name: usage.resident_bytes / (1 << 20) for name, usage in last.usage.items()},
        peak_mib={name: usage.peak_bytes / (1 << 20) for name, usage in last.usage.items()},
        mib_per_second=Spread.of([count * moved / each for each in seconds]) if moved else None,
        gib_cpu_seconds=Spread.of([each / 1e6 / moved * 1024 for each in totals]) if moved else None,
    )


def _may_repeat(head: bytes) -> bool:
    """Whether the run is not spoilt by some of its requests having been sent before."""
    return head.startswith((b"GET", b"HEAD", b"POST", b"PUT"))


def _percentiles(seconds: Iterable[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    last = len(ordered) - 1
    return {
        name: ordered[min(last, int(share * len(ordered)))] * 1000
        for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
    }

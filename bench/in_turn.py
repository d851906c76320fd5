"""Several servers measured in turn: of each case every one answers a run before any answers its next one.

So whatever else the machine does meanwhile falls on all of them, and ratios hold where rates do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.endpoint import Endpoint
from bench.load import Refused
from bench.machine import describe
from bench.measuring import Result, Sample, summarise, take
from bench.plots import bars
from bench.workloads import FAMILIES, Bench, Case


@dataclass(slots=True)
class Contender:
    """One that serves, and what is known of it so far: for each case its results or why there are none.

    `note`: what it does and does not, for the reader of the table.
    """

    name: str
    note: str
    endpoint: Endpoint
    bench: Bench
    results: dict[str, Result] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def fail(self, what: str, error: Exception) -> None:
        self.failures[what] = str(error)[:300]
        print(f"{self.name:11} {what:30} failed: {error!s:.300}", flush=True)

    def cell(self, case: str) -> str:
        result = self.results.get(case)
        if result is None:
            return "none"
        shares = result.cpu_us_of
        cpu, of = f"{result.cpu_us.median:.0f} µs", ""
        if result.gib_cpu_seconds is not None:
            moved = result.gib_cpu_seconds.median / result.cpu_us.median
            cpu, shares = f"{result.gib_cpu_seconds.median:.2f} s", {each: us * moved for each, us in shares.items()}
        if len(shares) > 1:
            first, value = next(iter(shares.items()))
            of = f" ({first} {value:.2f})" if result.gib_cpu_seconds is not None else f" ({first} {value:.0f})"
        rate = f"{result.per_second.median:.0f}/s"
        if result.mib_per_second is not None:
            rate = f"{result.mib_per_second.median:.0f} MiB/s"
        return f"{cpu}{of}, {rate}"


def run_cases(contenders: Sequence[Contender], families: Sequence[str], runs: int, settle: float) -> None:
    for contender in contenders:
        contender.bench.make_bucket(contender.bench.bucket)
    for family in families:
        left = [(contender, FAMILIES[family](contender.bench)) for contender in contenders]
        while left:
            turn = [(contender, cases, _next(family, contender, cases)) for contender, cases in left]
            left = [(contender, cases) for contender, cases, case in turn if case is not None]
            answering = [(contender, case) for contender, _, case in turn if case is not None]
            if answering:
                run_case(answering, family, runs, settle)


def _next(family: str, contender: Contender, cases: Iterator[Case]) -> Case | None:
    """None after the last one, and where what comes before it was refused: then all that follow have no figures."""
    try:
        return next(cases, None)
    except (Refused, OSError) as error:
        contender.fail(family, error)
        return None


def run_case(turn: Sequence[tuple[Contender, Case]], family: str, runs: int, settle: float) -> None:
    samples: dict[str, list[Sample]] = {}
    for number in range(runs):
        for contender, case in turn:
            if case.name in contender.failures:
                continue
            try:
                sample = take(contender.endpoint, case, number, settle)
            except (Refused, OSError) as error:
                contender.fail(case.name, error)
                continue
            samples.setdefault(contender.name, []).append(sample)
    for contender, case in turn:
        if case.name not in contender.failures:
            contender.results[case.name] = summarise(contender.endpoint, family, case, samples[contender.name])
            print(f"{contender.name:11} {case.name:30} {contender.cell(case.name)}", flush=True)


def cases_of(contenders: Sequence[Contender]) -> list[str]:
    """The names of all cases that have figures anywhere, in their order."""
    return list(dict.fromkeys(name for each in contenders for name in each.results))


def table(contenders: Sequence[Contender]) -> str:
    names = cases_of(contenders)
    lines = [
        f"| CPU, rate | {' | '.join(each.name for each in contenders)} |",
        "|---" * (len(contenders) + 1) + "|",
    ]
    lines += [f"| {name} | {' | '.join(each.cell(name) for each in contenders)} |" for name in names]
    lines.append("")
    for each in contenders:
        lines.append(f"- {each.name}: {each.note}.")
        lines += [f"- {each.name}, {name}: no figures: `{why}`" for name, why in each.failures.items()]
    return "\n".join(lines) + "\n"


def write(place: Path, contenders: Sequence[Contender], settings: Mapping[str, object]) -> None:
    """A table and all figures, in a directory of `place` named after the time; said as well."""
    machine = describe()
    document = {
        "machine": machine,
        "settings": {name: str(value) for name, value in settings.items()},
        "servers": {
            each.name: {
                "note": each.note,
                "failures": each.failures,
                "results": [result.document() for result in each.results.values()],
            }
            for each in contenders
        },
    }
    directory = place / f"in-turn-{machine['date'].replace(':', '')}"
    directory.mkdir(parents=True)
    text = table(contenders)
    (directory / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    figures = {
        f"{name}: {each.name}": each.results[name].cpu_us.median
        for name in cases_of(contenders)
        for each in contenders
        if name in each.results
    }
    (directory / "cpu.svg").write_text(bars("CPU microseconds an operation", figures))
    described = "\n".join(f"- {name}: {value}" for name, value in machine.items())
    (directory / "results.md").write_text(f"{described}\n\n{text}")
    print(f"\n{text}\nwritten: {directory}", flush=True)

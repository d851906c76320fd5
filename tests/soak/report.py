"""What a soak says: problems, a table of all figures, JSON, plots in SVG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.plots import lines
from tests.soak.samples import Sample
from tests.soak.verdict import JUDGED_SECONDS, Judged, judge
from tests.soak.visitors import Told

PLOTS: Mapping[str, tuple[str, str | tuple[str, ...]]] = {
    "memory": ("resident memory, MiB", "resident MiB"),
    "descriptors": ("open descriptors", "descriptors"),
    "threads": ("threads", "threads"),
    "files": ("temporary files", "temporary files"),
    "wal": ("write-ahead logs, bytes", "WAL, bytes"),
    "blobs": ("blobs: files and rows", ("blobs in files", "blob rows")),
}


@dataclass(slots=True)
class Report:
    machine: Mapping[str, str]
    settings: Mapping[str, object]
    told: Told
    samples: list[Sample] = field(default_factory=list)
    weather: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Of the gateway as a whole; those that visitors saw are in `told`."""

    def all_problems(self) -> list[str]:
        return [*self.told.problems, *self.problems, *(each.line() for each in self.judged() if each.is_growing)]

    def judged(self) -> list[Judged]:
        return [judge(name, *series) for name, series in self._series().items()]

    def _series(self) -> dict[str, tuple[list[float], list[float]]]:
        found: dict[str, tuple[list[float], list[float]]] = {}
        for sample in self.samples:
            for name, value in sample.figures().items():
                seconds, values = found.setdefault(name, ([], []))
                seconds.append(sample.seconds)
                values.append(value)
        return found

    def write(self, directory: Path) -> None:
        told = self.told
        document = {
            "machine": dict(self.machine),
            "settings": dict(self.settings),
            "problems": self.all_problems(),
            "weather": dict(self.weather),
            "served": dict(told.served),
            "refused": dict(told.refused),
            "broken": dict(told.broken),
            "checks": told.checks,
            "figures": {
                each.name: {name: getattr(each, name) for name in Judged.__slots__ if name != "name"}
                for each in self.judged()
            },
        }
        (directory / "report.json").write_text(json.dumps(document, indent=1) + "\n")
        (directory / "report.md").write_text("\n".join(self.lines()) + "\n")
        series = self._series()
        for file, (title, suffix) in PLOTS.items():
            chosen = {name: series[name] for name in series if name.endswith(suffix)}
            (directory / f"{file}.svg").write_text(lines(title, chosen))

    def lines(self) -> list[str]:
        told, last = self.told, self.samples[-1] if self.samples else None
        seconds = last.seconds if last else 0.0
        asked = sum(each.total() for each in (told.served, told.refused, told.broken))
        text = [f"- {name}: {value}" for name, value in {**self.machine, **self.settings}.items()]
        text += [
            f"- {asked} requests in {seconds / 60:.1f} minutes ({asked / max(seconds, 1):.1f}/s): "
            f"{told.served.total()} as expected, {told.refused.total()} refused as the weather allows, "
            f"{told.broken.total()} connections broken; the longest took {told.longest_seconds:.1f} s",
            f"- {told.checks} times all that a client knew was compared",
            f"- weather: {', '.join(f'{count} times {kind}' for kind, count in self.weather.items()) or 'calm'}",
            *(f"- refused {count} times: {name}" for name, count in sorted(told.refused.items())),
            *(f"- broken {count} times: {name}" for name, count in sorted(told.broken.items())),
        ]
        if last:
            text.append(f"- answers: {', '.join(f'{int(n)} {status}' for status, n in sorted(last.answers.items()))}")
        if seconds < JUDGED_SECONDS:
            text.append(f"- too short for a verdict on growth, which needs {JUDGED_SECONDS / 60:.0f} minutes")
        text += ["", *_table(self.judged()), "", f"{len(self.all_problems())} problems"]
        return text + [f"- {each}" for each in self.all_problems()]


def _table(judged: Sequence[Judged]) -> list[str]:
    rows = ["| figure | second quarter | last quarter | most | slope an hour | may rise by | |", "|---" * 7 + "|"]
    for each in judged:
        allowed = "" if each.allowed is None else f"{each.allowed:,.1f}"
        verdict = "**grows**" if each.is_growing else ""
        figures = f"{each.before:,.1f} | {each.after:,.1f} | {each.most:,.1f} | {each.slope_per_hour:+,.2f}"
        rows.append(f"| {each.name} | {figures} | {allowed} | {verdict} |")
    return rows

"""What was measured, told: a line as each figure comes; then JSON, a table in Markdown, and plots in SVG."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.measuring import Result
from bench.plots import bars

HEADINGS = ("case", "clients", "CPU us/op", "spread", "of which", "per second", "p50 ms", "p99 ms", "p99.9 ms")


@dataclass(slots=True)
class Report:
    machine: Mapping[str, str]
    settings: Mapping[str, object]
    floors: Mapping[str, float] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, result: Result) -> None:
        self.results.append(result)
        cells = _cells(result)
        print(
            f"{cells[0]:34} {cells[2]:>9} us CPU ({cells[3]}; {cells[4]})  {cells[5]:>10}  p99 {cells[7]} ms",
            flush=True,
        )

    def fail(self, name: str, why: str) -> None:
        """A case that was not answered as expected has no figures."""
        self.failures[name] = why
        print(f"{name:34} failed: {why[:300]}", flush=True)

    def write(self, directory: Path) -> Path:
        """The directory of this report, named after its time."""
        place = directory / self.machine["date"].replace(":", "")
        place.mkdir(parents=True)
        document = {
            "machine": dict(self.machine),
            "settings": {name: str(value) for name, value in self.settings.items()},
            "floors": dict(self.floors),
            "failures": self.failures,
            "results": [result.document() for result in self.results],
        }
        (place / "results.json").write_text(json.dumps(document, indent=1) + "\n")
        (place / "results.md").write_text(self.table())
        for family in dict.fromkeys(result.family for result in self.results):
            of_family = [result for result in self.results if result.family == family]
            figures = {result.name: result.cpu_us.median for result in of_family}
            (place / f"{family}.svg").write_text(bars(f"{family}: CPU microseconds an operation", figures))
        return place

    def table(self) -> str:
        lines = [f"- {name}: {value}" for name, value in self.machine.items()]
        lines += [f"- {name}: {value:.2f}" for name, value in self.floors.items()]
        lines += ["", f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
        lines += [f"| {' | '.join(_cells(result))} |" for result in self.results]
        lines += ["", *(f"- {name} failed: `{why[:300]}`" for name, why in self.failures.items())]
        return "\n".join(lines) + "\n"


def _cells(result: Result) -> list[str]:
    rate = f"{result.per_second.median:.0f}/s"
    if result.mib_per_second is not None:
        rate = f"{result.mib_per_second.median:.0f} MiB/s"
    cpu = f"{result.cpu_us.median:.0f}"
    shares = ", ".join(f"{name} {us:.0f}" for name, us in result.cpu_us_of.items())
    if result.gib_cpu_seconds is not None:
        shares += f"; {result.gib_cpu_seconds.median:.2f} s a GiB"
    whole = result.whole_ms
    return [
        result.name,
        str(result.clients),
        cpu,
        f"{result.cpu_us.least:.0f}-{result.cpu_us.most:.0f}",
        shares,
        rate,
        *(f"{whole[name]:.1f}" for name in ("p50", "p99", "p99.9")),
    ]

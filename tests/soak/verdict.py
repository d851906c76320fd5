"""Whether something grows: the last quarter of a run against its second one, the first being its warm-up.

Medians, so that no peak and no restart decides; what grows without end is higher in the last quarter, whatever else
comes and goes. The slope (Theil and Sen: the median over pairs of samples) says how fast.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

JUDGED_SECONDS = 1800.0
"""A shorter run is all warm-up: caches fill, and allocators take what they keep."""

PAIRS = 4000
"""Of samples, that a slope is taken from."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a figure may rise from one quarter to the other: so much, and so much of what it was."""

    absolute: float
    share: float = 0.0

    def over(self, before: float) -> float:
        return self.absolute + self.share * before


ALLOWED: Mapping[str, Allowance] = {
    "resident MiB": Allowance(3.0, 0.03),
    "descriptors": Allowance(4.0),
    "threads": Allowance(1.0),
    "temporary files": Allowance(2.0),
    "WAL, bytes": Allowance(48 << 20),
    "bucket keys": Allowance(5.0, 0.25),
    "blobs in files": Allowance(50.0, 0.1),
}
"""By the end of a figure's name; what is not named may grow (the audit trail does, by a line for each call)."""


@dataclass(frozen=True, slots=True)
class Judged:
    name: str
    before: float
    after: float
    most: float
    slope_per_hour: float
    allowed: float | None
    is_growing: bool

    def line(self) -> str:
        return f"{self.name} grows: {self.before:.1f} in the second quarter, {self.after:.1f} in the last"


def judge(name: str, seconds: Sequence[float], values: Sequence[float]) -> Judged:
    """One figure over a run. Nothing grows in a run that is shorter than JUDGED_SECONDS."""
    end = seconds[-1] if seconds else 0.0
    quarters: list[list[float]] = [[], [], [], []]
    for at, value in zip(seconds, values, strict=True):
        quarters[min(3, int(4 * at / end)) if end else 0].append(value)
    before, after = (statistics.median(quarter) if quarter else 0.0 for quarter in (quarters[1], quarters[3]))
    warm = [(at, value) for at, value in zip(seconds, values, strict=True) if at >= end / 4]
    allowance = next((each for suffix, each in ALLOWED.items() if name.endswith(suffix)), None)
    allowed = allowance.over(before) if allowance is not None else None
    is_growing = allowed is not None and end >= JUDGED_SECONDS and after - before > allowed
    return Judged(name, before, after, max(values, default=0.0), 3600 * slope(warm), allowed, is_growing)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Per second, by Theil and Sen, over so many pairs at random; 0 for less than two points."""
    if len(points) < 2:
        return 0.0
    chosen = random.Random(len(points))
    pairs = [chosen.sample(points, 2) for _ in range(PAIRS)]
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if a[0] != b[0]]
    return statistics.median(slopes) if slopes else 0.0

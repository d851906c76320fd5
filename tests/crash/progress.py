"""How far a long run has come: it ends at a count, a time or a signal, and the next one goes on with the count."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

TOLD_EVERY_SECONDS = 20.0


@dataclass(slots=True)
class Progress:
    """Wants `rounds` in all, of which earlier runs did `done`; `until` is a monotonic time."""

    rounds: int
    done: int = 0
    until: float = float("inf")
    is_ended: bool = False
    _told: float = field(default_factory=time.monotonic)

    def goes_on(self, rounds: int, problems: Sequence[str]) -> bool:
        """Asked before each round: this run has done so many."""
        now = time.monotonic()
        if now - self._told > TOLD_EVERY_SECONDS:
            self._told = now
            print(f"{self.done + rounds} of {self.rounds} rounds, {len(problems)} problems", file=sys.stderr)
        return not (problems or self.is_ended or self.done + rounds >= self.rounds or now >= self.until)

    def end_on_signal(self) -> None:
        """SIGTERM and SIGINT end the run after the round that is under way."""

        def end(number: int, frame: object) -> None:
            self.is_ended = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)


def until(clock: str) -> float:
    """The monotonic time of the next moment at which UTC is HH:MM."""
    hour, _, minute = clock.partition(":")
    now = datetime.now(UTC)
    seconds = (int(hour) * 60 + int(minute)) * 60 - (now.hour * 3600 + now.minute * 60 + now.second)
    return time.monotonic() + seconds % 86_400


class Tally:
    """Counts of all runs of a kind, in a file, or nowhere without one."""

    def __init__(self, path: Path | None, what: str) -> None:
        self._path = path
        self._what = what
        self._all: dict[str, dict[str, int]] = {}
        if path is not None and path.exists():
            self._all = json.loads(path.read_text())
        self.counts: Counter[str] = Counter(self._all.get(what, {}))

    def add(self, counts: Counter[str]) -> None:
        self.counts += counts
        if self._path is not None:
            self._all[self._what] = dict(self.counts)
            self._path.write_text(json.dumps(self._all, indent=1, sort_keys=True))

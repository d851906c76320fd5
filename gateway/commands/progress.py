"""How far a long command has come, on standard error: how much of what, how fast, and how long it may take yet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

INTERVAL_SECONDS = 0.2
BAR_CHARACTERS = 24


class Progress:
    """A line that is written over itself on a terminal; elsewhere nothing is written. Use as a context."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_shown = sys.stderr.isatty()
        self._began = time.monotonic()
        self._written = float("-inf")
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()

    def update(self, done: int, total: int) -> None:
        """`total` may turn out to be too small: what is counted may grow meanwhile."""
        now = time.monotonic()
        if not self._is_shown or now - self._written < INTERVAL_SECONDS:
            return
        self._written = now
        line = progress_line(self._what, done, max(done, total), now - self._began)
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = max(self._width, len(line))


def progress_line(what: str, done: int, total: int, seconds: float) -> str:
    """`[#####     ] 1200 of 5000 objects, 600/s, 6 s left`."""
    filled = BAR_CHARACTERS * done // total if total else BAR_CHARACTERS
    rate = done / seconds if seconds > 0 else 0.0
    left = f", {_duration((total - done) / rate)} left" if rate else ""
    return f"[{'#' * filled:{BAR_CHARACTERS}}] {done} of {total} {what}, {rate:.0f}/s{left}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"

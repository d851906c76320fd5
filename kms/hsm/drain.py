"""A lock that many callers share and one may take alone, once those inside have left: a drain."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class DrainTimeout(Exception):
    """Those inside did not leave, or the one alone did not finish, within the time allowed."""


class DrainLock:
    """Shared by callers of a PKCS#11 module; taken alone to finalise it, which under a running call would crash.

    Whoever wants it alone stops newcomers at once, so a steady stream of callers cannot starve it. Not reentrant.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._inside = 0
        self._draining = False

    @contextmanager
    def shared(self, timeout_seconds: float) -> Iterator[None]:
        """Raises DrainTimeout when a drain lasts longer than the timeout."""
        with self._condition:
            if self._draining and not self._condition.wait_for(lambda: not self._draining, timeout_seconds):
                raise DrainTimeout
            self._inside += 1
        try:
            yield
        finally:
            with self._condition:
                self._inside -= 1
                if self._draining and not self._inside:
                    self._condition.notify_all()

    @contextmanager
    def alone(self, timeout_seconds: float) -> Iterator[None]:
        """Raises DrainTimeout, letting newcomers in again, when the others do not leave in time."""
        deadline = time.monotonic() + timeout_seconds
        with self._condition:
            if not self._condition.wait_for(lambda: not self._draining, timeout_seconds):
                raise DrainTimeout
            self._draining = True
            if not self._condition.wait_for(lambda: not self._inside, max(0.0, deadline - time.monotonic())):
                self._stop_draining()
                raise DrainTimeout
        try:
            yield
        finally:
            with self._condition:
                self._stop_draining()

    def _stop_draining(self) -> None:
        self._draining = False
        self._condition.notify_all()

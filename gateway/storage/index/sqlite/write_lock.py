"""The lock that lets one process at a time write, and the others queue.

SQLite's own busy handler polls with growing pauses, so that a late comer may overtake and a waiting process may sleep
long after the lock is free. `flock` wakes who waits. One lock would not be fair, though: who lets go of it and takes it
again at once wins against a sleeper that still has to wake up. Hence a turnstile before it: the sleeper stands in the
turnstile, so the process that wrote last has to wait behind it. Both locks end with the process that holds them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.storage.errors import StorageUnavailable


class WriteLock:
    """For one holder in this process at a time; made of two empty files beside the database."""

    def __init__(self, database: Path) -> None:
        self._turnstile = _open(database.with_name(database.name + "-turnstile"))
        self._lock = _open(database.with_name(database.name + "-lock"))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait as long as it takes, then hold the lock for the block."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Wait as long as it takes."""
        fcntl.flock(self._turnstile, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._turnstile, fcntl.LOCK_UN)

    def try_acquire(self) -> bool:
        """At once, or not: somebody has the lock, or waits for it."""
        try:
            fcntl.flock(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                fcntl.flock(self._turnstile, fcntl.LOCK_UN)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """By any thread."""
        fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turnstile)
        os.close(self._lock)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageUnavailable(f"index: cannot open {path}: {error}") from error

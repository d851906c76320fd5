"""The epoch: one number that every change of key state, policy or alias raises before the change is answered.

Theory of operation. kmsd writes the number into eight bytes of a file that every worker of the node maps read-only.
Whatever a process remembers about a key (its state, a decision, a data key) carries the epoch that was read *before*
it asked; using it compares that epoch with the present one, and a difference means: ask again. So a change is
effective in all processes as soon as the store has committed it and the number was raised, without any message
(design: `disabled, deleted or denied keys open nothing, from the moment the API said so`).

A change that was committed by a kmsd that died before raising the number was not answered; the next kmsd raises the
number when it starts. The number never goes down: a writer continues from the file, and from the clock if the file
was lost. The file is never replaced, because mappings follow the inode and not the name.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from pathlib import Path
from typing import Protocol

EPOCH_BYTES = 8
"""One native u64. It stands alone at offset 0 of a page, so the processor reads and writes it in one piece."""


class EpochLocked(Exception):
    """Another process is the writer of this epoch file; two key processes must not serve one node."""


class Epoch(Protocol):
    """What reads and what raises the epoch: shared by a file between processes, or in memory within one."""

    @property
    def value(self) -> int: ...

    def advance(self) -> int:
        """Raise the epoch by one and return the new value; visible to every process on return. Thread-safe."""
        ...


class MemoryEpoch:
    """An epoch within one process: tests, one-process mode, `sealgate init`."""

    def __init__(self, value: int = 1) -> None:
        self._value = value
        self._lock = threading.Lock()

    @property
    def value(self) -> int:
        return self._value

    def advance(self) -> int:
        with self._lock:
            self._value += 1
            return self._value


class SharedEpoch:
    """The epoch in a mapped file. Reading costs some tens of nanoseconds and no system call."""

    def __init__(self, descriptor: int, *, writable: bool) -> None:
        access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
        self._map = mmap.mmap(descriptor, EPOCH_BYTES, access=access)
        self._view = memoryview(self._map).cast("Q")
        self._lock = threading.Lock()
        self._lock_descriptor = descriptor if writable else None

    @classmethod
    def open_reader(cls, path: Path) -> SharedEpoch:
        """Map the epoch for reading. A worker may start before kmsd: a missing file is made, with the value 0."""
        descriptor = _open_sized(path)
        try:
            return cls(descriptor, writable=False)
        finally:
            os.close(descriptor)

    @classmethod
    def open_writer(cls, path: Path) -> SharedEpoch:
        """Become the one writer, and raise the epoch once, for the sake of a predecessor that died in between.

        Raises EpochLocked when another process is the writer; the lock ends with the process that holds it.
        """
        descriptor = _open_sized(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            epoch = cls(descriptor, writable=True)
        except BlockingIOError:
            os.close(descriptor)
            raise EpochLocked(f"{path} is held by another key process") from None
        except BaseException:
            os.close(descriptor)
            raise
        # Should the file have been lost, the clock is past every value counted by ones from an earlier clock.
        epoch._view[0] = max(epoch._view[0] + 1, time.time_ns() // 1000)
        return epoch

    @property
    def value(self) -> int:
        return self._view[0]

    def advance(self) -> int:
        with self._lock:
            value = self._view[0] + 1
            self._view[0] = value
            return value

    def close(self) -> None:
        """Unmap, and give up the writer's place. The value stays in the file."""
        self._view.release()
        self._map.close()
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None


def _open_sized(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_size < EPOCH_BYTES:
            os.ftruncate(descriptor, EPOCH_BYTES)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor

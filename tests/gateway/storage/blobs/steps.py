"""The calls that make a blob durable, seen in their order, by threads or by the kernel for us (io_uring)."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.blobs import io_uring
from gateway.storage.blobs.io_uring import Operation, Ring

_OF_DATA = 1
_NAMES = {
    io_uring._OPENAT: "open",
    io_uring._WRITEV: "write",
    io_uring._FSYNC: "fsync",
    io_uring._RENAMEAT: "rename",
    io_uring._FADVISE: "fadvise",
    io_uring._CLOSE: "close",
}


class Steps:
    """Records the calls that matter, in their order; may run something before one of them, in a thread."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        self.before: dict[str, Callable[[], None]] = {}
        for name in ("write", "fdatasync", "rename", "fsync", "mkdir"):
            monkeypatch.setattr(os, name, self._recorded(name, getattr(os, name)))
        start = Ring.start

        def started(ring: Ring, *operations: Operation) -> asyncio.Future[list[int]]:
            return asyncio.ensure_future(self._linked(ring, start, operations))

        monkeypatch.setattr(Ring, "start", started)

    def _recorded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def recorded(*arguments: Any, **keywords: Any) -> Any:
            self._begin(f"fsync {directory_of(arguments[0])}" if name == "fsync" else name)
            return function(*arguments, **keywords)

        return recorded

    def _begin(self, label: str) -> None:
        if label in self.before:
            self.before[label]()
        self.seen.append(label)

    async def _linked(self, ring: Ring, start: Callable[..., Any], operations: tuple[Operation, ...]) -> list[int]:
        """One after the other, with our steps between; as the kernel does it, but that nothing follows any failure."""
        results = []
        for operation in operations:
            name = _NAMES[operation.opcode]
            if name == "fsync":
                name = "fdatasync" if operation.flags == _OF_DATA else f"fsync {directory_of(operation.fd)}"
            try:
                if name not in ("open", "close", "fadvise"):
                    await asyncio.to_thread(self._begin, name)
                results += await start(ring, operation)
            except OSError as error:
                results.append(-(error.errno or errno.EIO))
            if results[-1] < 0:
                break
        return results + [-errno.ECANCELED] * (len(operations) - len(results))


def directory_of(fd: int) -> str:
    return Path(f"/proc/self/fd/{fd}").resolve().name

"""What is measured: an address with credentials, and the processes behind it whose CPU and memory count."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import Prepared
from tests.clients.raw import UNSIGNED, RawClient, head

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far, and resident bytes now and at the most, of some processes and all that they started."""

    cpu_seconds: float
    resident_bytes: int
    peak_bytes: int


@dataclass(slots=True)
class Endpoint:
    """`processes` gives, by name, the ids of the processes that serve; each counts with its descendants."""

    name: str
    endpoint_url: str
    credentials: dict[str, str] = field(repr=False)
    processes: Callable[[], Mapping[str, Iterable[int]]]

    def usage(self) -> dict[str, Usage]:
        return {name: _usage(pids) for name, pids in self.processes().items()}

    @property
    def raw(self) -> RawClient:
        return RawClient(self)


def prepare(
    raw: RawClient,
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    repeat: int = 0,
    is_signed: bool = False,
    status: int = 200,
    service: str = "s3",
) -> Prepared:
    """A request signed now: good for the quarter of an hour that signatures are.

    With `repeat` the body is that many times `body`. `is_signed`: with its digest, else UNSIGNED-PAYLOAD.
    """
    if is_signed:
        signed = raw.sign_body(method, target, headers, body * (repeat or 1), service=service)
    else:
        signed = raw.sign(method, target, headers, UNSIGNED, service=service)
    length = {"content-length": str(len(body) * (repeat or 1))} if body or method in ("PUT", "POST") else {}
    start = head(method, target, {**signed.headers, **length})
    if repeat:
        return Prepared(start, body, repeat, status=status)
    return Prepared(start + body, is_head=method == "HEAD", status=status)


def descendants(pids: Iterable[int]) -> set[int]:
    """`pids` and all processes below them."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # gone meanwhile
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: set[int] = set()
    todo = list(pids)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def _usage(pids: Iterable[int]) -> Usage:
    """Of processes that end while they are counted, nothing is known but through the parent that waited for them."""
    ticks = resident = peak = 0
    for pid in descendants(pids):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(int(field) for field in fields[11:15])  # utime, stime, and those of children that ended
        resident += _kilobytes(status, "VmRSS") << 10
        peak += _kilobytes(status, "VmHWM") << 10
    return Usage(ticks / CLOCK_TICKS, resident, peak)


def _kilobytes(status: str, name: str) -> int:
    return int(status.partition(f"{name}:")[2].split(None, 1)[0]) if f"{name}:" in status else 0

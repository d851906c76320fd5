"""What a gateway holds, taken every few seconds from outside: memory, descriptors, threads, files, rows, counts."""

from __future__ import annotations

import re
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.acceptance.observe import scrape
from tests.crash.underneath import temporary_files
from tests.harness import Gateway

SCRAPES = 3

DATABASES = ("index/index.sqlite", "kms/keys.sqlite", "iam/identities.sqlite")
_REQUESTS = re.compile(r'^sealgate_requests_total\{operation="([^"]*)",status="([^"]*)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Held:
    """By one process."""

    resident_kib: int
    descriptors: int
    threads: int


@dataclass(frozen=True, slots=True)
class Sample:
    """`seconds` since the beginning. `processes` by role; bytes and counts of all else, by name; answers by class."""

    seconds: float
    processes: Mapping[str, Held]
    counts: Mapping[str, float]
    answers: Mapping[str, float]

    def document(self) -> dict[str, object]:
        return asdict(self)

    def figures(self) -> dict[str, float]:
        """Each figure by a name of its own."""
        found: dict[str, float] = {}
        for role, held in self.processes.items():
            found[f"{role}: resident MiB"] = held.resident_kib / 1024
            found[f"{role}: descriptors"] = held.descriptors
            found[f"{role}: threads"] = held.threads
        found["all processes: resident MiB"] = sum(each.resident_kib for each in self.processes.values()) / 1024
        return {**found, **self.counts}


def held_by(pid: int) -> Held | None:
    """None if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        descriptors = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = dict(line.split(":", 1) for line in status.splitlines())
    if "VmRSS" not in fields:
        return None  # it ended, and nobody has asked for its status yet
    return Held(int(fields["VmRSS"].split()[0]), descriptors, int(fields["Threads"]))


class Sampler:
    """`kept_worker` is the process that is never restarted; the others together are the restarted ones."""

    def __init__(self, gateway: Gateway, kept_worker: int) -> None:
        self._gateway = gateway
        self._kept_worker = kept_worker
        self._began = time.monotonic()

    def take(self) -> Sample:
        metrics = self._scrape()
        return Sample(
            seconds=round(time.monotonic() - self._began, 1),
            processes=self._processes(),
            counts={**self._files(), **self._rows(), **_gauges(metrics)},
            answers=_answers(metrics),
        )

    def _scrape(self) -> str:
        """The worker that is asked may be the one that is killed just then."""
        for _ in range(SCRAPES):
            with suppress(OSError):
                return scrape(self._gateway)
        return scrape(self._gateway)

    def _processes(self) -> dict[str, Held]:
        gateway = self._gateway
        assert gateway.process is not None
        roles = {"supervisor": gateway.process.pid, "worker kept": self._kept_worker}
        roles.update(("kmsd", pid) for pid in gateway.children("kms.daemon"))
        others = [pid for pid in gateway.children("gateway.worker") if pid != self._kept_worker]
        roles |= {f"worker restarted {number}": pid for number, pid in enumerate(others, 1)}
        found = {role: held_by(pid) for role, pid in roles.items()}
        return {role: held for role, held in found.items() if held is not None}

    def _files(self) -> dict[str, float]:
        data = self._gateway.data
        blobs = [size for path in (data / "store" / "blobs").glob("*/*/*") if (size := _size(path)) is not None]
        found: dict[str, float] = {
            "temporary files": len(temporary_files(data)),
            "blobs in files": len(blobs),
            "blobs, bytes": sum(blobs),
            "audit trail, bytes": sum(_size(path) or 0 for path in (data / "audit").iterdir()),
            "log, bytes": _size(self._gateway.log_path) or 0,
        }
        for name in DATABASES:
            found[f"{Path(name).stem}, bytes"] = _size(data / name) or 0
            found[f"{Path(name).stem} WAL, bytes"] = _size(data / f"{name}-wal") or 0
        return found

    def _rows(self) -> dict[str, float]:
        tables = {
            "versions": "object_version",
            "blob rows": "blob",
            "bucket keys": "bucket_key",
            "uploads": "multipart_upload",
        }
        index = self._gateway.data / "index" / "index.sqlite"
        with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True, timeout=30)) as connection:
            return {
                name: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for name, table in tables.items()
            }


def _size(path: Path) -> int | None:
    """None if it is gone meanwhile."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _gauges(metrics: str) -> dict[str, float]:
    names = {
        "connections": "sealgate_connections",
        "requests in flight": "sealgate_requests_in_flight",
        "integrity events": "sealgate_integrity_events_total",
    }
    found = dict.fromkeys(names, 0.0)
    for label, name in names.items():
        found[label] = sum(float(v) for v in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", metrics, re.MULTILINE))
    return found


def _answers(metrics: str) -> dict[str, float]:
    found: Counter[str] = Counter()
    for _, status, value in _REQUESTS.findall(metrics):
        found[status] += int(float(value))
    return dict(found)

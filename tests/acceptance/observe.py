"""What an operator sees of a running gateway: metrics, health, log."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from prometheus_client.mmap_dict import MmapedDict

from tests.harness import Gateway


def scrape(gateway: Gateway) -> str:
    """All metrics, as Prometheus gets them."""
    return _get(f"{gateway.admin_url}/metrics")[1].decode()


def metric(gateway: Gateway, name: str) -> float:
    """The sum of a metric over all its labels and all workers; 0 before it was first counted."""
    text = scrape(gateway)
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


def readiness(gateway: Gateway) -> tuple[bool, list[str]]:
    """Ready or not, and the reasons why not."""
    status, body = _get(f"{gateway.admin_url}/healthz/ready")
    document: dict[str, Any] = json.loads(body)
    return status == 200, document["reasons"]


def resident_kib(pid: int) -> int:
    """Resident memory of a process in KiB."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0])


def integrity_events(gateway: Gateway) -> int:
    """As counted by the metrics."""
    return int(metric(gateway, "sealgate_integrity_events_total"))


class EventLog:
    """The integrity events in a gateway's log, counted while it grows. They are written before the client is told."""

    def __init__(self, gateway: Gateway) -> None:
        self._path = gateway.log_path
        self._read_bytes = 0
        self._events = 0

    @property
    def events(self) -> int:
        with self._path.open("rb") as log:
            log.seek(self._read_bytes)
            new = log.read()
        whole_lines = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole_lines)
        self._events += whole_lines.count(b"integrity event: ")
        return self._events


def requests_by_worker(gateway: Gateway, operation: str, status: str) -> dict[int, float]:
    """Requests answered by each process that ever was a worker, from the files in which each one counts alone."""
    counts = {}
    for path in (gateway.data / "run" / "metrics").glob("counter_*.db"):
        pid = int(path.stem.removeprefix("counter_"))
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(path)):
            _, name, labels, _ = json.loads(key)
            if name == "sealgate_requests_total" and labels == {"operation": operation, "status": status}:
                counts[pid] = value
    return counts


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()

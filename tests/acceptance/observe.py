"""What an operator sees of a running gateway: metrics, health, log."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from typing import Any

from tests.harness import Gateway


def metric(gateway: Gateway, name: str) -> float:
    """The sum of a metric over all its labels and all workers; 0 before it was first counted."""
    text = _get(f"{gateway.admin_url}/metrics")[1].decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:\{{.*\}})? (\S+)$", text, re.MULTILINE))


def readiness(gateway: Gateway) -> tuple[bool, list[str]]:
    """Ready or not, and the reasons why not."""
    status, body = _get(f"{gateway.admin_url}/healthz/ready")
    document: dict[str, Any] = json.loads(body)
    return status == 200, document["reasons"]


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


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()

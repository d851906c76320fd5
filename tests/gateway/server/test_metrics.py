from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from gateway.server import metrics
from gateway.server.access_log import Entry

OUTCOMES = ("written", "blocked")
ROOT = Path(__file__).parents[3]

PROCESS = """
from gateway.server import metrics
from gateway.server.access_log import Entry
observer = metrics.RequestMetrics()
observer.observe(Entry("id", "ip", "GET", operation="GetObject", status=200, bytes_out=7, total_seconds=0.002))
observer.flush()
metrics.count_swept("orphan", 2)
metrics.IN_FLIGHT.set(3)
"""


def exposed() -> dict[str, float]:
    """Samples by name and labels."""
    text = metrics.render()[1].decode()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")}


def test_every_metric_is_documented_and_nothing_else() -> None:
    documented = set(re.findall(r"^\| `(sealgate_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    found = set()
    for family in metrics.REGISTRY.collect():
        found.add(family.name + ("_total" if family.type == "counter" else ""))
    assert documented == found


def test_writes_under_customers_keys_are_counted_by_what_became_of_them() -> None:
    before = exposed()
    observer = metrics.RequestMetrics()
    entries = [
        Entry("id", "ip", "PUT", operation="PutObject", status=200, mode="SSE-C"),
        Entry("id", "ip", "PUT", operation="CopyObject", status=200, mode="SSE-C"),
        Entry("id", "ip", "PUT", operation="PutObject", status=403, decided_by="blocked encryption types"),
        Entry("id", "ip", "GET", operation="GetObject", status=200, mode="SSE-C"),
        Entry("id", "ip", "PUT", operation="PutObject", status=200, mode="aws:kms"),
        Entry("id", "ip", "PUT", operation="PutObject", status=403, decided_by="Requester Pays"),
    ]
    for entry in entries:
        observer.observe(entry)
    observer.flush()
    after = exposed()
    name = "sealgate_customer_key_writes_total"
    grown = [after[sample] - before.get(sample, 0) for sample in (f'{name}{{outcome="{o}"}}' for o in OUTCOMES)]
    assert grown == [2, 1]


def test_requests_are_counted_by_operation_and_class() -> None:
    before = exposed()
    observer = metrics.RequestMetrics()
    for status in (200, 206, 404):
        observer.observe(
            Entry(
                "id", "ip", "GET", operation="HeadBucket", status=status, bytes_in=2, bytes_out=3, total_seconds=0.003
            )
        )
    observer.observe(Entry("id", "ip", "-", status=400, is_aborted=True))
    observer.flush()
    observer.flush()
    after = exposed()

    def grown(sample: str) -> float:
        return after[sample] - before.get(sample, 0)

    assert grown('sealgate_requests_total{operation="HeadBucket",status="2xx"}') == 2
    assert grown('sealgate_requests_total{operation="HeadBucket",status="4xx"}') == 1
    assert grown('sealgate_requests_total{operation="unknown",status="4xx"}') == 1
    assert grown('sealgate_request_seconds_count{operation="HeadBucket"}') == 3
    assert grown('sealgate_request_seconds_bucket{le="0.0025",operation="HeadBucket"}') == 0
    assert grown('sealgate_request_seconds_bucket{le="0.005",operation="HeadBucket"}') == 3
    assert grown("sealgate_received_bytes_total") == 6
    assert grown("sealgate_sent_bytes_total") == 9
    assert grown("sealgate_aborted_requests_total") == 1


def test_processes_add_up_and_a_dead_one_leaves_only_its_counters(tmp_path: Path) -> None:
    environment = {**os.environ, metrics.MULTIPROCESS_DIRECTORY: str(tmp_path), "PYTHONPATH": str(ROOT)}
    pids = []
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", PROCESS], env=environment) as process:
            assert process.wait(30) == 0
        pids.append(process.pid)
    metrics.forget_process(pids[0], str(tmp_path))
    render = "from gateway.server import metrics; print(metrics.render()[1].decode())"
    text = subprocess.run(
        [sys.executable, "-c", render], env=environment, check=True, capture_output=True, text=True, timeout=30
    ).stdout
    assert 'sealgate_requests_total{operation="GetObject",status="2xx"} 2.0' in text
    assert "sealgate_sent_bytes_total 14.0" in text
    assert 'sealgate_swept_blobs_total{reason="orphan"} 4.0' in text
    assert "sealgate_requests_in_flight 3.0" in text


def test_only_so_many_requests_are_gathered_before_they_are_counted() -> None:
    sample = 'sealgate_requests_total{operation="PutBucketAcl",status="2xx"}'
    observer = metrics.RequestMetrics()
    for _ in range(metrics.MAX_GATHERED + 1):
        observer.observe(Entry("id", "ip", "PUT", operation="PutBucketAcl", status=200))
    assert exposed()[sample] == metrics.MAX_GATHERED

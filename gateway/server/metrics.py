"""Prometheus metrics, added up over the worker processes.

With PROMETHEUS_MULTIPROC_DIR in the environment (the supervisor sets it) prometheus_client keeps each process's values
in files below it, and any worker can render the sum. Every metric is documented in docs/metrics.md; a test compares.
Labels have few values: operations of our own tables, status classes, never anything a client chose.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter as Counts
from collections import defaultdict
from collections.abc import Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

from gateway.protocol.encryption import BLOCKED_ENCRYPTION, CHOOSING
from gateway.server.access_log import CUSTOMER_KEY_MODE, Entry

REGISTRY = CollectorRegistry()
MULTIPROCESS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

if MULTIPROCESS_DIRECTORY in os.environ:
    # Its way to notice a fork is to ask for the process id at every count, which took 6 % of a small GET. Workers
    # are started by exec and never fork.
    _PROCESS_ID = os.getpid()
    values.ValueClass = values.MultiProcessValue(process_identifier=lambda: _PROCESS_ID)  # type: ignore[no-untyped-call]


class BatchHistogram(Histogram):
    """A histogram that is told of many observations in one call: of each bucket one count."""

    def observe_all(self, amounts: Sequence[float]) -> None:
        self._sum.inc(sum(amounts))
        for place, count in Counts(bisect_left(self._upper_bounds, amount) for amount in amounts).items():
            self._buckets[place].inc(count)


REQUESTS = Counter(
    "sealgate_requests",
    "Requests answered, by operation and class of status.",
    ["operation", "status"],
    registry=REGISTRY,
)
SECONDS = BatchHistogram(
    "sealgate_request_seconds",
    "Time from the request's headers to the last byte of its answer, seconds.",
    ["operation"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
    registry=REGISTRY,
)
RECEIVED = Counter("sealgate_received_bytes", "Bytes of request bodies that were read.", registry=REGISTRY)
SENT = Counter("sealgate_sent_bytes", "Bytes of response bodies that were sent.", registry=REGISTRY)
ABORTED = Counter(
    "sealgate_aborted_requests", "Requests whose connection broke before the answer's end.", registry=REGISTRY
)
IN_FLIGHT = Gauge(
    "sealgate_requests_in_flight",
    "Requests being served, four times a second.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
CONNECTIONS = Gauge(
    "sealgate_connections",
    "Open client connections, four times a second.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
INTEGRITY_EVENTS = Counter(
    "sealgate_integrity_events",
    "Stored data that failed authentication: each one wants a look.",
    ["kind"],
    registry=REGISTRY,
)
KMS_CALLS = Counter(
    "sealgate_kms_calls",
    "Calls from workers to the KMS, by operation and outcome.",
    ["operation", "outcome"],
    registry=REGISTRY,
)
CUSTOMER_KEY_WRITES = Counter(
    "sealgate_customer_key_writes",
    "Objects and uploads that were to be written under keys that clients bring (SSE-C), by outcome.",
    ["outcome"],
    registry=REGISTRY,
)
THROTTLED = Counter(
    "sealgate_throttled_requests",
    "Requests refused because they came too fast, by services and limit.",
    ["service", "limit"],
    registry=REGISTRY,
)
DELAYED = Counter(
    "sealgate_delayed_refusals",
    "Answers to wrong signatures and unknown access keys that were held back.",
    registry=REGISTRY,
)
SWEPT = Counter("sealgate_swept_blobs", "Blobs removed by the sweep, by reason.", ["reason"], registry=REGISTRY)
EXPIRED = Counter(
    "sealgate_lifecycle_expirations",
    "Versions and uploads that went by lifecycle rules, by what they were.",
    ["action"],
    registry=REGISTRY,
)
SCRUBBED = Counter(
    "sealgate_scrubbed_blobs",
    "Blobs looked at by the scrub, by kind of pass and outcome.",
    ["scrub", "outcome"],
    registry=REGISTRY,
)
SCRUBBED_BYTES = Counter("sealgate_scrubbed_bytes", "Bytes read by the scrub.", registry=REGISTRY)

_UNKNOWN = "unknown"


MAX_GATHERED = 4096
"""Requests that are gathered at most before they are counted: 32 KiB."""


class RequestMetrics:
    """Observes requests as the listener ends them.

    They are gathered, and counted by `flush`, which is to be called now and then, before metrics are rendered and at
    the end: a count costs 2 µs where several processes add up, and a request makes four. Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[str, int], list[float]] = defaultdict(list)  # by operation, class of status
        self._gathered = 0
        self._received_bytes = 0
        self._sent_bytes = 0

    def observe(self, entry: Entry) -> None:
        operation = entry.operation or _UNKNOWN
        self._seconds[operation, entry.status // 100].append(entry.total_seconds)
        self._received_bytes += entry.bytes_in
        self._sent_bytes += entry.bytes_out
        if entry.is_aborted:
            ABORTED.inc()
        if entry.mode == CUSTOMER_KEY_MODE and operation in CHOOSING:
            CUSTOMER_KEY_WRITES.labels("written").inc()
        elif entry.decided_by == BLOCKED_ENCRYPTION:
            CUSTOMER_KEY_WRITES.labels("blocked").inc()
        self._gathered += 1
        if self._gathered >= MAX_GATHERED:
            self.flush()

    def flush(self) -> None:
        """Count what was gathered."""
        if not self._gathered:
            return
        for (operation, status_class), seconds in self._seconds.items():
            REQUESTS.labels(operation, f"{status_class}xx").inc(len(seconds))
            SECONDS.labels(operation).observe_all(seconds)
        RECEIVED.inc(self._received_bytes)
        SENT.inc(self._sent_bytes)
        self._seconds.clear()
        self._gathered = self._received_bytes = self._sent_bytes = 0


def count_kms_call(operation: str, outcome: str) -> None:
    """`operation` is a KMS verb ("Decrypt"), `outcome` "ok" or the name of the error class."""
    KMS_CALLS.labels(operation, outcome).inc()


def count_integrity_event(kind: str) -> None:
    """`kind` says where it was found ("row", "blob", "key")."""
    INTEGRITY_EVENTS.labels(kind).inc()


def count_throttled(service: str, limit: str) -> None:
    """`service` is "s3", "api" or "kms", `limit` "address", "principal", "failures" or "quota"."""
    THROTTLED.labels(service, limit).inc()


def count_swept(reason: str, blobs: int) -> None:
    """`reason` is "condemned" (deleted objects) or "orphan" (no row)."""
    SWEPT.labels(reason).inc(blobs)


def count_expired(action: str) -> None:
    """`action` is one of `gateway.operations.lifecycle.deciding.Action`."""
    EXPIRED.labels(action).inc()


def count_scrubbed(scrub: str, outcome: str) -> None:
    """`scrub` is the name of the pass, `outcome` as `gateway.operations.scrub.passes.ScrubNote` counts them."""
    SCRUBBED.labels(scrub, outcome).inc()


def render() -> tuple[str, bytes]:
    """Content type and text of /metrics, for all processes where there are several."""
    if MULTIPROCESS_DIRECTORY not in os.environ:
        return CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
    merged = CollectorRegistry()
    multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]
    return CONTENT_TYPE_LATEST, generate_latest(merged)


def forget_process(pid: int, directory: str) -> None:
    """Take the gauges of a dead process out of the sums; its counters stay, they did happen."""
    multiprocess.mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]

"""Rounds of many clients on few keys while workers are killed: what they saw must be one order of what they did."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.crash.clients import patient
from tests.crash.disk import wait_for_children
from tests.crash.linearizability import NEVER, Kind, Operation, Value, is_linearizable, order_problems
from tests.crash.progress import Progress
from tests.crash.serve import PROGRAM
from tests.harness import Gateway

CLIENTS = 16
WORKERS = 2
KEYS = 4
OPERATIONS_OF_A_ROUND = 1000
KILLS_OF_A_ROUND = 2
BUCKET = "history"
PADDING = bytes(20_000)
"""Behind every second body, so that it goes into a file."""

KINDS = {Kind.GET: 6, Kind.PUT: 3, Kind.CREATE: 3, Kind.REPLACE: 3, Kind.DELETE: 2}


@dataclass(slots=True)
class Report:
    operations: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def counts(self) -> Counter[str]:
        """As a tally has them."""
        counts = Counter({"rounds": self.rounds, "problems": len(self.problems), "seconds": round(self.seconds)})
        return counts + Counter({"operations": self.operations.total()}) + self.operations + self.faults

    def lines(self) -> Iterator[str]:
        yield f"{self.operations.total()} operations of {CLIENTS} clients in {self.rounds} rounds, {self.seconds:.0f} s"
        yield ", ".join(f"{count} {what}" for what, count in sorted(self.faults.items()))
        yield ", ".join(f"{count} {what}" for what, count in sorted(self.operations.items()))
        yield f"{len(self.problems)} problems"
        yield from self.problems[:50]


@dataclass(slots=True)
class Round:
    """Clients of one gateway, or of several, who go on to the next when one does not answer. With `is_503_open` a
    write that was answered 503 may have happened. `seen`: of each key, each operation with the version that it made.
    """

    gateways: Sequence[Gateway]
    prefix: str
    seed: int
    operations: int
    seen: dict[str, list[tuple[str | None, Operation]]] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_503_open: bool = False

    def client(self, number: int) -> None:
        turns = itertools.cycle([*self.gateways[number % len(self.gateways) :], *self.gateways])
        s3 = self._client_of(next(turns))
        randoms = random.Random(f"{self.seed} {number}")
        known: dict[str, tuple[Value, str]] = {}
        while sum(self.told.values()) < self.operations:
            key = f"{self.prefix}/{randoms.randrange(KEYS)}"
            kind = randoms.choices(list(KINDS), list(KINDS.values()))[0]
            if not self._one(s3, key, Kind.GET if kind is Kind.REPLACE and key not in known else kind, known):
                s3 = self._client_of(next(turns))

    def _client_of(self, gateway: Gateway) -> Any:
        return gateway.client("s3", connect_timeout=2, read_timeout=20)

    def _one(self, s3: Any, key: str, kind: Kind, known: dict[str, tuple[Value, str]]) -> bool:
        """Whether it was answered. `known`: of each key, what this client saw in it last, and its ETag."""
        with self.lock:
            number = next(self.numbers)
        value = f"{number}" if kind in (Kind.PUT, Kind.CREATE, Kind.REPLACE) else None
        expected, condition = None, {}
        if kind is Kind.CREATE:
            condition = {"IfNoneMatch": "*"}
        elif kind is Kind.REPLACE:
            expected, condition["IfMatch"] = known[key]
        named = {"Bucket": BUCKET, "Key": key}
        began, ended, is_met, version, outcome = time.monotonic(), NEVER, None, None, "unanswered"
        try:
            if kind is Kind.GET:
                answer = s3.get_object(**named)
                value = answer["Body"].read().rstrip(b"\0").decode()
                known[key] = value, answer["ETag"]
            elif kind is Kind.DELETE:
                version = s3.delete_object(**named)["VersionId"]
            else:
                body = str(value).encode() + PADDING * (number % 2)
                answer = s3.put_object(**named, Body=body, **condition)
                version, known[key] = answer["VersionId"], (value, answer["ETag"])
            ended, is_met, outcome = time.monotonic(), True, "answered"
        except ClientError as error:
            outcome = self._refused(error, kind)
            if outcome != "unanswered":
                ended, is_met = time.monotonic(), False
        except BotoCoreError:
            if kind is Kind.GET:
                outcome = "unanswered reads"
        with self.lock:
            self.told[outcome] += 1
            if outcome not in ("refused", "unanswered reads"):
                operation = Operation(kind, began, ended, value, expected, is_met)
                self.seen.setdefault(key, []).append((version, operation))
        return not outcome.startswith("unanswered")

    def _refused(self, error: ClientError, kind: Kind) -> str:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 503 and self.is_503_open and kind is not Kind.GET:
            return "unanswered"
        if status in (409, 503):
            return "refused"  # nothing has happened
        expected = {Kind.GET: {404}, Kind.CREATE: {412}, Kind.REPLACE: {404, 412}}
        assert status in expected.get(kind, set()), (kind, error)
        return "answered" if kind is Kind.GET else "conditions not met"

    def problems(self) -> Iterator[str]:
        """Once nobody asks any more."""
        s3 = patient(self.gateways[0], "s3")
        for key, seen in self.seen.items():
            if not is_linearizable([operation for _, operation in seen]):
                yield f"{key}: no order explains what was seen: {seen}"
            lists: dict[str, list[str]] = {"Versions": [], "DeleteMarkers": []}
            for page in s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET, Prefix=key):
                for name, listed in lists.items():
                    listed += [row["VersionId"] for row in page.get(name, [])]
            for name, listed in lists.items():
                of_kind = [each for each in seen if (each[1].kind is Kind.DELETE) == (name == "DeleteMarkers")]
                writes = [(version, operation) for version, operation in of_kind if version is not None]
                unanswered = sum(operation.ended == NEVER for _, operation in of_kind)
                yield from (f"{key}: {each}" for each in order_problems(writes, listed))
                if not len(writes) <= len(listed) <= len(writes) + unanswered:
                    yield f"{key}: {len(listed)} {name} of {len(writes)} writes, and {unanswered} without an answer"


def history_rounds(
    directory: Path, *, progress: Progress, seed: int, operations: int = OPERATIONS_OF_A_ROUND
) -> Report:
    """As many rounds as `progress` wants, on a new gateway in `directory`; ends at the first that finds a problem."""
    report, began, randoms = Report(), time.monotonic(), random.Random(seed)
    gateway = Gateway(directory / "data", root="file", workers=WORKERS, program=PROGRAM).init()
    try:
        gateway.start()
        s3 = patient(gateway, "s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        while progress.goes_on(report.rounds, report.problems):
            current = Round([gateway], f"round-{report.rounds}", seed + report.rounds, operations)
            with ThreadPoolExecutor(CLIENTS) as threads:
                working = [threads.submit(current.client, number) for number in range(CLIENTS)]
                for _ in range(KILLS_OF_A_ROUND):
                    time.sleep(0.2 + randoms.random())  # a moment at random is what is asked for
                    os.kill(randoms.choice(gateway.children("gateway.worker")), signal.SIGKILL)
                    wait_for_children(gateway, WORKERS)
                for each in working:
                    each.result(300)
            report.problems += current.problems()
            report.operations += current.told
            report.rounds += 1
            report.faults["workers killed"] += KILLS_OF_A_ROUND
    finally:
        gateway.stop()
    report.seconds = time.monotonic() - began
    return report

"""A worker without memory refuses or breaks off, and is replaced; nothing acknowledged is lost, and nothing is left."""

from __future__ import annotations

import resource
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.clients.checks import random_bytes
from tests.crash.disk import wait_for_children
from tests.crash.underneath import problems, temporary_files
from tests.harness import Gateway, wait_until

pytestmark = pytest.mark.slow

BUCKET, CLIENTS = "memory", 12
BODY = random_bytes(2_000_000)
ENVIRONMENT = {"SEALGATE_LISTEN_DRAIN_SECONDS": "5"}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "data", root="file", workers=1, environment=ENVIRONMENT).init().start()
    yield made
    made.stop()


class Writer:
    """Puts ever new objects, of both kinds, and reads them, until `stopping`; each refusal is kept."""

    def __init__(self, gateway: Gateway, name: str, stopping: threading.Event) -> None:
        self._s3 = gateway.client("s3", read_timeout=60)
        self._name = name
        self._stopping = stopping
        self.acknowledged: dict[str, bytes] = {}
        self.asked: dict[str, bytes] = {}
        self.refused: list[Any] = []
        self.broken = 0

    def run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            key, body = f"{self._name}/{number}", BODY + f"{self._name} {number}".encode()
            self.asked[key] = body
            sse = {"ServerSideEncryption": "aws:kms"} if number % 2 else {}
            try:
                self._s3.put_object(Bucket=BUCKET, Key=key, Body=body, **sse)
                self.acknowledged[key] = body
                assert self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
            except ClientError as error:
                self.refused.append(error.response)
            except BotoCoreError:
                self.broken += 1


def test_a_worker_without_memory_refuses_and_is_replaced_and_nothing_is_lost(gateway: Gateway) -> None:
    s3 = gateway.client("s3", retries={"total_max_attempts": 12, "mode": "standard"})
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="warm", Body=BODY, ServerSideEncryption="aws:kms")
    [worker] = gateway.children("gateway.worker")
    stopping = threading.Event()
    writers = [Writer(gateway, f"writer-{number}", stopping) for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        running = [threads.submit(each.run) for each in writers]
        try:
            limits = resource.prlimit(worker, resource.RLIMIT_AS)
            resource.prlimit(worker, resource.RLIMIT_AS, (1 << 20, limits[1]))  # not a page more than it has
            wait_until(lambda: gateway.children("gateway.worker") not in ([worker], []), "it is replaced", 120)
            seen = sum(len(each.acknowledged) for each in writers)
            wait_until(lambda: sum(len(each.acknowledged) for each in writers) > seen, "the new one serves", 120)
        finally:
            stopping.set()
        for each in running:
            each.result(120)
    wait_for_children(gateway, 1)
    told = {
        (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"])
        for each in writers
        for response in each.refused
    }
    assert told <= {(503, "SlowDown"), (503, "ServiceUnavailable")}
    assert all(
        int(response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
        for each in writers
        for response in each.refused
    )
    assert b"out of memory: ending, to be started again" in gateway.log_path.read_bytes()
    assert temporary_files(gateway.data) == []
    there = {
        each["Key"] for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET) for each in page["Contents"]
    }
    for writer in writers:
        assert writer.acknowledged.keys() <= there
        for key in writer.asked.keys() & there:  # what was not answered is there whole, or not at all
            assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == writer.asked[key], key
    gateway.stop()
    assert problems(gateway.data) == []


def test_kmsd_without_memory_refuses_at_most_and_serves_when_it_has_some(gateway: Gateway) -> None:
    """It is the one process that has keys: should it wait for ever, nothing would end it."""
    [kmsd] = gateway.children("kms.daemon")
    limits = resource.prlimit(kmsd, resource.RLIMIT_AS)
    resource.prlimit(kmsd, resource.RLIMIT_AS, (1 << 20, limits[1]))

    def ask(number: int) -> str:
        kms = gateway.client("kms", read_timeout=60)
        try:
            key = kms.create_key(Description="d" * 8000)["KeyMetadata"]["KeyId"]
            sealed = kms.encrypt(KeyId=key, Plaintext=b"%d" % number)["CiphertextBlob"]
            assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"%d" % number
        except ClientError as error:
            return str(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return "served"

    with ThreadPoolExecutor(CLIENTS) as threads:
        assert set(threads.map(ask, range(3 * CLIENTS), timeout=300)) <= {"served", "500", "503"}
    for pid in gateway.children("kms.daemon"):
        resource.prlimit(pid, resource.RLIMIT_AS, limits)
    wait_until(lambda: ask(0) == "served", "keys are used again", 60)

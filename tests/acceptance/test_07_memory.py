"""Memory of a worker stays flat while 8 streams of 256 MiB go up, and down again: at most 40 MiB above what it had.

Half of them have two layers (DSSE-KMS), which are sealed batch by batch as well.

Bodies are made and checked while they travel; nothing on the client's side is kept either. The data directory takes
2 GiB for a moment.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.acceptance.conftest import StartGateway
from tests.acceptance.observe import resident_kib
from tests.acceptance.raw import connect, presign, target
from tests.harness import Gateway

BUCKETS = {"memory": "aws:kms", "memory-two-layers": "aws:kms:dsse"}
"""With the modes that are their defaults."""
STREAMS = 8
SIZE_BYTES = 256 << 20
PIECE_BYTES = 1 << 20
GROWTH_LIMIT_KIB = 40 << 10
SAMPLE_SECONDS = 0.1

pytestmark = pytest.mark.slow


class Body:
    """A body that is never whole anywhere: random-looking pieces, each of which says where it belongs."""

    def __init__(self, stream: int) -> None:
        self._rest = bytes((stream * 31 + place * 7 + (place >> 8)) & 0xFF for place in range(PIECE_BYTES - 16))
        self._stream = stream

    def pieces(self) -> Iterator[bytes]:
        for number in range(SIZE_BYTES // PIECE_BYTES):
            yield self.piece(number)

    def piece(self, number: int) -> bytes:
        return self._stream.to_bytes(8) + number.to_bytes(8) + self._rest


def put(url: str, body: Body) -> None:
    connection = connect(url)
    connection.request("PUT", target(url), body.pieces(), {"Content-Length": str(SIZE_BYTES)})
    with connection.getresponse() as response:
        assert response.status == 200, response.read()
    connection.close()


def get(url: str, body: Body) -> None:
    connection = connect(url)
    connection.request("GET", target(url))
    with connection.getresponse() as response:
        assert response.status == 200
        assert int(response.headers["Content-Length"]) == SIZE_BYTES
        for expected in body.pieces():
            assert read_exactly(response, PIECE_BYTES) == expected
        assert response.read(1) == b""
    connection.close()


def read_exactly(response: http.client.HTTPResponse, length: int) -> bytes:
    data = bytearray(length)
    view, have = memoryview(data), 0
    while have < length and (count := response.readinto(view[have:])):
        have += count
    return bytes(data[:have])


class Memory:
    """The worker's resident memory in KiB, sampled."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.samples = [self._read()]

    def _read(self) -> int:
        return resident_kib(self._pid)

    @contextmanager
    def watched(self) -> Iterator[None]:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(SAMPLE_SECONDS):
                self.samples.append(self._read())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()
            self.samples.append(self._read())

    @property
    def growth(self) -> int:
        return max(self.samples) - self.samples[0]


def warm_up(gateway: Gateway) -> None:
    """What a worker loads and allocates once: threads, caches, code of the first requests."""
    s3 = gateway.client("s3")
    for bucket, mode in BUCKETS.items():
        s3.create_bucket(Bucket=bucket)
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": mode}}
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        for number in range(4):
            s3.put_object(Bucket=bucket, Key=f"warm/{number}", Body=bytes(100_000))
            assert s3.get_object(Bucket=bucket, Key=f"warm/{number}")["Body"].read() == bytes(100_000)


def test_eight_large_streams_take_no_memory(make_gateway: StartGateway) -> None:
    gateway = make_gateway(workers=1).start()
    warm_up(gateway)
    bodies = [Body(stream) for stream in range(STREAMS)]
    places = [{"Bucket": bucket, "Key": f"stream/{n}"} for n in range(STREAMS // 2) for bucket in BUCKETS]
    (worker,) = gateway.children("gateway.worker")
    memory = Memory(worker)
    with memory.watched(), ThreadPoolExecutor(STREAMS) as clients:
        for operation, send in (("put_object", put), ("get_object", get)):
            urls = [presign(gateway, operation, **place) for place in places]
            for each in [clients.submit(send, url, body) for url, body in zip(urls, bodies, strict=True)]:
                each.result(300)
    assert gateway.children("gateway.worker") == [worker]
    assert len(memory.samples) > 20
    assert memory.growth <= GROWTH_LIMIT_KIB

"""SIGTERM: what is under way finishes within the deadline, and nothing longer than that."""

from __future__ import annotations

import random
import socket
import time

import pytest

from tests.acceptance.conftest import StartGateway
from tests.acceptance.raw import begin_put, connect, presign, target
from tests.harness import Gateway, wait_until

BUCKET = "drained"
BODY = random.Random(9).randbytes(24 << 20)
"""More than the sockets' buffers hold on their way to a client that does not read."""


def begin_to_end(gateway: Gateway) -> None:
    """SIGTERM, and wait until the workers know."""
    before = gateway.log_path.read_bytes().count(b": draining")
    assert gateway.process is not None
    gateway.process.terminate()
    wait_until(lambda: gateway.log_path.read_bytes().count(b": draining") > before, "the worker drains")


def answer_of(sock: socket.socket) -> bytes:
    with sock.makefile("rb") as file:
        return file.readline().strip()


@pytest.fixture
def gateway(make_gateway: StartGateway, request: pytest.FixtureRequest) -> Gateway:
    environment = {"SEALGATE_LISTEN_DRAIN_SECONDS": str(request.param)}
    made = make_gateway(environment=environment).start()
    made.client("s3").create_bucket(Bucket=BUCKET)
    return made


@pytest.mark.parametrize("gateway", [30], indirect=True)
def test_uploads_and_downloads_under_way_finish(gateway: Gateway) -> None:
    s3 = gateway.client("s3")
    s3.put_object(Bucket=BUCKET, Key="read", Body=BODY)
    get = presign(gateway, "get_object", Bucket=BUCKET, Key="read")
    download = connect(get)
    download.request("GET", target(get))
    response = download.getresponse()
    received = [response.read(1 << 16)]
    put = begin_put(presign(gateway, "put_object", Bucket=BUCKET, Key="written"), len(BODY))
    put.sendall(BODY[: 10 << 20])

    begin_to_end(gateway)

    put.sendall(BODY[10 << 20 :])
    assert answer_of(put) == b"HTTP/1.1 200 OK"
    while piece := response.read(1 << 20):
        received.append(piece)
    assert b"".join(received) == BODY
    assert gateway.process is not None
    assert gateway.process.wait(60) == 0
    put.close()
    download.close()

    gateway.start()
    assert gateway.client("s3").get_object(Bucket=BUCKET, Key="written")["Body"].read() == BODY


@pytest.mark.parametrize("gateway", [1], indirect=True)
def test_a_client_that_does_not_finish_is_not_waited_for(gateway: Gateway) -> None:
    put = begin_put(presign(gateway, "put_object", Bucket=BUCKET, Key="written"), len(BODY))
    put.sendall(BODY[: 10 << 20])
    temporary = gateway.data / "store" / "tmp"
    wait_until(lambda: any(path.stat().st_size for path in temporary.glob("*/*")), "the upload has begun")

    began = time.monotonic()
    begin_to_end(gateway)
    assert gateway.process is not None
    assert gateway.process.wait(60) == 0
    assert time.monotonic() - began < 10
    put.close()
    assert not list(temporary.glob("*/*"))

    gateway.start()
    assert gateway.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0

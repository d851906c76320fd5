"""A whole gateway with two workers: what happens when its processes die, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gateway.sockets import BindError, bind, bind_unix, bind_workers, is_answered, local_address, unix_path_problem
from gateway.supervisor import is_alive
from tests.acceptance.observe import readiness
from tests.gateway.server.test_tls import write_pair
from tests.harness import Gateway, clean_environment, wait_until

pytestmark = pytest.mark.slow

EXIT_ALREADY_RUNNING = 4


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A data directory, and the gateway that serves it if a test has started it."""
    made = Gateway(tmp_path_factory.mktemp("supervisor") / "data", root="file", workers=2).init()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def gateway(initialised: Gateway) -> Gateway:
    """A gateway that is ready: the one of the test before, unless that ended it."""
    if initialised.process is None or initialised.process.poll() is not None:
        initialised.start()
    wait_until(lambda: is_ready(initialised) and len(initialised.children("gateway.worker")) == 2, "all of it is up")
    return initialised


def is_ready(gateway: Gateway) -> bool:
    try:
        with urllib.request.urlopen(f"{gateway.admin_url}/healthz/ready", timeout=60) as reply:
            return bool(json.load(reply)["status"] == "ready")
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def answers(gateway: Gateway, target: str = "/") -> int:
    """Status of an anonymous request on a connection of its own."""
    try:
        with urllib.request.urlopen(gateway.endpoint_url + target, timeout=60) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        return error.code


def metrics_of(gateway: Gateway) -> str:
    with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=60) as reply:
        return str(reply.read().decode())


def is_listening(gateway: Gateway) -> bool:
    """Whether a worker accepts: a connection may wait in the backlog of one that does not."""
    host, port = gateway.endpoint_url.removeprefix("http://").split(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1) as client:
            client.settimeout(0.2)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return bool(client.recv(1))
    except OSError:
        return False


def gone(pids: list[int]) -> bool:
    return not any(is_alive(str(pid)) for pid in pids)


def test_killed_worker_is_replaced_and_its_temporary_files_are_purged(gateway: Gateway) -> None:
    workers = gateway.children("gateway.worker")
    assert len(workers) == 2
    leftovers = [gateway.data / "store" / "tmp" / f"worker-{number}" / "half" for number in range(2)]
    for leftover in leftovers:
        leftover.parent.mkdir(parents=True, exist_ok=True)
        leftover.write_bytes(b"half a blob")
    os.kill(workers[0], signal.SIGKILL)
    wait_until(lambda: len({*gateway.children("gateway.worker")} - {*workers}) == 1, "a new worker")
    assert workers[1] in gateway.children("gateway.worker")
    assert sorted(leftover.exists() for leftover in leftovers) == [False, True]
    # Connections that the dead worker's socket holds are served by its successor: none is refused.
    assert {answers(gateway) for _ in range(10)} == {403}


def test_killed_kmsd_is_replaced(gateway: Gateway) -> None:
    (kmsd,) = gateway.children("kms.daemon")
    os.kill(kmsd, signal.SIGKILL)
    wait_until(lambda: gateway.children("kms.daemon") not in ([], [kmsd]), "a new kmsd")
    wait_until(lambda: is_ready(gateway), "ready with the new kmsd")


def test_metrics_add_up_over_workers(gateway: Gateway) -> None:
    # An operation that no other test here asks for: a worker counts only four times a second what it has answered,
    # so those of the test before might still be to come.
    counted = re.compile(r'^sealgate_requests_total\{operation="GetBucketPolicy",status="4xx"\} (.*)$', re.MULTILINE)

    def count() -> float:
        sample = counted.search(metrics_of(gateway))
        return float(sample[1]) if sample else 0.0

    for _ in range(6):
        assert answers(gateway, "/nowhere?policy") in (403, 404)
    wait_until(lambda: count() >= 6, "all six are counted")
    assert count() == 6


def test_second_supervisor_refuses(gateway: Gateway) -> None:
    refused = gateway.sealgate("serve", str(gateway.data), check=False)
    assert refused.returncode == EXIT_ALREADY_RUNNING
    assert "another sealgate" in refused.stderr
    assert "stop it first" in refused.stderr
    # The refused one has left everything in place: new workers and a new kmsd still find each other.
    assert is_answered(gateway.data / "run" / "kms.sock")
    assert is_ready(gateway)


def test_orderly_end_takes_all_children_along(gateway: Gateway) -> None:
    assert gateway.process is not None
    children = gateway.children("gateway.worker") + gateway.children("kms.daemon")
    assert len(children) == 3
    gateway.process.terminate()
    assert gateway.process.wait(60) == 0
    wait_until(lambda: gone(children), "the children are gone")
    assert not (gateway.data / "run" / "kms.sock").exists()


def test_upload_in_flight_finishes_after_sigterm(gateway: Gateway) -> None:
    assert gateway.process is not None
    s3 = gateway.client("s3", signature_version="s3v4")
    s3.create_bucket(Bucket="in-flight")
    url = urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": "in-flight", "Key": "k"}))
    assert url.hostname is not None
    with socket.create_connection((url.hostname, url.port or 80), timeout=30) as client:
        target = f"{url.path}?{url.query}"
        client.sendall(f"PUT {target} HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Length: 10\r\n\r\n12345".encode())
        wait_until(lambda: "sealgate_requests_in_flight 1.0" in metrics_of(gateway), "the upload is being served")
        gateway.process.terminate()
        wait_until(lambda: not is_listening(gateway), "no new connections")
        client.sendall(b"67890")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    assert gateway.process.wait(60) == 0
    gateway.start()
    assert gateway.client("s3").get_object(Bucket="in-flight", Key="k")["Body"].read() == b"1234567890"


def test_children_end_when_the_supervisor_is_killed_and_the_next_one_waits_for_them(gateway: Gateway) -> None:
    assert gateway.process is not None
    children = gateway.children("gateway.worker") + gateway.children("kms.daemon")
    gateway.process.kill()
    gateway.process.wait(30)
    gateway.start()
    wait_until(lambda: gone(children), "the old children are gone")
    assert is_ready(gateway)


def test_signal_of_the_terminal_ends_in_order(gateway: Gateway) -> None:
    assert gateway.process is not None
    gateway.process.send_signal(signal.SIGINT)
    assert gateway.process.wait(60) == 0


def test_tls_is_served_by_the_workers(initialised: Gateway, tmp_path: Path) -> None:
    initialised.stop()
    write_pair(tmp_path, "gateway")
    initialised.environment = {
        "SEALGATE_LISTEN_TLS_CERTIFICATE": str(tmp_path / "cert.pem"),
        "SEALGATE_LISTEN_TLS_KEY": str(tmp_path / "key.pem"),
    }
    try:
        initialised.start()
    finally:
        initialised.environment = {}
    assert initialised.endpoint_url.startswith("https://")
    context = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    context.check_hostname = False
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(initialised.endpoint_url, timeout=60, context=context)
    initialised.stop()


@pytest.mark.parametrize("name", ["index/index.sqlite", "kms/keys.sqlite", "iam/identities.sqlite"])
def test_health_names_a_database_that_went_away_or_was_overwritten(gateway: Gateway, name: str) -> None:
    path = gateway.data / name
    away = path.rename(path.with_name("away"))
    try:
        for content in (None, b"", b"no database" * 1000):
            if content is not None:
                path.write_bytes(content)
            is_well, reasons = readiness(gateway)
            assert not is_well
            assert any(str(path) in reason and "docs/backup.md" in reason for reason in reasons), reasons
    finally:
        away.replace(path)
    assert readiness(gateway) == (True, [])
    assert answers(gateway) == 403


def test_address_in_use_is_a_sentence(initialised: Gateway) -> None:
    initialised.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = subprocess.run(
            [sys.executable, "-m", "gateway", "serve", str(initialised.data)],
            env=clean_environment(SEALGATE_LISTEN_ADDRESS=address),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert refused.returncode == 1
    assert refused.stderr.strip() == f"Error: cannot listen on {address}: Address already in use"


def test_worker_that_cannot_start_fails_the_whole_start(initialised: Gateway) -> None:
    initialised.stop()
    refused = subprocess.run(
        [sys.executable, "-m", "gateway", "serve", str(initialised.data)],
        env=clean_environment(SEALGATE_LOG_ACCESS_LOG="/nowhere/access.log", SEALGATE_LISTEN_WORKERS="1"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert refused.returncode == 1
    assert "worker-0 does not start" in refused.stderr
    assert "/nowhere/access.log" in refused.stderr


def test_workers_share_a_port_that_nobody_else_can_join() -> None:
    first = bind_workers("127.0.0.1:0", 3)
    try:
        assert len({local_address(sock) for sock in first}) == 1
        with pytest.raises(BindError, match="cannot listen on"):
            bind_workers(local_address(first[0]), 1)
    finally:
        for sock in first:
            sock.close()


def test_free_port_is_reported() -> None:
    with bind("127.0.0.1:0") as sock:
        assert int(local_address(sock).rpartition(":")[2]) > 0


def test_unix_socket_is_private_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "run" / "kms.sock"
    bind_unix(path).close()
    with bind_unix(path):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(BindError, match="another process does"):
            bind_unix(path)
        assert is_answered(path)


def test_long_socket_path_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 120)
    problem = unix_path_problem(path)
    assert problem is not None
    assert "kms.socket" in problem
    with pytest.raises(BindError, match=r"set kms\.socket"):
        bind_unix(path)

"""`sealgate reload` while clients ask without pause: no request fails; with what cannot serve, all stays as it is."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.acceptance.raw import KeptConnection, Prepared, ask, begin_put, connect, kms_request, presign, target
from tests.harness import Gateway, wait_until
from tests.postgresql import PostgreSQLServer, start_postgresql

BUCKET = "handed-over"
BODY = random.Random(24).randbytes(24 << 20)
"""More than the sockets' buffers hold on their way to a client that does not read."""

PATIENT = {
    "SEALGATE_LISTEN_BODY_READ_SECONDS": "600",
    "SEALGATE_LISTEN_WRITE_SECONDS": "600",
    "SEALGATE_KMS_CALL_SECONDS": "60",
    "SEALGATE_LISTEN_UNREADY_SECONDS": "600",
}
"""An upload and a download rest while the gateway is replaced, and calls of the KMS wait, however long that takes; and
after SIGTERM there is all the time to look."""

PAUSE_SECONDS = 0.05
"""Between two turns of a client: the machine has something else to do as well."""

END_SECONDS = 120.0

STAYS = "everything goes on as before"


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("handover") / "data", workers=2, environment=PATIENT).init().start()
    try:
        make_bucket(made)
        yield made
    finally:
        if made.process is not None:
            made.kill_all()


def make_bucket(gateway: Gateway) -> None:
    """One that uses KMS keys."""
    gateway.client("s3").create_bucket(Bucket=BUCKET)
    gateway.client("s3").put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
        },
    )


@pytest.fixture
def gateway(initialised: Gateway) -> Gateway:
    """One that is ready: that of the test before, unless this one ended it."""
    return initialised if initialised.process is not None else initialised.start()


class Asking:
    """Clients in threads of their own, each asking again once it is answered, none repeating a request."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._stop = threading.Event()
        self._kept: list[KeptConnection] = []
        self._threads: list[threading.Thread] = []
        self.asked: list[int] = []
        self.failures: list[str] = []

    def keep_connection(self) -> KeptConnection:
        self._kept.append(KeptConnection(self.gateway.endpoint_url))
        return self._kept[-1]

    def add(self, turn: Callable[[int], None]) -> None:
        """Call `turn` with 0, 1, 2, …; it raises for an answer that is none."""
        number = len(self.asked)
        self.asked.append(0)

        def run() -> None:
            for each in itertools.count():
                if self._stop.is_set():
                    return
                try:
                    turn(each)
                except Exception as error:
                    self.failures.append(f"client {number}, turn {each}: {error!r}")
                self.asked[number] += 1
                self._stop.wait(PAUSE_SECONDS)

        self._threads.append(threading.Thread(target=run))
        self._threads[-1].start()

    def wait_for_turns(self, count: int) -> None:
        """Until every client has been answered so often from now on."""
        before = list(self.asked)
        wait_until(
            lambda: all(now >= then + count for now, then in zip(self.asked, before, strict=True)),
            "all go on",
            END_SECONDS,
        )

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for kept in self._kept:
            kept.close()


def kept_reader_and_writer(asking: Asking, key: str) -> Callable[[int], None]:
    """Over one connection, opened again only where the server said that it closes."""
    gateway, kept = asking.gateway, asking.keep_connection()
    put, get = (
        target(presign(gateway, operation, Bucket=BUCKET, Key=key)) for operation in ("put_object", "get_object")
    )

    def turn(number: int) -> None:
        body = f"{key} {number}".encode() * 3000  # beyond what the index takes, so that it is a blob
        answers = [kept.ask(Prepared("put", "PUT", put, body)), kept.ask(Prepared("get", "GET", get))]
        assert [answer.status for answer in answers] == [200, 200], answers
        assert answers[1].body == body

    return turn


def fresh_reader(asking: Asking) -> Callable[[int], None]:
    """Over a new connection each time."""
    gateway = asking.gateway
    gateway.client("s3").put_object(Bucket=BUCKET, Key="fresh", Body=b"fresh")
    url = presign(gateway, "get_object", Bucket=BUCKET, Key="fresh")

    def turn(number: int) -> None:
        answer = ask("GET", url)
        assert (answer.status, answer.body) == (200, b"fresh"), answer

    return turn


def key_changer(asking: Asking) -> Callable[[int], None]:
    """Calls of the KMS that must be made once: nobody may repeat what was cut off."""
    gateway, kept = asking.gateway, asking.keep_connection()
    key = gateway.client("kms").create_key()["KeyMetadata"]
    principal = key["Arn"].split(":")[4]
    credentials = gateway.credentials["AWS_ACCESS_KEY_ID"], gateway.credentials["AWS_SECRET_ACCESS_KEY"]
    create = kms_request(
        gateway.endpoint_url,
        credentials,
        "CreateGrant",
        KeyId=key["KeyId"],
        GranteePrincipal=f"arn:aws:iam::{principal}:root",
        Operations=["Decrypt"],
    )

    def turn(number: int) -> None:
        answer = kept.ask(create)
        assert answer.status == 200, answer

    return turn


def configure(gateway: Gateway, old: str, new: str) -> Callable[[], object]:
    """Change the configuration; returns what changes it back."""
    path = gateway.data / "sealgate.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return lambda: path.write_text(text)


def processes(gateway: Gateway) -> tuple[set[int], set[int]]:
    return set(gateway.children("gateway.worker")), set(gateway.children("kms.daemon"))


def test_no_request_fails_while_the_gateway_is_replaced(gateway: Gateway) -> None:
    s3 = gateway.client("s3")
    s3.put_object(Bucket=BUCKET, Key="read", Body=BODY)
    get = presign(gateway, "get_object", Bucket=BUCKET, Key="read")
    download = connect(get)
    download.request("GET", target(get))
    response = download.getresponse()
    received = [response.read(1 << 16)]
    upload = begin_put(presign(gateway, "put_object", Bucket=BUCKET, Key="written"), len(BODY))
    upload.sendall(BODY[: 10 << 20])
    assert gateway.process is not None
    workers, kmsds = processes(gateway)

    asking = Asking(gateway)
    try:
        for turn in (
            kept_reader_and_writer(asking, "one"),
            kept_reader_and_writer(asking, "two"),
            fresh_reader(asking),
            key_changer(asking),
        ):
            asking.add(turn)
        asking.wait_for_turns(3)
        # More workers, then fewer than there are sockets: what waits in any of these must be served.
        for old, new in (("workers = 2", "workers = 3"), ("workers = 3", "workers = 1")):
            configure(gateway, old, new)
            done = gateway.sealgate("reload", str(gateway.data), check=False)
            assert (done.returncode, done.stderr) == (0, "")
            asking.wait_for_turns(5)
    finally:
        asking.end()
    assert asking.failures == []

    upload.sendall(BODY[10 << 20 :])
    with upload, upload.makefile("rb") as file:
        assert file.readline().strip() == b"HTTP/1.1 200 OK"
    while piece := response.read(1 << 20):
        received.append(piece)
    download.close()
    assert b"".join(received) == BODY
    assert s3.get_object(Bucket=BUCKET, Key="written")["Body"].read() == BODY
    s3.close()

    # The same supervisor, and nothing else of what was there, once the last connections are over.
    assert gateway.process.poll() is None
    wait_until(lambda: [len(each) for each in processes(gateway)] == [1, 1], "the old workers have ended", END_SECONDS)
    assert not processes(gateway)[0] & workers
    assert not processes(gateway)[1] & kmsds


def worker_that_does_not_start(gateway: Gateway) -> Callable[[], object]:
    return configure(gateway, "[listen]", '[log]\naccess_log = "/nowhere/access.log"\n[listen]')


def wrong_pin(gateway: Gateway) -> Callable[[], object]:
    path = gateway.data / "pin"
    pin = path.read_text()
    path.write_text("wrong" + pin)
    return lambda: path.write_text(pin)


def blobs_elsewhere(gateway: Gateway) -> Callable[[], object]:
    return configure(gateway, "[listen]", f'[storage]\nblobs = "file:{gateway.data.parent}/elsewhere"\n[listen]')


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (blobs_elsewhere, "storage.blobs was changed"),
        (wrong_pin, "root: "),
        (worker_that_does_not_start, "does not start"),
    ],
)
def test_what_cannot_serve_leaves_the_old_ones_serving(
    gateway: Gateway, break_it: Callable[[Gateway], Callable[[], object]], reason: str
) -> None:
    before = processes(gateway)
    kept = KeptConnection(gateway.endpoint_url)
    get = Prepared("get", "GET", target(presign(gateway, "list_objects_v2", Bucket=BUCKET)))
    assert kept.ask(get).status == 200
    mend = break_it(gateway)
    try:
        refused = gateway.sealgate("reload", str(gateway.data), check=False)
        assert kept.ask(get).status == 200
    finally:
        mend()
        kept.close()
    assert refused.returncode == 1
    assert STAYS in refused.stderr
    assert reason in refused.stderr
    assert f"{STAYS}: " in gateway.log_path.read_text()
    # Those that did start have ended again.
    wait_until(lambda: processes(gateway) == before, "the processes of before, and no others", END_SECONDS)


def test_settings_that_cannot_be_read_are_refused_by_command_and_supervisor(gateway: Gateway) -> None:
    before = processes(gateway)
    mend = configure(gateway, "[listen]", "[listen]\nno_such_setting = 1")
    try:
        refused = gateway.sealgate("reload", str(gateway.data), check=False)
        assert refused.returncode == 3
        assert gateway.process is not None
        gateway.process.send_signal(signal.SIGHUP)
        told = f"{STAYS}: {refused.stderr.strip().removeprefix('Error: ')}"
        wait_until(lambda: told in gateway.log_path.read_text(), "the log says why")
    finally:
        mend()
    assert processes(gateway) == before
    assert ask("GET", presign(gateway, "list_objects_v2", Bucket=BUCKET)).status == 200


def test_nobody_to_reload_is_said(tmp_path: Path) -> None:
    idle = Gateway(tmp_path / "data", root="file").init()
    refused = idle.sealgate("reload", str(idle.data), check=False)
    assert refused.returncode == 1
    assert "no sealgate serves" in refused.stderr


def test_a_gateway_that_ends_is_not_ready_before_it_refuses(gateway: Gateway) -> None:
    assert gateway.process is not None

    def reasons() -> list[str]:
        try:
            with urllib.request.urlopen(f"{gateway.admin_url}/healthz/ready", timeout=60) as reply:
                return list(json.load(reply)["reasons"])
        except urllib.error.HTTPError as error:
            return list(json.load(error)["reasons"])

    assert reasons() == []
    gateway.process.terminate()
    wait_until(lambda: reasons() == ["ending"], "not ready")
    assert ask("GET", presign(gateway, "list_objects_v2", Bucket=BUCKET)).status == 200
    os.kill(gateway.process.pid, 0)
    gateway.kill_all()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQLServer]:
    """Its only clients are the gateway of one test."""
    made = start_postgresql()
    yield made
    made.stop(signal.SIGQUIT)


@pytest.fixture
def on_postgresql(postgresql: PostgreSQLServer, tmp_path: Path) -> Iterator[Gateway]:
    """Index, keys and identities are all there."""
    made = Gateway(
        tmp_path / "data", root="file", index=postgresql.url, is_first_of_several=True, environment=PATIENT
    ).init()
    made.start()
    try:
        make_bucket(made)
        yield made
    finally:
        made.kill_all()


def ask_postgresql(server: PostgreSQLServer, sql: str) -> list[Any]:
    """The first column of the answer."""

    async def fetch() -> list[Any]:
        connection = await asyncpg.connect(server.url)
        try:
            return [row[0] for row in await connection.fetch(sql)]
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_no_request_fails_while_gateways_on_postgresql_are_replaced(
    on_postgresql: Gateway, postgresql: PostgreSQLServer
) -> None:
    gateway = on_postgresql

    def connections() -> set[int]:
        return set(
            ask_postgresql(postgresql, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sealgate%'")
        )

    asking = Asking(gateway)
    try:
        asking.add(kept_reader_and_writer(asking, "one"))
        asking.add(key_changer(asking))
        asking.wait_for_turns(3)
        workers, kmsds = processes(gateway)
        before = connections()
        assert before
        done = gateway.sealgate("reload", str(gateway.data), check=False)
        assert (done.returncode, done.stderr) == (0, "")
        asking.wait_for_turns(5)
    finally:
        asking.end()
    assert asking.failures == []
    wait_until(lambda: [len(each) for each in processes(gateway)] == [1, 1], "the old ones have ended", END_SECONDS)
    assert not processes(gateway)[0] & workers
    assert not processes(gateway)[1] & kmsds
    wait_until(lambda: not connections() & before, "PostgreSQL has none of their connections", END_SECONDS)

    # A program that would migrate the index is not taken up beside one that uses it.
    (schema,) = ask_postgresql(postgresql, "SELECT schemaname FROM pg_tables WHERE tablename = 'object_version'")
    newest = f"(SELECT max(number) FROM {schema}.schema_migration)"
    ask_postgresql(postgresql, f"DELETE FROM {schema}.schema_migration WHERE number = {newest}")
    now = processes(gateway)
    refused = gateway.sealgate("reload", str(gateway.data), check=False)
    assert refused.returncode == 1
    assert STAYS in refused.stderr
    assert "the index on PostgreSQL has schema" in refused.stderr
    assert ask("GET", presign(gateway, "list_objects_v2", Bucket=BUCKET)).status == 200
    assert processes(gateway) == now

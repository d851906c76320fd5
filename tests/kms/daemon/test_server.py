"""The server's bounds, over a real socket and with a service that waits when told."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from iam.principals import Caller, root_principal
from kms import wire
from kms.api import types as t
from kms.api.errors import KMSUnavailable
from kms.client import KMSClient
from kms.daemon import server as server_module
from kms.daemon.server import KMSServer
from tests.conformance.key_service import assert_refused, refusal
from tests.kms.services import ScriptedService, listening, serving, until

CALLER = Caller(root_principal("111122223333"), "R")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
async def service() -> ScriptedService:
    return ScriptedService()


@pytest.fixture
async def server(service: ScriptedService, path: Path) -> AsyncIterator[KMSServer]:
    async with serving(service.as_key_service(), path) as server:
        yield server


@pytest.fixture
async def client(server: KMSServer, path: Path) -> AsyncIterator[KMSClient]:
    client = KMSClient(path, call_seconds=30)
    yield client
    await client.close()


class RawPeer:
    """A worker that writes what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.frames = wire.FrameReader(wire.MAX_REPLY_BYTES)

    @classmethod
    async def connect(cls, path: Path) -> RawPeer:
        return cls(*await asyncio.open_unix_connection(str(path)))

    async def read(self, count: int) -> list[tuple[int, int, bytes]]:
        """`count` frames, or fewer if the connection ends."""
        read: list[tuple[int, int, bytes]] = []
        async with asyncio.timeout(60):
            while len(read) < count and (data := await self.reader.read(1 << 20)):
                self.frames.feed(data)
                read += self.frames.frames()
        return read

    async def is_closed_by_peer(self) -> bool:
        async with asyncio.timeout(60):
            try:
                return await self.reader.read() == b""
            except ConnectionResetError:
                return True

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


@pytest.fixture
async def peer(server: KMSServer, path: Path) -> AsyncIterator[RawPeer]:
    peer = await RawPeer.connect(path)
    yield peer
    await peer.close()


def random_request(request_id: int) -> bytes:
    return wire.format_frame(wire.VERB_OF[t.GenerateRandom].number, request_id, (CALLER, t.GenerateRandom(1), False))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\xff" * 64,
        wire.format_frame(99, 1, ()),
        wire.format_frame(wire.ANSWER, 1, ()),
        (wire.MAX_REQUEST_BYTES + 1).to_bytes(4, "big") + b"\x02\x12" + bytes(8),
        random_request(1) + random_request(1),
    ],
    ids=["http", "noise", "verb", "answer", "oversize", "same id twice"],
)
async def test_what_is_not_the_protocol_ends_that_connection_alone(
    peer: RawPeer, client: KMSClient, server: KMSServer, data: bytes
) -> None:
    await client.health()
    peer.writer.write(data)
    assert await peer.is_closed_by_peer()
    assert (await client.health()).detail == "scripted"
    await until(lambda: len(server.connections) == 1)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x90", b"\x92\xa1x\x01", wire.format_frame(1, 1, (CALLER, "1"))[14:]])
async def test_a_malformed_request_is_refused_and_the_next_is_answered(peer: RawPeer, body: bytes) -> None:
    frame = wire.format_frame(wire.VERB_OF[t.GenerateRandom].number, 7, ())[4:14] + body
    peer.writer.write(len(frame).to_bytes(4, "big") + frame + wire.format_frame(wire.HEALTH, 8, None))
    replies = {request_id: (kind, body) for kind, request_id, body in await peer.read(2)}
    assert replies[7][0] == wire.REFUSAL
    assert wire.parse_refusal(replies[7][1]).code == "ValidationException"
    assert replies[8][0] == wire.ANSWER


async def test_answers_come_in_any_order(peer: RawPeer, service: ScriptedService) -> None:
    peer.writer.write(random_request(1) + wire.format_frame(wire.HEALTH, 2, None))
    assert [frame[:2] for frame in await peer.read(1)] == [(wire.ANSWER, 2)]
    service.go_on.set()
    assert [frame[:2] for frame in await peer.read(1)] == [(wire.ANSWER, 1)]


async def test_refusals_and_faults_travel(client: KMSClient, caplog: pytest.LogCaptureFixture) -> None:
    await assert_refused(client.call(CALLER, t.DescribeKey("x")), "NotFoundException", "Invalid keyId 'x'")
    await assert_refused(client.call(CALLER, t.EnableKey("x")), "KMSInternalException", "An internal error occurred.")
    assert "a fault with x" in caplog.text


async def test_requests_under_way_are_bounded(
    peer: RawPeer, service: ScriptedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "MAX_UNDER_WAY", 10)
    peer.writer.write(b"".join(random_request(number) for number in range(100)))
    await until(lambda: service.running == 10)
    for _ in range(20):
        await asyncio.sleep(0)
    assert service.most_running == 10
    service.go_on.set()
    assert sorted(frame[1] for frame in await peer.read(100)) == list(range(100))
    assert service.most_running == 10


async def test_a_peer_that_does_not_read_is_not_read_from(peer: RawPeer, server: KMSServer) -> None:
    request = [
        wire.format_frame(wire.VERB_OF[t.ListKeys].number, number, (CALLER, t.ListKeys(1000), False))
        for number in range(200)
    ]
    peer.writer.write(b"".join(request))
    await until(lambda: [c for c in server.connections if not c._peer_reads])
    [connection] = server.connections
    assert not connection._is_reading
    assert sorted(frame[1] for frame in await peer.read(200)) == list(range(200))
    await until(lambda: connection._is_reading)


async def test_a_request_has_a_deadline(service: ScriptedService, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_TICK_SECONDS", 0.01)
    async with serving(service.as_key_service(), path, request_seconds=0.02):
        client = KMSClient(path)
        error = await refusal(client.call(CALLER, t.GenerateRandom(1)))
        assert isinstance(error, KMSUnavailable)
        assert service.cancelled == 1
        assert (await client.health()).detail == "scripted"
        await client.close()


async def test_a_request_that_makes_key_pairs_has_more_time(
    service: ScriptedService, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_TICK_SECONDS", 0.01)
    async with serving(service.as_key_service(), path, request_seconds=0.02):
        client = KMSClient(path)
        making = asyncio.create_task(refusal(client.call(CALLER, t.CreateKey())))
        await asyncio.sleep(0)  # it is sent first, and its deadline is the later one
        assert isinstance(await refusal(client.call(CALLER, t.GenerateRandom(1))), KMSUnavailable)
        assert not making.done()
        service.go_on.set()
        assert (await making).code == "LimitExceededException"
        await client.close()


async def test_a_worker_that_dies_takes_its_requests_along(peer: RawPeer, service: ScriptedService) -> None:
    peer.writer.write(random_request(1))
    await until(lambda: service.running == 1)
    await peer.close()
    await until(lambda: service.cancelled == 1)


async def test_draining_answers_what_is_under_way_and_declines_the_rest(
    peer: RawPeer, service: ScriptedService, server: KMSServer
) -> None:
    peer.writer.write(random_request(1))
    await until(lambda: service.running == 1)
    draining = asyncio.create_task(server.drain(30))
    await until(lambda: server.is_draining)
    peer.writer.write(random_request(2))
    declined = [frame[:2] for frame in await peer.read(2)]
    assert declined == [(wire.DECLINED, wire.EVERY_REQUEST), (wire.DECLINED, 2)]
    service.go_on.set()
    assert [frame[:2] for frame in await peer.read(1)] == [(wire.ANSWER, 1)]
    await peer.close()
    await draining


async def test_a_successor_on_the_same_socket_gets_what_its_predecessor_has_not_begun(path: Path) -> None:
    """Calls without pause, of a client that repeats nothing, while one server after the other takes over."""
    services = [ScriptedService() for _ in range(4)]
    socket = listening(path)
    server = KMSServer(services[0].as_key_service())
    await server.listen(socket.dup())
    client = KMSClient(path, call_seconds=60)
    calls: list[asyncio.Task[object]] = []

    async def call_without_pause() -> None:
        while True:
            calls.append(asyncio.create_task(client.call(CALLER, t.EnableKey("k"))))
            calls.append(asyncio.create_task(client.call(CALLER, t.GenerateRandom(1))))
            await asyncio.sleep(0)

    calling = asyncio.create_task(call_without_pause())
    for service, successor in itertools.pairwise(services):
        await until(lambda service=service: service.most_running)  # type: ignore[misc]
        service.go_on.set()
        await server.drain(60)
        await server.close()
        server = KMSServer(successor.as_key_service())
        await server.listen(socket.dup())
    calling.cancel()
    services[-1].go_on.set()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    # A fault of the script is an answer: the call was made once, and was not cut off.
    assert {getattr(answer, "code", "ok") for answer in answers} == {"ok", "KMSInternalException"}
    await client.close()
    await server.close()
    socket.close()


async def test_draining_ends_in_time(peer: RawPeer, service: ScriptedService, server: KMSServer) -> None:
    peer.writer.write(random_request(1))
    await until(lambda: service.running == 1)
    async with asyncio.timeout(60):
        await server.drain(0.01)
    await server.close()
    assert [frame[:2] for frame in await peer.read(1)] == [(wire.DECLINED, wire.EVERY_REQUEST)]
    assert await peer.is_closed_by_peer()


async def test_other_users_are_refused(
    server: KMSServer, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(server_module, "peer_uid", lambda connection: 12345)
    stranger = await RawPeer.connect(path)
    assert await stranger.is_closed_by_peer()
    assert "12345" in caplog.text
    assert not server.connections
    await stranger.close()


async def test_connections_are_bounded(server: KMSServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_CONNECTIONS", 1)
    first = await RawPeer.connect(path)
    await until(lambda: len(server.connections) == 1)
    second = await RawPeer.connect(path)
    assert await second.is_closed_by_peer()
    first.writer.write(wire.format_frame(wire.HEALTH, 1, ()))
    assert len(await first.read(1)) == 1
    await first.close()
    await second.close()

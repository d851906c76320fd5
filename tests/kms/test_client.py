"""The client when kmsd is away, goes away, is slow, or talks nonsense."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from iam.principals import Caller, root_principal
from kms import client as client_module
from kms import wire
from kms.api import types as t
from kms.api.errors import KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.client import KMSClient
from tests.conformance.key_service import assert_refused, refusal
from tests.kms.services import ScriptedService, listening, serving, until

CALLER = Caller(root_principal("111122223333"), "R")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
async def client(path: Path) -> AsyncIterator[KMSClient]:
    client = KMSClient(path, call_seconds=20, connect_seconds=10)
    yield client
    await client.close()


Handler = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def peer(path: Path, handle: Handler) -> AsyncIterator[list[int]]:
    """Something that listens in place of kmsd; yields the list of its connections' numbers."""
    connections: list[int] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(len(connections))
        try:
            await handle(connections[-1], reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_unix_server(connected, sock=listening(path))
    try:
        yield connections
    finally:
        server.close()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, result: object) -> None:
    frames = wire.FrameReader(wire.MAX_REQUEST_BYTES)
    while data := await reader.read(65536):
        frames.feed(data)
        for _, request_id, _ in frames.frames():
            writer.write(wire.format_frame(wire.ANSWER, request_id, result))


async def cut_then_answer(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The first connection ends after its first request; later ones answer with two bytes."""
    if number == 0:
        await reader.read(1)
        return
    await answer(reader, writer, SecretBytes(b"ok"))


async def test_a_call_cut_off_is_asked_once_more(client: KMSClient, path: Path) -> None:
    async with peer(path, cut_then_answer) as connections:
        values = await asyncio.gather(*(client.call(CALLER, t.GenerateRandom(2)) for _ in range(5)))
        assert values == [SecretBytes(b"ok")] * 5
        assert connections == [0, 1]


async def test_a_change_cut_off_is_not_repeated(client: KMSClient, path: Path) -> None:
    async with peer(path, cut_then_answer) as connections:
        error = await refusal(client.call(CALLER, t.CreateKey()))
        assert isinstance(error, KMSUnavailable)
        assert "may or may not" in error.message
        assert connections == [0]


async def test_a_call_cut_off_twice_fails(client: KMSClient, path: Path) -> None:
    async def cut(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async with peer(path, cut) as connections:
        assert isinstance(await refusal(client.call(CALLER, t.GenerateRandom(1))), KMSUnavailable)
        assert connections == [0, 1]


async def test_nobody_there(path: Path) -> None:
    client = KMSClient(path, connect_seconds=0.5)
    error = await refusal(client.call(CALLER, t.GenerateRandom(1)))
    assert isinstance(error, KMSUnavailable)
    assert error.retry_after_seconds > 0
    health = await client.health()
    assert (health.state, health.detail) == (t.HealthState.SEALED, "the key process does not answer")
    await client.close()


async def test_waits_for_a_restart_and_then_goes_on(client: KMSClient, path: Path) -> None:
    service = ScriptedService()
    service.go_on.set()
    async with serving(service.as_key_service(), path):
        await client.call(CALLER, t.GenerateRandom(1))
    await until(lambda: client._connection is not None and client._connection.lost.done())
    path.unlink(missing_ok=True)  # from Python 3.13 on, closing a Unix server removes its socket
    waiting = asyncio.create_task(client.call(CALLER, t.GenerateRandom(3)))
    await asyncio.sleep(0)
    async with serving(service.as_key_service(), path):
        assert len(await waiting) == 3


async def test_degraded_when_it_was_there_before(path: Path) -> None:
    client = KMSClient(path, connect_seconds=0.5)
    async with serving(ScriptedService().as_key_service(), path):
        assert (await client.health()).state is t.HealthState.READY
    assert (await client.health()).state is t.HealthState.DEGRADED
    await client.close()


async def test_a_call_has_a_deadline(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_DEADLINE_TICK_SECONDS", 0.01)
    service = ScriptedService()
    async with serving(service.as_key_service(), path):
        client = KMSClient(path, call_seconds=0.5)
        errors = await asyncio.gather(*(refusal(client.call(CALLER, t.GenerateRandom(1))) for _ in range(3)))
        assert all(isinstance(error, KMSUnavailable) for error in errors)
        # The connection is as good as before; late answers are not mistaken for others.
        service.go_on.set()
        assert len(await client.call(CALLER, t.GenerateRandom(5))) == 5
        await client.close()


async def test_what_makes_key_pairs_has_more_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_DEADLINE_TICK_SECONDS", 0.01)
    service = ScriptedService()
    async with serving(service.as_key_service(), path):
        client = KMSClient(path, call_seconds=0.5)
        making = asyncio.create_task(refusal(client.call(CALLER, t.CreateKey())))
        assert isinstance(await refusal(client.call(CALLER, t.GenerateRandom(1))), KMSUnavailable)
        service.go_on.set()
        assert (await making).code == "LimitExceededException"
        await client.close()


async def test_a_cancelled_call_leaves_the_others(client: KMSClient, path: Path) -> None:
    service = ScriptedService()
    async with serving(service.as_key_service(), path):
        calls = [asyncio.create_task(client.call(CALLER, t.GenerateRandom(1 + n))) for n in range(3)]
        await until(lambda: service.running == 3)
        calls[1].cancel()
        service.go_on.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert results[0] == SecretBytes(bytes(1))
        assert isinstance(results[1], asyncio.CancelledError)
        assert results[2] == SecretBytes(bytes(3))


async def test_a_cancelled_connection_attempt_leaves_the_others(client: KMSClient, path: Path) -> None:
    service = ScriptedService()
    service.go_on.set()
    calls = [asyncio.create_task(client.call(CALLER, t.GenerateRandom(1))) for _ in range(2)]
    await asyncio.sleep(0)
    calls[0].cancel()
    async with serving(service.as_key_service(), path):
        assert len(await calls[1]) == 1


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400\r\n\r\n", wire.format_frame(7, 1, None), wire.format_frame(0, 1, 5)])
async def test_nonsense_ends_the_connection_and_the_call(client: KMSClient, path: Path, reply: bytes) -> None:
    async def nonsense(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(reply)
        await reader.read()

    async with peer(path, nonsense):
        assert isinstance(await refusal(client.call(CALLER, t.CreateKey())), KMSUnavailable)


async def test_requests_that_would_break_the_connection_are_refused_here(client: KMSClient, path: Path) -> None:
    service = ScriptedService()
    async with serving(service.as_key_service(), path):
        waiting = asyncio.create_task(client.call(CALLER, t.GenerateRandom(1)))
        await until(lambda: service.running == 1)
        await assert_refused(client.call(CALLER, t.DescribeKey("x" * wire.MAX_REQUEST_BYTES)), "ValidationException")
        await assert_refused(client.call(CALLER, t.DescribeKey("\ud800")), "ValidationException")
        await assert_refused(client.call(CALLER, t.GenerateRandom(2**70)), "ValidationException")
        service.go_on.set()
        assert len(await waiting) == 1


async def test_calls_under_way_are_bounded(client: KMSClient, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_CALLS", 2)
    service = ScriptedService()
    async with serving(service.as_key_service(), path):
        waiting = [asyncio.create_task(client.call(CALLER, t.GenerateRandom(1))) for _ in range(2)]
        await until(lambda: service.running == 2)
        assert isinstance(await refusal(client.call(CALLER, t.GenerateRandom(1))), KMSUnavailable)
        service.go_on.set()
        await asyncio.gather(*waiting)


async def test_closing_fails_what_is_under_way(path: Path) -> None:
    service = ScriptedService()
    async with serving(service.as_key_service(), path):
        client = KMSClient(path)
        waiting = asyncio.create_task(refusal(client.call(CALLER, t.GenerateRandom(1))))
        await until(lambda: service.running == 1)
        await client.close()
        assert isinstance(await waiting, KMSUnavailable)
        assert isinstance(await refusal(client.call(CALLER, t.GenerateRandom(1))), KMSUnavailable)


async def test_closing_while_connecting(path: Path) -> None:
    client = KMSClient(path, connect_seconds=30)
    waiting = asyncio.create_task(refusal(client.call(CALLER, t.GenerateRandom(1))))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await client.close()
    assert isinstance(await waiting, KMSUnavailable)

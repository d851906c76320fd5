"""A client that says exactly what a test wants on the wire, and a listener to say it to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.config import ListenSettings
from gateway.protocol.messages import Request, Response
from gateway.server.access_log import Entry
from gateway.server.listener import Handler, Listener

WAIT_SECONDS = 60.0


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Served:
    """A running listener with what it told its observers."""

    listener: Listener
    port: int
    entries: list[Entry]
    clients: list[Client] = field(default_factory=list)

    async def connect(self, **options: Any) -> Client:
        """A new connection, closed with the listener at the latest."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, **options)
        self.clients.append(Client(reader, writer))
        return self.clients[-1]

    async def ask(self, raw: bytes) -> Reply:
        """One request on a connection of its own."""
        client = await self.connect()
        try:
            client.send(raw)
            return await client.reply(is_head=raw.startswith(b"HEAD"))
        finally:
            client.close()

    async def entry(self) -> Entry:
        """The next request's entry, once the listener has told it."""
        await until(lambda: bool(self.entries))
        return self.entries.pop(0)


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def reply(self, *, is_head: bool = False) -> Reply:
        async with asyncio.timeout(WAIT_SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            lines = head.split("\r\n")
            status = int(lines[0].split(" ")[1])
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:-2])}
            length = 0 if is_head else int(headers.get("content-length", "0"))
            return Reply(status, headers, await self.reader.readexactly(length))

    async def at_end(self) -> bytes:
        """What still comes until the server closes; raises ConnectionResetError if it breaks the connection."""
        async with asyncio.timeout(WAIT_SECONDS):
            return await self.reader.read()

    def close(self) -> None:
        self.writer.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait on a condition of this process, a turn of the loop at a time."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def serving(handler: Handler, **limits: Any) -> AsyncIterator[Served]:
    entries: list[Entry] = []
    tls = limits.pop("tls", None)
    out_of_memory = limits.pop("out_of_memory", lambda: None)
    listener = Listener(
        handler,
        replace(ListenSettings(), **limits),
        observers=[entries.append],
        tls=tls,
        out_of_memory=out_of_memory,
    )
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    await listener.start(sock)
    served = Served(listener, port, entries)
    try:
        yield served
    finally:
        for client in served.clients:
            client.close()
        await listener.close(0)


async def hello(request: Request) -> Response:
    return Response(200, {"Content-Type": "text/plain"}, b"hello")


async def sink(request: Request) -> Response:
    """Answers how many bytes the body had."""
    size = 0
    while piece := await request.body.read():
        size += len(piece)
    return Response(200, {}, str(size).encode())

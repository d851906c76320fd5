"""A crowd of connections: many that idle, many that upload slowly. One event loop holds them all."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.acceptance.raw import target

AT_ONCE = 200
"""Connections that are being opened at one time: more would only wait in the backlog."""
UPLOAD_BYTES = 256_000
PIECE_BYTES = 500
PAUSE_SECONDS = 0.5

SETTINGS = {
    "SEALGATE_LISTEN_BODY_MINIMUM_RATE": "0",
    "SEALGATE_LISTEN_IDLE_SECONDS": "3600",
    "SEALGATE_LISTEN_MAX_CONNECTIONS": "12000",
}
"""Of a gateway that lets a crowd stay."""


@dataclass(frozen=True, slots=True)
class Visitor:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, url: str, method: str = "HEAD") -> int:
        """Send a request without body, and give the status of its answer."""
        self.writer.write(f"{method} {target(url)} HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\n\r\n".encode())
        return await self.status()

    async def status(self) -> int:
        head = await self.reader.readuntil(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d+)", head)
        assert found is not None
        return int(found[1])

    async def upload(self, url: str, hurry: asyncio.Event) -> int:
        """PUT a body in small pieces, and the rest of it at once when told to hurry; the status of the answer."""
        head = f"PUT {target(url)} HTTP/1.1\r\nhost: {urlsplit(url).netloc}\r\ncontent-length: {UPLOAD_BYTES}\r\n\r\n"
        self.writer.write(head.encode())
        sent = 0
        while not hurry.is_set() and sent < UPLOAD_BYTES:
            self.writer.write(b"x" * PIECE_BYTES)
            sent += PIECE_BYTES
            await asyncio.sleep(PAUSE_SECONDS)
        self.writer.write(b"x" * (UPLOAD_BYTES - sent))
        return await self.status()


async def _open(url: str, gate: asyncio.Semaphore) -> Visitor:
    parts = urlsplit(url)
    async with gate:
        visitor = Visitor(*await asyncio.open_connection(parts.hostname, parts.port))
        assert await visitor.ask(url) == 200
        return visitor


async def gather_crowd(url: str, count: int) -> list[Visitor]:
    """So many connections, each of which was served once: `url` is for HEAD."""
    gate = asyncio.Semaphore(AT_ONCE)
    return list(await asyncio.gather(*(_open(url, gate) for _ in range(count))))


async def leave(crowd: Sequence[Visitor]) -> None:
    for visitor in crowd:
        visitor.writer.close()
    await asyncio.gather(*(visitor.writer.wait_closed() for visitor in crowd), return_exceptions=True)

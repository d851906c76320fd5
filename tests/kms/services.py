"""A key service that does as tests tell it, and servers on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.daemon.server import REQUEST_SECONDS, KMSServer


class ScriptedService:
    """Few requests: GenerateRandom waits for `go_on`, CreateKey does so and is refused, DescribeKey is refused,
    ListKeys is answered at length, EnableKey has a fault."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.running = 0
        self.most_running = 0
        self.cancelled = 0

    async def call(self, caller: Caller, request: t.Request[Any], decisions: list[Decided] | None = None) -> object:
        match request:
            case t.GenerateRandom(number_of_bytes):
                return await self._generate_random(number_of_bytes)
            case t.CreateKey():
                await self.go_on.wait()
                raise KMSError("LimitExceededException", "as the script says")
            case t.DescribeKey(key_id):
                raise KMSError("NotFoundException", f"Invalid keyId '{key_id}'")
            case t.ListKeys(limit):
                return t.KeyPage(tuple(t.KeyListEntry("k" * 36, "a" * 80) for _ in range(limit)), None)
            case t.EnableKey(key_id):
                raise RuntimeError(f"a fault with {key_id}")
        raise AssertionError(f"{request.operation_name()} is not in the script")

    async def _generate_random(self, number_of_bytes: int) -> SecretBytes:
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return SecretBytes(bytes(number_of_bytes))

    async def health(self) -> t.Health:
        return t.Health(t.HealthState.READY, "scripted")

    def as_key_service(self) -> KeyService:
        return cast("KeyService", self)


def listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    listener.setblocking(False)
    return listener


@asynccontextmanager
async def serving(
    service: KeyService, path: Path, *, request_seconds: float = REQUEST_SECONDS
) -> AsyncIterator[KMSServer]:
    server = KMSServer(service, request_seconds=request_seconds)
    await server.listen(listening(path))
    try:
        yield server
    finally:
        await server.close()


async def until(condition: object, seconds: float = 10) -> None:
    """Give the loop turns until `condition()` is true."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)

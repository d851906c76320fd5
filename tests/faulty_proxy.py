"""A proxy before a real S3 that fails as networks and services do: it answers errors, cuts connections, hangs."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL


class Fault(Enum):
    STATUS_500 = auto()
    STATUS_503 = auto()
    STATUS_403 = auto()
    CUT_BEFORE = auto()
    """The connection goes before the request reached the service."""
    CUT_AFTER = auto()
    """It goes when the service has done its work, before the answer."""
    CUT_BODY = auto()
    """It goes in the middle of the answer's body."""
    HANG = auto()


HANG_SECONDS = 1.5
"""Longer than any client under test waits."""

_STATUS = {Fault.STATUS_500: 500, Fault.STATUS_503: 503, Fault.STATUS_403: 403}


@dataclass(frozen=True, slots=True)
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]


class FaultyProxy:
    """Before the service at `target`; use it as a context. `seen` has every request, in order."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._faults: Fault | None = None
        self.faults_left = 0
        self._each: tuple[Fault, int] | None = None
        self._failed: Counter[tuple[str, str]] = Counter()
        self.seen: list[Seen] = []
        self.page_size = 1000

    def fail_next(self, fault: Fault, times: int) -> None:
        """The next requests, whatever they are."""
        self._faults, self.faults_left = fault, times

    def fail_each(self, fault: Fault, times: int) -> None:
        """Each different request (method and path) that often, before it is let through."""
        self._each = fault, times

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def _fault(self, request: web.Request) -> Fault | None:
        if self.faults_left:
            self.faults_left -= 1
            return self._faults
        name = request.method, request.raw_path
        if self._each is not None and self._failed[name] < self._each[1]:
            self._failed[name] += 1
            return self._each[0]
        return None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(Seen(request.method, request.raw_path, request.headers.copy()))
        fault = self._fault(request)
        if fault is Fault.HANG:
            await asyncio.sleep(HANG_SECONDS)
        if fault in (Fault.HANG, Fault.CUT_BEFORE):
            return self._cut(request)
        if fault in _STATUS:
            await request.read()
            return web.Response(status=_STATUS[fault], body=b"<Error><Code>Planned</Code></Error>")
        url = self._target + request.raw_path
        if "list-type=2" in url:
            url += f"&max-keys={self.page_size}"
        body = await request.read()
        headers = {name: value for name, value in request.headers.items() if name.lower() != "transfer-encoding"}
        async with self._session.request(
            request.method, URL(url, encoded=True), headers=headers, data=io.BytesIO(body), allow_redirects=False
        ) as answer:
            content = await answer.read()
            if fault is Fault.CUT_AFTER:
                return self._cut(request)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OWN}
            if fault is Fault.CUT_BODY:
                response = web.StreamResponse(status=answer.status, headers=kept)
                response.content_length = len(content)
                await response.prepare(request)
                await response.write(content[: len(content) // 2])
                return self._cut(request)
            if request.method == "HEAD":
                kept["Content-Length"] = answer.headers.get("Content-Length", "0")
                return web.Response(status=answer.status, headers=kept)
            return web.Response(status=answer.status, headers=kept, body=content)

    @staticmethod
    def _cut(request: web.Request) -> web.StreamResponse:
        if request.transport is not None:  # else the client has gone already
            request.transport.abort()
        return web.Response()


_OWN = frozenset({"content-length", "transfer-encoding", "connection", "server", "date"})

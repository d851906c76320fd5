"""kmsd's socket: takes frames from workers of the same user, asks the service, answers as they finish.

Bounded for each connection: the size of a frame, the requests under way (beyond them nothing more is read, so that
the worker's own socket fills), the time of a request.

A drain loses and refuses nothing: workers are told to take their further requests to the next kmsd, which answers on
the same listening socket; what they had sent already is declined as not begun, and they end a connection once all of
its requests are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable
from typing import cast

import msgspec

from iam.policy.decisions import Decided
from kms import wire
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.daemon.peer import peer_uid

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 1024
MAX_UNDER_WAY = 1024
"""Requests under way on one connection."""

REQUEST_SECONDS = 7.0
"""Above the service's own deadline for the root, which gives the better answer; below the client's."""

LEAVE_SECONDS = 1.0
"""Who has nothing under way has this long to end its connection; what it sends later breaks off."""

_TICK_SECONDS = 0.5


class KMSServer:
    """Serves a `KeyService` on a listening Unix socket, to processes of this user only."""

    def __init__(self, service: KeyService, *, request_seconds: float = REQUEST_SECONDS) -> None:
        self.service = service
        self.request_seconds = request_seconds
        self.is_draining = False
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    async def listen(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=listener)

    async def drain(self, seconds: float) -> None:
        """Take no new connections or requests; return when those who had some have gone, or after `seconds`."""
        self.is_draining = True
        if self._server is not None:
            self._server.close()
        for connection in self.connections:
            connection.decline_all()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._departures()

    async def _departures(self) -> None:
        """Until all connections are gone; one on which nothing is under way is waited for a moment only."""
        while self.connections:
            is_idle = not any(connection.tasks() for connection in self.connections)
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), LEAVE_SECONDS if is_idle else None)
            except TimeoutError:
                return

    def departed(self, connection: _Connection) -> None:
        self.connections.discard(connection)
        self.progressed()

    def progressed(self) -> None:
        """A request was answered, or a connection ended."""
        self._changed.set()

    async def close(self) -> None:
        """End every connection, once its last replies are written, and whatever is still under way."""
        self.is_draining = True
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.close()
        # Unwritten replies get this turn of the loop; a peer that does not read loses them.
        await asyncio.sleep(0)
        for connection in list(self.connections):
            connection.abort()


class _Connection(asyncio.Protocol):
    """One worker's connection."""

    def __init__(self, server: KMSServer) -> None:
        self._server = server
        self._service = server.service
        self._loop = asyncio.get_running_loop()
        self._reader = wire.FrameReader(wire.MAX_REQUEST_BYTES)
        self._under_way: dict[int, tuple[asyncio.Task[None], float]] = {}
        self._unsent: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._is_reading = True
        self._peer_reads = True

    def tasks(self) -> list[asyncio.Task[None]]:
        return [task for task, _ in self._under_way.values()]

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class
        uid = peer_uid(self._transport.get_extra_info("socket"))
        if uid != os.geteuid() or len(self._server.connections) >= MAX_CONNECTIONS:
            log.warning("connection from user %d refused", uid)
            self._transport.abort()
            self._transport = None
            return
        self._server.connections.add(self)
        self._ticker = self._loop.call_later(_TICK_SECONDS, self._tick)
        if self._server.is_draining:
            self.decline_all()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._take_requests()

    def pause_writing(self) -> None:
        self._peer_reads = False
        self._regulate()

    def resume_writing(self) -> None:
        self._peer_reads = True
        self._take_requests()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.departed(self)
        if self._ticker is not None:
            self._ticker.cancel()
        for task in self.tasks():
            task.cancel()
        self._under_way.clear()

    def decline_all(self) -> None:
        """Every further request is for the next kmsd."""
        self._reply(wire.format_frame(wire.DECLINED, wire.EVERY_REQUEST, None))

    def close(self) -> None:
        self._send()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Requests

    def _take_requests(self) -> None:
        """Start what was received, up to the bound; read on only below it."""
        room = MAX_UNDER_WAY - len(self._under_way)
        if room > 0 and self._peer_reads and self._transport is not None:
            try:
                for kind, request_id, body in self._reader.frames(limit=room):
                    self._start(kind, request_id, body)
            except wire.WireError as error:
                log.error("a worker does not speak this release's protocol: %s", error)
                self.abort()
        self._regulate()

    def _regulate(self) -> None:
        if self._transport is None:
            return
        may_read = self._peer_reads and len(self._under_way) < MAX_UNDER_WAY
        if may_read and not self._is_reading:
            self._transport.resume_reading()
        elif self._is_reading and not may_read:
            self._transport.pause_reading()
        self._is_reading = may_read

    def _start(self, kind: int, request_id: int, body: bytes) -> None:
        verb = wire.VERBS.get(kind)
        if (verb is None and kind != wire.HEALTH) or request_id in self._under_way:
            raise wire.WireError(f"kind {kind}, request {request_id}")
        if self._server.is_draining:
            self._reply(wire.format_frame(wire.DECLINED, request_id, None))
            return
        decisions: list[Decided] | None = None
        try:
            work: Awaitable[object]
            extra_seconds = 0.0
            if verb is None:
                work = self._service.health()
            else:
                caller, request, is_explained = verb.arguments.decode(body)
                extra_seconds = verb.request.extra_seconds
                if is_explained:
                    decisions = []
                work = self._service.call(caller, request, decisions)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self._refuse(request_id, KMSError("ValidationException", "The request is malformed."))
            return
        task = self._loop.create_task(self._answer(work, kind, request_id, decisions))
        deadline = self._loop.time() + self._server.request_seconds + extra_seconds
        self._under_way[request_id] = (task, deadline)

    async def _answer(
        self, work: Awaitable[object], kind: int, request_id: int, decisions: list[Decided] | None
    ) -> None:
        """`decisions` is filled by the work, if they are to be told."""
        try:
            result = await work
            if decisions is None:
                reply = wire.format_frame(wire.ANSWER, request_id, result)
            else:
                reply = wire.format_frame(wire.EXPLAINED, request_id, (result, decisions))
        except KMSError as error:
            reply = wire.format_refusal(request_id, error)
        except Exception:
            log.exception("a fault in %s", wire.name_of(kind))
            reply = wire.format_refusal(request_id, KMSError("KMSInternalException", "An internal error occurred."))
        was_full = len(self._under_way) >= MAX_UNDER_WAY
        if self._under_way.pop(request_id, None) is not None:
            self._reply(reply)
        self._server.progressed()
        if was_full:
            self._take_requests()

    def _tick(self) -> None:
        """Refuse what is past its deadline."""
        now = self._loop.time()
        late = [request_id for request_id, (_, deadline) in self._under_way.items() if deadline <= now]
        for request_id in late:
            task, _ = self._under_way.pop(request_id)
            task.cancel()
            self._refuse(request_id, KMSUnavailable("The key service did not answer in time."))
        if late:
            self._take_requests()
        self._ticker = self._loop.call_later(_TICK_SECONDS, self._tick)

    def _refuse(self, request_id: int, error: KMSError) -> None:
        self._reply(wire.format_refusal(request_id, error))

    def _reply(self, frame: bytes) -> None:
        if not self._under_way and not self._unsent:
            self._write(frame)
            return
        # One system call for all that finish in this turn of the loop: half the cost of a pipelined request.
        if not self._unsent:
            self._loop.call_soon(self._send)
        self._unsent.append(frame)

    def _send(self) -> None:
        frames, self._unsent = self._unsent, []
        self._write(b"".join(frames))

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

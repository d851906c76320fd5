"""The listener: sockets in, connections out, deadlines enforced, an orderly end.

The only place of the gateway that knows aiohttp is this package. One `Listener` serves one handler on sockets that
are listening already (the supervisor binds them), or on an address of its own.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence

from gateway.config import ListenSettings
from gateway.server.exchange import Edge, Handler, Observer

__all__ = ["Handler", "Listener", "Observer"]

log = logging.getLogger(__name__)

BACKLOG = 1024

HANDSHAKE_SECONDS = 2.0
"""A listener that retires stays at least this long: what was accepted a moment ago is no connection yet, and one by TLS
not before its handshake, which nothing here sees."""

LOOK_SECONDS = 0.25
"""Between two looks of a listener that retires whether it is told to end."""

CANCELLATION_SECONDS = 5.0
"""A cancelled request has this long to clean up after itself."""


class Listener:
    """Serves `handler` until `close`.

    `limits` holds sizes and deadlines; `observers` are told of each request when it is over (access log, metrics).
    `out_of_memory` is called for each request that is refused for it: the process should end soon.
    """

    def __init__(
        self,
        handler: Handler,
        limits: ListenSettings,
        *,
        observers: Sequence[Observer] = (),
        tls: ssl.SSLContext | None = None,
        out_of_memory: Callable[[], None] = lambda: None,
    ) -> None:
        self._edge = Edge(handler, limits, tuple(observers), is_secure=tls is not None, out_of_memory=out_of_memory)
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._watch: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Requests being served now."""
        return self._edge.in_flight

    @property
    def connection_count(self) -> int:
        return len(self._edge.connections)

    async def start(self, sock: socket.socket) -> None:
        """Accept on `sock`, which is bound; may be called for several sockets. The listener closes it at the end."""
        sock.setblocking(False)
        server = await self._edge.loop.create_server(self._edge.connect, sock=sock, ssl=self._tls, backlog=BACKLOG)
        self._servers.append(server)
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_deadlines(), name="deadlines")

    async def _watch_deadlines(self) -> None:
        """Look at every connection often enough for the shortest deadline, at least each second."""
        limits = self._edge.limits
        shortest = min(limits.header_seconds, limits.body_read_seconds, limits.write_seconds)
        pause = min(1.0, shortest / 4)
        while True:
            await asyncio.sleep(pause)
            now = self._edge.loop.time()
            for connection in tuple(self._edge.connections):
                try:
                    connection.check(now)
                except Exception:  # one odd connection must not end the deadlines of all
                    log.exception("checking a connection's deadlines failed")

    async def retire(self, seconds: float, stop: asyncio.Event) -> None:
        """Leave accepting to others on the same sockets; return once no connection is left, or after `seconds`.

        Each open connection may bring one more request, whose answer says that it closes. Closing it now, as `close`
        does, could meet a request that is on its way, and the client would not know whether it was served. What brings
        none ends when it was idle for as long as any other. `stop` ends the wait.
        """
        for server in self._servers:
            server.close()
        edge = self._edge
        edge.is_retiring = True
        now = edge.loop.time()
        earliest, deadline = now + min(HANDSHAKE_SECONDS, seconds), now + seconds
        while not stop.is_set() and (now := edge.loop.time()) < (deadline if edge.connections else earliest):
            await edge.wait_for_departure(min(LOOK_SECONDS, deadline - now))

    async def close(self, drain_seconds: float) -> None:
        """Stop accepting, let requests in flight finish for `drain_seconds`, break what is left.

        Connections on which no request is under way end at once.
        """
        for server in self._servers:
            server.close()
        edge = self._edge
        edge.is_draining = True
        for connection in tuple(edge.connections):
            connection.drain()
        deadline = edge.loop.time() + drain_seconds
        while edge.connections and edge.loop.time() < deadline:
            await edge.wait_for_departure(deadline - edge.loop.time())
        if edge.in_flight:
            log.warning("%d requests did not finish within %g s: breaking them off", edge.in_flight, drain_seconds)
        await self._break_off()
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def _break_off(self) -> None:
        tasks = [connection.break_off() for connection in tuple(self._edge.connections)]
        running = [task for task in tasks if task is not None]
        if running:
            await asyncio.wait(running, timeout=CANCELLATION_SECONDS)

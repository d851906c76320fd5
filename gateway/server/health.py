"""The admin listener's answers: is the process alive, is it ready for requests, and the metrics.

Not authenticated and not meant for clients of S3: the address belongs to operators (settings, [admin]). Every worker
serves the one shared socket, so an answer speaks for the worker that gave it; /metrics adds all of them up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from gateway.protocol.messages import Request, Response
from gateway.server import metrics

READY_SECONDS = 5.0
"""The readiness check answers within this time, or the answer is no."""

Readiness = Callable[[], Awaitable[tuple[bool, list[str]]]]
"""Ready or not, and in a sentence each why not (or what is degraded although ready)."""


class AdminHandler:
    """A `Handler` for GET and HEAD of /healthz/live, /healthz/ready and /metrics."""

    def __init__(self, readiness: Readiness, gathered: Callable[[], None] = lambda: None) -> None:
        """`gathered` is called before metrics are rendered, to count what this process gathered for them."""
        self._readiness = readiness
        self._gathered = gathered

    async def handle(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _json(405, {"error": "only GET and HEAD"}, {"Allow": "GET, HEAD"})
        match request.target_path:
            case "/healthz/live":
                return _json(200, {"status": "live"})
            case "/healthz/ready":
                return await self._ready()
            case "/metrics":
                self._gathered()
                content_type, text = await asyncio.to_thread(metrics.render)
                return Response(200, {"Content-Type": content_type}, text)
        return _json(404, {"error": "there are /healthz/live, /healthz/ready and /metrics"})

    async def _ready(self) -> Response:
        try:
            async with asyncio.timeout(READY_SECONDS):
                is_ready, reasons = await self._readiness()
        except TimeoutError:
            is_ready, reasons = False, [f"the readiness check did not end within {READY_SECONDS:g} s"]
        return _json(200 if is_ready else 503, {"status": "ready" if is_ready else "not ready", "reasons": reasons})


def _json(status: int, document: dict[str, object], headers: dict[str, str] | None = None) -> Response:
    all_headers = {"Content-Type": "application/json", "Cache-Control": "no-store", **(headers or {})}
    return Response(status, all_headers, msgspec.json.encode(document) + b"\n")

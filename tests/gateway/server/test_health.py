from __future__ import annotations

import asyncio
import json

import pytest

from gateway.server import health
from gateway.server.health import AdminHandler
from tests.gateway.server.client import serving


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def handler(is_ready: bool, *reasons: str) -> AdminHandler:
    async def readiness() -> tuple[bool, list[str]]:
        return is_ready, list(reasons)

    return AdminHandler(readiness)


@pytest.mark.parametrize(
    ("is_ready", "reasons", "status"),
    [(True, [], 200), (True, ["kms degraded: x"], 200), (False, ["sealed: no token"], 503)],
)
async def test_readiness_says_why(is_ready: bool, reasons: list[str], status: int) -> None:
    async with serving(handler(is_ready, *reasons).handle) as served:
        reply = await served.ask(get("/healthz/ready"))
    assert reply.status == status
    assert json.loads(reply.body) == {"status": "ready" if is_ready else "not ready", "reasons": reasons}


async def test_live_although_not_ready() -> None:
    async with serving(handler(False, "sealed").handle) as served:
        assert (await served.ask(get("/healthz/live"))).status == 200


async def test_readiness_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "READY_SECONDS", 0.05)

    async def hanging() -> tuple[bool, list[str]]:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    async with serving(AdminHandler(hanging).handle) as served:
        assert (await served.ask(get("/healthz/ready"))).status == 503


async def test_metrics_are_prometheus_text() -> None:
    async with serving(handler(True).handle) as served:
        reply = await served.ask(get("/metrics"))
    assert reply.headers["content-type"].startswith("text/plain")
    assert b"# TYPE sealgate_requests_total counter" in reply.body


@pytest.mark.parametrize(("raw", "status"), [(get("/"), 404), (get("/healthz/ready", "POST"), 405)])
async def test_nothing_else_is_served(raw: bytes, status: int) -> None:
    async with serving(handler(True).handle) as served:
        assert (await served.ask(raw)).status == status

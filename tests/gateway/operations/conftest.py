from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.operations.multipart import parts as parts_of_an_upload
from tests.gateway.gateway_in_process import InProcessGateway, in_process_gateway
from tests.gateway.operations.copy_world import World, made_world


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[InProcessGateway]:
    """A gateway with one bucket, `ledger`."""
    async with in_process_gateway(tmp_path) as made:
        assert (await made.call("PUT", "/ledger")).status == 200
        yield made


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """What copies are made between; parts may have any size."""
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)
    async with made_world(tmp_path) as made:
        yield made

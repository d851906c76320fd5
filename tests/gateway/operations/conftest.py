from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.gateway_in_process import InProcessGateway, in_process_gateway


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[InProcessGateway]:
    """A gateway with one bucket, `ledger`."""
    async with in_process_gateway(tmp_path) as made:
        assert (await made.call("PUT", "/ledger")).status == 200
        yield made

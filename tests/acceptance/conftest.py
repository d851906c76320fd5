from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway

StartGateway = Callable[..., Gateway]


@pytest.fixture
def make_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    """Makes gateways of the test's own, initialised but not started; whatever runs at the end is stopped."""
    made: list[Gateway] = []

    def make(name: str = "data", **options: Any) -> Gateway:
        gateway = Gateway(tmp_path / name, **options).init()
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        gateway.stop()

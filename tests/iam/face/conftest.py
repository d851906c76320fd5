from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.iam.face.identity_service import Client, identity_client


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with identity_client(tmp_path) as made:
        yield made

from __future__ import annotations

import random
from pathlib import Path

from tests.corruption.__main__ import run


async def test_flipped_bits_are_noticed(tmp_path: Path) -> None:
    """Some; `python -m tests.corruption` flips ten thousand (docs/durability.md)."""
    found = await run(200, random.randrange(2**32), tmp_path)
    assert found.unnoticed == {}
    assert sum(found.noticed.values()) == 200
    assert {"blobs", "index", "key store", "identities"} == set(found.noticed)

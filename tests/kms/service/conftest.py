from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kms.epoch import MemoryEpoch
from kms.service import importing
from kms.service.core import ServiceSettings
from kms.service.predefined import make_service_key
from kms.service.row_seals import begin_seals
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import REGION
from tests.kms.roots import MemoryRoot


class Clock:
    """Time in microseconds that tests move on."""

    def __init__(self) -> None:
        self.now_us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.now_us

    def pass_days(self, days: float) -> None:
        self.now_us += int(days * 86_400_000_000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root() -> Iterator[MemoryRoot]:
    root = MemoryRoot()
    yield root
    root.go_on.set()


@pytest.fixture
def epoch() -> MemoryEpoch:
    return MemoryEpoch()


@pytest.fixture
def store(tmp_path: Path, root: MemoryRoot, clock: Clock) -> Iterator[SQLiteKeyStore]:
    store = SQLiteKeyStore(tmp_path / "keys.sqlite")
    begin_seals(store, root, now_us=clock())
    make_service_key(store, root, region=REGION, created_us=clock())
    root.calls.clear()
    root.unwrapped.clear()
    yield store
    store.close()


SETTINGS = ServiceSettings(REGION, root_deadline_seconds=5.0, max_keys=20, max_aliases=3)


async def end_sweeps(service: EmbeddedKeyService) -> None:
    """What is due by the clock, tests do themselves, at a moment of their own."""
    (sweep,) = (task for task in service._background if task.get_name() == "_sweep")
    sweep.cancel()
    await asyncio.wait([sweep])


@pytest.fixture
async def service(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock
) -> AsyncIterator[EmbeddedKeyService]:
    async with EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as service:
        await end_sweeps(service)
        yield service


@pytest.fixture(scope="module")
def one_wrapping_key() -> Iterator[None]:
    """Wrapping keys are made once for the module: 100 ms each, and how they are made is tested elsewhere."""
    made = importing.make_wrapping_key("RSA_2048")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importing, "make_wrapping_key", lambda spec: made)
        yield

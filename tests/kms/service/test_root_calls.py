from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from kms.api.errors import KMSUnavailable
from kms.api.types import HealthState
from kms.hsm.interface import RootUnavailable
from kms.service.root_calls import THREADS, RootCalls
from tests.kms.roots import MemoryRoot

MESSAGE = b"message"


@pytest.fixture
def root() -> MemoryRoot:
    return MemoryRoot()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def calls(root: MemoryRoot, clock: Clock) -> AsyncIterator[RootCalls]:
    calls = RootCalls(root, deadline_seconds=0.02, clock=clock)
    yield calls
    root.go_on.set()
    calls.close()


async def hang(calls: RootCalls, root: MemoryRoot, count: int) -> None:
    """Leave `count` calls hanging in the root, each past its deadline."""
    root.hangs = True
    for _ in range(count):
        with pytest.raises(KMSUnavailable):
            await calls.call(lambda root: root.mac(MESSAGE))
    root.hangs = False


async def test_a_call_that_hangs_costs_one_thread_and_the_others_go_on(calls: RootCalls, root: MemoryRoot) -> None:
    await hang(calls, root, THREADS - 1)
    assert calls.health().state is HealthState.SEALED
    assert len(await calls.call(lambda root: root.mac(MESSAGE))) == 32
    assert calls.health().state is HealthState.READY


async def test_when_every_thread_hangs_callers_are_refused_without_waiting(calls: RootCalls, root: MemoryRoot) -> None:
    await calls.probe()
    await hang(calls, root, THREADS)
    asked = root.calls["mac"]
    with pytest.raises(KMSUnavailable) as refused:
        # The coroutine ends in its first step: it waits for nothing.
        calls.call(lambda root: root.mac(MESSAGE)).send(None)
    assert refused.value.retry_after_seconds > 0
    assert calls.health().state is HealthState.DEGRADED
    assert root.calls["mac"] == asked


async def test_it_heals_when_a_call_that_hung_ends(calls: RootCalls, root: MemoryRoot) -> None:
    await hang(calls, root, THREADS)
    root.go_on.set()
    async with asyncio.timeout(30):
        while calls.health().state is not HealthState.READY:
            await calls.probe()
            await asyncio.sleep(0)
    assert len(await calls.call(lambda root: root.mac(MESSAGE))) == 32


async def test_how_long_calls_hang_counts_from_the_last_success(
    calls: RootCalls, root: MemoryRoot, clock: Clock
) -> None:
    assert calls.hanging_seconds == 0
    await hang(calls, root, 1)
    clock.now += 5
    await hang(calls, root, 1)
    assert calls.hanging_seconds == 5
    clock.now += 5
    await calls.probe()  # others are answered: the root is not lost
    assert calls.hanging_seconds == 0
    clock.now += 7
    root.failure = RootUnavailable("its sessions are held by what hangs")
    await calls.probe()
    assert calls.hanging_seconds == 7
    root.failure = None
    root.go_on.set()
    async with asyncio.timeout(30):
        while calls.hanging_seconds:
            await asyncio.sleep(0)


async def test_a_key_that_cannot_be_let_go_holds_a_thread_as_well(
    calls: RootCalls, root: MemoryRoot, clock: Clock
) -> None:
    await calls.probe()
    entered = threading.Semaphore(0)

    def hang_in_the_root() -> None:
        entered.release()
        assert root.go_on.wait(30)

    for _ in range(THREADS):
        calls.release(hang_in_the_root)
    for _ in range(THREADS):
        assert await asyncio.to_thread(entered.acquire, timeout=30)
    assert calls.hanging_seconds == 0
    clock.now += 0.02 + 3
    assert calls.hanging_seconds == pytest.approx(3)
    with pytest.raises(KMSUnavailable):
        calls.call(lambda root: root.mac(MESSAGE)).send(None)
    root.go_on.set()
    async with asyncio.timeout(30):
        while calls.hanging_seconds:
            await asyncio.sleep(0)
    assert len(await calls.call(lambda root: root.mac(MESSAGE))) == 32


async def test_what_waited_for_a_thread_is_not_run_after_its_deadline(calls: RootCalls, root: MemoryRoot) -> None:
    root.hangs = True
    waiting = [asyncio.ensure_future(calls.call(lambda root: root.mac(MESSAGE))) for _ in range(2 * THREADS)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, KMSUnavailable) for result in results)
    root.hangs = False
    root.go_on.set()
    async with asyncio.timeout(30):
        while calls.health().state is not HealthState.READY:
            await calls.probe()
            await asyncio.sleep(0)
    assert root.calls["mac"] == THREADS

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gateway.operations import key_watch
from gateway.operations.key_watch import KeyInUse, KeyWatch
from gateway.protocol.messages import Buffer
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import DescribeKey, KeyState


@dataclass
class FakeKMS:
    """Answers with the state, or raises it; counts how often it was asked."""

    states: dict[str, KeyState | KMSError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def call(self, caller: Any, request: DescribeKey) -> Any:
        self.asked.append(request.key_id)
        state = self.states.get(request.key_id, KeyState.ENABLED)
        if isinstance(state, KMSError):
            raise state
        return type("Metadata", (), {"state": state})


@dataclass
class World:
    kms: FakeKMS
    epoch: int = 1

    def __post_init__(self) -> None:
        self.watch = KeyWatch(cast(KeyService, self.kms), lambda: self.epoch)

    def download(self, key: str, epoch: int | None = None) -> asyncio.Task[int]:
        """Gives how many pieces it had when it was released."""

        async def run() -> int:
            stream = self.watch.watched(pieces(), [KeyInUse(key, self.epoch if epoch is None else epoch)], "request")
            count = 0
            try:
                async for _ in stream:
                    count += 1
            finally:
                await stream.aclose()
            return count

        return asyncio.create_task(run())


async def pieces() -> AsyncGenerator[Buffer]:
    while True:
        yield b"piece"
        await asyncio.sleep(0.005)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(key_watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(key_watch, "UNKNOWN_SECONDS", 0.1)
    return World(FakeKMS())


async def cut(task: asyncio.Task[int]) -> str:
    with pytest.raises(asyncio.CancelledError) as caught:
        await asyncio.wait_for(task, 60)
    return str(caught.value)


async def is_going_on(task: asyncio.Task[int]) -> bool:
    done, _ = await asyncio.wait([task], timeout=0.3)
    return not done


async def ended(world: World, *tasks: asyncio.Task[int]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(world.watch) == 0
    await world.watch.close()


async def test_nobody_is_asked_while_nothing_changes(world: World) -> None:
    task = world.download("a")
    assert await is_going_on(task)
    assert world.kms.asked == []
    await ended(world, task)


async def test_each_key_is_asked_about_once_for_a_change(world: World) -> None:
    tasks = [world.download(key) for key in ("a", "a", "a", "b")]
    await asyncio.sleep(0)
    world.kms.states["b"] = KeyState.DISABLED
    world.epoch += 1
    assert await cut(tasks[3]) == "broken off because b is Disabled"
    assert await is_going_on(tasks[0])
    assert sorted(world.kms.asked) == ["a", "b"]
    await ended(world, *tasks)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (KeyState.PENDING_DELETION, "a is PendingDeletion"),
        (KeyState.PENDING_IMPORT, "a is PendingImport"),
        (KMSError("NotFoundException"), "a cannot be used any more (NotFoundException)"),
    ],
)
async def test_whatever_is_not_enabled_cuts(world: World, state: KeyState | KMSError, reason: str) -> None:
    task = world.download("a")
    await asyncio.sleep(0)
    world.kms.states["a"] = state
    world.epoch += 1
    assert await cut(task) == f"broken off because {reason}"
    await ended(world)


async def test_a_change_between_opening_and_sending_counts(world: World) -> None:
    """The epoch is the one of before the key was opened."""
    world.kms.states["a"] = KeyState.DISABLED
    world.epoch = 2
    assert "a is Disabled" in await cut(world.download("a", epoch=1))
    await ended(world)


async def test_a_kms_that_does_not_tell_is_asked_again_and_then_believed_the_worst_of(world: World) -> None:
    first, second = world.download("a"), world.download("b")
    await asyncio.sleep(0)
    world.kms.states["a"] = KMSUnavailable("away", 1)
    world.epoch += 1
    assert "the KMS does not tell whether a can still be used" in await cut(first)
    assert await is_going_on(second)
    assert world.kms.asked.count("a") > 1
    await ended(world, second)


async def test_a_kms_that_comes_back_in_time_cuts_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_watch, "UNKNOWN_SECONDS", 30)
    task = world.download("a")
    await asyncio.sleep(0)
    world.kms.states["a"] = KMSUnavailable("away", 1)
    world.epoch += 1
    await asyncio.sleep(0.03)
    world.kms.states["a"] = KeyState.ENABLED
    assert await is_going_on(task)
    await ended(world, task)


async def test_looking_ends_with_the_last_download_and_begins_again(world: World) -> None:
    for _ in range(2):
        task = world.download("a")
        assert await is_going_on(task)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert world.watch._looking is None


async def test_a_defect_cuts_everything(world: World) -> None:
    tasks = [world.download(key) for key in ("a", "b")]
    await asyncio.sleep(0)
    world.watch._problem = None  # type: ignore[assignment]
    world.epoch += 1
    for task in tasks:
        assert "nobody can tell" in await cut(task)
    await ended(world)

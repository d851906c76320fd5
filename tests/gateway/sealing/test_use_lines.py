"""Uses of bucket keys on their way into the audit trail: none lost, none answered early, many to a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gateway.sealing.use_lines import MOST_USES, UseLines
from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.errors import KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import RecordCall
from tests.gateway.sealing.material import CALLER

DECIDED = (Decided("kms:Decrypt", "arn", True, "a test"),)


@dataclass
class SlowKMS:
    """Each call waits until the test lets it go."""

    calls: list[RecordCall] = field(default_factory=list)
    gates: list[asyncio.Future[None]] = field(default_factory=list)

    async def call(self, caller: Caller, request: RecordCall, decisions: object = None) -> None:
        assert caller == CALLER
        self.calls.append(request)
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate

    def told(self, call: int) -> list[str]:
        return [request_id for request_id, _ in self.calls[call].uses]


@pytest.fixture
def kms() -> SlowKMS:
    return SlowKMS()


@pytest.fixture
def lines(kms: SlowKMS) -> UseLines:
    return UseLines(cast(KeyService, kms), CALLER, "Decrypt", "{}", DECIDED)


def tell(lines: UseLines, *names: str) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(lines.tell(name, f"arn:aws:s3:::bucket/{name}")) for name in names]


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0)


async def test_one_use_is_told_at_once_and_waits_for_its_line(lines: UseLines, kms: SlowKMS) -> None:
    (use,) = tell(lines, "a")
    await until(lambda: kms.calls)
    assert kms.calls == [
        RecordCall(
            "s3.amazonaws.com", "Decrypt", decisions=DECIDED, is_change=False, uses=(("a", "arn:aws:s3:::bucket/a"),)
        )
    ]
    assert not use.done()
    kms.gates[0].set_result(None)
    await use


async def test_what_comes_meanwhile_is_told_together_and_after(lines: UseLines, kms: SlowKMS) -> None:
    first = tell(lines, "a")
    await until(lambda: kms.calls)
    later = tell(lines, "b", "c", "d")
    await asyncio.sleep(0)
    assert kms.told(0) == ["a"]
    kms.gates[0].set_result(None)
    await asyncio.gather(*first)
    await until(lambda: len(kms.calls) == 2)
    assert kms.told(1) == ["b", "c", "d"]
    assert not any(use.done() for use in later)
    kms.gates[1].set_result(None)
    await asyncio.gather(*later)


async def test_a_call_tells_so_many_uses_at_most(lines: UseLines, kms: SlowKMS) -> None:
    names = [str(number) for number in range(2 * MOST_USES + 1)]
    uses = tell(lines, *names)
    for number in range(3):
        await until(lambda number=number: len(kms.calls) > number)
        kms.gates[number].set_result(None)
    await asyncio.gather(*uses)
    assert [len(call.uses) for call in kms.calls] == [1, MOST_USES, MOST_USES]
    assert [name for call in range(3) for name in kms.told(call)] == names


async def test_a_refusal_is_for_those_who_were_told_of_alone(lines: UseLines, kms: SlowKMS) -> None:
    uses = tell(lines, "a", "b", "c")
    await until(lambda: kms.calls)
    kms.gates[0].set_exception(KMSUnavailable("the disk is full", 5))
    await until(lambda: len(kms.calls) == 2)
    later = tell(lines, "d")
    await asyncio.sleep(0)
    kms.gates[1].set_exception(KMSUnavailable("the disk is still full", 5))
    await until(lambda: len(kms.calls) == 3)
    kms.gates[2].set_result(None)
    await asyncio.gather(*later)
    for use, words in zip(uses, ("is full", "is still full", "is still full"), strict=True):
        with pytest.raises(KMSUnavailable, match=words):
            await use


async def test_a_use_that_is_broken_off_takes_no_other_with_it(lines: UseLines, kms: SlowKMS) -> None:
    first, second, third = tell(lines, "a", "b", "c")
    await until(lambda: kms.calls)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await until(lambda: len(kms.calls) == 2)
    assert kms.told(1) == ["b", "c"]
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert not third.done()
    kms.gates[1].set_result(None)
    await third


async def test_nobody_waits_for_ever_when_the_telling_is_broken_off(lines: UseLines, kms: SlowKMS) -> None:
    first = tell(lines, "a")
    await until(lambda: kms.calls)
    told = tell(lines, "b")
    await asyncio.sleep(0)
    kms.gates[0].set_result(None)
    await asyncio.gather(*first)
    await until(lambda: len(kms.calls) == 2)
    waiting = tell(lines, "c")
    await asyncio.sleep(0)
    kms.gates[1].cancel()
    for use in (*told, *waiting):
        with pytest.raises(KMSUnavailable):
            await use
    again = tell(lines, "d")
    await until(lambda: len(kms.calls) == 3)
    kms.gates[2].set_result(None)
    await asyncio.gather(*again)

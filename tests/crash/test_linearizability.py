"""Histories of one key that can, and that cannot, be told as one order."""

from __future__ import annotations

import pytest

from tests.crash.linearizability import NEVER, Kind, Operation, is_linearizable, order_problems


def put(value: str, began: float, ended: float = NEVER) -> Operation:
    return Operation(Kind.PUT, began, ended, value)


def get(value: str | None, began: float, ended: float) -> Operation:
    return Operation(Kind.GET, began, ended, value)


def delete(began: float, ended: float) -> Operation:
    return Operation(Kind.DELETE, began, ended)


def create(value: str, began: float, ended: float = NEVER, *, is_met: bool | None = True) -> Operation:
    return Operation(Kind.CREATE, began, ended, value, is_met=is_met)


def replace(expected: str, value: str, began: float, ended: float = NEVER, *, is_met: bool | None = True) -> Operation:
    return Operation(Kind.REPLACE, began, ended, value, expected, is_met)


@pytest.mark.parametrize(
    "history",
    [
        [],
        [get(None, 1, 2)],
        [put("a", 1, 2), get("a", 3, 4), delete(5, 6), get(None, 7, 8)],
        [put("a", 1, 10), put("b", 1, 10), get("a", 11, 12)],
        [put("a", 1, 10), get("a", 2, 3), get("a", 4, 5)],
        [put("a", 1, 2), put("b", 3, 10), get("b", 4, 5), get("b", 6, 7)],
        [put("a", 1), get(None, 2, 3), get("a", 4, 5), get("a", 6, 7)],
        [put("a", 1), get(None, 2, 3)],
        [create("a", 1, 10), create("b", 1, 10, is_met=False), get("a", 11, 12)],
        [create("a", 1, is_met=None), create("b", 2, 3, is_met=False), get("a", 4, 5)],
        [put("a", 1, 2), replace("a", "b", 3, 9), replace("a", "c", 3, 9, is_met=False), get("b", 10, 11)],
        [put("a", 1, 2), replace("a", "b", 3, 5), put("a", 6, 7), replace("a", "c", 8, is_met=None), get("c", 9, 10)],
    ],
)
def test_one_order(history: list[Operation]) -> None:
    assert is_linearizable(history)
    assert is_linearizable(history[::-1])


@pytest.mark.parametrize(
    "history",
    [
        [get("a", 1, 2)],
        [put("a", 1, 2), get(None, 3, 4)],  # lost
        [put("a", 1, 2), put("b", 3, 4), get("a", 5, 6)],  # stale
        [put("a", 1, 10), get("a", 2, 3), get(None, 4, 5)],  # seen, then unseen
        [put("a", 1, 2), put("b", 3, 10), get("b", 4, 5), get("a", 6, 7)],
        [put("a", 1), get("a", 2, 3), get(None, 4, 5)],  # without an answer, and undone again
        [get("a", 1, 2), put("a", 3)],  # before it was asked for
        [create("a", 1, 10), create("b", 1, 10)],  # both won
        [create("a", 1, 10, is_met=False)],
        [put("a", 1, 2), replace("a", "b", 3, 9), replace("a", "c", 3, 9)],
        [put("a", 1, 2), replace("a", "b", 3, 4, is_met=False)],
        [put("a", 1, 2), delete(3, 4), create("b", 5, 6, is_met=False)],
    ],
)
def test_no_order(history: list[Operation]) -> None:
    assert not is_linearizable(history)
    assert not is_linearizable(history[::-1])


def test_versions_lie_in_an_order_that_the_clock_allows() -> None:
    first, second, beside = put("a", 1, 2), put("b", 3, 4), put("c", 1, 9)
    writes = [("1", first), ("2", second), ("3", beside)]
    for listed in (["3", "2", "1"], ["2", "3", "1"], ["2", "1", "3"]):
        assert order_problems(writes, listed) == []
    assert order_problems(writes, ["1", "2", "3"]) != []
    assert order_problems(writes, ["2", "1"]) == ["version 3 is lost"]

"""What a history of writes lets a key hold, at its end and at moments before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.crash.model import ALWAYS, EXPIRING, Content, Found, Histories, Write

PUT = Write("k", "one", 1, 2, version="v1")
AGAIN = Write("k", "two", 3, 4, version="v2")


def problems(
    events: Sequence[Write], current: Content, versions: dict[str, Content], at: int = ALWAYS - 1
) -> list[str]:
    state = Histories(events={"k": list(events)}).state("k", at)
    return list(state.problems(current, versions, has_versions=True))


@pytest.mark.parametrize(
    ("events", "current", "versions"),
    [
        ([], None, {}),
        ([PUT], "one", {"v1": "one"}),
        ([PUT, AGAIN], "two", {"v1": "one", "v2": "two"}),
        ([PUT, Write("k", "two", 3)], "one", {"v1": "one"}),
        ([PUT, Write("k", "two", 3)], "two", {"v1": "one", "unknown": "two"}),
        ([PUT, Write("k", "two", 3, 4, is_refused=True)], "one", {"v1": "one"}),
        ([PUT, Write("k", None, 3, 4, removed="v1")], None, {}),
        ([PUT, Write("k", None, 3, removed="v1")], None, {}),
        ([PUT, Write("k", None, 3, removed="v1")], "one", {"v1": "one"}),
    ],
)
def test_what_may_be(events: list[Write], current: Content, versions: dict[str, Content]) -> None:
    assert problems(events, current, versions) == []


@pytest.mark.parametrize(
    ("events", "current", "versions"),
    [
        ([PUT], None, {}),  # lost
        ([PUT, AGAIN], "one", {"v1": "one", "v2": "two"}),  # the older one is current
        ([PUT, AGAIN], "two", {"v2": "two"}),  # an older one is lost
        ([PUT], "torn", {"v1": "torn"}),
        ([PUT], "one", {"v1": "one", "unknown": "two"}),  # nobody wrote it
        ([PUT, Write("k", "two", 3)], "two", {"v1": "one", "x": "two", "y": "two"}),  # twice
        ([PUT, Write("k", "two", 3, 4, is_refused=True)], "two", {"v1": "one", "x": "two"}),
        ([PUT, Write("k", None, 3, 4, removed="v1")], "one", {"v1": "one"}),  # is back
    ],
)
def test_what_may_not_be(events: list[Write], current: Content, versions: dict[str, Content]) -> None:
    assert problems(events, current, versions) != []


def expiring_problems(current: Content, versions: dict[str, Content], *, has_versions: bool = True) -> list[str]:
    events: list[Write | Found] = [replace(each, key=f"{EXPIRING}k") for each in (PUT, AGAIN)]
    state = Histories(events={f"{EXPIRING}k": events}).state(f"{EXPIRING}k")
    return list(state.problems(current, versions, has_versions=has_versions))


@pytest.mark.parametrize(
    ("current", "versions"),
    [
        ("two", {"v1": "one", "v2": "two"}),
        ("two", {"v2": "two"}),
        (None, {"v1": "one", "v2": "two", "marker": None}),
        (None, {"marker": None}),
        (None, {}),
    ],
)
def test_what_may_be_of_a_key_that_expires(current: Content, versions: dict[str, Content]) -> None:
    assert expiring_problems(current, versions) == []
    assert expiring_problems(current, versions, has_versions=False) == []


@pytest.mark.parametrize(
    ("current", "versions"),
    [
        ("one", {"v1": "one"}),  # what was current came back
        ("two", {"v2": "torn"}),
        ("two", {"v2": "two", "x": "three"}),
        ("three", {"v2": "two"}),
    ],
)
def test_what_may_not_be_of_a_key_that_expires(current: Content, versions: dict[str, Content]) -> None:
    assert expiring_problems(current, versions) != []


def test_a_moment_has_what_was_answered_before_and_maybe_what_was_asked() -> None:
    events = [PUT, AGAIN]
    assert problems(events, None, {}, at=0) == []
    assert problems(events, "one", {"v1": "one"}, at=0) != []
    assert problems(events, None, {}, at=1) == []
    assert problems(events, "one", {"x": "one"}, at=1) == []
    assert problems(events, None, {}, at=2) != []
    assert problems(events, "two", {"v1": "one", "x": "two"}, at=3) == []

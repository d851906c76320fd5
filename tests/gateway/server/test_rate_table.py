from __future__ import annotations

import subprocess
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.server import rate_table
from gateway.server.rate_table import Rate, RateTable, make_table, name_bytes, seconds_of

ROOT = Path(__file__).parents[3]
SECOND = 1_000_000_000
NOW = 1_000 * SECOND
PLACES = 1024


class TokenBucket:
    """The obvious limiter: `burst` tokens, filled up by `per_second`, of which each request takes one."""

    def __init__(self, per_second: int, burst: int) -> None:
        self._per_second, self._burst = per_second, burst
        self._tokens, self._at = Fraction(burst), 0

    def take(self, now_ns: int) -> bool:
        filled = Fraction((now_ns - self._at) * self._per_second, SECOND)
        self._tokens, self._at = min(Fraction(self._burst), self._tokens + filled), now_ns
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


# Rates whose intervals are whole nanoseconds, so that both count exactly.
@given(
    st.sampled_from([1, 2, 5, 10, 1000]),
    st.integers(1, 20),
    st.lists(st.integers(0, SECOND), max_size=60),
)
def test_limit_lets_through_what_a_token_bucket_does(per_second: int, burst: int, pauses: list[int]) -> None:
    limit = RateTable.private().limit(Rate(per_second, burst), places=1)
    bucket = TokenBucket(per_second, burst)
    now = NOW
    for pause in pauses:
        now += pause
        looked_up = limit.wait("name", now)
        wait = limit.take("name", now)
        assert wait == looked_up
        assert (wait == 0) == bucket.take(now)
        if wait:
            assert limit.wait("name", now + wait - 1) == 1
            assert limit.wait("name", now + wait) == 0


def test_refused_requests_are_not_counted() -> None:
    limit = RateTable.private().limit(Rate(1, 3), places=PLACES)
    assert [limit.take("name", NOW) for _ in range(3)] == [0, 0, 0]
    assert {limit.take("name", NOW) for _ in range(1000)} == {SECOND}
    assert limit.take("name", NOW + SECOND) == 0


def test_rate_may_be_below_one_a_second() -> None:
    limit = RateTable.private().limit(Rate(0.25, 1), places=PLACES)
    assert limit.take("name", NOW) == 0
    assert limit.take("name", NOW + SECOND) == 3 * SECOND
    assert limit.take("name", NOW + 4 * SECOND) == 0


def test_clients_do_not_disturb_each_other_while_places_suffice() -> None:
    limit = RateTable.private().limit(Rate(1, 2), places=16_384)
    names = [f"client {number}" for number in range(50)]
    for _ in range(2):
        assert [limit.take(name, NOW) for name in names] == [0] * 50
    assert all(limit.take(name, NOW) for name in names)


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, SECOND)), max_size=80))
def test_collisions_never_let_more_through(requests: list[tuple[str, int]]) -> None:
    """All share one or two places: refusals are too many, but nobody gets more than its own rate."""
    limit = RateTable.private().limit(Rate(2, 3), places=2)
    buckets: dict[str, TokenBucket] = {}
    now = NOW
    for name, pause in requests:
        now += pause
        if limit.take(name, now) == 0:
            assert buckets.setdefault(name, TokenBucket(2, 3)).take(now)


def test_limits_of_one_table_are_apart() -> None:
    table = RateTable.private()
    limits = [table.limit(Rate(1, 1), places=PLACES) for _ in range(3)]
    assert [limit.take("name", NOW) for limit in limits] == [0, 0, 0]
    assert all(limit.take("name", NOW) for limit in limits)


def test_names_that_are_one_client_by_choice() -> None:
    limit = RateTable.private().limit(Rate(1, 1), places=PLACES, canonical=lambda name: name_bytes(name[:1]))
    assert limit.take("ab", NOW) == 0
    assert limit.take("ac", NOW) > 0
    assert limit.take("bc", NOW) == 0


def test_places_of_a_name_cannot_be_foretold() -> None:
    names = [f"name {number}" for number in range(8)]
    found = []
    for _ in range(2):
        limit = RateTable.private().limit(Rate(1, 1), places=16_384)
        found.append([limit._find(name) for name in names])
    assert found[0] != found[1]


@pytest.mark.parametrize("name", ["", "\udcff", "ü", "x" * 1_000_000, "\0"])
def test_any_text_is_a_name(name: str) -> None:
    limit = RateTable.private().limit(Rate(1, 1), places=PLACES)
    assert limit.take(name, NOW) == 0
    assert limit.take(name, NOW) > 0


def test_what_is_remembered_is_bounded() -> None:
    limit = RateTable.private().limit(Rate(1, 1), places=PLACES)
    for number in range(3 * rate_table.MAX_REMEMBERED):
        limit.take(f"name {number}", NOW)
        assert len(limit._remembered) <= rate_table.MAX_REMEMBERED
    limit._remembered.clear()
    limit.take("x" * 10_000, NOW)
    assert not limit._remembered


@pytest.mark.parametrize("places", [0, 3, -1, 1 << 33])
def test_places_are_a_power_of_two(places: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        RateTable.private().limit(Rate(1, 1), places=places)


def test_table_is_bounded() -> None:
    table = RateTable.private()
    with pytest.raises(ValueError, match="full"):
        for _ in range(rate_table.TABLE_BYTES):
            table.limit(Rate(1, 1), places=16_384)


OTHER = """
import sys, time
from gateway.server.rate_table import Rate, RateTable
limit = RateTable(int(sys.argv[1])).limit(Rate(0.001, 5), places=1024)
print([limit.take("name", time.monotonic_ns()) == 0 for _ in range(4)], time.monotonic_ns())
"""


def test_processes_count_together_by_one_clock() -> None:
    with make_table() as file:
        limit = RateTable(file.fileno()).limit(Rate(0.001, 5), places=PLACES)
        assert [limit.take("name", time.monotonic_ns()) for _ in range(2)] == [0, 0]
        times = [time.monotonic_ns()]
        other = subprocess.run(
            [sys.executable, "-c", OTHER, str(file.fileno())],
            pass_fds=[file.fileno()],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        answers, _, clock = other.stdout.strip().rpartition(" ")
        times += [int(clock), time.monotonic_ns()]
    assert answers == "[True, True, True, False]"
    assert limit.take("name", time.monotonic_ns()) > 0
    assert all(earlier < later for earlier, later in pairwise(times))


@pytest.mark.parametrize(("wait_ns", "seconds"), [(1, 1), (SECOND, 1), (SECOND + 1, 2), (90 * SECOND, 90)])
def test_retry_after_is_never_too_short(wait_ns: int, seconds: int) -> None:
    assert seconds_of(wait_ns) == seconds

"""That a long run goes on with the count of those before it."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from tests.crash.progress import Progress, Tally, until

A_DAY_SECONDS = 86_400


def test_counts_of_runs_are_added_up_by_kind(tmp_path: Path) -> None:
    path = tmp_path / "tally.json"
    Tally(path, "kill").add(Counter(rounds=3, acknowledged=10))
    Tally(path, "power").add(Counter(rounds=1))
    Tally(path, "kill").add(Counter(rounds=2, problems=1))
    assert Tally(path, "kill").counts == Counter(rounds=5, acknowledged=10, problems=1)
    assert Tally(path, "power").counts == Counter(rounds=1)
    assert Tally(None, "kill").counts == Counter()


def test_a_run_ends_at_its_count_a_problem_a_time_or_when_it_is_told() -> None:
    assert Progress(5, done=3).goes_on(1, [])
    assert not Progress(5, done=3).goes_on(2, [])
    assert not Progress(5).goes_on(1, ["lost"])
    assert not Progress(5, until=time.monotonic()).goes_on(1, [])
    assert not Progress(5, is_ended=True).goes_on(1, [])


def test_a_time_of_the_clock_is_the_next_one() -> None:
    assert 0 <= until("00:00") - time.monotonic() <= A_DAY_SECONDS

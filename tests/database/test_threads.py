from __future__ import annotations

import threading

import pytest

from database.threads import started_threads


def test_all_threads_are_there_and_work_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with started_threads(8, "steady") as pool:
        assert sum(each.name.startswith("steady") for each in threading.enumerate()) == 8  # others may be ending now

        def refuse(thread: threading.Thread) -> None:
            raise AssertionError("a thread was started for work")

        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert [each.result(60) for each in [pool.submit(pow, 2, number) for number in range(100)]] == [
            2**number for number in range(100)
        ]


def test_fewer_threads_than_asked_for_are_an_error_and_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    start, started = threading.Thread.start, []

    def refuse_the_third(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_third)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        started_threads(8, "steady")
    for thread in started:
        thread.join(60)
        assert not thread.is_alive()

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.server import access_log
from gateway.server.access_log import AccessLog, Entry, format_line, groups

DOCUMENT = Path(__file__).parents[3] / "docs" / "metrics.md"


def entry(**fields: object) -> Entry:
    made = Entry("0123456789ABCDEF", "127.0.0.1", "GET")
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def log(tmp_path: Path) -> AccessLog:
    made = AccessLog(str(tmp_path / "access.log"))
    made.start()
    return made


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_line_says_what_was_set() -> None:
    line = json.loads(
        format_line(
            entry(
                operation="GetObject",
                principal="arn:x",
                bucket="b",
                key="k",
                status=200,
                bytes_out=5,
                total_seconds=0.0125,
            ),
            "2026-01-01T00:00:00.000Z",
        )
    )
    assert line["time"] == "2026-01-01T00:00:00.000Z"
    assert line["id"] == "0123456789ABCDEF"
    assert (line["operation"], line["principal"], line["bucket"], line["key"]) == ("GetObject", "arn:x", "b", "k")
    assert (line["status"], line["bytes_out"], line["total_ms"], line["mode"]) == (200, 5, 12.5, None)


def test_every_field_is_documented() -> None:
    text = DOCUMENT.read_text()
    for name in json.loads(format_line(entry(), "")):
        assert f"`{name}`" in text


@given(st.text())
@settings(max_examples=200)
def test_no_key_can_break_the_line(key: str) -> None:
    line = format_line(entry(key=key), "")
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert json.loads(line)["key"] == key


def test_bytes_that_were_not_utf8_are_shown_escaped() -> None:
    assert json.loads(format_line(entry(key="a\udcffb"), ""))["key"] == "a\\udcffb"


def test_lines_are_there_after_close(log: AccessLog, tmp_path: Path) -> None:
    for number in range(1000):
        log.write(entry(status=number))
    log.close()
    assert [line["status"] for line in lines(tmp_path / "access.log")] == list(range(1000))


def test_what_is_queued_while_the_log_closes_during_a_flush_is_written(
    log: AccessLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_writing, may_go_on = threading.Event(), threading.Event()

    def slow_write(fd: int, data: bytes) -> None:
        is_writing.set()
        assert may_go_on.wait(30)
        os.write(fd, data)

    monkeypatch.setattr(access_log, "write_all", slow_write)
    log.write(entry(operation="first"))
    assert is_writing.wait(30)
    log.write(entry(operation="second"))
    closing = threading.Thread(target=log.close)
    closing.start()
    may_go_on.set()
    closing.join(30)
    assert [line["operation"] for line in lines(tmp_path / "access.log")] == ["first", "second"]


def test_writers_in_several_threads_lose_nothing(log: AccessLog, tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda: [log.write(entry()) for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    assert len(lines(tmp_path / "access.log")) == 8000


def test_rotated_file_is_made_anew(log: AccessLog, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.rename(tmp_path / "access.log.1")
    log.write(entry(status=201))
    log.close()
    assert [line["status"] for line in lines(path)] == [201]
    assert path.stat().st_mode & 0o777 == 0o600


def test_full_queue_drops_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(access_log, "MAX_PENDING_LINES", 10)
    log = AccessLog(str(tmp_path / "access.log"))
    for _ in range(15):
        log.write(entry())
    log.start()
    log.close()
    assert len(lines(tmp_path / "access.log")) == 10
    assert "5 lines of the access log were dropped" in caplog.text


def test_log_that_cannot_be_opened_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        AccessLog(str(tmp_path / "nowhere" / "access.log")).start()


def test_pipe_gets_whole_lines_in_atomic_writes() -> None:
    made = [b"x" * size + b"\n" for size in (1000, 3000, 200, 9000, 1)]
    joined = groups(made, 4096)
    assert b"".join(joined) == b"".join(made)
    assert [len(group) for group in joined] == [1001, 3202, 9001, 2] or all(
        len(group) <= 4096 or group.count(b"\n") == 1 for group in joined
    )


def test_secrets_have_no_field() -> None:
    assert not {"query", "authorization", "headers"} & set(Entry.__slots__)
    assert os.linesep == "\n"

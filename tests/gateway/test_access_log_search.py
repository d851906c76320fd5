"""Finding one line: in files as rotation leaves them, wherever its block begins, and never inside another line."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import access_log_search
from gateway.access_log_search import MAX_LINE_BYTES, find_in, find_line, log_files
from gateway.server.access_log import Entry, format_line

WANTED = "0123456789ABCDEF"


def line(request_id: str, key: str = "k") -> bytes:
    return format_line(Entry(request_id, "192.0.2.1", "GET", key=key), "2026-01-31T00:00:00.000Z")


OTHERS = [line(f"{number:016X}") for number in range(100)]


def found_in(data: bytes) -> dict[str, object] | None:
    return find_in(io.BytesIO(data), WANTED)


@given(block_bytes=st.integers(1, 2000), place=st.integers(0, 100), is_packed=st.booleans())
def test_a_line_is_found_wherever_blocks_begin(block_bytes: int, place: int, is_packed: bool) -> None:
    lines = [*OTHERS]
    lines.insert(place, line(WANTED))
    data = b"".join(lines)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(access_log_search, "BLOCK_BYTES", block_bytes)
        found = found_in(gzip.compress(data, 1) if is_packed else data)
    assert found == json.loads(line(WANTED))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"".join(OTHERS),
        line("F" * 16, key=f'"id":"{WANTED}"'),
        f'the log said "id":"{WANTED}"\n'.encode(),
        f'{{"other":{{"id":"{WANTED}"}}}}\n'.encode(),
        b"x" * (MAX_LINE_BYTES + 1) + line(WANTED),
        gzip.compress(b"".join(OTHERS)),
    ],
)
def test_what_is_not_its_line_is_not_found(data: bytes) -> None:
    assert found_in(data) is None


def test_what_gathers_standard_error_may_say_something_before(tmp_path: Path) -> None:
    found = found_in(b"worker 0 started\nJan 31 host sealgate[7]: " + line(WANTED) + b"worker 0 ended\n")
    assert found == json.loads(line(WANTED))
    assert found_in(line(WANTED).removesuffix(b"\n")) == json.loads(line(WANTED))


def test_rotated_files_are_searched_newest_first(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_bytes(b"".join(OTHERS))
    for age, name in enumerate(("access.log.1", "access.log-20260131.gz", "access.log.3.gz"), start=1):
        (tmp_path / name).write_bytes(gzip.compress(OTHERS[age]) if name.endswith("gz") else OTHERS[age])
        os.utime(tmp_path / name, (1_800_000_000 - age, 1_800_000_000 - age))
    (tmp_path / "access.logs").write_bytes(line(WANTED))
    (tmp_path / "access.log.3.gz").write_bytes(gzip.compress(line(WANTED)))
    os.utime(tmp_path / "access.log.3.gz", (1_700_000_000, 1_700_000_000))
    files = log_files(log)
    assert [path.name for path in files] == ["access.log", "access.log.1", "access.log-20260131.gz", "access.log.3.gz"]
    search = find_line(files, WANTED)
    assert search.line is not None
    assert search.line.place == str(tmp_path / "access.log.3.gz")
    assert len(search.searched) == 4


def test_a_file_that_cannot_be_read_is_told_and_passed_over(tmp_path: Path) -> None:
    broken, whole = tmp_path / "broken.gz", tmp_path / "whole"
    broken.write_bytes(gzip.compress(b"".join(OTHERS))[:-20])
    whole.write_bytes(line(WANTED))
    search = find_line([broken, tmp_path / "missing", whole], WANTED)
    assert search.line is not None
    assert len(search.unreadable) == 2
    assert log_files(tmp_path / "no" / "access.log") == []

"""The journal: whole lines or none, rotation, and what a process finds that continues a trail."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms.audit import journal as journal_module
from kms.audit.files import TrailDamaged
from kms.audit.journal import Journal
from kms.audit.lines import encode_record
from kms.audit.verify import Report, Verifier
from tests.kms.audit.trails import SoftSigner, event, lines, records

SIGNER = SoftSigner()
ENCODED = encode_record(event())


def open_journal(directory: Path, *, rotate_bytes: int = 1 << 20, rotate_seconds: float = 1000) -> Journal:
    return Journal(directory, rotate_bytes=rotate_bytes, rotate_seconds=rotate_seconds)


def check(directory: Path) -> Report:
    return Verifier(SIGNER.public_keys()).verify(directory)


def written(directory: Path, count: int = 5) -> list[bytes]:
    """A trail of a process that ended without a word; its lines."""
    journal = open_journal(directory)
    journal.append([ENCODED] * count)
    journal.close()
    return lines(directory)


def the_file(directory: Path) -> Path:
    [path] = directory.glob("audit-*.jsonl")
    return path


def test_files_are_private_and_appended_to(tmp_path: Path) -> None:
    directory = tmp_path / "audit"
    written(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(the_file(directory).stat().st_mode) == 0o600


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    journal = open_journal(tmp_path)
    with pytest.raises(BlockingIOError):
        open_journal(tmp_path)
    journal.close()
    open_journal(tmp_path).close()


def test_a_chain_goes_on_over_restarts(tmp_path: Path) -> None:
    for _ in range(4):
        written(tmp_path, 3)
    report = check(tmp_path)
    assert (report.problem_count, report.lines, report.files) == (0, 13, 1)


def test_files_are_rotated_by_size(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, rotate_bytes=2000)
    for _ in range(20):
        journal.append([ENCODED])
    journal.close()
    report = check(tmp_path)
    assert report.problem_count == 0
    assert report.files > 3
    assert report.events == 20


def test_files_are_rotated_by_age(tmp_path: Path) -> None:
    journal = open_journal(tmp_path, rotate_seconds=0)
    for _ in range(3):
        journal.append([ENCODED])
    journal.close()
    assert check(tmp_path).files == 4
    assert check(tmp_path).problem_count == 0


@pytest.mark.parametrize("kept", range(1, 40, 7))
def test_a_torn_line_is_cut_kept_and_told(tmp_path: Path, kept: int) -> None:
    whole = written(tmp_path)
    torn = whole[-1][:kept]
    path = the_file(tmp_path)
    path.write_bytes(b"".join(line + b"\n" for line in whole[:-1]) + torn)
    open_journal(tmp_path).close()
    [repair] = records(tmp_path, "repair")
    assert (repair["cutBytes"], repair["cutLines"]) == (kept, 0)
    assert (tmp_path / str(repair["keptAs"])).read_bytes() == torn
    report = check(tmp_path)
    assert report.problem_count == 0
    assert lines(tmp_path)[:-1] == whole[:-1]


def test_a_cut_that_a_crash_left_untold_is_told_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = written(tmp_path)
    path = the_file(tmp_path)
    path.write_bytes(b"".join(line + b"\n" for line in whole[:-1]) + b"{torn")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", _fail)
        with pytest.raises(OSError, match="injected"):
            open_journal(tmp_path)
    assert path.read_bytes().endswith(b"\n")
    open_journal(tmp_path).close()
    open_journal(tmp_path).close()
    [repair] = records(tmp_path, "repair")
    assert repair["cutBytes"] == 5


def _fail(*_: object) -> None:
    raise OSError(errno.EIO, "injected")


def test_blocks_that_never_reached_the_disk_are_cut_and_a_problem_for_the_verifier(tmp_path: Path) -> None:
    whole = written(tmp_path)
    holes = bytes(len(whole[2]))
    content = [*whole[:2], holes, *whole[3:]]
    the_file(tmp_path).write_bytes(b"".join(line + b"\n" for line in content))
    open_journal(tmp_path).close()
    [repair] = records(tmp_path, "repair")
    assert repair["cutLines"] == len(whole) - 2
    assert check(tmp_path).problem_count == 1


@pytest.mark.parametrize("content", [b"", b'{"seq":6,"pr'])
def test_a_file_that_holds_not_even_its_first_line_is_made_anew(tmp_path: Path, content: bytes) -> None:
    written(tmp_path, 4)
    (tmp_path / "audit-0000000000000006.jsonl").write_bytes(content)
    written(tmp_path, 1)
    report = check(tmp_path)
    assert (report.problem_count, report.files) == (0, 2)
    assert len(records(tmp_path, "repair")) == bool(content)


def test_a_first_file_without_a_line_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "audit-0000000000000001.jsonl").write_bytes(b"")
    written(tmp_path, 1)
    assert check(tmp_path).problem_count == 0


def test_a_file_that_does_not_follow_stops_the_writer(tmp_path: Path) -> None:
    written(tmp_path, 4)
    (tmp_path / "audit-0000000000000009.jsonl").write_bytes(b"")
    with pytest.raises(TrailDamaged):
        open_journal(tmp_path)


def test_another_format_is_not_continued(tmp_path: Path) -> None:
    written(tmp_path)
    path = the_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"format":1', b'"format":9'))
    with pytest.raises(TrailDamaged, match="format 9"):
        open_journal(tmp_path)


def test_a_failed_write_leaves_no_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(tmp_path)
    journal.append([ENCODED])
    before, head = the_file(tmp_path).read_bytes(), journal.head

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", half)
        with pytest.raises(OSError, match="No space"):
            journal.append([ENCODED, ENCODED])
    assert (the_file(tmp_path).read_bytes(), journal.head) == (before, head)
    journal.append([ENCODED])
    journal.close()
    assert check(tmp_path).problem_count == 0


def test_a_part_that_could_not_be_cut_is_cut_before_the_next_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal(tmp_path)

    def half(descriptor: int, data: bytes) -> None:
        os.write(descriptor, data[: len(data) // 2])
        raise OSError(errno.EIO, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module, "write_all", half)
        patch.setattr(os, "ftruncate", _fail)
        with pytest.raises(OSError, match="injected"):
            journal.append([ENCODED])
    journal.append([ENCODED])
    journal.close()
    report = check(tmp_path)
    assert (report.problem_count, report.events) == (0, 1)


def test_after_a_failed_sync_lines_go_to_a_new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = open_journal(tmp_path)
    journal.append([ENCODED])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _fail)
        with pytest.raises(OSError, match="injected"):
            journal.sync()
    journal.append([ENCODED])
    journal.sync()
    journal.close()
    report = check(tmp_path)
    assert (report.problem_count, report.files) == (0, 2)


@given(cut=st.integers(0, 100_000), restarts=st.lists(st.integers(0, 3), max_size=3))
def test_whatever_a_crash_left_of_a_trail_the_next_process_makes_it_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, restarts: list[int]
) -> None:
    directory = tmp_path_factory.mktemp("crash")
    journal = open_journal(directory, rotate_bytes=1500)
    for _ in range(9):
        journal.append([ENCODED])
    journal.close()
    last = max(directory.glob("audit-*.jsonl"))
    content = last.read_bytes()
    last.write_bytes(content[: cut % (len(content) + 1)])
    for count in restarts:
        written(directory, count)
    open_journal(directory).close()
    assert check(directory).problem_count == 0

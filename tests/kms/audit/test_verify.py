"""The verifier: every kind of tampering, at every line of a small trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kms.audit.files import file_name
from kms.audit.lines import GENESIS, MAX_CHECKPOINT_LAG, Head, Repair, Trouble, encode_record, line_hash, parse_place
from kms.audit.verify import MAX_TOLD, Report, Verifier
from tests.kms.audit.trails import SoftSigner, TrailMaker, event, file_start, lines, small_trail

SIGNER = SoftSigner()
LINES = 16

Files = dict[str, list[bytes]]


def check(directory: Path, **options: object) -> Report:
    return Verifier(SIGNER.public_keys(), **options).verify(directory)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Files:
    directory = tmp_path_factory.mktemp("pristine")
    small_trail(directory, SIGNER)
    return {path.name: path.read_bytes().splitlines(keepends=True) for path in sorted(directory.iterdir())}


@pytest.fixture
def files(pristine: Files) -> Files:
    return {name: list(content) for name, content in pristine.items()}


def write(directory: Path, files: Files) -> Path:
    for name, content in files.items():
        (directory / name).write_bytes(b"".join(content))
    return directory


def places(files: Files) -> Iterator[tuple[str, int]]:
    for name, content in files.items():
        for index in range(len(content)):
            yield name, index


def place_of(files: Files, number: int) -> tuple[str, int]:
    """Name of the file and index of line `number`, from 0."""
    return list(places(files))[number]


def test_a_whole_trail_is_whole(tmp_path: Path, files: Files) -> None:
    report = check(write(tmp_path, files), ends_with_stop=True)
    assert (report.problems, report.notes) == ([], [])
    assert (report.files, report.lines, report.events, report.checkpoints) == (3, LINES, 9, 4)
    assert (report.covered, report.uncovered, report.is_stopped) == (LINES - 1, 0, True)


def change_a_byte(files: Files, name: str, index: int) -> None:
    line = files[name][index]
    middle = len(line) // 2
    files[name][index] = line[:middle] + bytes([line[middle] ^ 1]) + line[middle + 1 :]


def drop(files: Files, name: str, index: int) -> None:
    del files[name][index]


def double(files: Files, name: str, index: int) -> None:
    files[name].insert(index, files[name][index])


def move_down(files: Files, name: str, index: int) -> None:
    content = files[name]
    content.insert((index + 1) % len(content), content.pop(index))


def cut_in_the_middle(files: Files, name: str, index: int) -> None:
    line = files[name][index]
    files[name][index:] = [line[: len(line) // 2]]


def cut_before(files: Files, name: str, index: int) -> None:
    """This line and all after it, in later files too."""
    del files[name][index:]
    for later in [other for other in files if other > name]:
        del files[later]
    if not files[name]:
        del files[name]


def cut_the_file_before(files: Files, name: str, index: int) -> None:
    del files[name][index:]


def change_the_time(files: Files, name: str, index: int) -> None:
    files[name][index] = files[name][index].replace(b"2026-01-01", b"2026-01-02")


def add_a_blank(files: Files, name: str, index: int) -> None:
    files[name][index] = files[name][index].replace(b",", b", ", 1)


def lose_the_newline(files: Files, name: str, index: int) -> None:
    files[name][index] = files[name][index][:-1]


TAMPERINGS: list[Callable[[Files, str, int], None]] = [
    change_a_byte,
    drop,
    double,
    move_down,
    cut_in_the_middle,
    cut_before,
    cut_the_file_before,
    change_the_time,
    add_a_blank,
    lose_the_newline,
]


@pytest.mark.parametrize("number", range(LINES))
@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda tamper: tamper.__name__)
def test_tampering_is_found(
    tmp_path: Path, files: Files, tamper: Callable[[Files, str, int], None], number: int
) -> None:
    before = {name: list(content) for name, content in files.items()}
    tamper(files, *place_of(files, number))
    assert files != before
    report = check(write(tmp_path, files), ends_with_stop=True)
    assert report.problem_count > 0


@given(st.data())
def test_any_changed_byte_is_found(
    tmp_path_factory: pytest.TempPathFactory, pristine: Files, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(pristine)))
    content = bytearray(b"".join(pristine[name]))
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    directory = tmp_path_factory.mktemp("changed")
    write(directory, {**pristine, name: [bytes(content)]})
    assert check(directory, ends_with_stop=True).problem_count > 0


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_file_is_found(tmp_path: Path, files: Files, missing: int) -> None:
    del files[sorted(files)[missing]]
    assert check(write(tmp_path, files), ends_with_stop=True).problem_count > 0


def test_files_that_exchanged_their_names_are_found(tmp_path: Path, files: Files) -> None:
    first, second, _ = sorted(files)
    files[first], files[second] = files[second], files[first]
    assert check(write(tmp_path, files)).problem_count > 0


def test_no_file_is_a_problem(tmp_path: Path) -> None:
    assert check(tmp_path).problem_count == 1


def test_archived_files_may_be_missing_at_the_start_of_a_partial_trail(tmp_path: Path, files: Files) -> None:
    del files[min(files)]
    report = check(write(tmp_path, files), is_partial=True, ends_with_stop=True)
    assert report.problems == []
    assert report.first_seq == 6


def test_a_partial_trail_has_no_gap_later(tmp_path: Path, files: Files) -> None:
    del files[sorted(files)[1]]
    assert check(write(tmp_path, files), is_partial=True).problem_count > 0


def rechained(files: Files, first: int) -> Files:
    """As whoever has the disk would forge: all lines from `first` on chained anew, but not signed anew."""
    head, result = GENESIS, {}
    number = 0
    for name, content in files.items():
        result[name] = []
        for line in content:
            seq, previous = parse_place(line[:-1])
            anew = line.replace(previous.encode(), head.hash.encode(), 1) if number >= first else line
            head = Head(seq, line_hash(anew[:-1]))
            result[name].append(anew)
            number += 1
    return result


@pytest.mark.parametrize("number", range(LINES - 1))
def test_a_chain_made_anew_is_found_by_its_checkpoints(tmp_path: Path, files: Files, number: int) -> None:
    change_the_time(files, *place_of(files, number))
    forged = rechained(files, number + 1)
    problems = [str(problem) for problem in check(write(tmp_path, forged)).problems]
    assert any("vouches for another line" in problem or "signature" in problem for problem in problems), problems


def test_a_checkpoint_of_another_key_is_refused(tmp_path: Path) -> None:
    small_trail(tmp_path, SoftSigner())
    report = check(tmp_path)
    assert report.problem_count == 4
    assert report.covered == 0


def test_a_signature_by_another_key_under_our_keys_name_is_refused(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    forged = SoftSigner().checkpoint(maker.head)
    ours = SIGNER.checkpoint(maker.head)
    maker.add(type(ours)(*[getattr(forged if name == "signature" else ours, name) for name in ours.__struct_fields__]))
    assert [problem.sentence for problem in check(tmp_path).problems] == ["the checkpoint's signature is wrong"]


def test_a_checkpoint_of_another_trail_is_refused(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    maker.add(SIGNER.checkpoint(maker.head, node="f" * 32))
    assert "another trail" in check(tmp_path).problems[0].sentence


def test_a_file_of_another_trail_is_found(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    maker.path = tmp_path / "audit-0000000000000002.jsonl"
    maker.add(file_start("f" * 32))
    assert "another trail" in check(tmp_path).problems[0].sentence


def test_a_tail_without_checkpoint_is_told_and_no_problem_unless_the_end_is_expected(tmp_path: Path) -> None:
    maker = small_trail(tmp_path, SIGNER)
    for number in range(3):
        maker.add(event(number))
    report = check(tmp_path)
    assert (report.problem_count, report.uncovered) == (0, 4)  # the checkpoint at the former end is one of them
    assert check(tmp_path, ends_with_stop=True).problem_count == 1


def test_a_trail_without_any_checkpoint_is_noted(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    report = check(tmp_path)
    assert (report.problem_count, len(report.notes), report.uncovered) == (0, 1, 1)


def test_a_checkpoint_may_cover_an_earlier_line_and_then_covers_no_more(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    covered = maker.head
    maker.add(event())
    maker.add(SIGNER.checkpoint(covered))
    report = check(tmp_path)
    assert (report.problem_count, report.covered, report.uncovered) == (0, 1, 2)


def test_a_line_noted_elsewhere_must_be_there(tmp_path: Path) -> None:
    maker = small_trail(tmp_path, SIGNER)
    assert check(tmp_path, contains=maker.head).problem_count == 0
    assert check(tmp_path, contains=Head(maker.head.seq, "f" * 64)).problem_count == 1
    assert check(tmp_path, contains=Head(99, maker.head.hash)).problem_count == 1


def test_a_repair_is_noted_and_whole_lines_that_were_cut_are_a_problem(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    maker.add(Repair("2026", 10, 0, "0" * 64, "somewhere"))
    report = check(tmp_path)
    assert (report.problem_count, len(report.notes)) == (0, 2)
    maker.add(Repair("2026", 900, 2, "0" * 64, "somewhere"))
    assert check(tmp_path).problem_count == 1


def test_trouble_is_noted(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    maker.add(Trouble("2026-01-02", "2026-01-01", "No space left on device", 3, 2, 1))
    [note, _] = check(tmp_path).notes
    assert "3 lines late, 2 lost, 1 calls refused" in note.sentence


def test_a_file_start_in_the_middle_is_a_problem(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    maker.add(file_start())
    assert check(tmp_path).problem_count == 1


def test_an_overlong_line_is_a_problem_and_memory_stays_bounded(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    with maker.path.open("ab") as file:
        for _ in range(9):
            file.write(b"x" * (1 << 20))
    report = check(tmp_path)
    assert report.problem_count > 0
    assert "too long" in report.problems[0].sentence


def test_problems_are_counted_beyond_those_told(tmp_path: Path) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    with maker.path.open("ab") as file:
        file.write(b"{}\n" * (MAX_TOLD + 50))
    report = check(tmp_path)
    assert (report.problem_count, len(report.problems)) == (MAX_TOLD + 50, MAX_TOLD)


@pytest.mark.parametrize(("between", "is_found"), [(MAX_CHECKPOINT_LAG - 1, True), (MAX_CHECKPOINT_LAG, False)])
def test_how_far_back_a_checkpoint_may_reach(tmp_path: Path, between: int, is_found: bool) -> None:
    maker = TrailMaker(tmp_path, SIGNER)
    maker.begin_file()
    covered, content, head = maker.head, [], maker.head
    encoded = encode_record(event())
    from kms.audit.lines import chain

    for _ in range(between):
        line, head = chain(head, encoded)
        content.append(line + b"\n")
    with maker.path.open("ab") as file:
        file.writelines(content)
    maker.head = head
    maker.add(SIGNER.checkpoint(covered))
    assert (check(tmp_path).problem_count == 0) is is_found


def test_lines_are_what_the_maker_wrote(tmp_path: Path) -> None:
    small_trail(tmp_path, SIGNER)
    assert len(lines(tmp_path)) == LINES


def test_a_trail_that_grows_may_end_within_a_line(tmp_path: Path, files: Files) -> None:
    *_, last = files
    torn = files[last].pop()
    for length in range(len(torn)):
        write(tmp_path, {**files, last: [*files[last], torn[:length]]})
        report = check(tmp_path, is_growing=True)
        assert (report.problems, report.lines) == ([], LINES - 1)
        assert bool(check(tmp_path).problems) is (length > 0)


def test_a_trail_that_grows_may_have_begun_a_file(tmp_path: Path, files: Files) -> None:
    write(tmp_path, {**files, file_name(LINES + 1): []})
    assert check(tmp_path, is_growing=True).problems == []
    assert len(check(tmp_path).problems) == 1


def test_only_the_last_file_of_a_trail_grows(tmp_path: Path, files: Files) -> None:
    first = next(iter(files))
    write(tmp_path, {**files, first: [*files[first][:-1], files[first][-1][:-1]]})
    assert check(tmp_path, is_growing=True).problems

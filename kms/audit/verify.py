"""Verifying a trail offline: its files and the public key are enough, and nothing is kept in memory but one line, the
hashes that a checkpoint may still name, and what was found.

The files are read twice, at first for handovers alone (`kms.audit.handover`): kmsd signs by a new key at once, and the
line in which the one before vouches for it follows some seconds later.

What is found: a line changed, dropped, inserted, doubled or moved, a file missing or cut, a checkpoint forged or in the
wrong place. What cannot be found in the files alone: that the trail was cut off after a checkpoint (`ends_with_stop`
and `contains` are for that), and changes after the last checkpoint by whoever made the rest of the chain anew, which is
why the lines after it count as not covered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kms.audit.event import Event
from kms.audit.files import first_seq_of, lines_of, trail_files
from kms.audit.handover import SWITCH, BadHandover, successor
from kms.audit.lines import (
    FORMAT,
    GENESIS_HASH,
    MAX_CHECKPOINT_LAG,
    MAX_LINE_BYTES,
    Checkpoint,
    FileStart,
    Head,
    MalformedLine,
    Record,
    Repair,
    Trouble,
    chain,
    encode_record,
    line_hash,
    parse_place,
    parse_record,
)
from kms.audit.signatures import PublicKeys, is_signed

MAX_TOLD: Final = 100
"""Problems and notes that are kept in words; of the rest only the number is."""

_HASH_BYTES: Final = 32
_SWITCH: Final = f'"eventName":"{SWITCH}"'.encode()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where: file and number of the line in it, from 1 (0: the file as a whole)."""

    file: str
    line: int
    sentence: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.sentence}" if self.line else f"{self.file}: {self.sentence}"


@dataclass(slots=True)
class Report:
    """`node` names the trail. `covered` is the last line that a valid checkpoint covers, 0 if none does; `head` is the
    last line of all."""

    files: int = 0
    lines: int = 0
    events: int = 0
    checkpoints: int = 0
    first_seq: int = 0
    head: Head | None = None
    covered: int = 0
    covered_until: str = ""
    ends_covered: bool = False
    """Whether the last line is a checkpoint that covers the line before."""
    is_stopped: bool = False
    """Whether it is that of an orderly stop."""
    problem_count: int = 0
    problems: list[Problem] = field(default_factory=list)
    node: str | None = None
    notes: list[Problem] = field(default_factory=list)
    """What an operator should know and is no tampering: repairs after a crash, times without writing."""

    @property
    def uncovered(self) -> int:
        """Lines that no checkpoint covers; a checkpoint at the end needs none."""
        return 0 if self.head is None or self.ends_covered else self.head.seq - self.covered


class _Hashes:
    """The hashes of the last lines, in a ring of fixed size."""

    def __init__(self) -> None:
        self._ring = bytearray(_HASH_BYTES * MAX_CHECKPOINT_LAG)
        self._last = 0

    def put(self, head: Head) -> None:
        place = head.seq % MAX_CHECKPOINT_LAG * _HASH_BYTES
        self._ring[place : place + _HASH_BYTES] = bytes.fromhex(head.hash)
        self._last = head.seq

    def get(self, seq: int) -> str | None:
        if not 0 < seq <= self._last or self._last - seq >= MAX_CHECKPOINT_LAG:
            return None
        place = seq % MAX_CHECKPOINT_LAG * _HASH_BYTES
        return self._ring[place : place + _HASH_BYTES].hex()


class Verifier:
    """Goes over one trail, once. `keys` are trusted, and those that they vouch for.

    `contains` is a line (number and hash) noted down elsewhere.
    """

    def __init__(
        self,
        keys: PublicKeys,
        *,
        is_partial: bool = False,
        is_growing: bool = False,
        ends_with_stop: bool = False,
        contains: Head | None = None,
        on_record: Callable[[Head, Record], None] = lambda head, record: None,
    ) -> None:
        """`is_partial`: the first files were archived, so that the trail may begin with any line.
        `is_growing`: somebody may be writing to it, so that the last file may be empty, or end within a line: that line
        is no part of it yet.

        `on_record` is given each line's place and what it tells, in order; whether it holds, `verify` says at the end.
        """
        self.report = Report()
        self._keys = dict(keys)
        self._is_partial = is_partial
        self._is_growing = is_growing
        self._ends_with_stop = ends_with_stop
        self._contains = contains
        self._on_record = on_record
        self._has_contained = False
        self._hashes = _Hashes()
        self._node = ""
        self._file = ""
        self._line = 0

    @property
    def keys(self) -> PublicKeys:
        """Those that were trusted at first, and by now those that they vouched for."""
        return self._keys

    def verify(self, directory: Path, files: Sequence[Path] | None = None) -> Report:
        """Raises OSError for files that cannot be read; everything else is in the report.

        `files` are some of the directory's, which follow each other; None: all of them.
        """
        self._file = directory.name
        paths = trail_files(directory) if files is None else list(files)
        if not paths:
            self._problem("there is no file of a trail")
        for path in paths:
            self._follow_handovers(path)
        for path in paths:
            self._verify_file(path, may_end_anywhere=self._is_growing and path == paths[-1])
        self._verify_end()
        return self.report

    def _follow_handovers(self, path: Path) -> None:
        """Trust the keys that a trusted one vouches for. What is wrong is told when its line is verified."""
        for line in lines_of(path):
            if _SWITCH not in line:
                continue
            try:
                record = parse_record(line.removesuffix(b"\n"))
                if isinstance(record, Event) and (found := successor(record, self._keys)) is not None:
                    self._keys[found[0]] = found[1]
            except (MalformedLine, BadHandover):
                continue

    def _verify_file(self, path: Path, *, may_end_anywhere: bool) -> None:
        self._file, self._line = path.name, 0
        self.report.files += 1
        first = first_seq_of(path)
        head = self.report.head
        expected = head.seq + 1 if head is not None else 1
        if first > expected and not (head is None and self._is_partial):
            self._problem(f"lines {expected} to {first - 1} are missing: no file has them")
        for line in lines_of(path):
            if may_end_anywhere and not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
                return
            self._line += 1
            self._verify_line(line, first if self._line == 1 else None)
        if self._line == 0 and not may_end_anywhere:
            self._problem("the file is empty")

    def _verify_line(self, line: bytes, first_of_file: int | None) -> None:
        report = self.report
        report.lines += 1
        report.ends_covered = report.is_stopped = False
        if not line.endswith(b"\n"):
            self._problem("the line is cut off" if len(line) <= MAX_LINE_BYTES else "the line is too long")
            return
        text = line[:-1]
        try:
            seq, previous = parse_place(text)
            record = parse_record(text)
        except MalformedLine as error:
            self._problem(f"this is no line of a trail: {error}")
            return
        self._verify_place(seq, previous, first_of_file)
        head = Head(seq, line_hash(text))
        if self._contains == head:
            self._has_contained = True
        self._verify_record(record, seq, previous, text, is_first=first_of_file is not None)
        report.first_seq = report.first_seq or seq
        report.head = head
        self._hashes.put(head)
        self._on_record(head, record)

    def _verify_place(self, seq: int, previous: str, first_of_file: int | None) -> None:
        head = self.report.head
        if first_of_file not in {None, seq}:
            self._problem(f"the file should begin with line {first_of_file}, and begins with {seq}")
        if head is None:
            if seq == 1 and previous != GENESIS_HASH:
                self._problem("the first line of all follows another one")
        elif seq != head.seq + 1:
            self._problem(f"line {seq} follows line {head.seq}: lines were dropped, doubled, inserted or moved")
        elif previous != head.hash:
            self._problem(f"line {seq} does not follow from line {head.seq}: one of the two was changed")

    def _verify_record(self, record: Record, seq: int, previous: str, text: bytes, *, is_first: bool) -> None:
        if is_first is not isinstance(record, FileStart):
            self._problem("a file begins with its own record, and with no other" if is_first else "a file begins here")
        match record:
            case FileStart():
                self._verify_start(record)
            case Checkpoint():
                self._verify_checkpoint(record, seq, previous, text)
            case Repair():
                self._note(f"{record.cut_bytes} bytes were cut off here after a crash; they are in {record.kept_as}")
                if record.cut_lines:
                    self._problem(f"{record.cut_lines} whole lines were damaged and cut off; see {record.kept_as}")
            case Trouble():
                self._note(
                    f"not written from {record.since} to {record.time} ({record.cause}):"
                    f" {record.late_lines} lines late, {record.lost_lines} lost, {record.refused_calls} calls refused"
                )
            case Event():
                self.report.events += 1
                self._verify_handover(record)

    def _verify_start(self, record: FileStart) -> None:
        if record.format != FORMAT:
            self._problem(f"format {record.format} is not known here")
        if self._node not in {"", record.node}:
            self._problem(f"the file is of another trail ({record.node})")
        self._node = self.report.node = record.node

    def _verify_handover(self, record: Event) -> None:
        try:
            found = successor(record, self._keys)
        except BadHandover as error:
            self._problem(f"the handover to another key is forged: {error}")
            return
        if found is not None:
            self._keys[found[0]] = found[1]
            self._note(f"the root was rotated: the key before vouches for the new one's ({found[0]})")

    def _verify_checkpoint(self, record: Checkpoint, seq: int, previous: str, text: bytes) -> None:
        self.report.checkpoints += 1
        if chain(Head(seq - 1, previous), encode_record(record))[0] != text:
            self._problem("the checkpoint is not written as one")
        if record.key_id not in self._keys:
            self._problem(f"the checkpoint is signed with another key ({record.key_id})")
            return
        if not is_signed(record, self._keys):
            self._problem("the checkpoint's signature is wrong")
            return
        if record.node != self._node:
            self._problem(f"the checkpoint is of another trail ({record.node})")
            return
        is_before = record.covers < self.report.first_seq or self.report.first_seq == 0
        if is_before and self._is_partial:
            return
        if self._hashes.get(record.covers) != record.hash:
            self._problem(f"the checkpoint vouches for another line {record.covers} than this trail has")
            return
        self.report.covered = record.covers
        self.report.covered_until = record.time
        self.report.ends_covered = record.covers == seq - 1
        self.report.is_stopped = self.report.ends_covered and record.reason == "stop"

    def _verify_end(self) -> None:
        report = self.report
        if report.lines and not report.covered and not self._is_partial:
            self._note("no checkpoint covers any line")
        if self._ends_with_stop and not report.is_stopped:
            self._problem("the trail does not end with the checkpoint of an orderly stop: its end may be missing")
        if self._contains is not None and not self._has_contained:
            self._problem(f"line {self._contains.seq} with hash {self._contains.hash} is not in the trail")

    def _problem(self, sentence: str) -> None:
        self.report.problem_count += 1
        if len(self.report.problems) < MAX_TOLD:
            self.report.problems.append(Problem(self._file, self._line, sentence))

    def _note(self, sentence: str) -> None:
        if len(self.report.notes) < MAX_TOLD:
            self.report.notes.append(Problem(self._file, self._line, sentence))

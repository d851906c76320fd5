"""Appending to the trail's files: one writer, whole lines or none, new files by size and age.

Theory of operation. `append` writes a batch with as few calls of write(2) as the system needs. If that fails, what was
written of the batch is cut off again, and the head stays where it was, so that the batch can be written later. If
cutting fails too, it is tried again before anything else is written. Files are opened O_APPEND, 0600, under a lock of
their directory. A file is synced before its successor is made.

Whoever continues a trail cuts off, once, what does not follow from the lines before (a crash in mid-line, a block that
never reached the disk), keeps it beside the file, and says so in a line.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from kms.audit.event import utc_now
from kms.audit.files import (
    TrailDamaged,
    file_name,
    find_end,
    first_seq_of,
    lines_of,
    sync_directory,
    trail_files,
    write_all,
)
from kms.audit.lines import (
    FORMAT,
    GENESIS,
    FileStart,
    MalformedLine,
    Repair,
    chain,
    encode_record,
    parse_record,
)

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC


class Journal:
    """The open end of a trail: `head` its last line, `node` its name, `file_start` the first line of its last file.

    `append`, `rotate` and `close` are for one thread; `sync` is for any.
    """

    def __init__(self, directory: Path, *, rotate_bytes: int, rotate_seconds: float) -> None:
        """Continue the trail in `directory`, or begin one. Raises OSError, and TrailDamaged, with nothing left open."""
        self.head = GENESIS
        self.node = ""
        self.file_start = 0
        self._directory = directory
        self._rotate_bytes = rotate_bytes
        self._rotate_seconds = rotate_seconds
        self._descriptor = -1
        self._size = 0
        self._began = time.monotonic()
        self._has_torn_end = False
        self._is_unsynced_forever = False
        self._syncing = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock_directory(directory)
        try:
            self._open_end()
        except BaseException:
            self.close()
            raise

    def append(self, encoded: Sequence[bytes], *, is_last: bool = False) -> None:
        """Write these records as lines; all of them, or none and the head stays. Raises OSError.

        With `is_last` the first of them follows the present head, whether or not a new file is due.
        """
        if self._is_due() and not is_last:
            self.rotate()
        if self._has_torn_end:
            self._cut_torn_end()
        head, lines = self.head, []
        for record in encoded:
            line, head = chain(head, record)
            lines.append(line + b"\n")
        data = b"".join(lines)
        try:
            write_all(self._descriptor, data)
        except OSError:
            self._has_torn_end = True
            with contextlib.suppress(OSError):  # it is tried again before the next line
                self._cut_torn_end()
            raise
        self.head = head
        self._size += len(data)

    def rotate(self) -> None:
        """Go on in a new file, the old one synced. Raises OSError, and then the old one is still in use."""
        if not self._is_unsynced_forever:
            os.fsync(self._descriptor)
        self._begin_file()

    def sync(self) -> None:
        """Return when all that was appended before is on the disk. Raises OSError; then the next line begins a new
        file, for a system that failed to sync may never say so again of the same pages."""
        with self._syncing:
            try:
                os.fsync(self._descriptor)
            except OSError:
                self._is_unsynced_forever = True
                raise

    def close(self) -> None:
        """Without a sync."""
        with self._syncing:
            for descriptor in (self._descriptor, self._lock):
                if descriptor >= 0:
                    os.close(descriptor)
            self._descriptor = self._lock = -1

    def _is_due(self) -> bool:
        is_old = time.monotonic() - self._began >= self._rotate_seconds
        return self._size >= self._rotate_bytes or is_old or self._is_unsynced_forever

    def _cut_torn_end(self) -> None:
        os.ftruncate(self._descriptor, self._size)
        self._has_torn_end = False

    def _begin_file(self) -> None:
        """The next file with its first line, durable under its name."""
        path = self._directory / file_name(self.head.seq + 1)
        start = FileStart(format=FORMAT, node=self.node, time=utc_now().isoformat())
        line, head = chain(self.head, encode_record(start))
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_all(descriptor, line + b"\n")
            os.fsync(descriptor)
            sync_directory(self._directory)
        except BaseException:
            os.close(descriptor)
            path.unlink(missing_ok=True)
            raise
        with self._syncing:
            previous, self._descriptor = self._descriptor, descriptor
            self._is_unsynced_forever = False
        if previous >= 0:
            os.close(previous)
        self.file_start = head.seq
        self.head, self._size, self._began = head, len(line) + 1, time.monotonic()
        self._has_torn_end = False

    def _open_end(self) -> None:
        files = trail_files(self._directory)
        if not files:
            self.node = uuid4().hex
            self._begin_file()
            return
        last = files[-1]
        self.node = _node_of(files)
        end = find_end(last)
        if end.offset == 0:
            self._begin_again(last, files[:-1])
            return
        self._descriptor = os.open(last, _FLAGS)
        self.file_start = first_seq_of(last)
        self.head, self._size = end.head, end.offset
        # Its age counts from now: a file may get older than asked by as much as the process before lived.
        has_surplus = last.stat().st_size > end.offset
        # What was kept at just this offset was cut by a process that died before it could say so.
        if has_surplus or (self._directory / _kept_name(last, end.offset)).exists():
            repair = self._cut(last, end.offset) if has_surplus else self._cut_before(last, end.offset)
            self.append([encode_record(repair)])
            self.sync()

    def _begin_again(self, last: Path, before: Sequence[Path]) -> None:
        """The last file holds not even its first line: put it away, and make it anew after the one before."""
        self.head = find_end(before[-1]).head if before else GENESIS
        if file_name(self.head.seq + 1) != last.name:
            raise TrailDamaged(f"{last} does not follow the lines before it; move it away to go on without it")
        if last.stat().st_size == 0:
            last.unlink()
            self._begin_file()
            return
        with last.open("rb") as file:
            repair = _repair_of(file.read(), _kept_name(last, 0))
        last.rename(self._directory / repair.kept_as)
        self._begin_file()
        self.append([encode_record(repair)])
        self.sync()

    def _cut(self, path: Path, offset: int) -> Repair:
        """Cut what follows `offset`, keeping it beside."""
        with path.open("rb") as file:
            file.seek(offset)
            surplus = file.read()
        repair = _repair_of(surplus, _kept_name(path, offset))
        kept = os.open(self._directory / repair.kept_as, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(kept, surplus)
            os.fsync(kept)
        finally:
            os.close(kept)
        sync_directory(self._directory)
        os.ftruncate(self._descriptor, offset)
        return repair

    def _cut_before(self, path: Path, offset: int) -> Repair:
        name = _kept_name(path, offset)
        return _repair_of((self._directory / name).read_bytes(), name)


def _lock_directory(directory: Path) -> int:
    """Raises OSError where another process writes this trail."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _node_of(files: Sequence[Path]) -> str:
    """The trail's own name, from the first line of the last file that has one. Raises TrailDamaged."""
    for path in reversed(files):
        for line in lines_of(path):
            try:
                record = parse_record(line.removesuffix(b"\n"))
            except MalformedLine:
                break
            if isinstance(record, FileStart):
                if record.format != FORMAT:
                    raise TrailDamaged(f"{path} is of format {record.format}; this release writes {FORMAT}")
                return record.node
            break
    if len(files) == 1:
        return uuid4().hex  # a crash while the very first file was made
    raise TrailDamaged(f"no file of the trail in {files[0].parent} begins as one does")


def _kept_name(path: Path, offset: int) -> str:
    return f"{path.name}.cut-{offset}"


def _repair_of(surplus: bytes, kept_as: str) -> Repair:
    return Repair(
        time=utc_now().isoformat(),
        cut_bytes=len(surplus),
        cut_lines=surplus.count(b"\n"),
        cut_sha256=hashlib.sha256(surplus).hexdigest(),
        kept_as=kept_as,
    )

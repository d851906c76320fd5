"""The writer of the trail: one thread that chains and writes what came in, one that syncs it.

Lines that come while a write is under way are written together by the next one, and likewise with syncs: nobody waits
for a timer. A write that fails leaves its lines *owed*: they are tried again, in order, until writing works, after a
line that says what happened. What is owed is bounded; beyond it lines are lost, and counted.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from kms.audit.checkpoints import Position
from kms.audit.event import utc_now
from kms.audit.files import TrailDamaged
from kms.audit.journal import Journal
from kms.audit.lines import Trouble, encode_record

log = logging.getLogger(__name__)

MAX_OWED_BYTES: Final = 16 << 20
MAX_BATCH_BYTES: Final = 4 << 20
RETRY_SECONDS: Final = 0.5
"""Between two attempts to write, or to sync, after one that failed."""

SYNC_PAUSE_SECONDS: Final = 0.01
"""How long a line that nobody waits for may lie unsynced before its sync begins."""

FINAL_CHECKPOINT_SECONDS: Final = 1.0
"""What the HSM may take for the last checkpoint; without it the end of the trail is not covered."""


class AuditUnavailable(Exception):
    """The line was not written, or not synced; the message says why."""


Settle = Callable[[list["Entry"], AuditUnavailable | None], None]
"""Tells those who wait for these entries that they are written (and synced, if they asked), or that they are not."""


@dataclass(slots=True)
class Entry:
    """An encoded record on its way into the trail; `waiter` is the affair of whoever made it."""

    encoded: bytes
    waiter: Any = None
    is_durable: bool = False
    is_checkpoint: bool = False


@dataclass(slots=True)
class _Failure:
    """Why lines are not written since when, and what that cost."""

    since: str
    cause: str
    lost_lines: int = 0
    refused_calls: int = 0


class Writer:
    """Owns the journal. `put` and `stop` may be called from any thread, `take_refused` is called from the writer's."""

    def __init__(
        self,
        open_journal: Callable[[], Journal],
        *,
        settle: Settle,
        take_refused: Callable[[], int],
        rotated: Callable[[], None],
        advanced: Callable[[int], None],
        last_checkpoint: Callable[[], None],
    ) -> None:
        """`settle` is called from both threads; `last_checkpoint` asks for one: it is put, or an empty list."""
        self._open_journal = open_journal
        self._settle = settle
        self._take_refused = take_refused
        self._rotated = rotated
        self._advanced = advanced
        self._last_checkpoint = last_checkpoint
        self._queue: queue.SimpleQueue[list[Entry] | None] = queue.SimpleQueue()
        self._owed: deque[Entry] = deque()
        self._owed_bytes = 0
        self._failure: _Failure | None = None
        self._journal: Journal | None = None
        self._file_start = 0
        self._last_event = 0
        self._position: Position | None = None
        self._sync = threading.Condition()
        self._unsynced: list[Entry] = []
        self._is_dirty = False
        self._is_ended = False
        self._writing = threading.Thread(target=self._write_until_stopped, name="audit-writer", daemon=True)
        self._syncing = threading.Thread(target=self._sync_until_ended, name="audit-sync", daemon=True)

    @property
    def trouble(self) -> str | None:
        """Why lines cannot be written, None while they can."""
        failure = self._failure
        return None if failure is None else failure.cause

    def position(self) -> Position | None:
        """Where the trail is; None before its first line. Thread-safe."""
        return self._position

    def start(self) -> None:
        self._writing.start()
        self._syncing.start()

    def put(self, entries: list[Entry]) -> None:
        self._queue.put(entries)

    def stop(self, seconds: float) -> None:
        """Write and sync what was put so far, the last checkpoint, and end. Blocks, at most about `seconds`."""
        self._queue.put(None)
        self._writing.join(seconds)

    # The writing thread

    def _write_until_stopped(self) -> None:
        self._write([])
        while True:
            batch, is_last = self._next_batch()
            self._write(batch)
            if is_last:
                break
        self._finish()

    def _next_batch(self) -> tuple[list[Entry], bool]:
        """What has come in, nothing if only a retry is due; and whether it is the last."""
        batch: list[Entry] = []
        size = 0
        try:
            entries = self._queue.get(timeout=None if self._failure is None else RETRY_SECONDS)
            while entries is not None:
                batch += entries
                size += sum(len(entry.encoded) for entry in entries)
                if size >= MAX_BATCH_BYTES:
                    return batch, False
                entries = self._queue.get_nowait()
        except queue.Empty:
            return batch, False
        return batch, True

    def _write(self, batch: list[Entry], *, is_last: bool = False) -> None:
        entries = [*self._owed, *batch]
        try:
            journal = self._open() if self._journal is None else self._journal
            if self._failure is not None:
                journal.append([encode_record(self._trouble(self._failure))])
                self._healed()
            if entries:
                journal.append([entry.encoded for entry in entries], is_last=is_last)
        except (OSError, TrailDamaged) as error:
            self._failed(str(error))
            self._owe(batch)
            return
        self._owed.clear()
        self._owed_bytes = 0
        self._advance(journal, batch)

    def _open(self) -> Journal:
        self._journal = self._open_journal()
        self._file_start = self._journal.file_start
        return self._journal

    def _advance(self, journal: Journal, batch: list[Entry]) -> None:
        """Tell how far the trail is, and those who wait."""
        head = journal.head
        if not batch or not all(entry.is_checkpoint for entry in batch):
            self._last_event = head.seq
        self._position = Position(journal.node, head, self._last_event)
        durable = [entry for entry in batch if entry.is_durable]
        if len(durable) < len(batch):
            self._settle([entry for entry in batch if not entry.is_durable], None)
        with self._sync:
            self._unsynced += durable
            self._is_dirty = True
            self._sync.notify()
        if journal.file_start != self._file_start:
            self._file_start = journal.file_start
            self._rotated()
        self._advanced(head.seq)

    def _finish(self) -> None:
        """The last checkpoint, if the HSM signs in time, and everything on the disk."""
        deadline = time.monotonic() + FINAL_CHECKPOINT_SECONDS
        if self._failure is None:
            self._last_checkpoint()
            while (left := deadline - time.monotonic()) > 0:
                try:
                    entries = self._queue.get(timeout=left)
                except queue.Empty:
                    break
                if not entries:
                    break
                # One that was under way is dropped: the last one covers the line just before it.
                if entries[-1].is_checkpoint and b'"reason":"stop"' in entries[-1].encoded:
                    self._write(entries[-1:], is_last=True)
                    break
        if self._owed:
            log.error("the last %d lines of the audit trail could not be written and are lost", len(self._owed))
        with self._sync:
            self._is_ended = True
            self._sync.notify()
        self._syncing.join()
        if self._journal is not None:
            self._journal.close()

    def _owe(self, batch: list[Entry]) -> None:
        """Keep what could not be written, as far as there is room, and tell those who wait."""
        assert self._failure is not None
        for entry in batch:
            if entry.is_checkpoint:
                continue  # its place is gone; the next one covers as much
            if self._owed_bytes + len(entry.encoded) > MAX_OWED_BYTES:
                self._failure.lost_lines += 1
                continue
            self._owed_bytes += len(entry.encoded)
            self._owed.append(Entry(entry.encoded))
        self._settle(batch, AuditUnavailable(self._failure.cause))

    def _trouble(self, failure: _Failure) -> Trouble:
        failure.refused_calls += self._take_refused()
        return Trouble(
            time=utc_now().isoformat(),
            since=failure.since,
            cause=failure.cause,
            late_lines=len(self._owed),
            lost_lines=failure.lost_lines,
            refused_calls=failure.refused_calls,
        )

    # Failing and healing, in both threads

    def _failed(self, cause: str) -> None:
        if self._failure is None:
            self._failure = _Failure(utc_now().isoformat(), cause)
            log.error("the audit trail cannot be written: %s", cause)

    def _healed(self) -> None:
        self._failure = None
        log.warning("the audit trail can be written again")

    # The syncing thread

    def _sync_until_ended(self) -> None:
        while True:
            with self._sync:
                self._sync.wait_for(lambda: self._is_dirty or self._is_ended)
                if not self._is_dirty:
                    return
                # Nobody waits: let some more come, for a write has to wait while its file is synced.
                self._sync.wait_for(lambda: self._unsynced or self._is_ended, SYNC_PAUSE_SECONDS)
                waiting, self._unsynced = self._unsynced, []
                self._is_dirty = False
            journal = self._journal
            assert journal is not None
            try:
                journal.sync()
            except OSError as error:
                self._failed(f"sync: {error}")
                self._queue.put([])  # the writing thread tries again
                self._settle(waiting, AuditUnavailable(f"sync: {error}"))
            else:
                if waiting:
                    self._settle(waiting, None)

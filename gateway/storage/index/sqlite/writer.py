"""The one writer of a process: group commit.

Theory of operation. A durable commit costs an fsync, milliseconds in which dozens of other writes arrive. So writes
queue, and the writer thread takes all of them at once: BEGIN IMMEDIATE, then each write in a SAVEPOINT of its own (or
in one statement, which needs none), then one COMMIT. A write that raises is undone alone and the others go on. Only
after the COMMIT are callers told. No timer is needed: the group is what arrived while the last commit ran. The thread
is woken after the first turn of the event loop that brings no further write, since the loop is busy with those that
are about to come: groups of 16 clients' PUTs have five or six writes so, and had three when each write woke it.

The queue is emptied after the lock between processes is held, not before: the wait for it makes the group larger, and a
caller that gave up meanwhile (cancelled, or out of patience) is passed over with nothing done.

If the database fails as a whole (disk full, I/O error), the transaction is rolled back, every write of the group gets
StorageUnavailable, and the next group tries anew. If it fails in COMMIT, the group may be in the write-ahead log
already, whole and not synced: the next group overwrites it there, but a crash before that has SQLite recover it. So
those writes get OutcomeUnknown, and what their rows name is kept.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gateway.storage.errors import StorageUnavailable
from gateway.storage.index.sqlite.errors import translated, translated_in_commit
from gateway.storage.index.sqlite.write_lock import WriteLock

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]
AtOnce = Callable[[sqlite3.Connection], tuple[T] | None]
"""The same as some Work in at most one statement that writes; its result, or None where that cannot be done."""

MAX_GROUP = 256
"""Writes in one transaction: beyond a few dozen the fsync is paid for, and others wait for the lock meanwhile."""

MAX_TURNS = 8
"""Of the event loop that a write waits for others before the thread is woken, while each turn brings more."""

PATIENCE_SECONDS = 20.0
"""How long a write may wait in the queue (another process holds the lock, the disk hangs) before it is refused."""

_MEMORY_PAUSE_SECONDS = 0.05
"""Between two attempts to tell what was done, while memory is missing for it."""

CHECKPOINT_WRITES = 1000
"""Writes between checkpoints. A write changes about five pages; so the WAL stays in the tens of megabytes."""


class _Job:
    __slots__ = ("at_once", "deadline", "error", "future", "result", "work")

    def __init__(
        self, work: Work[Any], at_once: AtOnce[Any] | None, future: asyncio.Future[Any], deadline: float
    ) -> None:
        self.work = work
        self.at_once = at_once
        self.future = future
        self.deadline = deadline
        self.result: Any = None
        self.error: Exception | None = None


class GroupWriter:
    """Runs functions in write transactions, in a thread of its own; owns `connection` and `lock` until closed.

    `connection` is in autocommit mode (`isolation_level=None`) and used by nobody else.
    """

    def __init__(
        self, connection: sqlite3.Connection, lock: WriteLock, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._patience_seconds = patience_seconds
        self._queue: deque[_Job] = deque()  # in the order of their deadlines
        self._expiring: asyncio.TimerHandle | None = None  # there while a job may be in the queue
        self._arrival = threading.Condition()
        self._closing = False
        self._is_waking = False
        self._seen = 0  # writes that were queued at the last turn, of `_turns` that passed since the first of them came
        self._turns = 0
        self._writes_since_checkpoint = 0
        self._thread = threading.Thread(target=self._serve, name="index-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T], at_once: AtOnce[T] | None = None) -> T:
        """Run `work` in a transaction, in the writer thread; its result once that is durable.

        `at_once`, where there is one, is tried before, and if it did everything `work` is not run. What either raises
        is raised here, and what it did is undone. Cancelled, the work is either not done or done whole. Raises
        StorageUnavailable when the database cannot serve, nothing having been changed.
        """
        deadline = self._loop.time() + self._patience_seconds
        job = _Job(work, at_once, self._loop.create_future(), deadline)
        if self._closing:
            raise StorageUnavailable("the index is closed")
        self._queue.append(job)  # without the lock: the other thread takes from the other end
        if not self._is_waking:
            self._is_waking = True
            self._loop.call_soon(self._wake)
        if self._expiring is None:  # one for all that come while there is: one each would be as many timers as writes
            self._expiring = self._loop.call_at(deadline, self._expire)
        await job.future
        return job.result  # type: ignore[no-any-return]  # the work's own result

    async def close(self) -> None:
        """Commit what was queued, end the thread, close connection and lock. Idempotent."""
        with self._arrival:
            self._closing = True
            self._arrival.notify()
        await asyncio.to_thread(self._thread.join)
        if self._expiring is not None:
            self._expiring.cancel()

    def _wake(self) -> None:
        """Wake the thread, unless this turn of the loop brought more writes than there were."""
        queued = len(self._queue)
        if queued > self._seen and self._turns < MAX_TURNS:
            self._seen = queued
            self._turns += 1
            self._loop.call_soon(self._wake)
            return
        self._seen = self._turns = 0
        self._is_waking = False
        with self._arrival:
            self._arrival.notify()

    def _expire(self) -> None:
        """Refuse what has waited for too long. What is under way is in the queue no more: its end is near, and only
        then is it known."""
        now = self._loop.time()
        with self._arrival:
            expired: list[_Job] = []
            while self._queue and self._queue[0].deadline <= now:
                expired.append(self._queue.popleft())
            self._expiring = self._loop.call_at(self._queue[0].deadline, self._expire) if self._queue else None
        for job in expired:
            if not job.future.done():
                job.future.set_exception(StorageUnavailable("index: the queue of writers does not move"))

    def _serve(self) -> None:
        try:
            while self._wait_for_work():
                with self._lock.held():
                    group = self._take_group()
                    if group:
                        self._commit(group)
                self._tell(group)
                self._checkpoint_if_due(len(group))
        finally:
            self._connection.close()
            self._lock.close()

    def _wait_for_work(self) -> bool:
        """True when there is work, False when there will be none."""
        with self._arrival:
            while not self._queue and not self._closing:
                self._arrival.wait()
            return bool(self._queue)

    def _take_group(self) -> list[_Job]:
        with self._arrival:
            group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP))]
        return [job for job in group if not job.future.done()]

    def _commit(self, group: Sequence[_Job]) -> None:
        """One transaction; leaves in each job what its caller is to be told."""
        execute = self._connection.execute
        may_be_written = False
        try:
            execute("BEGIN IMMEDIATE")
            for job in group:
                self._attempt(job)
            may_be_written = True
            execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            self._roll_back()
            for job in group:
                if job.error is None or not may_be_written:  # what was undone alone stays so
                    job.error = translated_in_commit(error) if may_be_written else translated(error)

    def _attempt(self, job: _Job) -> None:
        if self._is_done_at_once(job):
            return
        execute = self._connection.execute
        execute("SAVEPOINT job")
        try:
            job.result = job.work(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                # On some errors (disk full, I/O) SQLite rolls the whole transaction back by itself, and with it the
                # jobs before this one. https://www.sqlite.org/lang_transaction.html, "Response To Errors"
                raise
            execute("ROLLBACK TO job")
            job.error = translated(error)
        execute("RELEASE job")

    def _is_done_at_once(self, job: _Job) -> bool:
        """Whether nothing is left to do of it, be it that it failed, with nothing changed."""
        if job.at_once is None:
            return False
        try:
            done = job.at_once(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                raise  # as above
            job.error = translated(error)
            return True
        if done is None:
            return False
        (job.result,) = done
        return True

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _tell(self, group: Sequence[_Job]) -> None:
        while True:
            try:
                self._loop.call_soon_threadsafe(_resolve, group)
            except RuntimeError:
                # The loop was closed over our head (a process that ends without close()): nobody is left to be told.
                return
            except MemoryError:  # what was committed must be told, once it can be
                time.sleep(_MEMORY_PAUSE_SECONDS)
            else:
                return

    def _checkpoint_if_due(self, writes: int) -> None:
        """Move the WAL into the database while no caller and no other writer waits for it.

        SQLite's own checkpoint would run inside COMMIT, lock held. A passive one that cannot finish now is no
        error: the next one goes on. Wide transactions between two of ours are caught by `wal_autocheckpoint`.
        """
        self._writes_since_checkpoint += writes
        if self._writes_since_checkpoint < CHECKPOINT_WRITES:
            return
        self._writes_since_checkpoint = 0
        try:
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.OperationalError:
            return  # nothing is lost; what ails the database meets the next write, and its caller


def _resolve(group: Sequence[_Job]) -> None:
    for job in group:
        if job.future.done():
            continue
        if job.error is None:
            job.future.set_result(None)
        elif isinstance(job.error, StopIteration):
            job.future.set_exception(RuntimeError("a write raised StopIteration"))  # futures refuse to carry it
        else:
            job.future.set_exception(job.error)

"""The one writer of a process: group commit.

Theory of operation. A durable commit costs an fsync, milliseconds in which dozens of other writes arrive. So writes
queue, and all that are there are done at once: BEGIN IMMEDIATE, then each write in a SAVEPOINT of its own (or in one
statement, which needs none), then one COMMIT. A write that raises is undone alone and the others go on. Only after the
COMMIT are callers told. No timer is needed: the group is what arrived while the last commit ran. It is begun after the
first turn of the event loop that brings no further write, since the loop is busy with those that are about to come.

Who does what: writes of one statement are done by the event loop itself, some 30 us each, and all that may wait by a
thread: the lock between processes where somebody has it, writes of more than one statement, COMMIT, checkpoints. In the
thread each statement gave Python's lock away three or four times, and the loop, busy with the next requests, had it
back only after a sleep: six a PUT, which cost both threads more than SQLite took.

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from queue import SimpleQueue
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

MAX_AT_ONCE = 64
"""Of them by the event loop itself, which answers nobody meanwhile; the thread does the others."""

MAX_TURNS = 8
"""Of the event loop that a write waits for others before a group is begun, while each turn brings more."""

MAX_EXPECTING_SECONDS = 0.005
"""That a write waits for those that are expected."""

BUSY_MILLISECONDS = 10_000
"""How long is waited for who has the database without the write lock: another program, or a recovery after a crash."""

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
    """Runs functions in write transactions; owns `connection` and `lock` until closed.

    `connection` is in autocommit mode (`isolation_level=None`) and used by nobody else: by the event loop and by the
    thread in turn.
    """

    def __init__(
        self, connection: sqlite3.Connection, lock: WriteLock, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._connection = connection
        connection.execute("PRAGMA busy_timeout = 0")  # the event loop waits for nobody
        self._lock = lock
        self._loop = asyncio.get_running_loop()
        self._patience_seconds = patience_seconds
        self._queue: deque[_Job] = deque()  # in the order of their deadlines
        self._expiring: asyncio.TimerHandle | None = None  # there while a job may be in the queue
        self._idle = asyncio.Event()  # the thread has nothing to do, and nobody the lock for us
        self._idle.set()
        self._closing = False
        self._is_waking = False
        self._expected = 0
        self._waiting: asyncio.TimerHandle | None = None  # for those that are expected
        self._seen = 0  # writes that were queued at the last turn, of `_turns` that passed since the first of them came
        self._turns = 0
        self._writes_since_checkpoint = 0
        self._commands: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="index-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T], at_once: AtOnce[T] | None = None) -> T:
        """Run `work` in a transaction, in the thread; its result once that is durable.

        `at_once`, where there is one, is tried before, mostly by the event loop, and if it did everything `work` is not
        run. What either raises is raised here, and what it did is undone. Cancelled, the work is either not done or
        done whole. Raises StorageUnavailable when the database cannot serve, nothing having been changed.
        """
        deadline = self._loop.time() + self._patience_seconds
        job = _Job(work, at_once, self._loop.create_future(), deadline)
        if self._closing:
            raise StorageUnavailable("the index is closed")
        self._queue.append(job)
        if not self._is_waking:
            self._loop.call_soon(self._wake)
            self._is_waking = True
        if self._expiring is None:  # one for all that come while there is: one each would be as many timers as writes
            self._expiring = self._loop.call_at(deadline, self._expire)
        await job.future
        return job.result  # type: ignore[no-any-return]  # the work's own result

    async def close(self) -> None:
        """Commit what was queued, end the thread, close connection and lock. Idempotent."""
        self._closing = True
        while self._thread.is_alive() and (self._queue or not self._idle.is_set()):
            self._begin()
            await self._idle.wait()
        self._commands.put(None)
        await asyncio.to_thread(self._thread.join)
        if self._expiring is not None:
            self._expiring.cancel()

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """See ObjectIndex.expecting."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            if not self._expected and self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None
                self._later(self._wake_up)  # when the write that was expected is in the queue

    def _wake(self) -> None:
        """Begin a group, unless this turn of the loop brought more writes than there were."""
        queued = len(self._queue)
        if queued > self._seen and self._turns < MAX_TURNS:
            self._seen = queued
            self._turns += 1
            self._later(self._wake)
            return
        self._seen = self._turns = 0
        if self._expected:
            with suppress(MemoryError):  # then nobody is waited for
                self._waiting = self._loop.call_later(MAX_EXPECTING_SECONDS, self._wake_up)
                return
        self._wake_up()

    def _later(self, callback: Callable[[], None]) -> None:
        """In the next turn of the loop; now, if there is no memory."""
        try:
            self._loop.call_soon(callback)
        except MemoryError:
            callback()

    def _wake_up(self) -> None:
        self._waiting = None
        self._is_waking = False
        self._begin()

    def _expire(self) -> None:
        """Refuse what has waited for too long. What is under way is in the queue no more: its end is near, and only
        then is it known."""
        now = self._loop.time()
        expired: list[_Job] = []
        while self._queue and self._queue[0].deadline <= now:
            expired.append(self._queue.popleft())
        self._expiring = self._loop.call_at(self._queue[0].deadline, self._expire) if self._queue else None
        for job in expired:
            if not job.future.done():
                job.future.set_exception(StorageUnavailable("index: the queue of writers does not move"))

    # By the event loop.

    def _begin(self) -> None:
        """A group, unless there is one already: its end begins the next."""
        if not self._queue or not self._idle.is_set():
            return
        self._idle.clear()
        try:
            is_held = self._lock.try_acquire()
            if not is_held:
                self._commands.put(self._wait_for_lock)
        except BaseException:  # no memory: the next write begins one
            self._idle.set()
            raise
        if is_held:
            self._fill()

    def _fill(self) -> None:
        """Do what is quickly done, and leave the rest and COMMIT to the thread. The lock is held."""
        group: Sequence[_Job] = ()
        try:
            group = self._take_group()
            if group:
                self._commands.put(partial(self._finish, group, self._do_at_once(group)))
                return
        except (sqlite3.Error, MemoryError) as error:
            self._fail(group, translated(error))
        self._lock.release()
        self._ended(group)

    def _take_group(self) -> list[_Job]:
        taken = list(islice(self._queue, MAX_GROUP))
        for _ in taken:
            self._queue.popleft()
        return [job for job in taken if not job.future.done()]

    def _do_at_once(self, group: Sequence[_Job]) -> list[_Job]:
        """What remains to be done of a group, in a transaction unless somebody else has one."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return list(group)  # by who does not know the lock, which the thread waits for
        return [job for number, job in enumerate(group) if number >= MAX_AT_ONCE or not self._is_done_at_once(job)]

    def _ended(self, group: Sequence[_Job]) -> None:
        """Tell the callers, and begin the next group: of what came meanwhile, unless more is just coming."""
        try:
            _resolve(group)
        finally:
            self._idle.set()
            if not self._is_waking:
                self._begin()

    # By the thread, one after the other.

    def _serve(self) -> None:
        try:
            while (command := self._commands.get()) is not None:
                command()
        finally:
            self._connection.close()
            self._lock.close()

    def _wait_for_lock(self) -> None:
        self._lock.acquire()
        if not self._tell(self._fill):
            self._lock.release()

    def _finish(self, group: Sequence[_Job], rest: Sequence[_Job]) -> None:
        """Do the rest, and COMMIT; leaves in each job what its caller is to be told."""
        execute = self._connection.execute
        may_be_written = False
        try:
            if not self._connection.in_transaction:
                self._begin_patiently()
            for job in rest:
                self._attempt(job)
            may_be_written = True
            execute("COMMIT")
        except (sqlite3.Error, MemoryError) as error:
            # What was undone alone before a COMMIT that failed stays so.
            failed = [job for job in group if job.error is None] if may_be_written else group
            self._fail(failed, translated_in_commit(error) if may_be_written else translated(error))
        self._lock.release()
        if self._is_checkpoint_due(len(group)):
            self._tell(partial(_resolve, group))  # nobody is to wait for it
            self._checkpoint()
        self._tell(partial(self._ended, group))

    def _begin_patiently(self) -> None:
        self._connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")

    def _fail(self, jobs: Sequence[_Job], error: Exception) -> None:
        """Roll back; these have failed."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        for job in jobs:
            job.error = error

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
            job.at_once = None
            return False
        (job.result,) = done
        return True

    def _tell(self, callback: Callable[[], None]) -> bool:
        """Have the event loop call it; whether there still is one."""
        while True:
            try:
                self._loop.call_soon_threadsafe(callback)
            except RuntimeError:
                # The loop was closed over our head (a process that ends without close()): nobody is left to be told.
                return False
            except MemoryError:  # what was committed must be told, once it can be
                time.sleep(_MEMORY_PAUSE_SECONDS)
            else:
                return True

    def _is_checkpoint_due(self, writes: int) -> bool:
        self._writes_since_checkpoint += writes
        return self._writes_since_checkpoint >= CHECKPOINT_WRITES

    def _checkpoint(self) -> None:
        """Move the WAL into the database while no caller and no other writer waits for it.

        SQLite's own checkpoint would run inside COMMIT, lock held. A passive one that cannot finish now is no
        error: the next one goes on. Wide transactions between two of ours are caught by `wal_autocheckpoint`.
        """
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

"""A process's part in keeping the node's copy current, and the one way to change what all nodes share.

Both happen in a thread with an event loop of its own: stores are used in whatever thread needs one, and wait there.

Who may do what when: a change holds PostgreSQL's lock on the state, then the turn of its process, then SQLite's lock on
the copy. Whoever follows holds the turn, then SQLite's lock, and none of PostgreSQL's. So nobody waits in a circle. The
turn is there because SQLite makes its own thread wait: this one has to answer while a store's transaction is open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from database.connection import Database, Transaction
from database.shared.changes import Changes, Position, State, can_notify
from database.shared.copy import Copy, set_position
from database.shared.formats import bring_to_newest_format
from database.shared.rows import SharedRow
from database.shared.sharing import Sharing, transaction

_log = logging.getLogger(__name__)

T = TypeVar("T")

STALE_SECONDS: Final = 5.0
"""Who has not known for so long that there was no other change serves nobody."""

POLL_SECONDS: Final = 1.0
"""Between two questions whether there was a change, if nobody notified of one."""

CATCH_UP_PAUSE_SECONDS: Final = 0.1
"""Between two questions that are asked for those who missed something, however many they are."""

_LISTEN_PAUSE_SECONDS: Final = 5.0
"""Before the connection that is notified is made anew; meanwhile it is asked."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_LAPSE_SECONDS: Final = 0.1
"""Between two looks whether what was remembered may be outdated."""

_ATTEMPTS: Final = 8
"""To bring the copy to a state, while other processes of the node do so as well."""


def _nothing() -> None: ...


class _Abandoned(Exception):
    """The change that was begun is not to be made."""


class _Change:
    """One change, between the thread that makes it and the one that shares it."""

    def __init__(self) -> None:
        self.begun: Future[None] = Future()
        """The state is locked, and the copy is at it."""
        self.rows: Future[Sequence[SharedRow] | None] = Future()
        """What was changed; None: nothing shall be."""
        self.committed: Future[Position] = Future()
        self.ended: Future[None] = Future()
        """The copy's transaction is over."""
        self.before: Position | None = None

    def fail(self, error: BaseException) -> None:
        for future in (self.begun, self.committed):
            if not future.done():
                future.set_exception(error)


class Replica:
    """Open one per process; stores share it. Any thread may call it."""

    def __init__(
        self,
        path: Path,
        sharing: Sharing,
        open_database: Callable[[], Awaitable[Database]],
        *,
        on_change: Callable[[], object] = _nothing,
        poll_seconds: float = POLL_SECONDS,
        stale_seconds: float = STALE_SECONDS,
    ) -> None:
        """Follow the database, for which at least three connections are needed, into the copy at `path`.

        `on_change` is called, in a thread of ours, when whatever was remembered of the rows may have become wrong: by
        another process's change of tables that are not quiet, or because the copy may be outdated now. Returns once
        the copy is current. Raises unavailable.
        """
        self.path = path
        self.sharing = sharing
        self._changes = Changes(sharing)
        self._on_change = on_change
        self._told: Position | None = None
        self._is_lapse_told = False
        self._open_database = open_database
        self._poll_seconds = poll_seconds
        self._stale_seconds = stale_seconds
        self._confirmed = float("-inf")
        self._reported = ""
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._waiting: asyncio.Future[bool] | None = None
        self._may_ask_at = 0.0
        self._database: Database | None = None
        self._copy: Copy | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=sharing.name, daemon=True)
        self._thread.start()
        try:
            self._run(self._start())
        except BaseException:
            self.close()
            raise

    def require_fresh(self) -> None:
        """Raises unavailable while the copy may lack a change that was made STALE_SECONDS ago."""
        if not self.is_fresh:
            raise self.sharing.unavailable("it is not known whether other nodes made changes meanwhile")

    @property
    def is_fresh(self) -> bool:
        return not self._closed and _now() - self._confirmed <= self._stale_seconds

    async def catch_up(self) -> bool:
        """Have the copy be as the database is at some moment after this call, in any event loop.

        For whoever is about to say that something does not exist, which another node may just have made. Those who
        come at once share one question, and there is one each CATCH_UP_PAUSE_SECONDS: asking for what never existed
        is no way to keep the database busy. False if the database is away, or does not answer in `stale_seconds`.
        """
        if self._closed or self._reported:
            return False
        asked = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._next_answer(), self._loop))
        try:
            async with asyncio.timeout(self._stale_seconds):
                return await asked
        except TimeoutError:
            return False

    @contextlib.contextmanager
    def change(self, connection: sqlite3.Connection, changed_rows: Callable[[], Sequence[SharedRow]]) -> Iterator[None]:
        """Around a transaction on the copy, which is begun and ended here; `changed_rows` is asked at its end.

        What is read inside is the newest state, and stays so. Raises unavailable with nothing changed, or
        unknown: what the database did then comes to the copy as any other change.
        """
        if self._closed:
            raise self.sharing.unavailable("the store is closed")
        change = _Change()
        asyncio.run_coroutine_threadsafe(self._share(change), self._loop)
        is_shared = False
        try:
            change.begun.result()
            with transaction(connection):
                yield
                rows = changed_rows()
                change.rows.set_result(rows)
                position = change.committed.result()
                is_shared = bool(rows)
                if is_shared:
                    set_position(connection, position)
        except sqlite3.Error as error:
            if is_shared:
                errors = self.sharing.errors
                raise errors.unknown(f"{errors.what}: a change was made, but is not in this node's copy yet") from error
            raise
        finally:
            if not change.rows.done():
                change.rows.set_result(None)
            change.ended.set_result(None)

    def close(self) -> None:
        """Idempotent."""
        if self._closed:
            return
        self._closed = True  # what is just being confirmed does not make the copy fresh again
        with contextlib.suppress(self.sharing.errors.unavailable):
            self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # In the thread of the loop

    async def _start(self) -> None:
        self._database = database = await self._open_database()
        if (await database.ask(self._changes.state)).format != self.sharing.newest_schema:
            await database.write(partial(bring_to_newest_format, self._changes))
        self._copy = copy = Copy(self.path, self.sharing)
        await self._confirm(database, copy)
        works = self._follow(database, copy), self._listen(database), self._watch_lapse()
        self._tasks = [asyncio.create_task(work) for work in works]

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._waiting is not None:
            self._waiting.set_result(False)
        if self._database is not None:
            await self._database.close()
        if self._copy is not None:
            self._copy.close()

    async def _follow(self, database: Database, copy: Copy) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._wake.wait()
            self._wake.clear()
            # Who misses something from here on has the next answer: this question may be asked too early for it.
            waiting, self._waiting = self._waiting, None
            self._may_ask_at = self._loop.time() + CATCH_UP_PAUSE_SECONDS
            is_current = False
            try:
                await self._confirm(database, copy)
                is_current = True
            except (self.sharing.errors.unavailable, TimeoutError) as error:
                self._report(str(error) or f"{self.sharing.errors.what}: the database does not answer in time")
            else:
                self._report("")
            finally:
                if waiting is not None:
                    waiting.set_result(is_current)

    async def _next_answer(self) -> bool:
        """Whether the copy is current, once whoever follows has asked anew."""
        if self._waiting is None:
            self._waiting = self._loop.create_future()
            self._loop.call_at(self._may_ask_at, self._wake.set)
        return await asyncio.shield(self._waiting)

    def _report(self, reason: str) -> None:
        """Once, until it is another one."""
        if reason != self._reported:
            if reason:
                _log.warning("%s", reason)
            else:
                _log.info("%s: the database answers again", self.sharing.errors.what)
            self._reported = reason

    async def _listen(self, database: Database) -> None:
        """Have the database wake whoever follows. Without it changes come with the next question."""
        if not await self._can_listen(database):
            return
        while True:
            with contextlib.suppress(self.sharing.errors.unavailable):  # the log has it from whoever follows
                await database.listen(self.sharing.channel, self._wake.set)
            await asyncio.sleep(_LISTEN_PAUSE_SECONDS)

    async def _can_listen(self, database: Database) -> bool:
        while True:
            try:
                return await database.ask(can_notify)
            except self.sharing.errors.unavailable:
                await asyncio.sleep(_LISTEN_PAUSE_SECONDS)

    async def _watch_lapse(self) -> None:
        """Tell once, each time, that the copy may be outdated: what was remembered is not to be used then either."""
        while True:
            await asyncio.sleep(_LAPSE_SECONDS)
            if not self.is_fresh and not self._is_lapse_told:
                self._on_change()
            self._is_lapse_told = not self.is_fresh

    async def _confirm(self, database: Database, copy: Copy) -> None:
        """Know the copy to be current, as of when that was asked. Raises unavailable, TimeoutError."""
        for _ in range(_ATTEMPTS):
            asked = _now()
            async with asyncio.timeout(self._stale_seconds):
                state = await database.ask(self._changes.state)
            if copy.position() == state.position or await database.read(partial(self._catch_up, copy)):
                self._tell(copy)
                self._confirmed = asked
                return
        raise self.sharing.unavailable("other processes of the node change its copy all the time")

    def _tell(self, copy: Copy) -> None:
        """Whoever remembers something is told before the copy counts as current again."""
        position = copy.position()
        if position != self._told:
            self._on_change()
            self._told = position

    async def _catch_up(self, copy: Copy, snapshot: Transaction) -> bool:
        """Whether the copy was brought to what is now; another process may have brought it elsewhere meanwhile."""
        async with self._turn:
            # Before the state is read: a copy that is ahead of it is one of a database that went back.
            since = copy.position()
            return await self._bring(copy, since, await self._changes.state(snapshot), snapshot)

    async def _share(self, change: _Change) -> None:
        """PostgreSQL's side of a change. The turn is held from its beginning to the end of the copy's transaction."""
        database, copy = self._database, self._copy
        assert database is not None
        assert copy is not None
        async with contextlib.AsyncExitStack() as turn:
            try:
                position = await database.write(partial(self._write, change, copy, turn))
                change.committed.set_result(position)
            except BaseException as error:
                change.fail(error)
                if not isinstance(error, Exception):
                    raise
            else:
                # Whoever makes a change tells of it in its own process.
                if self._told == change.before:
                    self._told = position
            await asyncio.wrap_future(change.ended)

    async def _write(
        self, change: _Change, copy: Copy, turn: contextlib.AsyncExitStack, transaction_: Transaction
    ) -> Position:
        """In a transaction, which is repeated if the connection is lost."""
        state = await self._changes.lock(transaction_)
        if not change.begun.done():
            await turn.enter_async_context(self._turn)
            for _ in range(_ATTEMPTS):
                if await self._bring(copy, copy.position(), state, transaction_):
                    break
            else:
                raise self.sharing.unavailable("other processes of the node change its copy all the time")
            self._tell(copy)
            self._confirmed = _now()
            change.begun.set_result(None)
        rows = await asyncio.wrap_future(change.rows)
        if rows is None:
            raise _Abandoned
        if copy.position() != state.position:
            raise self.sharing.unavailable("the connection was lost, and another node was faster")
        if not rows:
            return state.position
        change.before = state.position
        return await self._changes.write(transaction_, state, rows)

    async def _bring(self, copy: Copy, since: Position | None, state: State, transaction_: Transaction) -> bool:
        """Bring the copy from `since` to `state`, in one snapshot with it; whether it was at `since`."""
        if state.format != self.sharing.newest_schema:
            raise self.sharing.unavailable(
                f"the database has format {state.format}, this program's is {self.sharing.newest_schema}"
            )
        if since == state.position:
            return True
        rows = None if since is None else await self._changes.since(transaction_, since, state)
        if since is None or rows is None:
            return await copy.replace(since, state.position, self._changes.pages(transaction_))
        is_done = copy.advance(since, state.position, rows)
        if is_done and since == self._told and all(row.kind in self.sharing.quiet for row in rows):
            self._told = state.position
        return is_done


def _now() -> float:
    """Seconds that go on while the machine sleeps, where the system counts them."""
    return time.clock_gettime(_CLOCK)

"""Connections: the pool of a process, transactions on it, deadlines, and what is tried again.

A method of a store has one deadline for all that it does: waiting for a connection, its statements, and further
attempts. The server is told the same bound for a single statement and for a transaction that waits for us, so that a
gateway that vanished holds no lock for longer.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import asyncpg

from database.errors import StoreErrors, is_commit_unknown, is_repeatable

T = TypeVar("T")

Row = tuple[Any, ...]

PATIENCE_SECONDS: Final = 20.0
"""How long a method may take, before it is refused."""

_ATTEMPTS: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.01
"""Doubled after each attempt, and jittered: those that met once shall not meet again."""

_ROLLBACK_SECONDS: Final = 5.0

STATEMENTS_KEPT: Final = 256
"""Prepared statements of a connection; no store has as many."""


class Connection(asyncpg.Connection):  # type: ignore[misc]  # the driver is untyped
    """Given back without a round trip: nothing here leaves settings, cursors or advisory locks behind."""

    def get_reset_query(self) -> str:
        return ""


class Transaction:
    """Statements on one connection, each prepared once; parameters are $1, $2, …"""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        return [tuple(record) for record in await self._connection.fetch(sql, *parameters)]

    async def row(self, sql: str, *parameters: object) -> Row | None:
        record = await self._connection.fetchrow(sql, *parameters)
        return None if record is None else tuple(record)

    async def change(self, sql: str, *parameters: object) -> int:
        """How many rows were inserted, changed or deleted."""
        status: str = await self._connection.execute(sql, *parameters)
        return int(status.rpartition(" ")[2])

    async def run(self, script: str) -> None:
        """Statements without parameters."""
        await self._connection.execute(script)


Work = Callable[[Transaction], Awaitable[T]]


@dataclass(slots=True)
class _Progress:
    """What the deadline of a method must know of it: whether the answer to a COMMIT is awaited."""

    errors: StoreErrors
    is_committing: bool = False


_Way = Callable[[Any, Work[T], _Progress], Awaitable[T]]


class Database:
    """What the parts of a store share: a pool, and the ways to use it.

    In the docstrings "unavailable" and "unknown" are what the store's `StoreErrors` have under these names.
    """

    def __init__(self, pool: Any, errors: StoreErrors, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._pool = pool
        self._errors = errors
        self._patience_seconds = patience_seconds
        self._closed = False

    async def rows(self, sql: str, *parameters: object) -> list[Row]:
        """All rows of one statement."""
        return await self._attempted(lambda transaction: transaction.rows(sql, *parameters), _statement)

    async def survey(self, sql: str, *, patience_seconds: float) -> list[Row]:
        """All rows of a statement that reads whole tables, which takes longer than those that somebody waits for."""

        async def read(transaction: Transaction) -> list[Row]:
            await transaction.run(f"SET LOCAL statement_timeout = {round(patience_seconds * 1000)}")
            return await transaction.rows(sql)

        return await self._attempted(read, _snapshot, patience_seconds)

    async def row(self, sql: str, *parameters: object) -> Row | None:
        """The first row of a statement that has at most one."""
        rows = await self.rows(sql, *parameters)
        return rows[0] if rows else None

    async def ask(self, work: Work[T]) -> T:
        """Run `work` outside a transaction: for one statement that is chosen on the way."""
        return await self._attempted(work, _statement)

    async def read(self, work: Work[T]) -> T:
        """Run `work`; its statements see one state of the database."""
        return await self._attempted(work, _snapshot)

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction, which is committed when it returns and rolled back when it raises.

        Isolation is READ COMMITTED: a statement sees what was committed before it began, so what `work` decides upon
        it locks first. It may run several times. Raises unavailable with nothing changed, or unknown.
        """
        return await self._attempted(work, _committed)

    async def listen(self, channel: str, wake: Callable[[], object]) -> None:
        """Call `wake` whenever the channel is notified, until the connection is lost; it takes one of the pool's.

        What is missed in between nobody tells: callers ask now and then as well. Raises unavailable.
        """
        lost = asyncio.Event()

        def notified(*_: object) -> None:
            wake()

        def terminated(_: object) -> None:
            lost.set()

        try:
            async with self._pool.acquire(timeout=self._patience_seconds) as connection:
                connection.add_termination_listener(terminated)
                async with asyncio.timeout(self._patience_seconds):
                    await connection.add_listener(channel, notified)
                wake()
                try:
                    await lost.wait()
                except asyncio.CancelledError:
                    with suppress(asyncpg.InterfaceError):  # it was lost as well
                        connection.remove_termination_listener(terminated)
                        await connection.remove_listener(channel, notified)
                    raise
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise self._errors.refused(error) from error
        raise self._errors.unavailable(f"{self._errors.what}: the connection that listens was lost")

    async def close(self) -> None:
        """Wait for what is under way. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            async with asyncio.timeout(self._patience_seconds):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    async def _attempted(self, work: Work[T], way: _Way[T], patience_seconds: float | None = None) -> T:
        errors = self._errors
        if self._closed:
            raise errors.unavailable(f"the {errors.what} is closed")
        progress = _Progress(errors)
        try:
            async with asyncio.timeout(patience_seconds or self._patience_seconds):
                return await self._repeated(work, way, progress)
        except TimeoutError as error:
            if progress.is_committing:
                raise errors.unknown(f"{errors.what}: the database did not answer to a commit in time") from error
            raise errors.unavailable(f"{errors.what}: the database does not answer in time") from error
        except Exception as error:
            known = errors.translated(error)
            if known is error:
                raise
            raise known from error

    async def _repeated(self, work: Work[T], way: _Way[T], progress: _Progress) -> T:
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._once(work, way, progress)
            except Exception as error:
                if self._closed or not is_repeatable(error):
                    raise
            pause = _FIRST_PAUSE_SECONDS * 2**attempt
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311  # spreads load, hides nothing
        return await self._once(work, way, progress)

    async def _once(self, work: Work[T], way: _Way[T], progress: _Progress) -> T:
        async with self._pool.acquire() as connection:
            return await way(connection, work, progress)


async def _statement(connection: Any, work: Work[T], progress: _Progress) -> T:
    return await work(Transaction(connection))


async def _snapshot(connection: Any, work: Work[T], progress: _Progress) -> T:
    async with _rolled_back_on_error(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"):
        result = await work(Transaction(connection))
        await connection.execute("COMMIT")
    return result


async def _committed(connection: Any, work: Work[T], progress: _Progress) -> T:
    async with _rolled_back_on_error(connection, "BEGIN ISOLATION LEVEL READ COMMITTED"):
        result = await work(Transaction(connection))
        await _commit(connection, progress)
    return result


async def _commit(connection: Any, progress: _Progress) -> None:
    """The server may have committed although its answer did not come: then nobody here knows."""
    progress.is_committing = True
    try:
        await connection.execute("COMMIT")
    except Exception as error:
        if is_commit_unknown(error):
            raise progress.errors.unknown(f"{progress.errors.what}: the connection was lost in a commit") from error
        progress.is_committing = False
        raise


@asynccontextmanager
async def _rolled_back_on_error(connection: Any, begin: str) -> AsyncIterator[None]:
    """A connection whose caller gave up is closed, not waited for: the server rolls back by itself."""
    try:
        await connection.execute(begin)
        yield
    except asyncio.CancelledError:
        _terminate(connection)
        raise
    except BaseException:
        await _roll_back(connection)
        raise


async def _roll_back(connection: Any) -> None:
    try:
        await connection.execute("ROLLBACK", timeout=_ROLLBACK_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        _terminate(connection)


def _terminate(connection: Any) -> None:
    # One that broke was taken back by the pool already, and then allows no call: what went wrong first is what counts.
    with suppress(asyncpg.InterfaceError):
        connection.terminate()


def columns_of(rows: Sequence[Sequence[Any]]) -> tuple[list[Any], ...]:
    """Rows as arrays of their columns, as `unnest` takes them; there must be one."""
    return tuple(list(column) for column in zip(*rows, strict=True))

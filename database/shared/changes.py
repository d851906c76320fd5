"""What PostgreSQL is asked: the shared rows, and the changes that made them what they are.

For use inside a transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

from database.connection import Transaction, columns_of
from database.shared.rows import SharedRow
from database.shared.sharing import Sharing

CHANGES_KEPT: Final = 100_000
"""A node that missed more than these reads everything anew. About 60 bytes each."""

MOST_ROWS: Final = 10_000
"""Of changes that a copy learns row by row; beyond, it reads everything, in pages of as many."""

_CHANGE_ID_BYTES: Final = 16

_CAN_NOTIFY = "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'pg_notify')"


@dataclass(frozen=True, slots=True)
class Position:
    """Up to which change something is: of what history, which change, and its id."""

    history: bytes
    change_no: int
    change_id: bytes


@dataclass(frozen=True, slots=True)
class State:
    position: Position
    format: int


class Statements:
    """The SQL of one store; `plans` of these are asserted by tests."""

    def __init__(self, name: str) -> None:
        self.state = f"SELECT history, format, change_no, change_id FROM {name}_state"  # noqa: S608  # our own names
        self.locked_state = f"{self.state} FOR UPDATE"
        self.change_id = f"SELECT change_id FROM {name}_change WHERE change_no = $1"  # noqa: S608
        self.rows_since = f"SELECT kind, key, content FROM {name}_row WHERE change_no > $1 ORDER BY change_no LIMIT $2"  # noqa: S608
        self.page = (
            f"SELECT kind, key, content FROM {name}_row WHERE (kind, key) > ($1, $2) AND content IS NOT NULL"  # noqa: S608
            " ORDER BY kind, key LIMIT $3"
        )
        self.put = (
            f"INSERT INTO {name}_row (kind, key, content, change_no)"  # noqa: S608
            " SELECT changed.kind, changed.key, changed.content, $4"
            " FROM unnest($1::text[], $2::text[], $3::text[]) AS changed (kind, key, content)"
            " ON CONFLICT (kind, key) DO UPDATE SET content = excluded.content, change_no = excluded.change_no"
        )
        self.count_up = f"UPDATE {name}_state SET change_no = $1, change_id = $2"  # noqa: S608
        self.note = f"INSERT INTO {name}_change (change_no, change_id) VALUES ($1, $2)"  # noqa: S608
        self.forget_changes = f"DELETE FROM {name}_change WHERE change_no <= $1"  # noqa: S608
        self.forget_rows = f"DELETE FROM {name}_row WHERE content IS NULL AND change_no <= $1"  # noqa: S608
        self.set_format = f"UPDATE {name}_state SET format = $1"  # noqa: S608
        self.has_rows = f"SELECT EXISTS (SELECT FROM {name}_row WHERE content IS NOT NULL)"  # noqa: S608
        self.forget_all = f"DELETE FROM {name}_row"  # noqa: S608
        self.begin_history = f"UPDATE {name}_state SET history = $1"  # noqa: S608


class Changes:
    """The shared rows of one store."""

    def __init__(self, sharing: Sharing) -> None:
        self.sharing = sharing
        self._sql = Statements(sharing.name)

    async def state(self, transaction: Transaction) -> State:
        return await self._state(transaction, self._sql.state)

    async def lock(self, transaction: Transaction) -> State:
        """Nobody else changes these rows until this transaction ends."""
        return await self._state(transaction, self._sql.locked_state)

    async def _state(self, transaction: Transaction, sql: str) -> State:
        found = await transaction.row(sql)
        if found is None:
            raise self.sharing.unavailable("the database has lost the state of their changes; restore it")
        history, format_, change_no, change_id = found
        return State(Position(history, change_no, change_id), format_)

    async def since(self, transaction: Transaction, position: Position, state: State) -> list[SharedRow] | None:
        """The rows that were changed after `position`; None where everything is to be read instead.

        In one snapshot with `state`.
        """
        now = state.position
        if position.history != now.history or position.change_no > now.change_no:
            return None
        known = await transaction.row(self._sql.change_id, position.change_no)
        if known is None or known[0] != position.change_id:
            return None
        rows = await transaction.rows(self._sql.rows_since, position.change_no, MOST_ROWS + 1)
        return None if len(rows) > MOST_ROWS else [SharedRow(*row) for row in rows]

    async def pages(self, transaction: Transaction) -> AsyncIterator[list[SharedRow]]:
        """All rows there are, some at a time."""
        after = ("", "")
        while rows := [SharedRow(*row) for row in await transaction.rows(self._sql.page, *after, MOST_ROWS)]:
            yield rows
            after = rows[-1].kind, rows[-1].key

    async def write(self, transaction: Transaction, state: State, rows: Iterable[SharedRow]) -> Position:
        """Make these rows the next change, in a transaction that holds the lock on `state`."""
        number, change_id = state.position.change_no + 1, secrets.token_bytes(_CHANGE_ID_BYTES)
        left = iter(rows)
        while some := [(row.kind, row.key, row.content) for row in islice(left, MOST_ROWS)]:
            await transaction.change(self._sql.put, *columns_of(some), number)
        await transaction.change(self._sql.count_up, number, change_id)
        await transaction.change(self._sql.note, number, change_id)
        await transaction.change(self._sql.forget_changes, number - CHANGES_KEPT)
        await transaction.change(self._sql.forget_rows, number - CHANGES_KEPT)
        if await can_notify(transaction):
            await transaction.row("SELECT pg_notify($1, current_schema())", self.sharing.channel)
        return Position(state.position.history, number, change_id)

    async def has_rows(self, transaction: Transaction) -> bool:
        found = await transaction.row(self._sql.has_rows)
        return found is not None and bool(found[0])

    async def set_format(self, transaction: Transaction, number: int) -> None:
        await transaction.change(self._sql.set_format, number)

    async def forget_all(self, transaction: Transaction) -> None:
        """Begin another history, without rows."""
        await transaction.change(self._sql.forget_all)
        await transaction.change(self._sql.begin_history, secrets.token_bytes(_CHANGE_ID_BYTES))


async def can_notify(transaction: Transaction) -> bool:
    """Not every database that speaks the protocol can; its gateways learn of changes by asking alone."""
    found = await transaction.row(_CAN_NOTIFY)
    return found is not None and bool(found[0])

"""Identities that nodes share: `IdentityStore` on the node's copy, whose changes PostgreSQL orders and keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from database.shared.copy import OPEN, shared_tables
from database.shared.replica import Replica
from database.shared.rows import note_changes, take_changes
from iam.credentials import AccessKeyUse
from iam.store.interface import IdentitySealer
from iam.store.sqlite import SQLiteIdentityStore, log_damage

USE_PRECISION_US: Final = 15 * 60 * 1_000_000
"""A further use of an access key is written down if it is this much later: each node tells of uses every minute, and
each such change goes to all nodes. AWS tells of uses with a delay of up to four hours."""


class PostgreSQLIdentityStore(SQLiteIdentityStore):
    """Belongs to the thread that opened it, as one on SQLite. It does not close the replica, which others share."""

    def __init__(self, replica: Replica, sealer: IdentitySealer, on_damage: Callable[[str], None] = log_damage) -> None:
        """Raises StoreUnavailable."""
        super().__init__(replica.path, sealer, on_damage)
        self._replica = replica
        with self._translated:
            self._connection.execute(OPEN)
            tables = shared_tables(self._connection)
            note_changes(self._connection, tables)
        self._changed_rows = partial(take_changes, self._connection, tables)

    def __repr__(self) -> str:
        return "PostgreSQLIdentityStore()"

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._replica.require_fresh()
        with self._translated:
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._translated, self._replica.change(self._connection, self._changed_rows):
            self._require_own_schema()
            yield

    def note_access_key_uses(self, uses: Sequence[AccessKeyUse]) -> None:
        known = {each.access_key_id: self.access_key_use(each.access_key_id) for each in uses}
        news = [each for each in uses if _is_news(each, known[each.access_key_id])]
        if news:
            super().note_access_key_uses(news)


def _is_news(use: AccessKeyUse, known: AccessKeyUse | None) -> bool:
    if known is None:
        return True
    is_alike = (use.service, use.region) == (known.service, known.region)
    return use.used_us > known.used_us + (USE_PRECISION_US if is_alike else 0)

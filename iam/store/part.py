"""What every part of the identity store on SQLite has: its connection, and how statements on it are begun and ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from database.shared.sharing import transaction
from iam.store.database import translated_failures


class StorePart:
    """A store that shares its contents with other nodes does more around both."""

    _connection: sqlite3.Connection

    def _reading(self) -> AbstractContextManager[None]:
        """Around statements that read. May stand inside another one, and inside `_changing`."""
        return translated_failures()

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Around one write transaction, committed at the end: what is read inside stays true until then."""
        with translated_failures(), transaction(self._connection):
            yield

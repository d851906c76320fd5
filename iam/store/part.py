"""What every part of the identity store on SQLite has: its connection, and how statements on it are begun and ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from database.shared.sharing import transaction
from iam.store.interface import DamagedRow


class StorePart:
    """A store that shares its contents with other nodes does more around both."""

    _connection: sqlite3.Connection
    _translated: AbstractContextManager[None]
    """Turns SQLite's failures into those of the store; enterable many times."""
    _on_damage: Callable[[str], None]
    """Told of what no gateway wrote."""

    def _reading(self) -> AbstractContextManager[None]:
        """Around statements that read. May stand inside another one, and inside `_changing`."""
        return self._translated

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Around one write transaction, committed at the end: what is read inside stays true until then."""
        with self._translated, transaction(self._connection):
            self._require_no_triggers()
            yield

    def _require_no_triggers(self) -> None:
        """What a trigger of the file's own writes would be sealed like what we write. Raises DamagedRow."""
        found = self._connection.execute("SELECT name FROM main.sqlite_schema WHERE type = 'trigger'").fetchone()
        if found is not None:
            what = f"the identity database has a trigger {found[0]!r}, which no gateway made"
            self._on_damage(what)
            raise DamagedRow(what)

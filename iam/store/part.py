"""What every part of the identity store on SQLite has: its connection, and how statements on it are begun and ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from database.own_schema import SchemaCheck
from database.shared.sharing import transaction
from iam.store.interface import DamagedRow


class StorePart:
    """A store that shares its contents with other nodes does more around both."""

    _connection: sqlite3.Connection
    _translated: AbstractContextManager[None]
    """Turns SQLite's failures into those of the store; enterable many times."""
    _schema: SchemaCheck
    _on_damage: Callable[[str], None]
    """Told of what no gateway wrote."""

    def _reading(self) -> AbstractContextManager[None]:
        """Around statements that read. May stand inside another one, and inside `_changing`."""
        return self._translated

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Around one write transaction, committed at the end: what is read inside stays true until then."""
        with self._translated, transaction(self._connection):
            self._require_own_schema()
            yield

    def _require_own_schema(self) -> None:
        """What the file itself has us write would be sealed like what we write. Raises DamagedRow."""
        difference = self._schema.difference(self._connection)
        if difference is not None:
            what = f"{difference} in the identity database is not as a gateway made it"
            self._on_damage(what)
            raise DamagedRow(what)

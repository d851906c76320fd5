"""Keys that nodes share: `KeyStore` on the node's copy, whose changes PostgreSQL orders and keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from database.shared.copy import OPEN, shared_tables
from database.shared.replica import Replica
from database.shared.rows import note_changes, take_changes
from kms.store.interface import StoreUnavailable
from kms.store.records import StoredUsage
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.database import Database

USE_PRECISION_US: Final = 15 * 60 * 1_000_000
"""A further use of a key is written down if it is this much later, or by another operation: every such change goes to
all nodes."""


class _CopyDatabase(Database):
    """The node's copy: read while it is current, changed together with PostgreSQL."""

    def __init__(self, replica: Replica) -> None:
        super().__init__(replica.path)
        self._replica = replica
        try:
            self._writer.execute(OPEN)
            tables = shared_tables(self._writer)
            note_changes(self._writer, tables)
        except sqlite3.Error as error:
            super().close()
            raise StoreUnavailable(f"key store {replica.path}: {error}") from error
        self._changed_rows = partial(take_changes, self._writer, tables)

    def _require_own(self) -> None:
        pass

    def require_current(self) -> None:
        self._replica.require_fresh()

    @contextmanager
    def _begun(self) -> Iterator[None]:
        with self._replica.change(self._writer, self._changed_rows):
            yield

    def finish_emptying_log(self) -> None:
        """What other nodes destroyed lies in the log of the copy as well."""
        self.empty_log()

    def close(self) -> None:
        self._replica.close()
        super().close()


class PostgreSQLKeyStore(SQLiteKeyStore):
    """A process's; it closes the replica as well. What it writes is durable in PostgreSQL."""

    def __init__(self, replica: Replica) -> None:
        """Raises StoreUnavailable."""
        self._replica = replica
        super().__init__(replica.path)

    def _opened(self, path: Path) -> Database:
        return _CopyDatabase(self._replica)

    async def catch_up(self) -> bool:
        return await self._replica.catch_up()

    def put_usage(self, usages: Sequence[StoredUsage]) -> None:
        news = [each for each in usages if _is_news(each, self.usage(each.key_id, each.region))]
        if news:
            super().put_usage(news)


def _is_news(use: StoredUsage, known: StoredUsage | None) -> bool:
    if known is None:
        return True
    return use.used_us > known.used_us + (USE_PRECISION_US if use.operation == known.operation else 0)

"""Key epochs. See KeyEpochIndex for the contract."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from gateway.storage.errors import Conflict
from gateway.storage.index.checked_times import checked_time
from gateway.storage.index.records import KeyEpochRow
from gateway.storage.index.sqlite.part import IndexPart


class SQLiteKeyEpochs(IndexPart):
    async def key_epochs(self, purpose: str) -> Sequence[KeyEpochRow]:
        rows = self._database.rows(
            "SELECT purpose, epoch, wrapped, created_us FROM key_epoch WHERE purpose = ? ORDER BY epoch", (purpose,)
        )
        return [KeyEpochRow(*row) for row in rows]

    async def add_key_epoch(self, row: KeyEpochRow) -> None:
        def add(connection: sqlite3.Connection) -> None:
            cursor = connection.execute(
                "INSERT INTO key_epoch (purpose, epoch, wrapped, created_us) VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (row.purpose, row.epoch, row.wrapped, checked_time(row.created_us)),
            )
            if not cursor.rowcount:
                raise Conflict(f"epoch {row.epoch} of {row.purpose} exists")

        await self._database.write(add)

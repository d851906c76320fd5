"""Key epochs. See KeyEpochIndex for the contract."""

from __future__ import annotations

from collections.abc import Sequence

from database.connection import Transaction
from gateway.storage.errors import Conflict
from gateway.storage.index.checked_times import checked_time
from gateway.storage.index.postgresql.part import IndexPart
from gateway.storage.index.records import KeyEpochRow

_COLUMNS = "purpose, epoch, wrapped, created_us"
_LIST = f"SELECT {_COLUMNS} FROM key_epoch WHERE purpose = $1 ORDER BY epoch"  # noqa: S608  # constants only
_ADD = f"INSERT INTO key_epoch ({_COLUMNS}) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"  # noqa: S608


class PostgreSQLKeyEpochs(IndexPart):
    async def key_epochs(self, purpose: str) -> Sequence[KeyEpochRow]:
        return [KeyEpochRow(*row) for row in await self._database.rows(_LIST, purpose)]

    async def add_key_epoch(self, row: KeyEpochRow) -> None:
        async def add(transaction: Transaction) -> None:
            if not await transaction.change(_ADD, row.purpose, row.epoch, row.wrapped, checked_time(row.created_us)):
                raise Conflict(f"epoch {row.epoch} of {row.purpose} exists")

        await self._database.write(add)

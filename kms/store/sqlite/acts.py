"""Acts of operators' commands that wait for their lines in the audit trail."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from kms.store.records import StoredAct
from kms.store.sqlite.database import StorePart, translated


class SQLiteActs(StorePart):
    """The part of `KeyStore` about acts."""

    @translated
    def add_acts(self, acts: Sequence[StoredAct]) -> None:
        with self._database.transaction() as connection:
            for act in acts:
                insert_act(connection, act)

    @translated
    def acts(self, limit: int) -> list[StoredAct]:
        rows = self._database.all(
            "SELECT event_id, name, acted_us, details, sequence FROM kms_act ORDER BY sequence LIMIT :limit",
            {"limit": limit},
        )
        return [StoredAct(*row) for row in rows]

    @translated
    def remove_acts(self, acts: Sequence[StoredAct]) -> None:
        with self._database.transaction() as connection:
            connection.executemany("DELETE FROM kms_act WHERE event_id = ?", [(act.event_id,) for act in acts])


def insert_act(connection: sqlite3.Connection, act: StoredAct) -> None:
    """Within the transaction of what it tells of. One that is there already stays."""
    connection.execute(
        "INSERT INTO kms_act (event_id, name, acted_us, details) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (act.event_id, act.name, act.acted_us, act.details),
    )

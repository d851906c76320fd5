"""When keys were last used."""

from __future__ import annotations

from collections.abc import Sequence

from kms.store.records import StoredUsage
from kms.store.sqlite.database import StorePart, translated


class SQLiteUsage(StorePart):
    """The part of `KeyStore` about the last use of keys."""

    @translated
    def usage(self, key_id: str, region: str) -> StoredUsage | None:
        row = self._database.one(
            "SELECT key_id, region, operation, used_us, request_id FROM kms_key_usage WHERE key_id = ? AND region = ?",
            (key_id, region),
        )
        return StoredUsage(*row) if row else None

    @translated
    def usage_tracked_since(self) -> int:
        row = self._database.one("SELECT since_us FROM kms_usage_tracking", ())
        assert row is not None
        return int(row[0])

    @translated
    def put_usage(self, usages: Sequence[StoredUsage]) -> None:
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO kms_key_usage (key_id, region, operation, used_us, request_id) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (key_id, region) DO UPDATE SET operation = excluded.operation,"
                " used_us = excluded.used_us, request_id = excluded.request_id WHERE excluded.used_us >= used_us",
                [(each.key_id, each.region, each.operation, each.used_us, each.request_id) for each in usages],
            )

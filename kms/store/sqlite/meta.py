"""What the store knows about its root and about itself."""

from __future__ import annotations

from kms.store.sqlite.database import StorePart, translated


class SQLiteMeta(StorePart):
    """The part of `KeyStore` about itself."""

    @translated
    def meta(self, name: str) -> bytes | None:
        row = self._database.one("SELECT value FROM kms_meta WHERE name = ?", (name,))
        return bytes(row[0]) if row else None

    @translated
    def set_meta(self, name: str, value: bytes) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO kms_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = ?",
                (name, value, value),
            )

    @translated
    def take_job(self, name: str, holder: str, *, now_us: int, until_us: int) -> bool:
        with self._database.transaction() as connection:
            taken = connection.execute(
                "INSERT INTO kms_job (name, holder, until_us) VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET holder = excluded.holder, until_us = excluded.until_us"
                " WHERE holder = excluded.holder OR until_us <= ?",
                (name, holder, until_us, now_us),
            )
            return bool(taken.rowcount)

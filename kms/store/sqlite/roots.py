"""The roots of the store's records, and the records by root: what a rotation of the root reads and writes."""

from __future__ import annotations

import sqlite3

from kms.store.interface import ROOT_CHECK_VALUE, KeyConflict
from kms.store.records import RootRecords, RootUse, StoredAct, StoredRoot, WrappedVersion
from kms.store.sqlite.acts import insert_act
from kms.store.sqlite.database import StorePart, translated

_ROOT_COLUMNS = "root_id, label, settings, check_value, state, created_us, changed_us"


class SQLiteRoots(StorePart):
    """The part of the store about roots; not of the `KeyStore` protocol, for only commands and kmsd's start need it.

    Every method is one transaction; `act` tells of it in the audit trail, by and by.
    """

    @translated
    def roots(self) -> list[StoredRoot]:
        """Every root that was ever known, the oldest first; none before the first rotation."""
        rows = self._database.all(f"SELECT {_ROOT_COLUMNS} FROM kms_root ORDER BY created_us, root_id", {})  # noqa: S608 - constant
        return [
            StoredRoot(root_id, label, settings, check_value, RootUse(state), created_us, changed_us)
            for root_id, label, settings, check_value, state, created_us, changed_us in rows
        ]

    @translated
    def current_root_id(self) -> bytes | None:
        """The id of the current root, None before the first rotation."""
        row = self._database.one("SELECT root_id FROM kms_root WHERE state = 'current'", ())
        return bytes(row[0]) if row else None

    @translated
    def root_check_value(self) -> bytes | None:
        """The check value of the root that new records are made under."""
        row = self._database.one("SELECT value FROM kms_meta WHERE name = ?", (ROOT_CHECK_VALUE,))
        return bytes(row[0]) if row else None

    @translated
    def prepare_root(self, present: StoredRoot, successor: StoredRoot, act: StoredAct) -> None:
        """Note that `successor` is going to be made, and what the present root is, if that was not noted before.

        Raises KeyConflict when another root is being prepared already.
        """
        with self._database.transaction() as connection:
            row = connection.execute("SELECT 1 FROM kms_root WHERE state = 'preparing'").fetchone()
            if row is not None:
                raise KeyConflict("another rotation of the root was begun")
            if connection.execute("SELECT 1 FROM kms_root WHERE state = 'current'").fetchone() is None:
                _insert(connection, present)
            _insert(connection, successor)
            insert_act(connection, act)

    @translated
    def switch_root(self, root_id: bytes, *, check_value: bytes, settings: str, now_us: int, act: StoredAct) -> None:
        """From now on new records are made under the prepared root `root_id`; the current one becomes an older one.

        Raises KeyConflict when that root is not being prepared.
        """
        with self._database.transaction() as connection:
            connection.execute("UPDATE kms_root SET state = 'older', changed_us = ? WHERE state = 'current'", (now_us,))
            changed = connection.execute(
                "UPDATE kms_root SET state = 'current', check_value = ?, settings = ?, changed_us = ?"
                " WHERE root_id = ? AND state = 'preparing'",
                (check_value, settings, now_us, root_id),
            )
            if changed.rowcount != 1:
                raise KeyConflict(f"root {root_id.hex()} is not being prepared")
            connection.execute("UPDATE kms_meta SET value = ? WHERE name = ?", (check_value, ROOT_CHECK_VALUE))
            insert_act(connection, act)

    @translated
    def place_root(self, root: StoredRoot) -> None:
        """Write down where a root is: of one that is known its place alone, any other as it is given.

        Raises StoreUnavailable also for a second current root.
        """
        with self._database.transaction() as connection:
            moved = connection.execute(
                "UPDATE kms_root SET settings = ? WHERE root_id = ?", (root.settings, root.root_id)
            )
            if not moved.rowcount:
                _insert(connection, root)

    @translated
    def abandon_root(self, root_id: bytes, act: StoredAct) -> None:
        """Forget a root that is being prepared. Twice is the same as once."""
        with self._database.transaction() as connection:
            deleted = connection.execute("DELETE FROM kms_root WHERE root_id = ? AND state = 'preparing'", (root_id,))
            if deleted.rowcount:
                insert_act(connection, act)

    @translated
    def retire_root(self, root_id: bytes, *, now_us: int, act: StoredAct) -> None:
        """Never again open or make a record under an older root. Raises KeyConflict while it is current or needed."""
        with self._database.transaction() as connection:
            needed = connection.execute("SELECT count(*) FROM kms_record_root WHERE root_id = ?", (root_id,)).fetchone()
            if needed[0]:
                raise KeyConflict(f"root {root_id.hex()} is needed by {needed[0]} records")
            changed = connection.execute(
                "UPDATE kms_root SET state = 'retired', changed_us = ? WHERE root_id = ? AND state = 'older'",
                (now_us, root_id),
            )
            if changed.rowcount != 1:
                raise KeyConflict(f"root {root_id.hex()} is not an older one")
            insert_act(connection, act)

    @translated
    def records_by_root(self) -> list[RootRecords]:
        """How many records of each protection each root has."""
        rows = self._database.all(
            "SELECT root_id, protection = x'02', count(*) FROM kms_record_root GROUP BY 1, 2 ORDER BY 1, 2", {}
        )
        return [RootRecords(root_id, bool(is_hsm), count) for root_id, is_hsm, count in rows]

    @translated
    def versions_not_under(self, root_id: bytes, *, after: tuple[str, int], limit: int) -> list[WrappedVersion]:
        """Up to `limit` versions with a record of protection `software` under any other root, by (key id, version)."""
        rows = self._database.all(
            "SELECT key_id, version, record FROM kms_record_root"
            " WHERE root_id <> :root_id AND protection = x'01' AND (key_id, version) > (:key_id, :version)"
            " ORDER BY key_id, version LIMIT :limit",
            {"root_id": root_id, "key_id": after[0], "version": after[1], "limit": limit},
        )
        return [WrappedVersion(*row) for row in rows]

    @translated
    def all_versions(self, *, after: tuple[str, int], limit: int) -> list[WrappedVersion]:
        """Up to `limit` versions that have a record, by (key id, version)."""
        rows = self._database.all(
            "SELECT key_id, version, record FROM kms_key_version"
            " WHERE record IS NOT NULL AND (key_id, version) > (:key_id, :version)"
            " ORDER BY key_id, version LIMIT :limit",
            {"key_id": after[0], "version": after[1], "limit": limit},
        )
        return [WrappedVersion(*row) for row in rows]

    @translated
    def replace_records(self, changes: list[tuple[WrappedVersion, bytes]]) -> int:
        """Put new records in place of those that the versions have, all or none; how many were as they were read.

        One that changed meanwhile (deleted, expired, imported again) is left as it is.
        """
        with self._database.transaction() as connection:
            return sum(
                connection.execute(
                    "UPDATE kms_key_version SET record = ? WHERE key_id = ? AND version = ? AND record = ?",
                    (record, stored.key_id, stored.version, stored.record),
                ).rowcount
                for stored, record in changes
            )

    @translated
    def forget_older_pages(self) -> None:
        """Overwrite what replaced records left in the write-ahead log."""
        self._database.empty_log()


def _insert(connection: sqlite3.Connection, root: StoredRoot) -> None:
    connection.execute(
        f"INSERT INTO kms_root ({_ROOT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - constant
        (root.root_id, root.label, root.settings, root.check_value, root.state.value, root.created_us, root.changed_us),
    )

"""The seal key of the store: begun, opened, brought to rows of an earlier release; and a look at every seal."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import astuple

from database.row_seals import damaged_rows, seal_as_they_are
from kms.api.secrets import SecretBytes
from kms.store.interface import ROOT_CHECK_VALUE, DamagedRow, KeyConflict
from kms.store.records import StoredVersion
from kms.store.sqlite.database import StorePart, connect, translated
from kms.store.sqlite.keys import VERSION_COLUMNS, insert_version
from kms.store.sqlite.seals import SEAL_KEY_ID, SEALED


class SQLiteSealedRows(StorePart):
    """The part of `KeyStore` about seals."""

    @property
    def has_open_seals(self) -> bool:
        return self._database.seals.are_open

    def open_seals(self, key: SecretBytes) -> None:
        self._database.seals.open(key)

    def trust_rows(self) -> None:
        """Read rows as they are, without proof, until the seals are opened: for commands that tell, and do nothing."""
        self._database.seals.trust()

    @translated
    def seal_key_record(self) -> bytes | None:
        rows = self._database.all(
            f"SELECT {VERSION_COLUMNS}, seal FROM kms_key_version WHERE key_id = :key_id",  # noqa: S608 - constant
            {"key_id": SEAL_KEY_ID},
        )
        records = [StoredVersion(*version).record for *version, _ in rows]
        if any(row != (*astuple(_seal_key(record)), None) for row, record in zip(rows, records, strict=True)):
            raise DamagedRow("the row of the seal key is not as a key service wrote it")
        return records[0] if records else None

    @translated
    def begin_seals(self, record: bytes) -> None:
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM kms_key_version UNION ALL SELECT 1 FROM kms_key LIMIT 1").fetchone():
                raise KeyConflict("there is a seal key already, or keys that it did not seal")
            insert_version(connection, _seal_key(record))

    @translated
    def seal_older_rows(
        self, record: bytes, key: SecretBytes, *, expected_check_value: bytes, check_value: bytes
    ) -> None:
        with self._database.transaction() as connection:
            if connection.execute("SELECT 1 FROM kms_key_version WHERE key_id = ?", (SEAL_KEY_ID,)).fetchone():
                raise KeyConflict("there is a seal key already")
            _replace_check_value(connection, expected_check_value, check_value)
            insert_version(connection, _seal_key(record))
            with self._database.seals.sealing_by(key):
                seal_as_they_are(connection, SEALED)
        self._database.seals.open(key)

    @translated
    def replace_check_value(self, expected: bytes, check_value: bytes) -> None:
        with self._database.transaction() as connection:
            _replace_check_value(connection, expected, check_value)

    @translated
    def prove_rows(self) -> list[str]:
        with closing(connect(self._database.path)) as connection:
            return damaged_rows(connection, self._database.seals)


def _seal_key(record: bytes | None) -> StoredVersion:
    """Nothing but the record, which has its own seal, differs from one store to another."""
    return StoredVersion(SEAL_KEY_ID, 1, "0" * 64, record, 0)


def _replace_check_value(connection: sqlite3.Connection, expected: bytes, check_value: bytes) -> None:
    changed = connection.execute(
        "UPDATE kms_meta SET value = ? WHERE name = ? AND value = ?", (check_value, ROOT_CHECK_VALUE, expected)
    )
    if changed.rowcount != 1:
        raise KeyConflict("the root has another check value now")
    connection.execute(
        "UPDATE kms_root SET check_value = ? WHERE state = 'current' AND check_value = ?", (check_value, expected)
    )

"""A copy of a key store as it was at one moment, taken beside whoever reads and writes it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from database.shared.copy import make_own
from kms.store.interface import StoreTooNew, StoreUnavailable
from kms.store.migration import migrations
from kms.store.sqlite import SQLiteKeyStore
from kms.store.sqlite.database import BUSY_SECONDS


def take_snapshot(source: Path, target: Path) -> int:
    """Copy the key store at `source` to the new file `target` (mode 0600), in this release's schema; its number.

    One read transaction: writers neither wait nor show half. The copy has no free pages, and so nothing of what was
    deleted. `source` is not changed, not even migrated. Raises StoreUnavailable, StoreTooNew.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with contextlib.closing(
            sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        ) as connection:
            _require_known_schema(connection)
            connection.execute("VACUUM INTO ?", (str(target),))
        with contextlib.closing(sqlite3.connect(target)) as connection, connection:
            make_own(connection)
        settle(target)
        with contextlib.closing(sqlite3.connect(target)) as connection:
            return schema_of(connection)
    except sqlite3.Error as error:
        raise StoreUnavailable(f"key store {source}: {error}") from error


def settle(path: Path) -> None:
    """Bring the key store at `path`, which nobody else has open, to this release's schema, in one file without a log.

    Raises StoreUnavailable, StoreTooNew, and AssertionError should SQLite leave a log after all.
    """
    SQLiteKeyStore(path).close()  # the last connection to be closed empties and removes the log
    assert not path.with_name(path.name + "-wal").exists(), "SQLite left its write-ahead log behind"


def require_sound(path: Path) -> None:
    """Raises StoreUnavailable for a database with damaged pages or rows that refer to nothing, StoreTooNew."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            _require_known_schema(connection)
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        raise StoreUnavailable(f"the database is damaged: {error}") from error
    if verdict != "ok" or orphans:
        raise StoreUnavailable(f"the database is damaged: {verdict if verdict != 'ok' else 'rows refer to nothing'}")


def schema_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _require_known_schema(connection: sqlite3.Connection) -> None:
    present, known = schema_of(connection), migrations()[-1][0]
    if present > known:
        raise StoreTooNew(
            f"the key store has schema {present}, this release knows up to {known}; use the newer program"
        )

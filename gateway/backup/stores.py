"""SQLite databases copied while they are served, and put back. Blocks."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path

from gateway.storage.errors import StorageUnavailable

_BUSY_SECONDS = 60.0


def copy_database(source: Path, target: Path) -> None:
    """Copy the database at `source` into the new file `target` (mode 0600) as it is at one moment.

    One read transaction: writers neither wait nor show half. VACUUM INTO rather than SQLite's backup calls, which begin
    anew whenever another process writes, and which copy free pages, and in them what was deleted. Raises
    StorageUnavailable.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with contextlib.closing(
            sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)
        ) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{source.name}: {error}") from error


def require_sound(path: Path) -> None:
    """Raises StorageUnavailable for a database with damaged pages, or rows that refer to nothing."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        raise StorageUnavailable(f"{path.name} is damaged: {error}") from error
    if verdict != "ok" or orphans:
        raise StorageUnavailable(f"{path.name} is damaged: {verdict if verdict != 'ok' else 'rows refer to nothing'}")


def put_aside(path: Path, suffix: str) -> Path | None:
    """Rename a database that nobody has open, and its log with it; the name it has then, None: there was none."""
    kept = path.with_name(path.name + suffix)
    was_there = path.exists()
    for end in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).rename(kept.with_name(kept.name + end))
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    return kept if was_there else None

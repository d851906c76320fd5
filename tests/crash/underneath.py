"""What lies in the data directory of a gateway that is stopped: index and blobs name the same, and nothing is left."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.index.sqlite.index import open_sqlite_index
from gateway.storage.sweep import Sweeper, SweepReport

AFTER_EVERY_GRACE_SECONDS = 2 * 86_400


def temporary_files(data: Path) -> list[Path]:
    return list((data / "store" / "tmp").glob("*/*"))


def stored_blobs(data: Path) -> set[str]:
    return {path.name for path in (data / "store" / "blobs").glob("*/*/*")}


def known_blobs(data: Path, least_references: int = 0) -> set[str]:
    """Blobs in files that the index knows; those without a reference are being swept, file first."""
    with closing(sqlite3.connect(data / "index" / "index.sqlite")) as index:
        known = "SELECT blob_id FROM blob WHERE is_inline = 0 AND refs >= ?"
        rows = index.execute(known, (least_references,)).fetchall()
    return {blob_id.hex() for (blob_id,) in rows}


async def _sweep_later(data: Path) -> SweepReport:
    index = await open_sqlite_index(data / "index" / "index.sqlite")
    blobs = FileBlobStore(data / "store", "sweep")
    try:
        ahead_us = AFTER_EVERY_GRACE_SECONDS * 1_000_000
        return await Sweeper(index, blobs, "later", clock_us=lambda: time.time_ns() // 1000 + ahead_us).sweep()
    finally:
        await index.close()
        await blobs.close()


def sweep_later(data: Path) -> SweepReport:
    """One pass of the sweeper with a clock that is past every grace."""
    return asyncio.run(_sweep_later(data))


def problems(data: Path) -> list[str]:
    """What is wrong with the stores themselves, and with what a sweep leaves, which is done here."""
    found = []
    for database in ("index/index.sqlite", "kms/keys.sqlite", "iam/identities.sqlite"):
        with closing(sqlite3.connect(data / database)) as connection:
            for check in ("integrity_check", "foreign_key_check"):
                rows = connection.execute(f"PRAGMA {check}").fetchall()
                if rows not in ([("ok",)], []):
                    found.append(f"{database}: {check}: {rows[:5]}")
    if missing := known_blobs(data, least_references=1) - stored_blobs(data):
        found.append(f"the index names blobs that are not there: {sorted(missing)[:5]}")
    sweep_later(data)
    if left := stored_blobs(data) ^ known_blobs(data):
        found.append(f"after a sweep index and blobs do not name the same: {sorted(left)[:5]}")
    if temporary := temporary_files(data):
        found.append(f"temporary files are left: {temporary[:5]}")
    return found

"""Rows of blobs: new, shared, released. Functions for use inside a write transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from gateway.storage.errors import Conflict
from gateway.storage.index.checked_times import checked_time
from gateway.storage.index.records import NewBlob


def add_blob(connection: sqlite3.Connection, blob: NewBlob) -> None:
    """Record a new blob with one reference, its bytes too if they are inline."""
    connection.execute(
        "INSERT INTO blob (blob_id, stored_bytes, is_inline, refs) VALUES (?, ?, ?, 1)",
        (blob.blob_id, blob.stored_bytes, blob.inline is not None),
    )
    if blob.inline is not None:
        connection.execute("INSERT INTO inline_blob (blob_id, data) VALUES (?, ?)", (blob.blob_id, blob.inline))


def share_blobs(connection: sqlite3.Connection, blob_ids: Iterable[bytes]) -> None:
    """Add a reference to each. Raises Conflict if one is condemned or gone: its bytes may vanish at any moment."""
    for blob_id in blob_ids:
        cursor = connection.execute("UPDATE blob SET refs = refs + 1 WHERE blob_id = ? AND refs > 0", (blob_id,))
        if not cursor.rowcount:
            raise Conflict("a shared blob was condemned meanwhile")


def release_blobs(connection: sqlite3.Connection, blob_ids: Iterable[bytes], now_us: int) -> None:
    """Take a reference from each; condemn those that have none left."""
    condemned_us = checked_time(now_us)
    connection.executemany(
        "UPDATE blob SET refs = refs - 1, condemned_us = CASE refs WHEN 1 THEN ? END WHERE blob_id = ?",
        [(condemned_us, blob_id) for blob_id in blob_ids],
    )

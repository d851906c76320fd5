"""What other tables ask of the bucket's. For use inside a write transaction."""

from __future__ import annotations

import sqlite3

from gateway.storage.errors import NoSuchBucket


def require_bucket(connection: sqlite3.Connection, bucket_id: bytes) -> None:
    """Raises NoSuchBucket."""
    if not connection.execute("SELECT 1 FROM bucket WHERE bucket_id = ?", (bucket_id,)).fetchone():
        raise NoSuchBucket

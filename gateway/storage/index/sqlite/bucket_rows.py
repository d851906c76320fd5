"""What other tables ask of the bucket's. For use inside a write transaction."""

from __future__ import annotations

import sqlite3

from gateway.storage.errors import Conflict, NoSuchBucket
from gateway.storage.index.records import BucketRow


def require_bucket(connection: sqlite3.Connection, bucket_id: bytes) -> None:
    """Raises NoSuchBucket."""
    if not connection.execute("SELECT 1 FROM bucket WHERE bucket_id = ?", (bucket_id,)).fetchone():
        raise NoSuchBucket


def require_unchanged(connection: sqlite3.Connection, bucket: BucketRow) -> None:
    """Raises NoSuchBucket, and Conflict if the bucket was changed since it was read."""
    found = connection.execute("SELECT revision FROM bucket WHERE bucket_id = ?", (bucket.bucket_id,)).fetchone()
    if found is None:
        raise NoSuchBucket
    if found[0] != bucket.revision:
        raise Conflict("the bucket changed since it was read")

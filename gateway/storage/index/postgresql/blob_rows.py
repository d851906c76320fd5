"""Rows of blobs: new, shared, released. Functions for use inside a write transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from database.connection import Transaction, columns_of
from gateway.storage.errors import Conflict
from gateway.storage.index.checked_times import checked_time
from gateway.storage.index.records import NewBlob

_ADD = """
    INSERT INTO blob (blob_id, stored_bytes, is_inline, refs)
    SELECT new.blob_id, new.stored_bytes, new.is_inline, 1
    FROM unnest($1::bytea[], $2::bigint[], $3::boolean[]) AS new (blob_id, stored_bytes, is_inline)
"""
_ADD_INLINE = """
    INSERT INTO inline_blob (blob_id, data)
    SELECT new.blob_id, new.data FROM unnest($1::bytea[], $2::bytea[]) AS new (blob_id, data)
"""

# Rows are locked in the order of their ids: two transactions that share the blobs of one object do not deadlock.
_LOCKED = """
    WITH named AS (SELECT blob_id, count(*) AS times FROM unnest($1::bytea[]) AS id (blob_id) GROUP BY blob_id),
        locked AS MATERIALIZED (
            SELECT b.blob_id, named.times FROM named JOIN blob b USING (blob_id) ORDER BY b.blob_id
            FOR NO KEY UPDATE OF b
        )
"""
_SHARE = f"""
    {_LOCKED}
    UPDATE blob b SET refs = b.refs + locked.times FROM locked WHERE b.blob_id = locked.blob_id AND b.refs > 0
"""  # noqa: S608  # constants only
_RELEASE = f"""
    {_LOCKED}
    UPDATE blob b SET refs = b.refs - locked.times,
        condemned_us = CASE b.refs WHEN locked.times THEN $2::bigint END
    FROM locked WHERE b.blob_id = locked.blob_id
"""  # noqa: S608  # constants only


async def add_blobs(transaction: Transaction, blobs: Sequence[NewBlob]) -> None:
    """Record new blobs with one reference each, their bytes too if they are inline."""
    if not blobs:
        return
    rows = [(blob.blob_id, blob.stored_bytes, blob.inline is not None) for blob in blobs]
    await transaction.change(_ADD, *columns_of(rows))
    inline = [(blob.blob_id, blob.inline) for blob in blobs if blob.inline is not None]
    if inline:
        await transaction.change(_ADD_INLINE, *columns_of(inline))


async def share_blobs(transaction: Transaction, blob_ids: Iterable[bytes]) -> None:
    """Add a reference to each. Raises Conflict if one is condemned or gone: its bytes may vanish at any moment."""
    ids = list(blob_ids)
    if ids and await transaction.change(_SHARE, ids) != len(set(ids)):
        raise Conflict("a shared blob was condemned meanwhile")


async def release_blobs(transaction: Transaction, blob_ids: Iterable[bytes], now_us: int) -> None:
    """Take a reference from each; condemn those that have none left."""
    ids = list(blob_ids)
    if ids:
        await transaction.change(_RELEASE, ids, checked_time(now_us))

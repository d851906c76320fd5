"""What a transaction locks before it decides.

Versions of a key stand and fall together: their order, which one is current, what a precondition was told. There may be
no row of them yet, so the lock is on something that is always there: a row of `key_lock`, by a hash of bucket and key.
Two keys in one slot wait for each other now and then, which harms nothing. Slots are locked in their order, all that a
transaction needs at once. A bucket is held against deletion, mostly not against another configuration, and by any
number of transactions together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from database.connection import Transaction
from gateway.storage.errors import Conflict, NoSuchBucket
from gateway.storage.index.records import BucketRow

_SLOT_BYTES: Final = 2
"""65 536 slots, as the first migration made. All gateways of a database must agree: never changed, nor is `slot_of`."""

_LOCK = "SELECT slot FROM key_lock WHERE slot = ANY($1::integer[]) ORDER BY slot FOR UPDATE"
_LOCK_IN_BUCKET = f"""
    WITH slots AS MATERIALIZED ({_LOCK}),
        present AS MATERIALIZED (SELECT 1 FROM bucket WHERE bucket_id = $2 FOR KEY SHARE)
    SELECT (SELECT count(*) FROM slots), EXISTS (SELECT FROM present)
"""  # noqa: S608  # constants only
_HOLD_AS_IT_IS = "SELECT revision FROM bucket WHERE bucket_id = $1 FOR SHARE"
_HOLD_BUCKET = "SELECT 1 FROM bucket WHERE bucket_id = $1 FOR KEY SHARE"


def slot_of(scope: bytes, name: bytes) -> int:
    """`scope` is an id of 16 bytes, or b"" for what is unique in the whole index."""
    digest = hashlib.blake2b(name, digest_size=_SLOT_BYTES, key=scope).digest()
    return int.from_bytes(digest, "big")


async def lock_keys(transaction: Transaction, keys: Iterable[tuple[bytes, bytes]]) -> None:
    """Hold (bucket id or other scope, name) until the transaction ends. Before anything is read that depends on it."""
    await transaction.rows(_LOCK, sorted({slot_of(scope, name) for scope, name in keys}))


async def lock_keys_in_bucket(transaction: Transaction, bucket_id: bytes, keys: Iterable[bytes]) -> bool:
    """Hold keys of a bucket, and the bucket against deletion; whether there is that bucket."""
    slots = sorted({slot_of(bucket_id, key) for key in keys})
    found = await transaction.row(_LOCK_IN_BUCKET, slots, bucket_id)
    return found is not None and bool(found[1])


async def hold_bucket(transaction: Transaction, bucket_id: bytes) -> None:
    """Raises NoSuchBucket."""
    if await transaction.row(_HOLD_BUCKET, bucket_id) is None:
        raise NoSuchBucket


async def hold_unchanged(transaction: Transaction, bucket: BucketRow) -> None:
    """Hold the bucket against another configuration, too. Raises NoSuchBucket, and Conflict if it has got one since it
    was read."""
    found = await transaction.row(_HOLD_AS_IT_IS, bucket.bucket_id)
    if found is None:
        raise NoSuchBucket
    if found[0] != bucket.revision:
        raise Conflict("the bucket changed since it was read")

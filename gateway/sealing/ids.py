"""Ids of blobs, rows, buckets and uploads: 16 bytes, ordered by time."""

from __future__ import annotations

import os
import time

from gateway.sealing.format import ID_SIZE

_TIME_SIZE = 6
_RANDOM_SIZE = ID_SIZE - _TIME_SIZE
_MAX_MS = (1 << 8 * _TIME_SIZE) - 1


def new_id(now_ms: int | None = None) -> bytes:
    """A fresh id: 48-bit Unix milliseconds, then 80 random bits.

    Ids made in different milliseconds sort by time, which keeps inserts at the end of the index; within one
    millisecond their order is random. `now_ms` is for tests and for callers that have the time already.
    """
    if now_ms is None:
        now_ms = time.time_ns() // 1_000_000
    if not 0 <= now_ms <= _MAX_MS:
        raise ValueError("the time does not fit 48 bits of milliseconds")
    return now_ms.to_bytes(_TIME_SIZE, "big") + os.urandom(_RANDOM_SIZE)


def id_time_ms(identifier: bytes) -> int:
    """When an id was made, in Unix milliseconds."""
    if len(identifier) != ID_SIZE:
        raise ValueError("an id has 16 bytes")
    return int.from_bytes(identifier[:_TIME_SIZE], "big")

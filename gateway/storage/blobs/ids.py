"""What the store reads in a blob's id: the time at which it was made."""

from __future__ import annotations

BLOB_ID_BYTES = 16


def created_ms(blob_id: bytes) -> int:
    """Unix milliseconds: the first 48 bits."""
    return int.from_bytes(blob_id[:6])

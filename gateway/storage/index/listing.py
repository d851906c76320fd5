"""Listing with a delimiter: seek, and skip over each common prefix.

A folder of a million keys is one entry of the page, so it must not be read: after the first key whose rest contains
the delimiter, the scan goes on at the least key above everything that begins with that common prefix. How many rows to
fetch at once is not known beforehand, so it begins with one after each skip, and takes four times more after each
fetch that met no common prefix. No I/O here: `fetch` is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.protocol.names import MAX_KEY_BYTES

ABOVE_ALL_KEYS = b"\xff" * (MAX_KEY_BYTES + 1)

Row = tuple[Any, ...]
"""Columns of a row; the first is the key, the second what orders rows of one key (bytes)."""

Position = tuple[bytes, bytes]
"""(key, tie): where to begin, inclusive, in the order of rows."""

Fetch = Callable[[Position, bytes, int], Sequence[Row]]
"""fetch(first position, end key (exclusive), limit): rows in order; fewer than `limit` only at the end."""


@dataclass(slots=True)
class Listing:
    """A page as it grows; `room` is how many entries it still takes.

    `is_truncated`: there is more after the last entry, which was `last_prefix` or, if that is None, the last row.
    """

    room: int
    rows: list[Row] = field(default_factory=list)
    common_prefixes: list[bytes] = field(default_factory=list)
    last_prefix: bytes | None = None
    is_truncated: bool = False


def key_after_prefix(prefix: bytes) -> bytes | None:
    """The least key above all that begin with `prefix`; None if there is no such key (only 0xFF bytes, or none)."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None


def end_of_prefix(prefix: bytes) -> bytes:
    """As key_after_prefix, with a key above all legal ones for None."""
    return key_after_prefix(prefix) or ABOVE_ALL_KEYS


def skip_given_prefix(position: Position, *, prefix: bytes, delimiter: bytes, after: bytes) -> Position:
    """`position`, moved behind the common prefix that `after` lies in: it was given on the page before."""
    if not delimiter or not after.startswith(prefix):
        return position
    found = after.find(delimiter, len(prefix))
    if found < 0:
        return position
    return max(position, (end_of_prefix(after[: found + len(delimiter)]), b""))


def list_page(
    fetch: Fetch,
    position: Position,
    *,
    prefix: bytes,
    delimiter: bytes,
    page_size: int,
    is_full: Callable[[Row], bool] = lambda row: False,
) -> Listing:
    """One page of at most `page_size` entries, from `position` on.

    `is_full` is asked after each row that was taken, and may end the page early.
    """
    page = Listing(room=page_size)
    end = end_of_prefix(prefix)
    position = max(position, (prefix, b""))
    limit = 1 if delimiter else page_size + 1
    while position[0] < end:
        rows = fetch(position, end, limit)
        common_prefix = _take(page, rows, len(prefix), delimiter, is_full)
        if common_prefix is not None:
            page.common_prefixes.append(common_prefix)
            page.last_prefix = common_prefix
            page.room -= 1
            position = (end_of_prefix(common_prefix), b"")
            limit = 1
        elif page.is_truncated or len(rows) < limit:
            break
        else:
            position = (rows[-1][0], rows[-1][1] + b"\0")
            limit = min(limit * 4, page.room + 1)
    return page


def _take(
    page: Listing, rows: Sequence[Row], start: int, delimiter: bytes, is_full: Callable[[Row], bool]
) -> bytes | None:
    """Take rows up to the end of the page or to a common prefix, which is returned. `start` is the prefix's length."""
    for row in rows:
        if not page.room:
            page.is_truncated = True
            return None
        if delimiter:
            key: bytes = row[0]
            found = key.find(delimiter, start)
            if found >= 0:
                return key[: found + len(delimiter)]
        page.rows.append(row)
        page.last_prefix = None
        page.room = 0 if is_full(row) else page.room - 1
    return None

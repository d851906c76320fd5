"""Listing with a delimiter: seek, and skip over each common prefix.

A folder of a million keys is one entry of the page, so it must not be read: after the first key whose rest contains
the delimiter, the scan goes on at the least key above everything that begins with that common prefix. How many rows to
fetch at once is not known beforehand, so it begins with one after each skip, and takes four times more after each
fetch that met no common prefix. No I/O here: the engine fetches, in one query of its own for many prefixes if it can.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from gateway.protocol.names import MAX_KEY_BYTES

_ROWS_AFTER_PREFIXES = 4
"""To fetch where folders end and keys begin: mostly more than one follow."""

ABOVE_ALL_KEYS = b"\xff" * (MAX_KEY_BYTES + 1)

Row = tuple[Any, ...]
"""Columns of a row; the first is the key, the second what orders rows of one key (bytes), unless a `tie_of` says it."""

Position = tuple[bytes, bytes]
"""(key, tie): where to begin, inclusive, in the order of rows."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """What a listing wants of the engine: rows from `position` to the key `end` (exclusive), in order, at most `limit`.

    If `skips`, an engine that said it can do so gives of a common prefix one row alone; one that then gives prefixes
    only ends with the first row that is in none.
    """

    position: Position
    end: bytes
    limit: int
    skips: bool


class Answer(NamedTuple):
    """What a Fetch found; at least a row, unless `is_last`: the engine met the end, or stopped at a key."""

    rows: Sequence[Row]
    is_last: bool


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
    position: Position,
    *,
    prefix: bytes,
    delimiter: bytes,
    page_size: int,
    is_full: Callable[[Row], bool] | None = None,
    tie_of: Callable[[Row], bytes] = itemgetter(1),
    engine_skips: bool = False,
    skips_prefixes_only: bool = False,
) -> Generator[Fetch, Answer, Listing]:
    """One page of at most `page_size` entries, from `position` on: yields what to fetch, is sent it, returns the page.

    `is_full`, if there is one, is asked after each row that was taken, and may end the page early; `tie_of` says what
    orders a row among those of its key. An engine that `engine_skips` goes from prefix to prefix itself, and over the
    keys between them as far as it likes; or, with `skips_prefixes_only`, after a first prefix was found, and up to the
    first of these keys.
    """
    page = Listing(room=page_size)
    end = end_of_prefix(prefix)
    position = max(position, (prefix, b""))
    skips = engine_skips and not skips_prefixes_only and bool(delimiter)
    limit = 1 if delimiter and not skips else page_size + 1
    while position[0] < end:
        rows, is_last = yield Fetch(position, end, limit, skips)
        if skips and skips_prefixes_only and rows and rows[-1][0].find(delimiter, len(prefix)) < 0:
            _take(page, rows[:-1], len(prefix), delimiter, is_full)
            page.is_truncated = page.is_truncated or not page.room
            if page.is_truncated:
                break
            position, limit, skips = (rows[-1][0], b""), min(_ROWS_AFTER_PREFIXES, page.room + 1), False
            continue
        common_prefix = _take(page, rows, len(prefix), delimiter, is_full)
        if page.is_truncated or is_last:
            break
        if common_prefix is not None:
            position = (end_of_prefix(common_prefix), b"")
            skips = engine_skips
            limit = page.room + 1 if skips else 1
        else:
            position = (rows[-1][0], tie_of(rows[-1]) + b"\0")
            skips = False
            limit = min(len(rows) * 4, page.room + 1)
    return page


def run(pages: Generator[Fetch, Answer, Listing], fetch: Callable[[Fetch], Sequence[Row]]) -> Listing:
    """A page from an engine that answers at once."""
    try:
        wanted = next(pages)
        while True:
            rows = fetch(wanted)
            wanted = pages.send(Answer(rows, len(rows) < wanted.limit))
    except StopIteration as stop:
        page: Listing = stop.value
        return page


def _take(
    page: Listing, rows: Sequence[Row], start: int, delimiter: bytes, is_full: Callable[[Row], bool] | None
) -> bytes | None:
    """Take rows up to the end of the page; the common prefix in which the last one lies, if it lies in any.

    `start` is the prefix's length.
    """
    if not delimiter:
        _take_all(page, rows, is_full)
        return None
    common_prefix: bytes | None = None
    for row in rows:
        key: bytes = row[0]
        if common_prefix is not None and key.startswith(common_prefix):
            continue
        common_prefix = None
        if not page.room:
            page.is_truncated = True
            return None
        found = key.find(delimiter, start)
        if found >= 0:
            common_prefix = key[: found + len(delimiter)]
            page.common_prefixes.append(common_prefix)
            page.last_prefix = common_prefix
            page.room -= 1
            continue
        page.rows.append(row)
        page.last_prefix = None
        page.room = 0 if is_full is not None and is_full(row) else page.room - 1
    return common_prefix


def _take_all(page: Listing, rows: Sequence[Row], is_full: Callable[[Row], bool] | None) -> None:
    """The same without a delimiter."""
    taken = rows[: page.room]
    if is_full is not None:
        for number, row in enumerate(taken, 1):
            if is_full(row):
                taken, page.room = taken[:number], number
                break
    page.rows += taken
    page.room -= len(taken)
    page.is_truncated = len(taken) < len(rows)

"""Pages of listings: where they begin, how long they may be, and what they tell of the next. No I/O here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gateway.storage.index.listing import Listing, Position, Row, skip_given_prefix
from gateway.storage.index.records import ObjectPage, ObjectRow, UploadPage, UploadRow, VersionEntry, VersionPage

MAX_PAGE_BLOBS = 100_000
"""Blob ids in one page of a listing: it ends early rather than take more. Memory for a page is bounded by this (about
7 MB), also in a bucket of multipart objects with 10 000 parts each."""

_TIE_BYTES: Final = 8


class BlobBudget:
    """Counts the blobs of the rows it is called with (`version_columns.COLUMNS`); true when a page can take no more."""

    def __init__(self) -> None:
        self._left = MAX_PAGE_BLOBS

    def __call__(self, row: Row) -> bool:
        blob_count: int = row[3]
        self._left -= blob_count
        return self._left <= 0


def tie_of_vsort(vsort: int) -> bytes:
    """What orders the versions of one key in a Position."""
    return vsort.to_bytes(_TIE_BYTES, "big")


def vsort_of_tie(tie: bytes) -> int:
    """The vsort after which a position begins; -1: before all."""
    return int.from_bytes(tie[:_TIE_BYTES], "big") if tie else -1


def object_page(listing: Listing, rows: tuple[ObjectRow, ...]) -> ObjectPage:
    last = listing.last_prefix or (rows[-1].key if rows else None)
    return ObjectPage(rows, tuple(listing.common_prefixes), last if listing.is_truncated else None)


def version_page(listing: Listing, rows: Iterable[tuple[ObjectRow, bool]], first: Position) -> VersionPage:
    """`rows`, which began at `first`, come with whether they are their key's current object."""
    entries = tuple(_entries(rows, first))
    last: tuple[bytes, str | None] | None = None
    if listing.is_truncated:
        prefix = listing.last_prefix
        last = (prefix, None) if prefix else (entries[-1].row.key, entries[-1].row.version_id)
    return VersionPage(entries, tuple(listing.common_prefixes), last)


def _entries(rows: Iterable[tuple[ObjectRow, bool]], first: Position) -> Iterator[VersionEntry]:
    """The first row of a key is its latest version, unless the page began after another one of that key."""
    previous = first[0] if first[1] else None
    for row, is_current in rows:
        yield VersionEntry(row, is_current or row.key != previous)
        previous = row.key


def first_upload(after: tuple[bytes, bytes | None] | None, prefix: bytes, delimiter: bytes) -> Position:
    if after is None:
        return (b"", b"")
    key, upload_id = after
    position = (key + b"\0", b"") if upload_id is None else (key, upload_id + b"\0")
    return skip_given_prefix(position, prefix=prefix, delimiter=delimiter, after=key)


def upload_page(listing: Listing, uploads: Sequence[UploadRow]) -> UploadPage:
    last: tuple[bytes, bytes | None] | None = None
    if listing.is_truncated:
        prefix = listing.last_prefix
        last = (uploads[-1].key, uploads[-1].upload_id) if prefix is None else (prefix, None)
    return UploadPage(tuple(uploads), tuple(listing.common_prefixes), last)

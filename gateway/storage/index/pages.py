"""Pages of listings: where they begin, how long they may be, and what they tell of the next. No I/O here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.storage.index.listing import Listing, Position, Row, skip_given_prefix
from gateway.storage.index.records import ObjectRow, UploadPage, UploadRow, VersionEntry
from gateway.storage.index.told import Told

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


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a listing: objects and common prefixes, each in key order, together at most the page size.

    `next_after` is None on the last page; else the key or common prefix that was given last: pass it as `after`.
    """

    told: Told
    common_prefixes: tuple[bytes, ...]
    next_after: bytes | None


@dataclass(frozen=True, slots=True)
class VersionPage:
    """As ObjectPage, ordered by key and then newest first; `next_after` is (key, version id) of the last version, or
    (common prefix, None). `are_latest` says of each whether there is no newer one of its key; `rows` are the whole
    rows, without `sealed_parts`, if they were asked for."""

    told: Told
    are_latest: tuple[bool, ...]
    common_prefixes: tuple[bytes, ...]
    next_after: tuple[bytes, str | None] | None
    rows: tuple[ObjectRow, ...] | None = None

    @property
    def entries(self) -> tuple[VersionEntry, ...]:
        """Of a page of whole rows."""
        if self.rows is None:
            raise ValueError("whole rows were not asked for")
        return tuple(map(VersionEntry, self.rows, self.are_latest))


def object_page(page: Listing, told: Told) -> ObjectPage:
    last = page.last_prefix or (told.rows[-1][0] if told else None)
    return ObjectPage(told, tuple(page.common_prefixes), last if page.is_truncated else None)


def version_page(
    page: Listing, told: Told, are_current: Iterable[bool], first: Position, rows: tuple[ObjectRow, ...] | None
) -> VersionPage:
    """A page that began at `first`; `are_current` says of each version whether it is its key's current object."""
    last: tuple[bytes, str | None] | None = None
    if page.is_truncated:
        key, _, version_id, *_ = told.rows[-1] if told else (b"", b"", None)
        last = (key, version_id) if page.last_prefix is None else (page.last_prefix, None)
    are_latest = tuple(_are_latest(told, are_current, first))
    return VersionPage(told, are_latest, tuple(page.common_prefixes), last, rows)


def _are_latest(told: Told, are_current: Iterable[bool], first: Position) -> Iterator[bool]:
    """The first row of a key is its latest version, unless the page began after another one of that key."""
    previous = first[0] if first[1] else None
    for (key, *_), is_current in zip(told.rows, are_current, strict=True):
        yield is_current or key != previous
        previous = key


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

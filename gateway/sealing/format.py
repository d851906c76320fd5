"""Constants, header and index arithmetic of a blob (docs/formats/object.md, "Header" and "Segments").

Nothing here touches a key. Sizes derive from each other; the values of version 1 must never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.sealing.errors import AuthenticationFailed, FormatError
from iam.quickly_made import quickly_made

Buffer = bytes | bytearray | memoryview

MAGIC: Final = b"SEALGT\r\n"
VERSION: Final = 1
SUITE: Final = 1  # AES-256-GCM, HKDF-SHA256, 32-byte commitment
FLAG_TWO_LAYERS: Final = 1

KEY_SIZE: Final = 32
TAG_SIZE: Final = 16
SALT_SIZE: Final = 32
COMMITMENT_SIZE: Final = 32
ID_SIZE: Final = 16

MIN_SEG_LOG2: Final = 14
MAX_SEG_LOG2: Final = 20
DEFAULT_SEG_LOG2: Final = 16
SEGMENT_SIZE: Final = 1 << DEFAULT_SEG_LOG2
MAX_SEGMENTS: Final = 1 << 32
MAX_PLAIN_BYTES: Final = 1 << 40

_CORE = struct.Struct(">8sBBBBI16s")
CORE_SIZE: Final = _CORE.size  # 32
HEADER_SIZE: Final = CORE_SIZE + SALT_SIZE + 2 * COMMITMENT_SIZE  # 128
_NO_COMMITMENT: Final = bytes(COMMITMENT_SIZE)


def pack_core(blob_id: bytes, seg_log2: int, *, two_layers: bool) -> bytes:
    """Bytes 0..31 of the header, which enter every key of the blob. `blob_id` has 16 bytes."""
    if len(blob_id) != ID_SIZE:
        raise ValueError("a blob id has 16 bytes")
    if not MIN_SEG_LOG2 <= seg_log2 <= MAX_SEG_LOG2:
        raise ValueError(f"seg_log2 is {MIN_SEG_LOG2}..{MAX_SEG_LOG2}")
    return _CORE.pack(MAGIC, VERSION, SUITE, seg_log2, FLAG_TWO_LAYERS if two_layers else 0, 0, blob_id)


@quickly_made
@dataclass(frozen=True, slots=True)
class Header:
    """The first 128 bytes of a blob, parsed. `commitment` has 32 bytes, or 64 for two layers."""

    core: bytes
    blob_id: bytes
    seg_log2: int
    two_layers: bool
    salt: bytes
    commitment: bytes

    @classmethod
    def parse(cls, data: Buffer) -> Header:
        """Read and check a header; inverse of `pack`.

        Raises FormatError for an unknown version or suite, AuthenticationFailed for anything else that no writer
        writes. Nothing is authenticated yet: that is the commitment's job.
        """
        if len(data) != HEADER_SIZE:
            raise AuthenticationFailed
        data = bytes(data)
        magic, version, suite, seg_log2, flags, zero, blob_id = _CORE.unpack_from(data)
        if magic != MAGIC:
            raise AuthenticationFailed
        if version != VERSION or suite != SUITE:
            raise FormatError(f"blob format version {version}, suite {suite}; this program knows {VERSION} and {SUITE}")
        if flags & ~FLAG_TWO_LAYERS or zero or not MIN_SEG_LOG2 <= seg_log2 <= MAX_SEG_LOG2:
            raise AuthenticationFailed
        two_layers = bool(flags & FLAG_TWO_LAYERS)
        commitment = data[64:HEADER_SIZE]
        if not two_layers:
            if commitment[COMMITMENT_SIZE:] != _NO_COMMITMENT:
                raise AuthenticationFailed
            commitment = commitment[:COMMITMENT_SIZE]
        return cls(data[:CORE_SIZE], blob_id, seg_log2, two_layers, data[32:64], commitment)

    def pack(self) -> bytes:
        return pack_header(self.core, self.salt, self.commitment)


def pack_header(core: bytes, salt: bytes, commitment: bytes) -> bytes:
    return b"".join((core, salt, commitment.ljust(2 * COMMITMENT_SIZE, b"\0")))


def overhead(*, two_layers: bool) -> int:
    """Bytes that sealing adds to a segment."""
    return 2 * TAG_SIZE if two_layers else TAG_SIZE


def segment_count(plain_length: int, seg_log2: int = DEFAULT_SEG_LOG2) -> int:
    """Segments of a body; an empty body has one, empty."""
    return (plain_length + (1 << seg_log2) - 1 >> seg_log2) or 1


def sealed_length(plain_length: int, *, seg_log2: int = DEFAULT_SEG_LOG2, two_layers: bool = False) -> int:
    """Bytes of header and segments, which follow from the plaintext length alone. The footer comes after them."""
    return HEADER_SIZE + plain_length + segment_count(plain_length, seg_log2) * overhead(two_layers=two_layers)


@quickly_made
@dataclass(frozen=True, slots=True)
class SegmentSpan:
    """Whole segments that hold a piece of the plaintext.

    Read `stored_length` bytes of the blob from `stored_offset`, open them as `first_segment` and following, drop
    `skip_bytes`, and the next `take_bytes` are the piece.
    """

    first_segment: int
    stored_offset: int
    stored_length: int
    skip_bytes: int
    take_bytes: int


def segment_span(
    start: int, end: int, plain_length: int, *, seg_log2: int = DEFAULT_SEG_LOG2, two_layers: bool = False
) -> SegmentSpan:
    """Map the plaintext bytes [start, end) to segments.

    `0 <= start <= end <= plain_length`. An empty piece still maps to one segment, so that something is authenticated
    before anything is answered.
    """
    if not 0 <= start <= end <= plain_length <= MAX_PLAIN_BYTES:
        raise ValueError("a range lies inside its body")
    added = overhead(two_layers=two_layers)
    if plain_length <= 1 << seg_log2:
        return SegmentSpan(0, HEADER_SIZE, plain_length + added, start, end - start)
    last_segment = segment_count(plain_length, seg_log2) - 1
    first = min(start >> seg_log2, last_segment)
    last = max(first, end - 1 >> seg_log2)
    stored_offset = HEADER_SIZE + first * ((1 << seg_log2) + added)
    plain_end = min(last + 1 << seg_log2, plain_length)
    stored_end = HEADER_SIZE + plain_end + (last + 1) * added
    return SegmentSpan(first, stored_offset, stored_end - stored_offset, start - (first << seg_log2), end - start)


def segment_spans(
    start: int,
    end: int,
    plain_length: int,
    *,
    seg_log2: int = DEFAULT_SEG_LOG2,
    two_layers: bool = False,
    batch_segments: int = 8,
) -> Iterator[SegmentSpan]:
    """Cut [start, end) into spans of at most `batch_segments` segments, in order, each segment in exactly one span.

    An empty range gives one span that takes nothing. No span opens to more plaintext than the first, so one buffer of
    that size serves all.
    """
    if batch_segments < 1:
        raise ValueError("a batch has at least one segment")
    while True:
        batch_end = min(((start >> seg_log2) + batch_segments) << seg_log2, end)
        yield segment_span(start, batch_end, plain_length, seg_log2=seg_log2, two_layers=two_layers)
        start = batch_end
        if start >= end:
            return


lp_length = struct.Struct(">I").pack
"""A field's length, as `lp` writes it."""


def lp(fields: Sequence[bytes]) -> bytes:
    """Each field as BE32 length, then bytes: different lists of fields never give the same bytes."""
    pieces = [b""] * (2 * len(fields))
    pieces[::2] = map(lp_length, map(len, fields))
    pieces[1::2] = fields
    return b"".join(pieces)

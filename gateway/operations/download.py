"""Stored bodies read back: a range of an object's plaintext, out of one blob or many, authenticated before it leaves.

Where reading waits, ciphertext is read one batch ahead of the connection, in the blob store's threads; decrypting a
batch costs about as much as a thread hop (30 µs for 256 KiB and a layer), so it is done on the event loop. Memory for a
stream: one batch of plaintext, one or two of ciphertext, whatever the object's size.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from gateway.operations.documents import ObjectDocument
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Buffer
from gateway.sealing.body_key import BodyKey
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import COMMITMENT_SIZE, HEADER_SIZE, SegmentSpan, segment_span, segment_spans
from gateway.sealing.stream import BlobOpener
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing
from gateway.storage.index.interface import Index
from gateway.storage.index.records import ObjectRow
from iam.quickly_made import quickly_made

BATCH_BYTES = 256 << 10
"""Plaintext decrypted at a time: four segments of the default size."""


class BodyServices(Protocol):
    """What reading and writing bodies asks for: a part of `gateway.operations.context.Services`."""

    @property
    def index(self) -> Index: ...

    @property
    def blobs(self) -> BlobStore: ...

    @property
    def rows(self) -> SealedRows: ...

    @property
    def inline_limit_bytes(self) -> int: ...

    @property
    def integrity_event(self) -> Callable[[str, str], None]: ...


@quickly_made
@dataclass(frozen=True, slots=True)
class BlobSlice:
    """One blob of an object: its plaintext length, and the commitment that the sealed row vouches for."""

    blob_id: bytes
    size: int
    commitment: bytes


def blobs_of(services: BodyServices, row: ObjectRow, document: ObjectDocument) -> Sequence[BlobSlice]:
    """The blobs of an object in order of its bytes. Raises AuthenticationFailed for a table that was tampered with."""
    parts = services.rows.parts_of(row, document)
    if parts is None:
        (blob_id,) = row.blob_ids
        return (BlobSlice(blob_id, row.size, document.commitment),)
    return [BlobSlice(blob, part.size, part.commitment) for blob, part in zip(row.blob_ids, parts, strict=True)]


class RangeStream:
    """A range of an object's plaintext, its first batch authenticated already.

    A yielded buffer is valid until the next one is asked for; whoever stops early calls `aclose`. What fails later
    raises out of the iteration, as `open_range` does.
    """

    def __init__(self, first: Buffer, rest: AsyncGenerator[Buffer]) -> None:
        self._first: Buffer | None = first
        self._rest = rest

    def __aiter__(self) -> RangeStream:
        return self

    async def __anext__(self) -> Buffer:
        if self._first is None:
            return await anext(self._rest)
        first, self._first = self._first, None
        return first

    async def aclose(self) -> None:
        await self._rest.aclose()


async def open_range(
    services: BodyServices, data_key: BodyKey, blobs: Sequence[BlobSlice], start: int, end: int
) -> RangeStream:
    """Plaintext bytes [start, end).

    Raises S3Error InternalError for a blob that is damaged or missing, after it was reported as an integrity event;
    if it is the first batch, before anything was handed out.
    """
    stream = _range(services, data_key, blobs, start, end)
    return RangeStream(await anext(stream), stream)


@dataclass(frozen=True, slots=True)
class StoredBody:
    """Bytes [start, end) of an object as a body that is sealed anew (`gateway.operations.upload.PlainBody`)."""

    services: BodyServices
    data_key: BodyKey
    blobs: Sequence[BlobSlice]
    start: int
    end: int
    trailers: Mapping[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        return self.end - self.start

    async def pieces(self) -> AsyncGenerator[Buffer]:
        stream = await open_range(self.services, self.data_key, self.blobs, self.start, self.end)
        async with aclosing(stream):
            async for piece in stream:
                yield piece

    async def whole(self) -> bytes:
        return b"".join([bytes(piece) async for piece in self.pieces()])


async def read_range(
    services: BodyServices,
    data_key: BodyKey,
    blobs: Sequence[BlobSlice],
    start: int,
    end: int,
    *,
    at_hand: tuple[bytes, bytes] | None = None,
) -> bytes:
    """The same as one bytes object, for ranges of at most a batch or two: no tasks, no generators.

    `at_hand` is the id of a blob of the index and the whole of it, which came with the object's row.
    """
    pieces = []
    for blob, first, last in _slices(blobs, start, end):
        try:
            if at_hand is not None and at_hand[0] == blob.blob_id:
                pieces.append(_open_slice(data_key, blob, at_hand[1], first, last))
            else:
                pieces.append(await _read_slice(services, data_key, blob, first, last))
        except (AuthenticationFailed, BlobMissing) as error:
            raise _reported(services, blob, error) from error
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _range(
    services: BodyServices, data_key: BodyKey, blobs: Sequence[BlobSlice], start: int, end: int
) -> AsyncGenerator[Buffer]:
    for blob, first, last in _slices(blobs, start, end):
        try:
            async with aclosing(_blob_range(services, data_key, blob, first, last)) as pieces:
                async for piece in pieces:
                    yield piece
        except (AuthenticationFailed, BlobMissing) as error:
            raise _reported(services, blob, error) from error


def _slices(blobs: Sequence[BlobSlice], start: int, end: int) -> Iterator[tuple[BlobSlice, int, int]]:
    """Which bytes of which blob make up [start, end); of an empty body the empty blob, so that it is authenticated."""
    offset = 0
    for blob in blobs:
        first, last = max(start - offset, 0), min(end - offset, blob.size)
        offset += blob.size
        if first < last or (start == end and blob is blobs[-1]):
            yield blob, first, max(first, last)


def _reported(services: BodyServices, blob: BlobSlice, error: AuthenticationFailed | BlobMissing) -> S3Error:
    """Reported here, where the blob is known, and therefore told as what it is to nobody above."""
    segment = getattr(error, "segment", None)
    services.integrity_event("blob", f"{blob.blob_id.hex()} segment {segment}: {type(error).__name__}")
    return S3Error("InternalError")


def _open_slice(data_key: BodyKey, blob: BlobSlice, stored: bytes, start: int, end: int) -> bytes:
    """As `_read_slice`, of a blob that is in memory as a whole and has no other copy. Raises AuthenticationFailed."""
    opener = _opener_by(stored[:HEADER_SIZE], data_key, blob)
    span = segment_span(start, end, blob.size, seg_log2=opener.seg_log2, two_layers=opener.two_layers)
    sealed = stored[span.stored_offset : span.stored_offset + span.stored_length]
    return _taken(span, opener.open(span.first_segment, _all_of(sealed, blob, span)))


async def _read_slice(services: BodyServices, data_key: BodyKey, blob: BlobSlice, start: int, end: int) -> bytes:
    source = await _open_source(services, blob, start, end)
    try:
        opener = await _opener(services, data_key, blob, source)
        span = segment_span(start, end, blob.size, seg_log2=opener.seg_log2, two_layers=opener.two_layers)
        while True:
            try:
                plaintext = opener.open(span.first_segment, await _read_span(source, blob, span))
            except AuthenticationFailed as error:
                await _go_to_another_copy(services, blob, source, error)
            else:
                break
    finally:
        await source.close()
    return _taken(span, plaintext)


def _taken(span: SegmentSpan, plaintext: bytes) -> bytes:
    if len(plaintext) == span.take_bytes:
        return plaintext
    return plaintext[span.skip_bytes : span.skip_bytes + span.take_bytes]


async def _opener(services: BodyServices, data_key: BodyKey, blob: BlobSlice, source: Source) -> BlobOpener:
    """By the header of the first copy that has a good one: it is the same in all, as the row says."""
    while True:
        try:
            return _opener_by(await source.read(0, HEADER_SIZE), data_key, blob)
        except AuthenticationFailed as error:
            await _go_to_another_copy(services, blob, source, error)


def _opener_by(header: Buffer, data_key: BodyKey, blob: BlobSlice) -> BlobOpener:
    """Raises AuthenticationFailed."""
    return BlobOpener(
        data_key.first,
        header,
        blob_id=blob.blob_id,
        commitment=blob.commitment,
        plain_length=blob.size,
        second_key=data_key.second,
    )


async def _go_to_another_copy(
    services: BodyServices, blob: BlobSlice, source: Source, error: AuthenticationFailed
) -> None:
    """Raises `error` if there is none."""
    if not await source.distrust():
        raise error
    detail = f"{blob.blob_id.hex()} segment {error.segment}: {type(error).__name__}, read from another copy"
    services.integrity_event("blob", detail)


async def _blob_range(
    services: BodyServices, data_key: BodyKey, blob: BlobSlice, start: int, end: int
) -> AsyncGenerator[Buffer]:
    source = await _open_source(services, blob, start, end)
    ahead: asyncio.Task[Buffer] | None = None
    try:
        opener = await _opener(services, data_key, blob, source)
        spans = segment_spans(
            start,
            end,
            blob.size,
            seg_log2=opener.seg_log2,
            two_layers=opener.two_layers,
            batch_segments=max(BATCH_BYTES >> opener.seg_log2, 1),
        )
        span, following = next(spans), next(spans, None)
        plaintext = bytearray(opener.plain_size(span.first_segment, span.stored_length))
        while True:
            try:
                if ahead is None:
                    sealed = await _read_span(source, blob, span)
                else:
                    sealed = await ahead
                    ahead = None
                if following is not None and source.waits:
                    ahead = asyncio.create_task(_read_span(source, blob, following))
                opener.open_into(span.first_segment, sealed, plaintext)
                del sealed  # not to be kept for as long as the client takes
            except AuthenticationFailed as error:
                if ahead is not None:  # of the same copy
                    await _given_up(ahead)
                    ahead = None
                await _go_to_another_copy(services, blob, source, error)
                continue
            yield memoryview(plaintext)[span.skip_bytes : span.skip_bytes + span.take_bytes]
            if following is None:
                return
            span, following = following, next(spans, None)
    finally:
        if ahead is not None:
            await _given_up(ahead)
        await source.close()


async def _given_up(reading: asyncio.Task[Buffer]) -> None:
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


class Source(Protocol):
    """As BlobReader."""

    @property
    def waits(self) -> bool: ...

    async def read(self, offset: int, length: int) -> Buffer: ...

    async def distrust(self) -> bool: ...

    async def close(self) -> None: ...


async def _read_span(source: Source, blob: BlobSlice, span: SegmentSpan) -> Buffer:
    """Whole segments, all of them. Raises AuthenticationFailed."""
    return _all_of(await source.read(span.stored_offset, span.stored_length), blob, span)


def _all_of(sealed: Buffer, blob: BlobSlice, span: SegmentSpan) -> Buffer:
    """Raises AuthenticationFailed: where a blob was cut between two segments, what is left of it is authentic, and
    would pass for a shorter answer, or leave what was in a buffer before."""
    if len(sealed) != span.stored_length:
        raise AuthenticationFailed(blob_id=blob.blob_id, segment=span.first_segment)
    return sealed


class InlineSource:
    """A blob that lies in the index."""

    waits = False

    def __init__(self, blob: bytes) -> None:
        self._blob = blob

    async def read(self, offset: int, length: int) -> bytes:
        return self._blob[offset : offset + length]

    async def distrust(self) -> bool:
        return False

    async def close(self) -> None:
        return None


async def _open_source(services: BodyServices, blob: BlobSlice, start: int, end: int) -> Source:
    """Small blobs are looked for in the index first, others in the store; the limit may have changed since writing."""
    if blob.size > services.inline_limit_bytes:
        try:
            return await _open_stored(services, blob, start, end)
        except BlobMissing:
            return InlineSource(await services.index.read_inline(blob.blob_id))
    try:
        return InlineSource(await services.index.read_inline(blob.blob_id))
    except BlobMissing:
        return await _open_stored(services, blob, start, end)


async def _open_stored(services: BodyServices, blob: BlobSlice, start: int, end: int) -> Source:
    """Announces where the plaintext bytes [start, end) lie in a blob of the usual segment size."""
    span = segment_span(start, end, blob.size, two_layers=len(blob.commitment) > COMMITMENT_SIZE)
    stored_end = span.stored_offset + span.stored_length
    return await services.blobs.open(blob.blob_id, start=span.stored_offset, end=stored_end)

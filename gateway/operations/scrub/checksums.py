"""One blob checked without any key: lengths, and the checksums of its footer (docs/formats/object.md, "Footer")."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from awscrt.checksums import crc64nvme
from msgspec import UNSET

from gateway.operations.download import InlineSource, Source
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.footer import TAIL_SIZE, Footer, parse_envelope, parse_footer, parse_tail
from gateway.sealing.format import HEADER_SIZE, Header
from gateway.storage.blobs.interface import BlobStore

READ_BYTES: Final = 1 << 20
WHOLE_BYTES: Final = 1 << 20
"""Blobs up to this size are announced to the store as a whole; of larger ones the footer is read first, by itself."""

Spend = Callable[[int], Awaitable[None]]
"""Told how many bytes are about to be read; may take its time."""


async def check_inline(blob_id: bytes, blob: bytes, stored_bytes: int) -> bool:
    """See `check_stored`."""
    source = InlineSource(blob)
    header, footer = await read_footer(source, blob_id, stored_bytes)
    return await _check_segments(source, header, footer, stored_bytes, _no_spending)


async def check_stored(store: BlobStore, blob_id: bytes, stored_bytes: int, spend: Spend) -> bool:
    """Whether the blob's segments were checked as well: those of earlier releases have no checksum.

    Raises AuthenticationFailed or FormatError for one that is not what was written, and as BlobStore.
    """
    await spend(min(stored_bytes, HEADER_SIZE))
    source = await store.open(blob_id, start=0, end=stored_bytes if stored_bytes <= WHOLE_BYTES else 0)
    try:
        header, footer = await read_footer(source, blob_id, stored_bytes)
        if stored_bytes <= WHOLE_BYTES:
            return await _check_segments(source, header, footer, stored_bytes, spend)
    finally:
        await source.close()
    source = await store.open(blob_id, start=0, end=stored_bytes)
    try:
        return await _check_segments(source, header, footer, stored_bytes, spend)
    finally:
        await source.close()


async def read_footer(source: Source, blob_id: bytes, stored_bytes: int) -> tuple[bytes, Footer]:
    """Header and footer of a blob that ends where it should. Raises AuthenticationFailed or FormatError."""
    header = bytes(await source.read(0, HEADER_SIZE))
    if Header.parse(header).blob_id != blob_id:
        raise AuthenticationFailed(blob_id=blob_id)
    end = await source.read(max(stored_bytes - TAIL_SIZE, 0), TAIL_SIZE + 1)  # a byte more: a blob that grew shows
    tail = parse_tail(end)
    length = min(tail.footer_length, stored_bytes)
    footer = await source.read(stored_bytes - length, length)
    return header, parse_footer(header, footer, stored_length=stored_bytes)


async def _check_segments(source: Source, header: bytes, footer: Footer, stored_bytes: int, spend: Spend) -> bool:
    expected = parse_envelope(footer.envelope).segments_crc64
    if expected is UNSET:
        return False
    end = stored_bytes - len(footer.envelope) - len(footer.sealed_descriptor) - TAIL_SIZE
    position, checksum = HEADER_SIZE, 0
    while position < end:
        length = min(READ_BYTES, end - position)
        await spend(length)
        data = await source.read(position, length)
        if len(data) != length:
            raise AuthenticationFailed(blob_id=Header.parse(header).blob_id)
        checksum = crc64nvme(data, checksum)
        position += length
    if checksum.to_bytes(8) != expected:
        raise AuthenticationFailed(blob_id=Header.parse(header).blob_id)
    return True


async def _no_spending(_: int) -> None:
    return

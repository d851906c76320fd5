"""The body of an upload: unframed, verified, sealed and made durable, and visible only once its row is written.

Bytes go socket → framing and signatures → digests → segments → blob store, with back-pressure all the way. AES-GCM and
CRCs and XXHash of a batch cost less than a thread hop or two and run on the event loop; MD5 and SHA in threads, beside
the sealing of the same batch, but of small bodies; the blob store writes while the next batch arrives. Memory for an
upload: a batch of plaintext and two of ciphertext, whatever its length; two of plaintext where digests are costly.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

from gateway.operations.context import Call
from gateway.operations.digests import Digests
from gateway.operations.download import BodyServices
from gateway.operations.payload import Payload
from gateway.protocol.checksums import Algorithm
from gateway.protocol.messages import Buffer
from gateway.sealing.batcher import SegmentBatcher
from gateway.sealing.body_key import BodyKey
from gateway.sealing.footer import Envelope
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobSealer
from gateway.storage.blobs.interface import BlobStore, BlobWriter
from gateway.storage.errors import OutcomeUnknown
from gateway.storage.index.records import NewBlob
from iam.quickly_made import quickly_made

BATCH_SEGMENTS = 4
"""256 KiB: large enough that a thread hop (about 40 µs) is small beside the work, small enough for 1 MiB a stream."""

WHOLE_BYTES = 128 << 10
"""Bodies of up to so many are digested and sealed at once where they arrived: SHA-256 of them takes 75 µs, MD5 180."""


@quickly_made
@dataclass(frozen=True, slots=True)
class Digested:
    """What is known of a body once it was verified. `etag` is without quotes; `checksums` by algorithm, in Base64."""

    size: int
    etag: str
    commitment: bytes
    checksums: dict[str, str]


@quickly_made
@dataclass(slots=True)
class Upload:
    """A verified body, durable under `blob`'s id but in no row yet. `keep` says that a row now names it."""

    blob: NewBlob
    digested: Digested
    is_kept: bool = field(default=False)

    def keep(self) -> None:
        self.is_kept = True


FooterOf = Callable[[Digested], tuple[Envelope, bytes]]


class PlainBody(Protocol):
    """What is sealed into a blob: at most `length` bytes in pieces, each valid until the next is asked for."""

    @property
    def length(self) -> int: ...

    @property
    def trailers(self) -> Mapping[str, str]:
        """What came after the last piece, in lower case; empty until then."""
        ...

    def pieces(self) -> AsyncGenerator[Buffer]: ...

    async def whole(self) -> bytes:
        """All of it at once, instead of `pieces`; for small ones."""
        ...


def receive(
    call: Call,
    data_key: BodyKey,
    *,
    maximum_bytes: int,
    md5_etag: bool,
    footer_of: FooterOf,
    also: Algorithm | None = None,
    may_be_inline: bool = True,
) -> AbstractAsyncContextManager[Upload]:
    """Read, verify, seal and store the body of a request.

    `md5_etag` asks for the MD5 of the plaintext as ETag (SSE-S3), else the ETag is opaque; `also` is an algorithm to
    compute whatever the client declared; `may_be_inline` as for `Storing`. Raises S3Error for every way in which the
    body is not what was declared; then nothing was stored.
    """
    payload = Payload(call, maximum_bytes)
    digests = Digests(payload.expectation, payload.content_sha256, md5=md5_etag, also=also)
    return Storing(
        call.services,
        data_key,
        payload,
        digests,
        footer_of,
        watching=call.watching(),
        may_be_inline=may_be_inline,
    )


class Storing:
    """Seals and stores a body while it is entered. On leaving without `keep`, the blob is removed again.

    `watching` is `Call.watching`, entered while data moves. A small body goes into the index if it `may_be_inline`: a
    part may not, so that an object whose other parts lie in the blob store can be found there whole.
    """

    def __init__(
        self,
        services: BodyServices,
        data_key: BodyKey,
        body: PlainBody,
        digests: Digests,
        footer_of: FooterOf,
        *,
        watching: AbstractContextManager[None],
        may_be_inline: bool = True,
    ) -> None:
        self._blobs = services.blobs
        sealer = BlobSealer(data_key.first, new_id(), second_key=data_key.second)
        self._sink = _Sink(body, digests, sealer, services.blobs, footer_of)
        self._watching = watching
        limit = services.inline_limit_bytes
        self._is_inline = may_be_inline and 0 < limit >= body.length  # with a limit of 0 not even an empty one

    async def __aenter__(self) -> Upload:
        with self._watching:
            self._upload = await (self._sink.store_inline() if self._is_inline else self._sink.store_blob())
        return self._upload

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, Exception) or isinstance(error, OutcomeUnknown | MemoryError):
            return  # a row may name the blob: the sweep decides, as after a cancellation
        if not self._upload.is_kept and self._upload.blob.inline is None:  # the row was refused: nothing names it
            await self._blobs.delete(self._upload.blob.blob_id)


def opaque_etag() -> str:
    """32 hex digits that say nothing about the content, for modes in which AWS's ETag is not the MD5."""
    return secrets.token_hex(16)


class _Sink:
    """Where one body goes."""

    def __init__(
        self, body: PlainBody, digests: Digests, sealer: BlobSealer, blobs: BlobStore, footer_of: FooterOf
    ) -> None:
        self._body = body
        self._digests = digests
        self._sealer = sealer
        self._blobs = blobs
        self._footer_of = footer_of
        self._blob_id = sealer.header[16:32]

    async def store_inline(self) -> Upload:
        digested, image = await self._image()
        return Upload(NewBlob(self._blob_id, len(image), image), digested)

    async def store_blob(self) -> Upload:
        writer = await self._blobs.create(self._blob_id)
        try:
            if self._body.length <= WHOLE_BYTES:
                digested, image = await self._image()
                await writer.write(image)
            else:
                await writer.write(self._sealer.header)
                await self._stream_to(writer)
                digested, footer = self._finish()
                await writer.write(footer)
            stored_bytes = await writer.commit()
        finally:
            await writer.abort()
        return Upload(NewBlob(self._blob_id, stored_bytes), digested)

    async def _image(self) -> tuple[Digested, bytes]:
        """The whole blob, without a thread."""
        body = await self._body.whole()
        self._digests.update_cheap(body)
        self._digests.update_costly(body)
        segments = bytearray(self._sealer.room_for(len(body)))
        self._sealer.seal_into(body, segments, final=True)
        digested, footer = self._finish()
        return digested, b"".join((self._sealer.header, segments, footer))

    async def _stream_to(self, writer: BlobWriter) -> None:
        pipeline = _Pipeline(writer, self._digests, self._sealer)
        batcher = SegmentBatcher(batch_segments=BATCH_SEGMENTS, buffers=2 if self._digests.has_costly else 1)
        try:
            async with aclosing(self._body.pieces()) as pieces:
                async for piece in pieces:
                    for batch in batcher.feed(piece):
                        await pipeline.push(batch, final=False)
            await pipeline.push(batcher.finish(), final=True)
        finally:
            await pipeline.drain()

    def _finish(self) -> tuple[Digested, bytes]:
        verified = self._digests.verify(self._body.trailers)
        digested = Digested(
            size=self._sealer.plain_length,
            etag=verified.md5.hex() if verified.md5 is not None else opaque_etag(),
            commitment=self._sealer.commitment,
            checksums=verified.checksums,
        )
        envelope, descriptor = self._footer_of(digested)
        return digested, self._sealer.footer(envelope, descriptor)


class _Pipeline:
    """Digests, seals and writes batches in order; the work on one batch overlaps the arrival of the next.

    A pushed batch may be overwritten once its push returned; where digests are costly, once the push after the next one
    began. Two buffers of ciphertext rotate.
    """

    def __init__(self, writer: BlobWriter, digests: Digests, sealer: BlobSealer) -> None:
        self._writer = writer
        self._digests = digests
        self._sealer = sealer
        self._sealed = [bytearray(), bytearray()]
        self._turn = 0
        self._digesting: asyncio.Future[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def push(self, batch: Buffer, *, final: bool) -> None:
        if self._digests.has_costly:
            await self._settle_digesting()
            self._digesting = asyncio.ensure_future(asyncio.to_thread(self._digests.update_costly, batch))
        self._digests.update_cheap(batch)
        sealed = self._sealed[self._turn]
        self._turn ^= 1
        needed = self._sealer.room_for(len(batch))
        if len(sealed) < needed:
            sealed = self._sealed[self._turn ^ 1] = bytearray(needed)
        written = self._sealer.seal_into(batch, sealed, final=final)
        await self._settle_writing()
        self._writing = asyncio.create_task(self._writer.write(memoryview(sealed)[:written]))
        if final:
            await self._settle_digesting()
            await self._settle_writing()

    async def drain(self) -> None:
        """Wait until nothing refers to a buffer any more, whatever happened."""
        pending = [task for task in (self._digesting, self._writing) if task is not None]
        await asyncio.gather(*pending, return_exceptions=True)

    async def _settle_digesting(self) -> None:
        if self._digesting is not None:
            await self._digesting
            self._digesting = None

    async def _settle_writing(self) -> None:
        if self._writing is not None:
            await self._writing
            self._writing = None


def checksum_headers(checksums: Mapping[str, str], only: str | None = None) -> dict[str, str]:
    """`x-amz-checksum-*` for each checksum, or only for the algorithm named."""
    return {Algorithm[name].header: value for name, value in checksums.items() if only is None or name == only}

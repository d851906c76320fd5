"""The payload of an upload as its client meant it: out of its framing, counted, its signatures followed.

What is handed out is provisional until the iteration ended without an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from gateway.operations.context import Call
from gateway.protocol.aws_chunked import ChunkedDecoder
from gateway.protocol.checksums import ChecksumExpectation
from gateway.protocol.content_sha256 import payload_length, trailer_names
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Buffer


class Payload:
    """The payload of one request, read once.

    `length` is what the client declared; exactly so many bytes come out, or an S3Error; of a browser form at most so
    many. `trailers` come at the end.
    """

    def __init__(self, call: Call, maximum_bytes: int) -> None:
        """Raises S3Error for headers that contradict each other, name no length, or one beyond `maximum_bytes`."""
        request = call.request
        self._body = request.body
        self.content_sha256 = call.authentication.content_sha256
        self.expectation = ChecksumExpectation.parse(request.headers)
        self.length = payload_length(request.headers, self.content_sha256, request.content_length)
        self._is_exact = call.form is None
        if self._is_exact and self.length > maximum_bytes:
            fields = {"ProposedSize": str(self.length), "MaxSizeAllowed": str(maximum_bytes)}
            raise S3Error("EntityTooLarge", fields=fields)
        names = trailer_names(request.headers, self.content_sha256)
        self.trailers: Mapping[str, str] = {}
        self._decoder: ChunkedDecoder | None = None
        if self.content_sha256.is_streaming:
            self._decoder = ChunkedDecoder(
                signed=self.content_sha256.is_signed_stream,
                trailer_names=names,
                verifier=call.authentication.chunk_verifier,
                decoded_length=self.length,
            )

    async def pieces(self) -> AsyncGenerator[Buffer]:
        received = 0
        while data := await self._body.read():
            for piece in (data,) if self._decoder is None else self._decoder.feed(data):
                received += len(piece)
                yield piece
        self._end(received)

    async def whole(self) -> bytes:
        kept: list[bytes] = []
        while data := await self._body.read():
            kept.extend((bytes(data),) if self._decoder is None else map(bytes, self._decoder.feed(data)))
        body = kept[0] if len(kept) == 1 else b"".join(kept)
        self._end(len(body))
        return body

    def _end(self, received: int) -> None:
        if self._decoder is not None:
            self.trailers = self._decoder.finish()
        if self._is_exact and received != self.length:
            raise S3Error("IncompleteBody")

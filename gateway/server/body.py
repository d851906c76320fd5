"""The body of one request as a stream of pieces, with the deadlines of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import StreamReader
from aiohttp.web import RequestPayloadError

from gateway.protocol.errors import S3Error
from gateway.server.heads import CONTINUE

if TYPE_CHECKING:
    from gateway.server.connection import Connection


class Body:
    """Implements `gateway.protocol.messages.BodyStream` on aiohttp's stream of what the parser found.

    A piece is what one read of the socket brought (up to 256 KiB with uvloop), handed on as it is. The first read
    sends "100 Continue" to a client that waits for it, so a request that is refused by its headers costs no upload.
    """

    __slots__ = ("_connection", "_expects_continue", "_payload", "is_broken", "received_bytes")

    def __init__(self, connection: Connection, payload: StreamReader, *, expects_continue: bool) -> None:
        self._connection = connection
        self._payload = payload
        self._expects_continue = expects_continue
        self.received_bytes = 0
        self.is_broken = False
        """True once reading failed: what comes on this connection is not to be trusted any more."""

    @property
    def is_complete(self) -> bool:
        """True once the last byte arrived, read or not."""
        return self._payload.is_eof()

    @property
    def awaits_continue(self) -> bool:
        """True while the client was not told to send its body; it may never send it."""
        return self._expects_continue

    async def read(self) -> bytes:
        if self._expects_continue:
            self._expects_continue = False
            self._connection.write(CONTINUE)
        payload = self._payload
        connection = self._connection
        while True:
            connection.reading_began()
            try:
                piece, _ = await payload.readchunk()
            except (S3Error, MemoryError):
                self.is_broken = True
                raise
            except (RequestPayloadError, ConnectionError) as error:
                self.is_broken = True
                if isinstance(error.__cause__, MemoryError):  # the parser's: the client has done nothing wrong
                    raise MemoryError from error
                raise S3Error("IncompleteBody") from error
            finally:
                connection.reading_ended()
            if piece:
                self.received_bytes += len(piece)
                connection.progress(len(piece))
                return piece
            if payload.at_eof():
                return b""

    async def discard(self, limit_bytes: int) -> bool:
        """Read and forget what is left, at most `limit_bytes`; True if that was all. Sends no "100 Continue"."""
        remaining = limit_bytes
        while not self._payload.at_eof():
            piece, _ = await self._payload.readchunk()
            remaining -= len(piece)
            if remaining < 0:
                return False
        return True

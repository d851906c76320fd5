"""One HTTP connection: limits, deadlines, and the way of a request from the parser to the handler and back.

Theory of operation. aiohttp's parser makes messages of bytes, and one task for each connection (`_serve`) answers them
one after the other: a request costs no task, no timer and none of aiohttp's objects for requests and responses, which
took a third of the edge's time. Beyond that, there are

- Deadlines without a timer for each wait: a wait only notes when it began (`_reading_since`, `_writing_since`,
  `_header_since`, `_silent_since`), and the listener looks at every connection once in a while (`check`). That costs
  nothing on the hot path and is as exact as deadlines of tens of seconds need.
- A bound on the header section as a whole (the parser bounds each field and their number).
- S3's XML for malformed HTTP.
- A drain that lets uploads in flight go on.

A connection is `is_busy` from the moment a request's headers are complete until its answer is out.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections import deque
from ssl import SSLContext
from typing import TYPE_CHECKING

from aiohttp import EMPTY_PAYLOAD, StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage
from aiohttp.http_exceptions import InvalidURLError, LineTooLong
from aiohttp.web import RequestPayloadError

from gateway.protocol.errors import S3Error
from gateway.server.forwarded import canonical_address

if TYPE_CHECKING:
    from gateway.server.exchange import Edge

log = logging.getLogger(__name__)

READ_BUFFER_BYTES = 128 << 10
"""Of a body that nobody reads, aiohttp buffers up to twice this, and what one more read brings (256 KiB), before it
stops reading the socket. Half of it would stop after each read, and cost an upload a quarter more CPU."""

PIPELINED_REQUESTS = 32
"""So many wait for the one in progress before no more is read from the socket."""

RATE_GRACE_SECONDS = 60.0
"""A mean rate says something only after this much waiting; a stalled link is caught by the pause deadline before."""

_RESET = struct.pack("ii", 1, 0)


class Connection(BaseProtocol):
    """A client's connection; made by the listener's server for each accepted socket."""

    __slots__ = (
        "_after_upgrade",
        "_body",
        "_edge",
        "_header_bytes",
        "_header_since",
        "_is_closed",
        "_messages",
        "_reading_since",
        "_silent_since",
        "_task",
        "_transferred_bytes",
        "_unsent_bytes",
        "_waited_seconds",
        "_waiter",
        "_writing_since",
        "counted_for",
        "is_busy",
        "is_from_proxy",
        "remote_ip",
        "tls_context",
    )

    def __init__(self, edge: Edge) -> None:
        limits = edge.limits
        parser = HttpRequestParser(
            self,
            edge.loop,
            READ_BUFFER_BYTES,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.header_count,
            payload_exception=RequestPayloadError,
            # Bodies are opaque: their Content-Encoding is the object's business, not the transport's.
            auto_decompress=False,
            max_msg_queue_size=PIPELINED_REQUESTS,
        )
        super().__init__(edge.loop, parser)
        self._edge = edge
        self._messages: deque[tuple[RawRequestMessage | HttpProcessingError, StreamReader]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False
        self._after_upgrade = b""
        self._body: StreamReader | None = None
        self._header_bytes = 0
        self._header_since = 0.0
        self._reading_since = 0.0
        self._silent_since = 0.0
        self._writing_since = 0.0
        self._unsent_bytes = 0
        self._waited_seconds = 0.0
        self._transferred_bytes = 0
        self.is_busy = False
        self.remote_ip = ""
        """The peer's address, "" if it has none."""
        self.counted_for: bytes | None = None
        """The client among whose connections the edge counts this one."""
        self.is_from_proxy = False
        """The peer is a trusted proxy, which may say for whom it asks."""
        self.tls_context: SSLContext | None = None

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.tls_context = transport.get_extra_info("sslcontext")
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.remote_ip = canonical_address(peer[0])
            self.is_from_proxy = self._edge.proxies.trust(self.remote_ip)
        self._silent_since = self._loop.time()
        if not self._edge.admit(self):
            self.refuse(S3Error("SlowDown"))
            return
        self._task = self._loop.create_task(self._serve())

    @property
    def tls_version(self) -> str | None:
        """ "1.2" or "1.3"; None for plain HTTP."""
        tls = None if self.transport is None else self.transport.get_extra_info("ssl_object")
        return None if tls is None else str(tls.version()).removeprefix("TLSv")

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self.force_close()
        self._parser = None  # they refer to each other
        if self._body is not None:
            self._body.set_exception(ConnectionResetError("the client is gone"))
        self._edge.departed(self)

    def data_received(self, data: bytes) -> None:
        if self._is_closed:
            return
        self._silent_since = 0.0
        self._parse(data)
        if self.is_busy:
            # A second message before the body's end is the parser's complaint about the body's framing, and stands
            # behind the request in progress, whose reader would go on waiting.
            body = self._body
            if self._messages and body is not None and not body.is_eof() and self._messages[-1][1] is not body:
                is_ours = _is_of_a_callback(self._messages[-1][0])
                body.set_exception(MemoryError() if is_ours else S3Error("IncompleteBody"))
        elif self._messages:
            self._take_up()
        elif data:
            self._count_header(len(data))

    def _parse(self, data: bytes) -> None:
        if self._upgraded:  # not HTTP any more, as far as the client knows: see `_decline_upgrade`
            self._after_upgrade += data
            if len(self._after_upgrade) >= READ_BUFFER_BYTES:
                self._pause_reading_for_buffer()
            return
        assert self._parser is not None
        try:
            messages, self._upgraded, self._after_upgrade = self._parser.feed_data(data)
        except HttpProcessingError as error:
            self._messages.append((error, EMPTY_PAYLOAD))
        else:
            if not messages:
                return
            self._messages.extend(messages)
        self._wake()
        if len(self._messages) >= PIPELINED_REQUESTS and not self._buffer_paused:
            self._pause_reading_for_buffer()

    def _take_up(self) -> None:
        """From here on incoming bytes belong to a body, although the task may not have begun with the request."""
        self.is_busy = True
        self._body = self._messages[0][1]
        self._header_since = 0.0
        self._waited_seconds = 0.0
        self._transferred_bytes = 0

    def _count_header(self, size: int) -> None:
        """Bytes of a header section that is not complete yet."""
        if not self._header_since:
            self._header_since = self._loop.time()
            self._header_bytes = 0
        self._header_bytes += size
        if self._header_bytes > self._edge.limits.header_bytes:
            self.refuse(header_section_too_large(self._edge.limits.header_bytes))

    # The task that answers.

    async def _serve(self) -> None:
        """Answer one request after the other until the connection is to close."""
        try:
            while not self._is_closed:
                if not self._messages:
                    await self._wait()
                    continue
                message, body = self._next()
                if isinstance(message, HttpProcessingError):
                    self._refuse_malformed(message)
                elif not await self._edge.serve(self, message, body):
                    self.force_close()
                elif self._upgraded and not self._messages:
                    self._decline_upgrade()
        except Exception as error:  # a defect: the client must not take what it got for a whole answer
            if isinstance(error, MemoryError):
                self._edge.out_of_memory()
            log.exception("a connection from %s failed at the edge", self.remote_ip)
            self.abort()
        finally:
            self.force_close()

    async def _wait(self) -> None:
        """For a message, or for the end of the connection."""
        if not self._header_since:
            self._silent_since = self._loop.time()
        self._waiter = self._loop.create_future()
        await self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _next(self) -> tuple[RawRequestMessage | HttpProcessingError, StreamReader]:
        """The next message; where many had been waiting, parsing goes on once half of them are answered."""
        taken = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= PIPELINED_REQUESTS // 2:
            self._read_again()
        return taken

    def _read_again(self) -> None:
        if len(self._after_upgrade) >= READ_BUFFER_BYTES:
            return
        if not self._upgraded:
            self.data_received(b"")  # what the parser kept, before more is read
            if len(self._messages) >= PIPELINED_REQUESTS:
                return
        self._resume_reading_for_buffer()

    def _decline_upgrade(self) -> None:
        """No other protocol is spoken here, so what came behind the request that asked for one is HTTP as before."""
        data, self._after_upgrade, self._upgraded = self._after_upgrade, b"", False
        if self._parser is not None:
            self._parser.set_upgraded(False)
        if data:
            self.data_received(data)
        if self._buffer_paused:
            self._read_again()

    def _refuse_malformed(self, error: HttpProcessingError) -> None:
        # What it says quotes the line, which may hold a customer's key or a signature.
        log.debug("malformed HTTP from %s: %s", self.remote_ip, type(error).__name__)
        self.refuse(self._parse_error(error))

    def _parse_error(self, error: HttpProcessingError) -> S3Error:
        if _is_of_a_callback(error):
            self._edge.out_of_memory()
            return S3Error("SlowDown", headers={"Retry-After": "1"})
        if isinstance(error, LineTooLong) or "Too many headers" in str(error):
            return header_section_too_large(self._edge.limits.header_bytes)
        if isinstance(error, InvalidURLError):
            return S3Error("InvalidURI")
        return S3Error("BadRequest", "An error occurred when parsing the HTTP request.")

    # What the exchange calls.

    def ended(self) -> None:
        self.is_busy = False
        self._body = None
        if self._messages:
            self._take_up()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand bytes to the transport. Raises ConnectionError once the client is gone."""
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(data)

    async def flush(self) -> None:
        """Wait until the transport's buffer is below its high mark (all sent, while `unbuffered`)."""
        if not self._paused:
            return
        transport = self.transport
        now = self._loop.time()
        self._writing_since = now
        self._unsent_bytes = transport.get_write_buffer_size() if transport is not None else 0
        try:
            await self._drain_helper()
        finally:
            self._writing_since = 0.0
            self._waited_seconds += self._loop.time() - now

    def set_unbuffered(self, unbuffered: bool) -> None:
        """While unbuffered, `flush` returns only once the kernel has every byte, so their memory may be reused.

        TLS sends copies (`write_borrowed`) instead: its protocol does not resume at a high mark of zero, and what it
        took was encrypted into buffers of its own as a rule, but that is not promised.
        """
        if self.transport is not None and self.tls_context is None:
            self.transport.set_write_buffer_limits(high=0 if unbuffered else None)

    def write_borrowed(self, data: bytes | bytearray | memoryview) -> None:
        """Like `write`, for memory that is reused after the next `flush` while unbuffered."""
        self.write(data if self.tls_context is None else bytes(data))

    def reading_began(self) -> None:
        self._reading_since = self._loop.time()

    def reading_ended(self) -> None:
        self._waited_seconds += self._loop.time() - self._reading_since
        self._reading_since = 0.0

    def progress(self, size: int) -> None:
        """Count bytes of a body that went over the connection, for the minimal rate."""
        self._transferred_bytes += size

    def force_close(self) -> None:
        """Serve no further request, and close once what was written is out; idempotent."""
        self._is_closed = True
        self._wake()
        if self.transport is not None:
            self.transport.close()
            self.transport = None

    def abort(self) -> None:
        """Break the connection so that the client cannot take what it got for a whole answer."""
        transport = self.transport
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            # Linger for zero seconds: the kernel sends RST instead of a clean end (TLS would lack its close_notify).
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        transport.abort()
        self.force_close()

    def refuse(self, error: S3Error) -> None:
        """Answer a connection on which no request was understood, and close it."""
        transport = self.transport
        if transport is None:
            return
        transport.write(self._edge.refusal(error, self.remote_ip))
        self.force_close()

    # What the listener calls.

    def check(self, now: float) -> None:
        """Enforce the deadlines; `now` is the loop's time."""
        limits = self._edge.limits
        if self._writing_since:
            self._check_writing(now)
        elif self._reading_since:
            waited = now - self._reading_since
            if self._body is not None and (waited > limits.body_read_seconds or self._is_too_slow(waited)):
                self._body.set_exception(S3Error("RequestTimeout"))
        elif not self.is_busy and self._header_since and now - self._header_since > limits.header_seconds:
            self.refuse(S3Error("RequestTimeout"))
        elif self._silent_since and now - self._silent_since > limits.idle_seconds:
            self.force_close()

    def _check_writing(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size() if self.transport is not None else 0
        waited = now - self._writing_since
        if unsent < self._unsent_bytes:
            self._unsent_bytes = unsent
            self._waited_seconds += waited
            self._writing_since = now
        elif waited > self._edge.limits.write_seconds or self._is_too_slow(waited):
            log.info("client %s takes its answer too slowly: closing", self.remote_ip)
            self.abort()

    def _is_too_slow(self, waiting_seconds: float) -> bool:
        """Below the minimal mean rate, counting only the time that we waited for the client."""
        waited = self._waited_seconds + waiting_seconds
        return waited > RATE_GRACE_SECONDS and self._transferred_bytes < waited * self._edge.limits.body_minimum_rate

    def drain(self) -> None:
        """Close after the request in progress, at once if there is none."""
        if not self.is_busy:
            self.force_close()

    def break_off(self) -> asyncio.Task[None] | None:
        """Cancel the request in progress and break the connection; the task to wait for, if there is one."""
        task = self._task
        if task is not None:
            task.cancel()
        self.abort()
        return task


def _is_of_a_callback(message: RawRequestMessage | HttpProcessingError) -> bool:
    """Whether it says that a callback of the parser failed: they fail without memory, whatever the client sent.

    The words are llhttp's (SPAN_CALLBACK_MAYBE in its api.c); faults that callbacks find come as themselves.
    """
    return isinstance(message, HttpProcessingError) and "Span callback error" in str(message)


def header_section_too_large(limit_bytes: int) -> S3Error:
    return S3Error("RequestHeaderSectionTooLarge", fields={"MaxSizeAllowed": str(limit_bytes)})

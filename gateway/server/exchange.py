"""One request and its answer: from what was parsed to `Request`, the handler, and its `Response` onto the wire."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from binascii import b2a_base64
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping

from aiohttp import StreamReader
from aiohttp.http import RawRequestMessage

from gateway.config import ListenSettings
from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Buffer, Request, Response
from gateway.server.access_log import Entry, current_entry
from gateway.server.addresses import address_bytes
from gateway.server.body import Body
from gateway.server.connection import Connection, header_section_too_large
from gateway.server.edge_errors import error_response
from gateway.server.forwarded import Origin, TrustedProxies
from gateway.server.heads import DateHeader, format_head

Handler = Callable[[Request], Awaitable[Response]]
"""Answers one request. Should not raise; whatever it raises is answered with 500 InternalError and logged."""

Observer = Callable[[Entry], None]
"""Told of every request once its last byte is out (or its connection broke)."""

LINGER_BYTES = 1 << 20
LINGER_SECONDS = 5.0
"""How much of a body that nobody wants is read before closing, and how long that may take. Closing upon unread bytes
sends RST, which can destroy the answer before the client reads it; nginx lingers for 5 s between reads, too."""

JOIN_BYTES = 65_536
"""Bodies up to this size are joined to their head: one buffer is cheaper to hand over than two until copying counts."""

_BODILESS = (204, 304)

_NOISE_BYTES = 44
_NOISES = 64
"""Random numbers for identifiers, which are no secrets, are drawn for so many requests at once."""

_noise: list[bytes] = []
os.register_at_fork(after_in_child=_noise.clear)

log = logging.getLogger(__name__)


class Edge:
    """What all connections of one listener share."""

    def __init__(
        self,
        handler: Handler,
        limits: ListenSettings,
        observers: tuple[Observer, ...],
        *,
        is_secure: bool,
        out_of_memory: Callable[[], None],
    ) -> None:
        self.handler = handler
        self.out_of_memory = out_of_memory
        self.limits = limits
        self.observers = observers
        self.is_secure = is_secure
        self.proxies = TrustedProxies(limits.trusted_proxies)
        self.loop = asyncio.get_running_loop()
        self.date = DateHeader()
        self.connections: set[Connection] = set()
        self._of_address: Counter[bytes] = Counter()
        self.is_draining = False
        self.is_retiring = False
        self.in_flight = 0
        self._departure: asyncio.Event = asyncio.Event()

    def connect(self) -> Connection:
        """What asyncio calls for each accepted socket."""
        return Connection(self)

    def admit(self, connection: Connection) -> bool:
        """Take a connection in; False if there are too many, from anywhere or from there."""
        self.connections.add(connection)
        if len(self.connections) > self.limits.max_connections:
            return False
        most = self.limits.connections_per_address
        if not most or connection.is_from_proxy:
            return True
        client = connection.counted_for = address_bytes(connection.remote_ip)
        self._of_address[client] += 1
        return self._of_address[client] <= most

    def departed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        client, connection.counted_for = connection.counted_for, None
        if client is not None:
            self._of_address[client] -= 1
            if not self._of_address[client]:
                del self._of_address[client]
        self._departure.set()

    async def wait_for_departure(self, seconds: float) -> None:
        """Until a connection has gone, or `seconds` have."""
        self._departure.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._departure.wait(), seconds)

    def refusal(self, error: S3Error, remote_ip: str) -> bytes:
        """A whole answer for a connection on which no request was understood; the connection closes after it."""
        request_id, host_id = new_identifiers()
        response = error_response(error, request_id, host_id)
        assert isinstance(response.body, bytes)
        entry = Entry(request_id, remote_ip, "-", status=error.status, error_code=error.code)
        entry.bytes_out = len(response.body)
        self.observe(entry)
        head = self.head(response, len(response.body), request_id, host_id, "close")
        return head + response.body

    def head(
        self, response: Response, length: int | None, request_id: str, host_id: str, connection: str | None
    ) -> bytes:
        return format_head(
            response.status,
            response.headers,
            length,
            request_id=request_id,
            host_id=host_id,
            date=self.date.at(time.time()),
            connection=connection,
        )

    def observe(self, entry: Entry) -> None:
        for observer in self.observers:
            try:
                observer(entry)
            except Exception:  # a defect in counting must not cost an answer
                log.exception("an observer failed on request %s", entry.request_id)

    async def serve(self, connection: Connection, message: RawRequestMessage, body: StreamReader) -> bool:
        """Answer one request; True if the connection may serve another."""
        exchange = Exchange(self, connection, message, body)
        self.in_flight += 1
        try:
            return await exchange.run()
        finally:
            self.in_flight -= 1
            connection.ended()
            self.observe(exchange.entry)


def new_identifiers() -> tuple[str, str]:
    """x-amz-request-id (16 upper-case hexadecimal digits, as AWS) and x-amz-id-2 (opaque)."""
    if not _noise:
        drawn = os.urandom(_NOISE_BYTES * _NOISES)
        _noise.extend([drawn[start : start + _NOISE_BYTES] for start in range(0, len(drawn), _NOISE_BYTES)])
    noise = _noise.pop()
    return noise[:8].hex().upper(), b2a_base64(noise[8:], newline=False).decode("ascii")


class Exchange:
    """The life of one request."""

    __slots__ = ("_body", "_connection", "_edge", "_host_id", "_message", "_request_id", "_started", "entry")

    def __init__(self, edge: Edge, connection: Connection, message: RawRequestMessage, body: StreamReader) -> None:
        self._edge = edge
        self._connection = connection
        self._message = message
        self._started = time.perf_counter()
        self._request_id, self._host_id = new_identifiers()
        self.entry = Entry(self._request_id, connection.remote_ip, message.method)
        expects_continue = message.headers.get("Expect", "").lower() == "100-continue" and message.version >= (1, 1)
        self._body = Body(connection, body, expects_continue=expects_continue)

    async def run(self) -> bool:
        """Answer, and tell the entry how; True if the connection may serve another request."""
        entry = self.entry
        current_entry.set(entry)
        try:
            response = await self._answer()
            entry.status = response.status
            keep_alive = await self._send(response)
            if not self._body.is_complete:
                keep_alive = await self._linger() and keep_alive
        except ConnectionError:
            entry.is_aborted = True
            keep_alive = False
        except asyncio.CancelledError as error:
            entry.is_aborted = True
            if error.args:  # whoever broke it off says why
                entry.decided_by, entry.reason = "broken off", str(error.args[0])
            self._connection.abort()
            raise
        finally:
            entry.bytes_in = self._body.received_bytes
            entry.total_seconds = time.perf_counter() - self._started
        # Draining may have begun while the answer was on its way. One who retires keeps what its head promised.
        return keep_alive and not self._edge.is_draining

    async def _answer(self) -> Response:
        try:
            request = self._request()
            return await self._edge.handler(request)
        except S3Error as error:
            return self._error(error)
        except MemoryError:
            return self._exhausted()
        except Exception:
            log.exception("request %s failed", self._request_id)
            return self._error(S3Error("InternalError"))

    def _exhausted(self) -> Response:
        """Nothing is acknowledged that memory was missing for, and the process is to end: who knows what else was."""
        self._edge.out_of_memory()
        return self._error(S3Error("SlowDown", headers={"Retry-After": "1"}))

    def _error(self, error: S3Error) -> Response:
        self.entry.error_code = error.code
        return error_response(error, self._request_id, self._host_id)

    def _request(self) -> Request:
        """Raises S3Error for what no operation could accept."""
        message = self._message
        target = message.path
        if not target.startswith("/"):
            target = _origin_form(target)
        path, _, query = target.partition("?")
        received = message.headers
        headers = {name.lower(): value for name, value in received.items()}
        if len(headers) != len(received):
            headers = _joined(received.items())
        values = "".join(received.values())
        if len(target) + sum(map(len, received)) + len(values) + 4 * len(received) > self._edge.limits.header_bytes:
            raise header_section_too_large(self._edge.limits.header_bytes)
        if not is_utf8(target) or not is_utf8(values):
            raise S3Error("BadRequest", "The request line or a header is not UTF-8.")
        length = headers.get("content-length")
        origin = self._origin(headers)
        self.entry.remote_ip = origin.remote_ip
        return Request(
            method=message.method,
            target_path=path,
            target_query=query,
            headers=headers,
            body=self._body,
            content_length=int(length) if length is not None else None,
            request_id=self._request_id,
            remote_ip=origin.remote_ip,
            is_secure=origin.is_secure,
            # The connection's own says nothing of one that ended at a proxy.
            tls_version=None if origin.is_told else self._connection.tls_version,
        )

    def _origin(self, headers: Mapping[str, str]) -> Origin:
        connection, is_secure = self._connection, self._edge.is_secure
        if not connection.is_from_proxy:
            return Origin(connection.remote_ip, is_secure)
        return self._edge.proxies.origin(connection.remote_ip, headers, is_secure=is_secure)

    # Sending.

    async def _send(self, response: Response) -> bool:
        """Write the answer; True if the connection may serve another request."""
        body = response.body
        if isinstance(body, bytes):
            return await self._send_bytes(response, body)
        if self._message.method == "HEAD" or response.status in _BODILESS:
            await _close_iterator(body)
            return await self._send_bytes(
                Response(response.status, response.headers, b"", response.content_length), b""
            )
        return await self._send_stream(response, body)

    async def _send_bytes(self, response: Response, body: bytes) -> bool:
        connection = self._connection
        keep_alive = self._keeps_alive()
        is_head = self._message.method == "HEAD"
        if response.status in _BODILESS:
            length, body = None, b""
        elif is_head:
            length, body = response.content_length if response.content_length is not None else len(body), b""
        else:
            length = len(body)
        try:
            head = self._head(response, length, keep_alive)
        except ValueError:
            log.exception("the answer to request %s cannot be sent", self._request_id)
            return await self._send_instead(self._error(S3Error("InternalError")))
        self._first_byte()
        if not body or len(body) <= JOIN_BYTES:
            connection.write(head + body)
        else:
            connection.write(head)
            connection.write(body)
        self.entry.bytes_out = len(body)
        connection.progress(len(body))
        await connection.flush()
        return keep_alive

    async def _send_instead(self, response: Response) -> bool:
        """Of an answer that did not come to its first byte."""
        self.entry.status = response.status
        assert isinstance(response.body, bytes)
        return await self._send_bytes(response, response.body)

    async def _send_stream(self, response: Response, body: AsyncIterator[Buffer]) -> bool:
        """The first buffer is awaited before the head goes out: what fails until then still becomes a clean error."""
        keep_alive = self._keeps_alive()
        try:
            length = response.content_length
            if length is None:
                raise ValueError("a stream without content_length")
            head = self._head(response, length, keep_alive)
            first = await anext(body, b"")
        except MemoryError:
            await _close_iterator(body)
            return await self._send_instead(self._exhausted())
        except Exception:
            log.exception("the answer to request %s failed before its first byte", self._request_id)
            await _close_iterator(body)
            return await self._send_instead(self._error(S3Error("InternalError")))
        self._connection.set_unbuffered(True)
        try:
            self._first_byte()
            self._connection.write(head)
            await self._pump(first, body, length)
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            if isinstance(error, MemoryError):
                self._edge.out_of_memory()
            log.exception("the answer to request %s broke off after %d bytes", self._request_id, self.entry.bytes_out)
            self.entry.is_aborted = True
            self._connection.abort()
            return False
        finally:
            await _close_iterator(body)
            self._connection.set_unbuffered(False)
        return keep_alive

    async def _pump(self, first: Buffer, body: AsyncIterator[Buffer], length: int) -> None:
        """Send `length` bytes; each buffer is out of our hands before the next is asked for."""
        connection = self._connection
        entry = self.entry
        buffer = first
        sent = 0
        while buffer:
            sent += len(buffer)
            if sent > length:
                raise ValueError(f"a stream longer than its {length} bytes")
            connection.write_borrowed(buffer)
            entry.bytes_out = sent
            connection.progress(len(buffer))
            await connection.flush()
            buffer = await anext(body, b"")
        if sent != length:
            raise ValueError(f"a stream of {sent} bytes instead of {length}")

    def _head(self, response: Response, length: int | None, keep_alive: bool) -> bytes:
        kept = "keep-alive" if self._message.version < (1, 1) else None
        option = kept if keep_alive else "close"
        return self._edge.head(response, length, self._request_id, self._host_id, option)

    def _first_byte(self) -> None:
        self.entry.first_byte_seconds = time.perf_counter() - self._started

    def _keeps_alive(self) -> bool:
        """False if the client or we want to close, or if what it would send next cannot be told from this body."""
        body = self._body
        edge = self._edge
        if self._message.should_close or edge.is_draining or edge.is_retiring or body.is_broken:
            return False
        if body.is_complete:
            return True
        if body.awaits_continue:
            return False
        length = self._message.headers.get("Content-Length")
        return length is None or int(length) - body.received_bytes <= LINGER_BYTES

    async def _linger(self) -> bool:
        """Read off the rest of an unread body, within bounds; True if the connection is clean after it."""
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                return await self._body.discard(LINGER_BYTES)
        except (TimeoutError, ConnectionError, S3Error, MemoryError):
            return False


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Several headers of one name are one, with commas between (RFC 9110 §5.3)."""
    joined: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        joined[lower] = f"{joined[lower]},{value}" if lower in joined else value
    return joined


def _origin_form(target: str) -> str:
    """The path and query of an absolute-form target (RFC 9112 §3.2.2); other forms address nothing here."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise S3Error("BadRequest", "The request target is not a path.")
    _, slash, path = rest.partition("/")
    return slash + path or "/"


def is_utf8(text: str) -> bool:
    """False if the parser had to escape bytes that are not UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


async def _close_iterator(body: AsyncIterator[Buffer]) -> None:
    """End a generator now, so that its `finally` runs before the next request and not with the garbage collector."""
    close = getattr(body, "aclose", None)
    if close is not None:
        await close()

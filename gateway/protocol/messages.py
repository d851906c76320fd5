"""A request and its answer as values, free of any HTTP library: what the edge hands in and gets back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from iam.quickly_made import quickly_made

Buffer = bytes | bytearray | memoryview


class BodyStream(Protocol):
    """The bytes of a request body as they arrive on the connection, still framed as the client sent them."""

    async def read(self) -> bytes:
        """The next piece, of any size up to 256 KiB; b"" once the body ended.

        Raises `gateway.protocol.errors.S3Error`: RequestTimeout when the client is too slow, IncompleteBody when the
        connection ended early.
        """
        ...


@quickly_made
@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request.

    `target_path` and `target_query` are the request target exactly as received (percent-encoded, undecoded), since
    signatures cover them in that form. `headers` maps lower-case names to values; several headers of one name are
    joined with "," in order. `content_length` is None when the client sent none (chunked transfer); `tls_version` is
    "1.2" or "1.3", None for plain HTTP.
    """

    method: str
    target_path: str
    target_query: str
    headers: Mapping[str, str]
    body: BodyStream
    content_length: int | None
    request_id: str
    remote_ip: str
    is_secure: bool
    tls_version: str | None = None


@quickly_made
@dataclass(slots=True)
class Response:
    """The answer: `body` is bytes, or for streams an iterator whose total length is `content_length`.

    An iterator that raises breaks the connection: a stream is never ended cleanly before its last byte. Buffers that
    an iterator yields may be reused by it once the next one is asked for.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[Buffer] = b""
    content_length: int | None = None

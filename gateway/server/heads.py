"""Status line and headers of an answer as bytes. Pure: the clock and the identifiers are arguments."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PHRASES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in HTTPStatus}
_OWN = frozenset(
    ("content-length", "connection", "date", "server", "transfer-encoding", "x-amz-request-id", "x-amz-id-2")
)


class UnsafeHeader(ValueError):
    """A header that cannot be sent: a control character in it, or one that only the listener writes."""


def format_head(
    status: int,
    headers: Mapping[str, str],
    content_length: int | None,
    *,
    request_id: str,
    host_id: str,
    date: str,
    connection: str | None,
) -> bytes:
    """Everything of an HTTP/1.1 answer before its body.

    `content_length` None leaves the header out (204 and 304). `connection` is "close", "keep-alive" or None.
    Raises UnsafeHeader rather than let a stored value split the answer in two (RFC 9112 §11.1).
    """
    if not _OWN.isdisjoint(map(str.lower, headers)):
        raise UnsafeHeader(f"one of {', '.join(headers)} is written by the listener alone")
    told = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    length = "" if content_length is None else f"Content-Length: {content_length}\r\n"
    option = "" if connection is None else f"Connection: {connection}\r\n"
    head = (
        f"{_PHRASES.get(status) or f'HTTP/1.1 {status} Unknown'}\r\nx-amz-request-id: {request_id}\r\n"
        f"x-amz-id-2: {host_id}\r\nDate: {date}\r\nServer: Sealgate\r\n{told}{length}{option}\r\n"
    )
    ends = len(headers) + (content_length is not None) + (connection is not None) + 6
    if head.count("\n") != ends or head.count("\r") != ends or "\0" in head:
        raise UnsafeHeader("a header holds a control character")
    return head.encode("utf-8")


class DateHeader:
    """The Date header, formatted once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def at(self, now: float) -> str:
        """RFC 9110 §5.6.7 form of `now`, seconds since the epoch."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True)
        return self._text

"""From the bytes of an input to what parsers take, and from their refusals to what is answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import Buffer
from gateway.protocol.xml.documents.error import ErrorDocument
from iam.requests import RequestHead
from tests.fuzz.target import check_bounded

T = TypeVar("T")


def text_of(data: bytes) -> str:
    """As the edge reads what comes over the wire."""
    return data.decode("utf-8", "surrogateescape")


def first_line(data: bytes) -> tuple[str, bytes]:
    """An input whose first line says how to read the rest."""
    line, _, rest = data.partition(b"\n")
    return text_of(line.rstrip(b"\r")), rest


def headers_of(block: bytes) -> dict[str, str]:
    """Header lines up to an empty one, as the edge hands them on: names in lower case, values of one name joined."""
    headers: dict[str, str] = {}
    for line in block.split(b"\n"):
        if not line.rstrip(b"\r"):
            break
        name, _, value = text_of(line.rstrip(b"\r")).partition(":")
        key, text = name.lower(), value.strip(" \t")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def head_of(data: bytes) -> RequestHead:
    """`METHOD target`, then header lines."""
    line, rest = first_line(data)
    method, _, target = line.partition(" ")
    path, _, query = target.partition("?")
    return RequestHead(method, path, query, headers_of(rest))


def number_of(text: str, default: int, maximum: int) -> int:
    return min(int(text), maximum) if text.isascii() and text.isdecimal() and len(text) < 10 else default


class Pieces:
    """A body in pieces of the given sizes, the last size repeated."""

    def __init__(self, data: bytes, sizes: tuple[int, ...]) -> None:
        self._data = data
        self._sizes = list(sizes)

    async def read(self) -> bytes:
        size = self._sizes.pop(0) if len(self._sizes) > 1 else self._sizes[0]
        piece, self._data = self._data[:size], self._data[size:]
        return piece


def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits for anything."""
    try:
        work.send(None)
    except StopIteration as end:
        value: T = end.value
        return value
    work.close()
    raise AssertionError("it waited")


def outcome_of(parse: Callable[[], object], data: bytes) -> str:
    """`ok`, or the code of the S3Error with which `parse` refuses, which can be told and is bounded."""
    try:
        parse()
    except S3Error as error:
        return refused(error, len(data))
    return "ok"


def refused(error: S3Error, input_bytes: int) -> str:
    """The code of a refusal that can be written down as the answer that it becomes."""
    check_bounded(len(ErrorDocument(error.code, error.message, error.fields).format()), input_bytes)
    check_bounded(len(str(error).encode("utf-8", "backslashreplace")), input_bytes)
    for name, value in error.headers.items():
        assert (name + value).isprintable() and (name + value).isascii(), (name, value)
    return error.code


def joined(pieces: list[Buffer]) -> bytes:
    return b"".join(bytes(piece) for piece in pieces)

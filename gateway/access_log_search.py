"""Finding the line of one request in the access log: in its file, and in those that rotation left beside it.

Files are read in blocks, and only lines that hold the id are parsed: memory is bounded, and the disk sets the speed.
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 1 << 16
"""Of one line: an object's key of 1024 bytes may be six times as long in JSON, and stands in it twice."""

_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class AccessLine:
    """A line, and the file that holds it."""

    fields: dict[str, Any]
    place: str


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, and in which files it was looked for; `unreadable` says of files why they could not be read."""

    line: AccessLine | None
    searched: tuple[str, ...]
    unreadable: tuple[str, ...]


def log_files(path: Path) -> list[Path]:
    """The log at `path` and what rotation made of it (`access.log.1`, `access.log-20260131.gz`), newest first."""
    if not path.parent.is_dir():
        return []
    rotated = [each for each in path.parent.iterdir() if each.name.startswith((f"{path.name}.", f"{path.name}-"))]
    rotated = [each for each in rotated if each.is_file()]
    newest_first = sorted(rotated, key=lambda each: each.stat().st_mtime, reverse=True)
    return [path, *newest_first] if path.is_file() else newest_first


def find_line(paths: Iterable[Path], request_id: str) -> Search:
    """The line of the request with this id, in the first file that has it."""
    searched, unreadable = [], []
    for path in paths:
        searched.append(str(path))
        try:
            with path.open("rb") as file:
                line = find_in(file, request_id)
        except (OSError, EOFError, zlib.error) as error:
            unreadable.append(f"{path}: {getattr(error, 'strerror', None) or error}")
            continue
        if line is not None:
            return Search(AccessLine(line, str(path)), tuple(searched), tuple(unreadable))
    return Search(None, tuple(searched), tuple(unreadable))


def find_in(file: BinaryIO, request_id: str) -> dict[str, Any] | None:
    """The same in an open file, also a compressed one. Raises OSError, EOFError, zlib.error."""
    beginning = file.read(len(_GZIP_MAGIC))
    # A stream may not be sought in: what was read of it goes before the rest.
    stream = io.BufferedReader(_Joined(beginning, file), BLOCK_BYTES)
    if beginning == _GZIP_MAGIC:
        with gzip.open(stream, "rb") as unpacked:
            return _first(_lines_with(unpacked, request_id), request_id)
    return _first(_lines_with(stream, request_id), request_id)


def _first(lines: Iterator[bytes], request_id: str) -> dict[str, Any] | None:
    """Whoever gathers standard error may have put something before the line's JSON."""
    for line in lines:
        try:
            fields = json.loads(line[line.index(b"{") :])
        except ValueError:
            continue
        if isinstance(fields, dict) and fields.get("id") == request_id:
            return fields
    return None


def _lines_with(stream: io.BufferedIOBase, request_id: str) -> Iterator[bytes]:
    """Lines that hold the id as a field: inside a text its quotes would be escaped."""
    needle = f'"id":"{request_id}"'.encode()
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        data = rest + block
        end = data.rfind(b"\n") + 1
        yield from _matching(data[:end], needle)
        rest = data[end:][-MAX_LINE_BYTES:]
    yield from _matching(rest, needle)


def _matching(data: bytes, needle: bytes) -> Iterator[bytes]:
    place = data.find(needle)
    while place >= 0:
        start = data.rfind(b"\n", 0, place) + 1
        end = data.find(b"\n", place)
        line = data[start:] if end < 0 else data[start:end]
        if len(line) <= MAX_LINE_BYTES:
            yield line
        place = data.find(needle, place + 1) if end < 0 else data.find(needle, end)


class _Joined(io.RawIOBase):
    """Bytes that were read of a file, and then the rest of it."""

    def __init__(self, beginning: bytes, file: BinaryIO) -> None:
        self._beginning = beginning
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self._beginning or self._file.read(len(view))
        count = min(len(data), len(view))
        view[:count] = data[:count]
        self._beginning = data[count:]
        return count

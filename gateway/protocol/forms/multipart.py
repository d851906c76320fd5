"""multipart/form-data as it arrives: the fields first, then the file in pieces (RFC 7578, RFC 2046 §5.1.1).

    form      = *part-of-a-field file-part *whatever
    part      = "--" boundary CRLF *( header CRLF ) CRLF data CRLF
    last      = "--" boundary "--"

S3 takes the fields that stand before the file and ignores what follows it. The fields are bounded and held in memory;
the file is handed out provisionally, as it arrives, and is whole only once `read` gave b"".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.protocol.errors import S3Error
from gateway.protocol.messages import BodyStream

MAX_FIELDS_BYTES = 20 << 10
"""Of everything that stands before the file ("Your POST request fields preceding the upload file were too large")."""

MAX_REST_BYTES = 20 << 10
"""Of what follows the file, which is read and ignored."""

MAX_BOUNDARY_BYTES = 70
"""RFC 2046 §5.1.1."""

_CRLF = b"\r\n"
_PARAMETER = re.compile(r';[ \t]*([A-Za-z0-9_*-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]*[0-9A-Za-z'()+_,./:=?-]")
_FILE = "file"


def form_boundary(content_type: str) -> bytes:
    """The boundary that a Content-Type header names.

    Raises S3Error PreconditionFailed for anything but multipart/form-data, MalformedPOSTRequest without a boundary.
    """
    kind, _, _ = content_type.partition(";")
    if kind.strip().lower() != "multipart/form-data":
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise S3Error("PreconditionFailed", fields={"Condition": condition})
    boundary = _parameters(content_type).get("boundary", "")
    if len(boundary) > MAX_BOUNDARY_BYTES or not _BOUNDARY.fullmatch(boundary):
        raise S3Error("MalformedPOSTRequest")
    return boundary.encode("ascii")


@dataclass(frozen=True, slots=True)
class Form:
    """What stood before the data of the file: `fields` by name in lower case, and the file's own name ("" if none)."""

    fields: Mapping[str, str]
    filename: str


class FormReader:
    """Reads one form: `read_form` once, then `read` until it gives b"".

    Is itself a `BodyStream` of the file's bytes. Raises S3Error MalformedPOSTRequest for what is no form, and what the
    stream below raises.
    """

    def __init__(self, body: BodyStream, boundary: bytes) -> None:
        self._body = body
        self._delimiter = _CRLF + b"--" + boundary
        # The first delimiter has no line break before it unless there is a preamble.
        self._buffer = bytearray(_CRLF)
        self._consumed = -len(_CRLF)
        self._is_ended = False

    @property
    def consumed_bytes(self) -> int:
        """How many bytes of the body lie before the next one that is handed out."""
        return self._consumed

    async def read_form(self) -> Form:
        """The fields, up to the first byte of the file.

        Raises S3Error MaxPostPreDataLengthExceeded, InvalidArgument where there is no file or a field twice.
        """
        fields: dict[str, str] = {}
        self._take(await self._find(self._delimiter))  # a preamble means nothing
        while await self._begins_part():
            name, filename = _disposition(self._text(await self._find(_CRLF * 2), len(_CRLF * 2)))
            if name == _FILE:
                return Form(fields, filename or "")
            data = await self._find(self._delimiter)
            if name in fields:
                raise S3Error("InvalidArgument", f"POST requires exactly one {name} per request.", fields=_named(name))
            fields[name] = self._text(data, 0)
            self._take(0)
        raise S3Error(
            "InvalidArgument",
            "POST requires exactly one file upload per request.",
            fields={"ArgumentName": _FILE, "ArgumentValue": "0"},
        )

    async def read(self) -> bytes:
        """The next piece of the file; b"" once the delimiter came. Raises S3Error IncompleteBody if it never does."""
        if self._is_ended:
            return b""
        while True:
            at = self._buffer.find(self._delimiter)
            if at >= 0:
                piece = self._cut(at)
                self._is_ended = True
                await self._skip_rest()
                return piece
            # The end of what is there may be the beginning of the delimiter.
            safe = len(self._buffer) - len(self._delimiter) + 1
            if safe > 0:
                return self._cut(safe)
            await self._more()

    async def _begins_part(self) -> bool:
        """After a delimiter: True for a part, False for the end of the form."""
        while len(self._buffer) < 2:
            await self._more()
        if self._buffer.startswith(b"--"):
            return False
        line = await self._find(_CRLF)
        if self._buffer[:line].strip(b" \t"):
            raise S3Error("MalformedPOSTRequest")
        self._cut(line)  # the break stays: a part without headers begins with an empty line
        return True

    def _text(self, end: int, skip: int) -> str:
        """What lies before `end`, as text, and it is gone together with `skip` bytes after it."""
        text = self._cut(end).decode("utf-8", "surrogateescape")
        self._cut(skip)
        return text

    def _take(self, end: int) -> None:
        """Forget what lies before `end` and the delimiter there."""
        self._cut(end + len(self._delimiter))

    def _cut(self, count: int) -> bytes:
        piece = bytes(self._buffer[:count])
        del self._buffer[:count]
        self._consumed += count
        return piece

    async def _find(self, mark: bytes) -> int:
        """Where `mark` begins in what is not consumed, within the bound of what may precede the file."""
        searched = 0
        while True:
            at = self._buffer.find(mark, searched)
            if self._consumed + (at if at >= 0 else len(self._buffer) - len(mark)) > MAX_FIELDS_BYTES:
                raise S3Error("MaxPostPreDataLengthExceeded")
            if at >= 0:
                return at
            searched = max(0, len(self._buffer) - len(mark) + 1)
            await self._more()

    async def _more(self) -> None:
        piece = await self._body.read()
        if not piece:
            raise S3Error("MalformedPOSTRequest")
        self._buffer += piece

    async def _skip_rest(self) -> None:
        rest = len(self._buffer)
        self._buffer.clear()
        while piece := await self._body.read():
            rest += len(piece)
            if rest > MAX_REST_BYTES:
                raise S3Error("MalformedPOSTRequest")


def _disposition(head: str) -> tuple[str, str | None]:
    """Name (in lower case) and file name of a part, from its headers. Raises S3Error MalformedPOSTRequest."""
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "content-disposition":
            parameters = _parameters(value)
            if value.partition(";")[0].strip().lower() != "form-data" or not parameters.get("name"):
                break
            return parameters["name"].lower(), parameters.get("filename")
    raise S3Error("MalformedPOSTRequest")


def _parameters(value: str) -> dict[str, str]:
    """The parameters of a header value, names in lower case.

    A quote in a value is written %22 by browsers and \\" by others; other backslashes are parts of Windows' paths.
    """
    return {
        name.lower(): quoted.replace('\\"', '"').replace("%22", '"') if quoted else token
        for name, quoted, token in _PARAMETER.findall(value)
    }


def _named(name: str) -> dict[str, str]:
    return {"ArgumentName": name[:256]}

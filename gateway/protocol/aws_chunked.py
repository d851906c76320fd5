"""The aws-chunked framing of upload bodies, decoded as it arrives.

Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple Chunks"
and "… Including Trailing Headers".

    body    = *( size [";chunk-signature=" hex64] CRLF data CRLF ) last
    last    = "0" [";chunk-signature=" hex64] CRLF *( name ":" value CRLF )
              ["x-amz-trailer-signature:" hex64 CRLF] CRLF

A chunk's signature stands before its data, covers a hash of the data, and a chunk may be as long as the whole body.
So data is handed out *provisionally* as it arrives, in bounded memory, and checked at the end of its chunk: whoever
takes it must not let anything become visible before `finish` returned.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import Enum, auto
from typing import Protocol

from gateway.protocol.errors import S3Error

MIN_SIGNED_CHUNK_BYTES = 8192
"""S3 refuses smaller signed chunks, but for the last one with data."""

MAX_LINE_BYTES = 512
"""Of a chunk's first line: 16 digits, the name of the extension, 64 digits and CRLF have 99."""

MAX_TRAILER_BYTES = 4096
"""Of the whole trailer section, which holds one checksum (at most 66 bytes) and one signature."""

_SIGNATURE_TRAILER = "x-amz-trailer-signature"
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;([^\r\n]*))?\r\n")
_CHUNK_SIGNATURE = re.compile(rb"chunk-signature=([0-9a-f]{64})")
_TRAILER = re.compile(rb"([A-Za-z0-9-]{1,128}):[ \t]*([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?[ \t]*\r?\n")
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class ChunkVerifier(Protocol):
    """Follows the chain of signatures of one body; the first link is the request's own signature.

    Both methods raise where a signature is wrong, and are called once for each chunk in order, then for the trailer.
    """

    def verify_chunk(self, signature: str, payload_sha256_hex: str) -> None: ...

    def verify_trailer(self, signature: str, trailer_sha256_hex: str) -> None: ...


class _State(Enum):
    CHUNK_LINE = auto()
    DATA = auto()
    DATA_END = auto()
    TRAILER = auto()
    DONE = auto()


class ChunkedDecoder:
    """Decodes one body. After an error it must not be fed again.

    `trailer_names` are those that `x-amz-trailer` announced, lower-case; exactly these must come. `verifier` is needed
    if and only if `signed`. `decoded_length` is `x-amz-decoded-content-length`: more or less payload is refused.
    """

    def __init__(
        self,
        *,
        signed: bool,
        trailer_names: Sequence[str],
        verifier: ChunkVerifier | None,
        decoded_length: int,
    ) -> None:
        assert signed == (verifier is not None)
        self._verifier = verifier
        self._trailer_names = frozenset(trailer_names)
        self._state = _State.CHUNK_LINE
        self._line = bytearray()
        self._decoded_length = decoded_length
        self._received = 0
        self._chunk_size = decoded_length  # of the chunk before; no chunk came before the first one
        self._chunk_left = 0
        self._chunk_signature = ""
        self._has_chunks = False
        self._hash = hashlib.sha256()
        self._trailers: dict[str, str] = {}
        self._trailer_bytes = 0
        self._trailer_hash = hashlib.sha256()
        self._trailer_signature: str | None = None

    @property
    def is_done(self) -> bool:
        """The whole body was seen and every check passed."""
        return self._state is _State.DONE

    def feed(self, data: bytes) -> list[memoryview]:
        """Decode the next bytes of the body; the payload in them, as views of `data`, provisional until `finish`.

        Raises S3Error IncompleteBody (malformed framing, more payload than declared), InvalidChunkSizeError,
        MalformedTrailerError, SignatureDoesNotMatch (a missing chunk signature), and what the verifier raises.
        """
        pieces: list[memoryview] = []
        view = memoryview(data)
        position, end = 0, len(data)
        while position < end:
            if self._state is _State.DATA:
                piece = view[position : position + self._chunk_left]
                position += len(piece)
                self._take_data(piece)
                pieces.append(piece)
                continue
            if self._state is _State.DONE:
                raise _malformed("data follows the end of the body")
            line, position = self._take_line(data, position)
            if line is None:
                break
            if self._state is _State.CHUNK_LINE:
                self._start_chunk(line)
            elif self._state is _State.DATA_END:
                self._end_data(line)
            else:
                self._take_trailer(line)
        return pieces

    def finish(self) -> dict[str, str]:
        """The trailers by lower-case name; for when the connection has no more. Raises S3Error IncompleteBody."""
        if self._state is not _State.DONE:
            raise S3Error("IncompleteBody")
        return self._trailers

    def _take_line(self, data: bytes, position: int) -> tuple[bytes | None, int]:
        """The line that ends in `data`, with its end, and where the next one starts; None if more is needed."""
        room = MAX_LINE_BYTES - len(self._line)
        newline = data.find(b"\n", position, position + room)
        if newline < 0:
            if len(data) - position >= room:
                raise _malformed(f"a line has more than {MAX_LINE_BYTES} bytes")
            self._line += data[position:]
            return None, len(data)
        line = data[position : newline + 1]
        if self._line:
            line = bytes(self._line) + line
            self._line.clear()
        return line, newline + 1

    def _start_chunk(self, line: bytes) -> None:
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise _malformed("a chunk does not begin with its size")
        size = int(match[1], 16)
        if self._verifier is not None:
            signature = _CHUNK_SIGNATURE.fullmatch(match[2] or b"")
            if signature is None:
                raise S3Error("SignatureDoesNotMatch")
            self._chunk_signature = signature[1].decode()
        if size == 0:
            self._end_chunks()
            return
        if self._verifier is not None and self._has_chunks and self._chunk_size < MIN_SIGNED_CHUNK_BYTES:
            raise S3Error("InvalidChunkSizeError", fields={"BadChunkSize": str(self._chunk_size)})
        if self._received + size > self._decoded_length:
            raise _malformed("it has more payload than x-amz-decoded-content-length says")
        self._has_chunks = True
        self._chunk_size = self._chunk_left = size
        self._state = _State.DATA

    def _take_data(self, piece: memoryview) -> None:
        if self._verifier is not None:
            self._hash.update(piece)
        self._received += len(piece)
        self._chunk_left -= len(piece)
        if self._chunk_left == 0:
            if self._verifier is not None:
                self._verifier.verify_chunk(self._chunk_signature, self._hash.hexdigest())
                self._hash = hashlib.sha256()
            self._state = _State.DATA_END

    def _end_data(self, line: bytes) -> None:
        if line != b"\r\n":
            raise _malformed("a chunk does not end where its size says")
        self._state = _State.CHUNK_LINE

    def _end_chunks(self) -> None:
        if self._received != self._decoded_length:
            raise _malformed("it has less payload than x-amz-decoded-content-length says")
        if self._verifier is not None:
            self._verifier.verify_chunk(self._chunk_signature, _EMPTY_SHA256)
        self._state = _State.TRAILER

    def _take_trailer(self, line: bytes) -> None:
        self._trailer_bytes += len(line)
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise S3Error("MalformedTrailerError")
        if line in (b"\r\n", b"\n"):
            self._end_trailers()
            return
        match = _TRAILER.fullmatch(line)
        if match is None or self._trailer_signature is not None:
            raise S3Error("MalformedTrailerError")
        name, value = match[1].decode().lower(), (match[2] or b"").decode()
        if name == _SIGNATURE_TRAILER and self._verifier is not None and self._trailer_names:
            self._trailer_signature = value
            return
        if name not in self._trailer_names or name in self._trailers:
            raise S3Error("MalformedTrailerError")
        self._trailers[name] = value
        self._trailer_hash.update(f"{name}:{value}\n".encode())

    def _end_trailers(self) -> None:
        if self._trailers.keys() != self._trailer_names:
            raise S3Error("MalformedTrailerError")
        if self._verifier is not None and self._trailer_names:
            if self._trailer_signature is None:
                return  # some clients put empty lines between the trailers and their signature
            self._verifier.verify_trailer(self._trailer_signature, self._trailer_hash.hexdigest())
        self._state = _State.DONE


def _malformed(detail: str) -> S3Error:
    return S3Error("IncompleteBody", f"The aws-chunked request body is malformed: {detail}.")

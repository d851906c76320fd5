"""The language of kmsd's socket: frames, and a number for each request of `kms.api.types`.

    frame = length (BE32, of what follows) ‖ protocol version ‖ kind ‖ request id (BE64) ‖ body (MessagePack)

`kind` is the verb's number in a request, ANSWER, EXPLAINED, REFUSAL or DECLINED in a reply; replies come in any order.
The body of a request is [caller, request, is explained] (HEALTH: nothing), that of an answer its result or, if it was
to be explained, [result, decisions], that of a refusal [code, message, retry-after, decisions]. DECLINED (no body) says
that a request was not begun, or with EVERY_REQUEST for its id, that no further one of this connection will be: both are
for the next kmsd, on a connection of its own.
Both ends speak one `dialect`, since the supervisor starts both; a frame of another version closes the connection.
No I/O here.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.api.types import REQUESTS, Health, Request

PROTOCOL_VERSION = 5
ANSWER = 0
HEALTH = 1
FIRST_VERB = 2
DECLINED = 253
EXPLAINED = 254
REFUSAL = 255

EVERY_REQUEST = 0
"""No request's id: they count from 1."""

MAX_REQUEST_BYTES = 512 * 1024
"""The largest request is CreateKey with a policy of 131072 and a description of 8192 characters of 4 bytes each."""

MAX_REPLY_BYTES = 1024 * 1024
"""The largest reply is a page of 1000 keys, about 150 KiB."""

_HEADER = struct.Struct(">IBBQ")
_AFTER_LENGTH = _HEADER.size - 4


class WireError(Exception):
    """The other end does not speak this protocol; the connection must be closed."""


def _dec_hook(kind: type, value: object) -> object:
    if kind is SecretBytes and isinstance(value, bytes):
        return SecretBytes(value)
    raise TypeError(f"{kind.__name__} does not travel")


def _enc_hook(value: object) -> object:
    if isinstance(value, SecretBytes):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} does not travel")


_encoder = msgspec.msgpack.Encoder(enc_hook=_enc_hook)
_refusals = msgspec.msgpack.Decoder(tuple[str, str, int | None, tuple[Decided, ...]])


class Verb:
    """One kind of request: its number in frames, and the codecs of its arguments and its result."""

    __slots__ = ("arguments", "explained", "number", "request", "result")

    def __init__(self, number: int, request: type[Request[Any]]) -> None:
        self.number: Final = number
        self.request: Final = request
        self.arguments: Final = msgspec.msgpack.Decoder(tuple[Caller, request, bool], dec_hook=_dec_hook)  # type: ignore[valid-type]
        result: Any = request.result_type()
        explained: Any = tuple[result, tuple[Decided, ...]]
        self.result: Final = msgspec.msgpack.Decoder(result, dec_hook=_dec_hook)
        self.explained: Final = msgspec.msgpack.Decoder(explained, dec_hook=_dec_hook)


VERBS: dict[int, Verb] = {number: Verb(number, request) for number, request in enumerate(REQUESTS, start=FIRST_VERB)}
"""By number: both ends speak one dialect, so that the order of the requests' names numbers them."""

VERB_OF: dict[type[Request[Any]], Verb] = {verb.request: verb for verb in VERBS.values()}


def dialect() -> str:
    """What two ends must have in common to understand each other; of one release it is always the same."""
    names = ",".join(request.operation_name() for request in REQUESTS)
    return f"{PROTOCOL_VERSION}:{hashlib.sha256(names.encode()).hexdigest()[:16]}"


HEALTH_RESULT = msgspec.msgpack.Decoder(Health)


def name_of(kind: int) -> str:
    """What a request of this kind is called in a log."""
    verb = VERBS.get(kind)
    return "health" if verb is None else verb.request.operation_name()


def format_frame(kind: int, request_id: int, body: object) -> bytes:
    """A whole frame with `body` encoded."""
    encoded = _encoder.encode(body)
    return _HEADER.pack(_AFTER_LENGTH + len(encoded), PROTOCOL_VERSION, kind, request_id) + encoded


def format_refusal(request_id: int, error: KMSError) -> bytes:
    retry_after_seconds = error.retry_after_seconds if isinstance(error, KMSUnavailable) else None
    return format_frame(REFUSAL, request_id, (error.code, error.message, retry_after_seconds, error.decisions))


def parse_refusal(body: bytes) -> KMSError:
    """The error that a REFUSAL carries. Raises msgspec.DecodeError."""
    code, message, retry_after_seconds, decisions = _refusals.decode(body)
    error = KMSError(code, message) if retry_after_seconds is None else KMSUnavailable(message, retry_after_seconds)
    error.decisions = decisions
    return error


class FrameReader:
    """Cuts what arrives into frames; holds at most one incomplete frame of `max_bytes` and one read."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def frames(self, limit: int | None = None) -> Iterator[tuple[int, int, bytes]]:
        """Up to `limit` complete frames as (kind, request id, body). Raises WireError; then the reader is of no use."""
        buffer = self._buffer
        start = 0
        taken = 0
        try:
            while len(buffer) - start >= _HEADER.size and (limit is None or taken < limit):
                length, version, kind, request_id = _HEADER.unpack_from(buffer, start)
                if version != PROTOCOL_VERSION or not _AFTER_LENGTH <= length <= self._max_bytes:
                    raise WireError(f"a frame of version {version} and {length} bytes")
                end = start + 4 + length
                if len(buffer) < end:
                    break
                body = bytes(memoryview(buffer)[start + _HEADER.size : end])
                start = end
                taken += 1
                yield kind, request_id, body
        finally:
            del buffer[:start]

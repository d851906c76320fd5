"""The language of kmsd's socket: frames, and one row for each verb of `KeyService`.

    frame = length (BE32, of what follows) ‖ protocol version ‖ kind ‖ request id (BE64) ‖ body (MessagePack)

`kind` is the verb's number in a request, ANSWER or REFUSAL in a reply; replies come in any order. The body of a request
is the array of the verb's arguments, that of an answer its result, that of a refusal [code, message, retry-after].
Both ends are of one release, since the supervisor starts both; a frame of another version closes the connection.
No I/O here.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService

PROTOCOL_VERSION = 1
ANSWER = 0
REFUSAL = 255

MAX_REQUEST_BYTES = 512 * 1024
"""The largest request is CreateKey with a policy of 131072 and a description of 8192 characters of 4 bytes each."""

MAX_REPLY_BYTES = 1024 * 1024
"""The largest reply is a page of 1000 keys, about 150 KiB."""

_HEADER = struct.Struct(">IBBQ")
_AFTER_LENGTH = _HEADER.size - 4

R = TypeVar("R")


class WireError(Exception):
    """The other end does not speak this protocol; the connection must be closed."""


@dataclass(frozen=True, slots=True)
class Verb(Generic[R]):
    """One method of `KeyService`.

    `arguments` is the type of its array of arguments, `call` applies them. `is_idempotent`: doing it twice is as good
    as once, so that a client may repeat it when the connection broke in between.
    """

    number: int
    name: str
    call: Callable[[KeyService, Any], Awaitable[R]]
    arguments: msgspec.msgpack.Decoder[Any]
    result: msgspec.msgpack.Decoder[R]
    is_idempotent: bool


def _dec_hook(kind: type, value: object) -> object:
    if kind is SecretBytes and isinstance(value, bytes):
        return SecretBytes(value)
    raise TypeError(f"{kind.__name__} does not travel")


def _enc_hook(value: object) -> object:
    if isinstance(value, SecretBytes):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} does not travel")


_encoder = msgspec.msgpack.Encoder(enc_hook=_enc_hook)
_refusals = msgspec.msgpack.Decoder(tuple[str, str, int | None])


def _verb(
    number: int,
    name: str,
    arguments: Any,
    result: type[R],
    call: Callable[[KeyService, Any], Awaitable[R]],
    *,
    is_idempotent: bool = True,
) -> Verb[R]:
    return Verb(
        number,
        name,
        call,
        msgspec.msgpack.Decoder(arguments, dec_hook=_dec_hook),
        msgspec.msgpack.Decoder(result, dec_hook=_dec_hook),
        is_idempotent,
    )


NOTHING: Any = type(None)

CREATE_KEY = _verb(
    1, "create_key", tuple[Caller, t.CreateKey], t.KeyMetadata, lambda s, a: s.create_key(*a), is_idempotent=False
)
DESCRIBE_KEY = _verb(2, "describe_key", tuple[Caller, str], t.KeyMetadata, lambda s, a: s.describe_key(*a))
LIST_KEYS = _verb(
    3,
    "list_keys",
    tuple[Caller, int, str | None],
    t.KeyPage,
    lambda s, a: s.list_keys(a[0], limit=a[1], marker=a[2]),
)
CREATE_ALIAS: Verb[None] = _verb(
    4, "create_alias", tuple[Caller, str, str], NOTHING, lambda s, a: s.create_alias(*a), is_idempotent=False
)
UPDATE_ALIAS: Verb[None] = _verb(5, "update_alias", tuple[Caller, str, str], NOTHING, lambda s, a: s.update_alias(*a))
DELETE_ALIAS: Verb[None] = _verb(
    6, "delete_alias", tuple[Caller, str], NOTHING, lambda s, a: s.delete_alias(*a), is_idempotent=False
)
LIST_ALIASES = _verb(
    7,
    "list_aliases",
    tuple[Caller, str | None, int, str | None],
    t.AliasPage,
    lambda s, a: s.list_aliases(a[0], key_id=a[1], limit=a[2], marker=a[3]),
)
ENABLE_KEY: Verb[None] = _verb(8, "enable_key", tuple[Caller, str], NOTHING, lambda s, a: s.enable_key(*a))
DISABLE_KEY: Verb[None] = _verb(9, "disable_key", tuple[Caller, str], NOTHING, lambda s, a: s.disable_key(*a))
SCHEDULE_KEY_DELETION = _verb(
    10,
    "schedule_key_deletion",
    tuple[Caller, str, int],
    t.KeyMetadata,
    lambda s, a: s.schedule_key_deletion(*a),
    is_idempotent=False,
)
CANCEL_KEY_DELETION = _verb(
    11,
    "cancel_key_deletion",
    tuple[Caller, str],
    t.KeyMetadata,
    lambda s, a: s.cancel_key_deletion(*a),
    is_idempotent=False,
)
ENCRYPT = _verb(12, "encrypt", tuple[Caller, t.Encrypt], t.Ciphertext, lambda s, a: s.encrypt(*a))
DECRYPT = _verb(13, "decrypt", tuple[Caller, t.Decrypt], t.Plaintext, lambda s, a: s.decrypt(*a))
RE_ENCRYPT = _verb(14, "re_encrypt", tuple[Caller, t.ReEncrypt], t.ReEncrypted, lambda s, a: s.re_encrypt(*a))
GENERATE_DATA_KEY = _verb(
    15, "generate_data_key", tuple[Caller, t.GenerateDataKey], t.DataKey, lambda s, a: s.generate_data_key(*a)
)
GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = _verb(
    16,
    "generate_data_key_without_plaintext",
    tuple[Caller, t.GenerateDataKey],
    t.Ciphertext,
    lambda s, a: s.generate_data_key_without_plaintext(*a),
)
GENERATE_RANDOM = _verb(17, "generate_random", tuple[Caller, int], SecretBytes, lambda s, a: s.generate_random(*a))
HEALTH = _verb(18, "health", tuple[()], t.Health, lambda s, a: s.health())

VERBS: dict[int, Verb[Any]] = {
    verb.number: verb
    for verb in (
        CREATE_KEY,
        DESCRIBE_KEY,
        LIST_KEYS,
        CREATE_ALIAS,
        UPDATE_ALIAS,
        DELETE_ALIAS,
        LIST_ALIASES,
        ENABLE_KEY,
        DISABLE_KEY,
        SCHEDULE_KEY_DELETION,
        CANCEL_KEY_DELETION,
        ENCRYPT,
        DECRYPT,
        RE_ENCRYPT,
        GENERATE_DATA_KEY,
        GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        GENERATE_RANDOM,
        HEALTH,
    )
}
"""By number. Numbers are never used again."""


def format_frame(kind: int, request_id: int, body: object) -> bytes:
    """A whole frame with `body` encoded."""
    encoded = _encoder.encode(body)
    return _HEADER.pack(_AFTER_LENGTH + len(encoded), PROTOCOL_VERSION, kind, request_id) + encoded


def format_refusal(request_id: int, error: KMSError) -> bytes:
    retry_after_seconds = error.retry_after_seconds if isinstance(error, KMSUnavailable) else None
    return format_frame(REFUSAL, request_id, (error.code, error.message, retry_after_seconds))


def parse_refusal(body: bytes) -> KMSError:
    """The error that a REFUSAL carries. Raises msgspec.DecodeError."""
    code, message, retry_after_seconds = _refusals.decode(body)
    if retry_after_seconds is not None:
        return KMSUnavailable(message, retry_after_seconds)
    return KMSError(code, message)


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

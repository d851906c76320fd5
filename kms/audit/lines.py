"""Lines of the trail: how records are chained, and the records that the trail writes about itself.

    line = {"seq":N,"prev":"<SHA-256 of the line before, hex>","record":"<kind>", …}

The hash is of the line's bytes without the newline. Format: docs/formats/audit-line.md. No I/O here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec

from kms.audit.event import Event

FORMAT: Final = 1
MAX_LINE_BYTES: Final = 4 << 20
"""A request to the KMS has 512 KiB at most, and JSON writes a byte of it as six at most (a control character)."""

GENESIS_HASH: Final = "0" * 64
"""`prev` of the first line of all."""

MAX_CHECKPOINT_LAG: Final = 65_536
"""A checkpoint covers a line at most this far before its own, so that a verifier remembers no more hashes."""


class FileStart(msgspec.Struct, frozen=True, tag_field="record", tag="file"):
    """The first line of each file. `node` names the trail for good: 32 hex digits, made with its first file."""

    format: int
    node: str
    time: str


class Checkpoint(msgspec.Struct, frozen=True, tag_field="record", tag="checkpoint", rename="camel"):
    """A signed statement that line `covers` has the hash `hash`; `key_id` is the SHA-256 of the public key (SPKI, DER).

    `reason` is start, interval, count, rotation or stop.
    """

    time: str
    node: str
    epoch: int
    reason: str
    covers: int
    hash: str
    key_id: str
    signature: bytes

    def statement(self) -> bytes:
        """The bytes that are signed. None of the parts has a newline."""
        parts = (
            "sealgate/v1/audit-checkpoint",
            self.node,
            str(self.epoch),
            str(self.covers),
            self.hash,
            self.time,
            self.reason,
        )
        return "".join(f"{part}\n" for part in parts).encode()


class Repair(msgspec.Struct, frozen=True, tag_field="record", tag="repair", rename="camel"):
    """Bytes after the last whole line, cut by the process that continues the trail and kept in the file `kept_as`.

    `cut_lines` counts newlines among them: 0 for a line that a crash tore.
    """

    time: str
    cut_bytes: int
    cut_lines: int
    cut_sha256: str
    kept_as: str


class Trouble(msgspec.Struct, frozen=True, tag_field="record", tag="trouble", rename="camel"):
    """The trail could not be written, or not be synced, from `since` until `time`.

    `late_lines` follow this one and are of calls made meanwhile; `lost_lines` are nowhere; `refused_calls` were turned
    away before they did anything.
    """

    time: str
    since: str
    cause: str
    late_lines: int
    lost_lines: int
    refused_calls: int


Record = Event | FileStart | Checkpoint | Repair | Trouble


class _Place(msgspec.Struct, frozen=True):
    seq: int
    prev: str


_encoder = msgspec.json.Encoder()
_records: Final[msgspec.json.Decoder[Record]] = msgspec.json.Decoder(Record)
_places = msgspec.json.Decoder(_Place)
_MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no JSON, or not what was asked for: no text, or nested too deeply."""


class MalformedLine(ValueError):
    """Bytes that no release wrote as a line."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last line of a chain: its number, from 1, and its hash. Of an empty chain: 0 and GENESIS_HASH."""

    seq: int
    hash: str


GENESIS: Final = Head(0, GENESIS_HASH)


def encode_record(record: Record) -> bytes:
    """A record before it has a place in a chain. Raises UnicodeEncodeError for text that is no Unicode."""
    return _encoder.encode(record)


def chain(head: Head, encoded: bytes) -> tuple[bytes, Head]:
    """The line (without newline) of an encoded record that follows `head`, and the new head."""
    seq = head.seq + 1
    line = b'{"seq":%d,"prev":"%s",' % (seq, head.hash.encode()) + encoded[1:]
    return line, Head(seq, line_hash(line))


def line_hash(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def parse_place(line: bytes) -> tuple[int, str]:
    """The number of a line and the hash of the one before. Raises MalformedLine."""
    try:
        place = _places.decode(line)
    except _MALFORMED as error:
        raise MalformedLine(str(error)) from None
    return place.seq, place.prev


def parse_record(line: bytes) -> Record:
    """What a line tells. Raises MalformedLine."""
    try:
        return _records.decode(line)
    except _MALFORMED as error:
        raise MalformedLine(str(error)) from None

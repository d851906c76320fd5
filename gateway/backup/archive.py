"""The bytes of a backup: a header that a root authenticates, and everything else sealed under a key of its own.

    archive = header ‖ mac ‖ body        docs/formats/backup.md

The body is a blob of the object format without a footer: segments of AES-256-GCM, the last one marked, so that nothing
is handed out that was not authenticated, and a body that was cut or extended is refused. Blocks; memory is bounded.
"""

from __future__ import annotations

import hmac
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway.sealing.batcher import SegmentBatcher
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.format import HEADER_SIZE, SEGMENT_SIZE, TAG_SIZE, Buffer, Header, segment_spans
from gateway.sealing.ids import new_id
from gateway.sealing.stream import BlobOpener, BlobSealer
from kms.api.secrets import SecretBytes
from kms.hsm.check_value import MAX_CHECK_VALUE_SIZE, MIN_CHECK_VALUE_SIZE
from kms.hsm.interface import KEY_SIZE, Root

MAGIC: Final = b"SGBK"
FORMAT_VERSION: Final = 1
ROOT_ID_SIZE: Final = 16
MAC_SIZE: Final = 32
MAC_LABEL: Final = b"sealgate/v1/backup"
MAX_LABEL_SIZE: Final = 64
MAX_WRAPPED_SIZE: Final = 4096
BATCH_SEGMENTS: Final = 16

_START = struct.Struct(">4sB")
_FIXED = struct.Struct(">Q16sB")
_SIZE = struct.Struct(">H")


class BadBackup(Exception):
    """No backup, a damaged, cut or extended one, or one of a later release; the message says which."""


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """When it was made, under which root, with the check value that proves this root, and the body's key as that root
    wrapped it. Nothing of it is authentic before `verified_key`."""

    created_us: int
    root_id: bytes
    label: str
    check_value: bytes
    wrapped: bytes


def new_header(root: Root, created_us: int, check_value: bytes) -> tuple[BackupHeader, SecretBytes]:
    """A header, and the fresh key of its body. Two calls of the root, with `format_header`. Raises RootError."""
    key = SecretBytes(os.urandom(KEY_SIZE))
    identity = root.identity
    return BackupHeader(created_us, identity.root_id, identity.label, check_value, root.wrap_key(key)), key


def format_header(root: Root, header: BackupHeader) -> bytes:
    """The header, and its MAC by the root. Raises RootError."""
    clear = _format(header)
    return clear + root.mac(MAC_LABEL + clear)


def read_header(source: BinaryIO) -> tuple[BackupHeader, bytes]:
    """The header and the MAC at the beginning of an archive. Raises BadBackup, OSError."""

    def take(size: int) -> bytes:
        data = source.read(size)
        if len(data) != size:
            raise BadBackup("the backup is cut off")
        return data

    magic, version = _START.unpack(take(_START.size))
    if magic != MAGIC:
        raise BadBackup("this is no backup of a data directory")
    if version != FORMAT_VERSION:
        raise BadBackup(f"the backup has format {version}, this program knows {FORMAT_VERSION}; use the newer program")
    created_us, root_id, label_size = _FIXED.unpack(take(_FIXED.size))
    if not 1 <= label_size <= MAX_LABEL_SIZE:
        raise BadBackup("the backup was changed or damaged: a root's label has 1 to 64 bytes")
    try:
        label = take(label_size).decode()
    except UnicodeDecodeError:
        raise BadBackup("the backup was changed or damaged: the root's label is no text") from None
    check_value = _take_sized(take, MIN_CHECK_VALUE_SIZE, MAX_CHECK_VALUE_SIZE)
    wrapped = _take_sized(take, KEY_SIZE, MAX_WRAPPED_SIZE)
    return BackupHeader(created_us, root_id, label, check_value, wrapped), take(MAC_SIZE)


def verified_key(root: Root, header: BackupHeader, mac: bytes) -> SecretBytes:
    """The key of the body, once the root said that it made this header. Raises BadBackup, RootError."""
    if not hmac.compare_digest(root.mac(MAC_LABEL + _format(header)), mac):
        raise BadBackup("the backup's authentication code is wrong: it is another root's, or was changed")
    return root.unwrap_key(header.wrapped)


class BodyWriter:
    """Seals what is written to it into `target`; `finish` ends the body, and only then is it whole."""

    def __init__(self, target: BinaryIO, key: SecretBytes) -> None:
        self._target = target
        self._sealer = BlobSealer(key, new_id())
        self._batcher = SegmentBatcher(batch_segments=BATCH_SEGMENTS)
        self._sealed = bytearray(self._sealer.room_for(self._batcher.batch_bytes))
        target.write(self._sealer.header)

    def write(self, data: Buffer) -> int:
        for batch in self._batcher.feed(data):
            self._seal(batch, final=False)
        return len(data)

    def finish(self) -> None:
        """The last segment, marked as such."""
        self._seal(self._batcher.finish(), final=True)

    def _seal(self, batch: memoryview, *, final: bool) -> None:
        written = self._sealer.seal_into(batch, self._sealed, final=final)
        self._target.write(memoryview(self._sealed)[:written])


class BodyReader:
    """What was written, each piece authenticated before it is given. Reading raises BadBackup for what is not so."""

    def __init__(self, source: BinaryIO, key: SecretBytes, sealed_bytes: int) -> None:
        """`source` stands at the body, which has `sealed_bytes`."""
        self._pieces = _pieces(source, key, sealed_bytes)
        self._left = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Some of what is left, at most `size` bytes; nothing at the end."""
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._left = memoryview(piece)
        given, self._left = self._left[:size], self._left[size:]
        return bytes(given)


def _pieces(source: BinaryIO, key: SecretBytes, sealed_bytes: int) -> Iterator[bytes]:
    try:
        start = source.read(HEADER_SIZE)
        header = Header.parse(start)
        segments = sealed_bytes - HEADER_SIZE
        count = max(1, -(-segments // (SEGMENT_SIZE + TAG_SIZE)))
        plain_length = segments - count * TAG_SIZE
        if plain_length < 0 or header.seg_log2 != SEGMENT_SIZE.bit_length() - 1 or header.two_layers:
            raise AuthenticationFailed
        opener = BlobOpener(key, start, blob_id=header.blob_id, commitment=header.commitment, plain_length=plain_length)
        for span in segment_spans(0, plain_length, plain_length, batch_segments=BATCH_SEGMENTS):
            yield opener.open(span.first_segment, source.read(span.stored_length))
    except AuthenticationFailed as error:
        raise BadBackup("the backup was changed, damaged or cut off: its contents are not authentic") from error


def _format(header: BackupHeader) -> bytes:
    label = header.label.encode()
    return b"".join(
        (
            _START.pack(MAGIC, FORMAT_VERSION),
            _FIXED.pack(header.created_us, header.root_id, len(label)),
            label,
            _SIZE.pack(len(header.check_value)),
            header.check_value,
            _SIZE.pack(len(header.wrapped)),
            header.wrapped,
        )
    )


def _take_sized(take: Callable[[int], bytes], least: int, most: int) -> bytes:
    (size,) = _SIZE.unpack(take(_SIZE.size))
    if not least <= size <= most:
        raise BadBackup("the backup was changed or damaged: a length in its header is none")
    return take(size)

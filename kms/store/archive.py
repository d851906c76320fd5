"""The archive of a key store: one SQLite database in a frame that a root authenticates. Bytes only; the format is
docs/formats/kms-backup.md.

    archive = header ‖ database ‖ digest ‖ HMAC-SHA256(root-mac, "sealgate/v1/kms-backup" ‖ digest)
    digest  = SHA-256(header ‖ database)

Reading finds what was damaged or cut. That nobody made it anew, the root alone can tell (kms/service/key_backup.py),
and until it did, nothing looks into the database.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final

from kms.hsm.check_value import MAX_CHECK_VALUE_SIZE, MIN_CHECK_VALUE_SIZE

MAGIC: Final = b"SGKB"
FORMAT_VERSION = 1
ROOT_ID_SIZE = 16
MAX_LABEL_SIZE = 64
DIGEST_SIZE = 32
MAC_SIZE = 32
MAX_DATABASE_SIZE = 1 << 40
"""A thousand times what a hundred thousand keys take: it bounds what a forged header may claim."""

MAC_LABEL: Final = b"sealgate/v1/kms-backup"

_PIECE_BYTES = 1 << 20
_START: Final = struct.Struct(">4sB")
_FIXED: Final = struct.Struct(">QI16sB")
_SIZE: Final = struct.Struct(">H")
_DATABASE_SIZE: Final = struct.Struct(">Q")


class BadArchive(Exception):
    """No archive, a damaged, cut or extended one, or one of a later release; the message says which."""


@dataclass(frozen=True, slots=True)
class ArchiveHeader:
    """What an archive says about itself: when it was made, the schema of its database, and the root that authenticates
    it, with the check value that proves this root when it is opened."""

    created_us: int
    schema: int
    root_id: bytes
    label: str
    check_value: bytes


@dataclass(frozen=True, slots=True)
class ReadArchive:
    """What was read. Nothing of it is authentic before `mac` was compared with the root's of `digest`."""

    header: ArchiveHeader
    digest: bytes
    mac: bytes


def authenticated_message(digest: bytes) -> bytes:
    """What the root's HMAC is over."""
    return MAC_LABEL + digest


def write_archive(target: BinaryIO, header: ArchiveHeader, database: BinaryIO, size_bytes: int) -> bytes:
    """Write everything but the MAC, and return the digest; the caller writes the 32 bytes of the MAC after it.

    Raises BadArchive when `database` does not have `size_bytes`, OSError.
    """
    digest = hashlib.sha256()

    def write(piece: bytes) -> None:
        digest.update(piece)
        target.write(piece)

    write(_format_header(header, size_bytes))
    if _copy(database, size_bytes, write) or database.read(1):
        raise BadArchive("the database changed its size while it was archived")
    target.write(digest.digest())
    return digest.digest()


def read_archive(source: BinaryIO, database: BinaryIO) -> ReadArchive:
    """Read a whole archive from where `source` stands; its database goes to `database`. Raises BadArchive, OSError."""
    digest = hashlib.sha256()

    def take(size: int) -> bytes:
        data = source.read(size)
        if len(data) != size:
            raise BadArchive("the archive is cut off")
        digest.update(data)
        return data

    def keep(piece: bytes) -> None:
        digest.update(piece)
        database.write(piece)

    header, size_bytes = _read_header(take)
    if _copy(source, size_bytes, keep):
        raise BadArchive("the archive is cut off")
    end = source.read(DIGEST_SIZE + MAC_SIZE + 1)
    if len(end) < DIGEST_SIZE + MAC_SIZE:
        raise BadArchive("the archive is cut off")
    if len(end) > DIGEST_SIZE + MAC_SIZE:
        raise BadArchive("bytes follow the end of the archive")
    if not hmac.compare_digest(digest.digest(), end[:DIGEST_SIZE]):
        raise BadArchive("the archive was changed or damaged: its digest is wrong")
    return ReadArchive(header, end[:DIGEST_SIZE], end[DIGEST_SIZE:])


def read_header_only(source: BinaryIO) -> ArchiveHeader:
    """What an archive says of itself, of which nothing is authentic. Raises BadArchive, OSError."""

    def take(size: int) -> bytes:
        data = source.read(size)
        if len(data) != size:
            raise BadArchive("the archive is cut off")
        return data

    return _read_header(take)[0]


def _format_header(header: ArchiveHeader, size_bytes: int) -> bytes:
    label = header.label.encode()
    assert len(header.root_id) == ROOT_ID_SIZE
    assert 1 <= len(label) <= MAX_LABEL_SIZE
    return (
        _START.pack(MAGIC, FORMAT_VERSION)
        + _FIXED.pack(header.created_us, header.schema, header.root_id, len(label))
        + label
        + _SIZE.pack(len(header.check_value))
        + header.check_value
        + _DATABASE_SIZE.pack(size_bytes)
    )


def _read_header(take: Callable[[int], bytes]) -> tuple[ArchiveHeader, int]:
    """The header, and the size of the database that follows."""
    magic, version = _START.unpack(take(_START.size))
    if magic != MAGIC:
        raise BadArchive("this is no backup of a key store")
    if version != FORMAT_VERSION:
        raise BadArchive(f"the archive has format {version}, which this release does not know")
    created_us, schema, root_id, label_size = _FIXED.unpack(take(_FIXED.size))
    if not 1 <= label_size <= MAX_LABEL_SIZE:
        raise BadArchive("the archive was changed or damaged: a root's label has 1 to 64 bytes")
    try:
        label = take(label_size).decode()
    except UnicodeDecodeError:
        raise BadArchive("the archive was changed or damaged: the root's label is no text") from None
    (check_value_size,) = _SIZE.unpack(take(_SIZE.size))
    if not MIN_CHECK_VALUE_SIZE <= check_value_size <= MAX_CHECK_VALUE_SIZE:
        raise BadArchive("the archive was changed or damaged: no check value has that size")
    check_value = take(check_value_size)
    (size_bytes,) = _DATABASE_SIZE.unpack(take(_DATABASE_SIZE.size))
    if size_bytes > MAX_DATABASE_SIZE:
        raise BadArchive("the archive was changed or damaged: no key store is that large")
    return ArchiveHeader(created_us, schema, root_id, label, check_value), size_bytes


def _copy(source: BinaryIO, size_bytes: int, to: Callable[[bytes], None]) -> int:
    """Hand over up to `size_bytes` of `source`, piece by piece; how many of them there were not."""
    left = size_bytes
    while left and (piece := source.read(min(left, _PIECE_BYTES))):
        to(piece)
        left -= len(piece)
    return left

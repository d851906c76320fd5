"""The bytes of a backup: authenticated by a root, sealed, and refused when anything of it is not as it was written."""

from __future__ import annotations

import io
import os

import pytest

from gateway.backup.archive import (
    MAC_SIZE,
    BadBackup,
    BodyReader,
    BodyWriter,
    format_header,
    new_header,
    read_header,
    verified_key,
)
from kms.hsm.interface import Root
from tests.kms.roots import MemoryRoot

BATCH = 16 * 65536
CHECK_VALUE = bytes(range(100))


def written(root: Root, content: bytes, step: int = 100_000) -> bytes:
    target = io.BytesIO()
    header, key = new_header(root, 5, CHECK_VALUE)
    target.write(format_header(root, header))
    body = BodyWriter(target, key)
    for start in range(0, len(content), step):
        body.write(content[start : start + step])
    body.finish()
    return target.getvalue()


def opened(root: Root, archive: bytes) -> bytes:
    source = io.BytesIO(archive)
    header, mac = read_header(source)
    key = verified_key(root, header, mac)
    reader = BodyReader(source, key, len(archive) - source.tell())
    pieces = []
    while piece := reader.read(70_001):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH, 3 * BATCH + 5])
def test_what_was_written_comes_back(size: int) -> None:
    root, content = MemoryRoot(), os.urandom(size)
    archive = written(root, content)
    assert opened(root, archive) == content
    assert content[:1000] not in archive or size < 2
    header, _ = read_header(io.BytesIO(archive))
    assert (header.created_us, header.check_value, header.label) == (5, CHECK_VALUE, root.identity.label)
    assert written(root, content) != archive


def test_whatever_is_changed_is_refused() -> None:
    root = MemoryRoot()
    archive = written(root, b"x" * 70_000)
    start = archive.index(b"SEALGT\r\n")
    for place in (*range(start), start + 20, start + 40, start + 70, start + 200, start + 65_700, len(archive) - 1):
        changed = bytearray(archive)
        changed[place] ^= 1
        with pytest.raises(BadBackup):
            opened(root, bytes(changed))


def test_whatever_is_cut_or_longer_is_refused() -> None:
    root = MemoryRoot()
    archive = written(root, os.urandom(200_000))
    start = archive.index(b"SEALGT\r\n")
    ends = {0, 3, 20, start - MAC_SIZE, start, start + 100, start + 128, start + 128 + 65_552, len(archive) - 1}
    for end in (*ends, start + 128 + 2 * 65_552, start + 128 + 3 * 65_552):
        with pytest.raises(BadBackup):
            opened(root, archive[:end])
    for more in (b"\0", bytes(16), bytes(65_552), archive[start + 128 : start + 128 + 65_552]):
        with pytest.raises(BadBackup):
            opened(root, archive + more)


def test_segments_in_another_order_are_refused() -> None:
    root = MemoryRoot()
    archive = written(root, os.urandom(200_000))
    first = archive.index(b"SEALGT\r\n") + 128
    one, two = archive[first : first + 65_552], archive[first + 65_552 : first + 131_104]
    with pytest.raises(BadBackup):
        opened(root, archive[:first] + two + one + archive[first + 131_104 :])


def test_another_root_does_not_open_it() -> None:
    with pytest.raises(BadBackup, match="another root"):
        opened(MemoryRoot(), written(MemoryRoot(), b"x"))


def test_a_later_format_is_refused_by_its_number() -> None:
    archive = bytearray(written(MemoryRoot(), b"x"))
    archive[4] = 2
    with pytest.raises(BadBackup, match="format 2, this program knows 1; use the newer program"):
        read_header(io.BytesIO(bytes(archive)))

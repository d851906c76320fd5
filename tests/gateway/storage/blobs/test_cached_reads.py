"""What the kernel has in memory is read without a thread, and nothing else is."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.storage.blobs import cached_reads
from gateway.storage.blobs.cached_reads import open_cached, read_cached
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.file_reader import FileBlobReader
from gateway.storage.errors import StorageUnavailable
from tests.conformance.blobs import blob_id_at, now_ms, store_blob
from tests.gateway.storage.blobs.failing import failing

DATA = os.urandom(300_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def fd(path: Path) -> Iterator[int]:
    """Of a file of which the kernel says what it has in memory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        if read_cached(fd, 0, 1) is None:
            pytest.skip("reads that do not wait are not to be had here")
        yield fd
    finally:
        os.close(fd)


@pytest.fixture
async def store(tmp_path: Path, fd: int) -> AsyncIterator[FileBlobStore]:
    store = FileBlobStore(tmp_path / "data", "worker-0")
    yield store
    await store.close()


@pytest.fixture
async def reader(store: FileBlobStore) -> AsyncIterator[FileBlobReader]:
    blob_id = blob_id_at(now_ms())
    await store_blob(store, blob_id, DATA)
    reader = await store.open(blob_id)
    yield reader
    await reader.close()


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 128), (0, 300_000), (299_999, 1), (299_990, 20), (300_000, 5), (400_000, 5), (7, 0)]
)
def test_range_of_a_file_in_memory(fd: int, offset: int, length: int) -> None:
    assert read_cached(fd, offset, length) == DATA[offset : offset + length]


def test_short_reads_are_continued(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, rooms, offset, flags: preadv(fd, [rooms[0][:999]], offset, flags))
    assert read_cached(fd, 10, 5_000) == DATA[10:5_010]


@pytest.mark.parametrize("code", [errno.EAGAIN, errno.EOPNOTSUPP, errno.EIO])
def test_what_cannot_be_read_at_once_is_a_threads(fd: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if its begin can."""
    preadv = os.preadv

    def half(fd: int, rooms: list[memoryview], offset: int, flags: int) -> int:
        if offset:
            raise OSError(code, os.strerror(code))
        return preadv(fd, [rooms[0][:1000]], offset, flags)

    monkeypatch.setattr(os, "preadv", half)
    assert read_cached(fd, 0, 1000) == DATA[:1000]
    assert read_cached(fd, 0, 1001) is None


def test_opened_file_is_closed_by_exec(path: Path, fd: int) -> None:
    opened = open_cached(str(path))
    assert opened is not None
    try:
        assert not os.get_inheritable(opened)
        assert read_cached(opened, 0, len(DATA)) == DATA
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(opened, b"x")
    finally:
        os.close(opened)


@pytest.mark.parametrize("name", ["missing", "missing/file", "file/below", "a" * 300])
def test_what_cannot_be_opened_is_a_threads(path: Path, name: str) -> None:
    assert open_cached(str(path.parent / name)) is None


def test_where_linux_is_not_threads_do_it_all(path: Path, fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached_reads, "_openat2", None)
    monkeypatch.setattr(cached_reads, "_NOWAIT", None)
    assert open_cached(str(path)) is None
    assert read_cached(fd, 0, 1) is None


def refused(*_arguments: object) -> int:
    raise AssertionError("no thread is needed for this")


async def test_blob_in_memory_needs_no_thread(store: FileBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    blob_id = blob_id_at(now_ms())
    await store_blob(store, blob_id, DATA)
    monkeypatch.setattr(store._reading, "submit", refused)
    reader = await store.open(blob_id)
    assert await reader.read(0, 128) == DATA[:128]
    assert await reader.read(1000, 250_000) == DATA[1000:251_000]
    assert not reader.waits
    await reader.close()


async def test_blob_that_leaves_memory_is_waited_for(reader: FileBlobReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "preadv", failing(errno.EAGAIN))
    assert await reader.read(1000, 100_000) == DATA[1000:101_000]
    assert reader.waits
    monkeypatch.undo()
    assert await reader.read(1000, 100_000) == DATA[1000:101_000]
    assert not reader.waits


async def test_error_of_a_file_in_memory_is_told(reader: FileBlobReader, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("preadv", "pread"):
        monkeypatch.setattr(os, name, failing(errno.EIO))
    with pytest.raises(StorageUnavailable):
        await reader.read(0, 128)


async def test_others_have_their_turn_between_reads_of_much(reader: FileBlobReader) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    for expected in range(1, 6):
        await reader.read(0, 262_144)
        assert turns >= expected
    running.cancel()

"""The ring: what is linked, what is too much at once, what the kernel refuses, and the way back to threads."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.blobs import io_uring
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.io_uring import ENTRIES, Ring, closing, letting_go, opening, renaming, syncing, writing
from gateway.storage.errors import StorageUnavailable
from tests.conformance.blobs import blob_id_at, load_blob, now_ms, store_blob

FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@pytest.fixture
async def ring() -> AsyncIterator[Ring]:
    try:
        ring = Ring()
    except OSError as error:
        pytest.skip(f"no io_uring here: {error}")
    yield ring
    await ring.close()


def path_of(fd: int) -> str:
    return os.readlink(f"/proc/self/fd/{fd}")


async def test_a_file_by_one_chain_after_its_opening(ring: Ring, tmp_path: Path) -> None:
    old, new = str(tmp_path / "old"), str(tmp_path / "new é")
    [fd] = await ring.start(opening(old, FLAGS, 0o600))
    assert path_of(fd) == old
    assert not os.get_inheritable(fd)
    pieces = [b"one, ", memoryview(bytearray(b"..two..."))[2:5], b", three"]
    done = await ring.start(
        writing(fd, pieces, 0), letting_go(fd, 0, 15), syncing(fd, data_only=True), renaming(old, new), closing(fd)
    )
    assert done == [15, 0, 0, 0, 0]
    assert os.listdir(tmp_path) == ["new é"]
    assert Path(new).read_bytes() == b"one, two, three"
    assert Path(new).stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    directory = os.open(tmp_path, os.O_RDONLY)
    assert await ring.start(syncing(directory, data_only=False)) == [0]
    os.close(directory)


async def test_nothing_begins_behind_a_write_that_failed(ring: Ring, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    [fd] = await ring.start(opening(path, os.O_RDONLY | os.O_CREAT, 0o600))
    done = await ring.start(writing(fd, [b"data"], 0), syncing(fd, data_only=True), renaming(path, path + "2"))
    assert done == [-errno.EBADF, -errno.ECANCELED, -errno.ECANCELED]
    assert os.listdir(tmp_path) == ["file"]
    assert await ring.start(closing(fd)) == [0]


async def test_results_are_those_of_the_calls(ring: Ring, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    [fd] = await ring.start(opening(path, FLAGS, 0o600))
    assert await ring.start(renaming(path, str(tmp_path / "missing" / "file"))) == [-errno.ENOENT]
    assert await ring.start(opening(path, FLAGS, 0o600)) == [-errno.EEXIST]
    assert await ring.start(closing(fd)) == [0]
    assert await ring.start(closing(fd)) == [-errno.EBADF]


async def test_more_at_once_than_there_is_room_for(ring: Ring, tmp_path: Path) -> None:
    async def write(number: int) -> int:
        path = str(tmp_path / f"{number}")
        [fd] = await ring.start(opening(path, FLAGS, 0o600))
        written, *_, closed = await ring.start(
            writing(fd, [b"%d" % number], 0), syncing(fd, data_only=True), renaming(path, path + "-"), closing(fd)
        )
        assert closed == 0
        return written

    count = 2 * ENTRIES
    assert await asyncio.gather(*map(write, range(count))) == [len(str(number)) for number in range(count)]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {f"{n}-": b"%d" % n for n in range(count)}


async def test_to_cancel_the_waiting_is_to_cancel_nothing_else(ring: Ring, tmp_path: Path) -> None:
    path = str(tmp_path / "file")
    [fd] = await ring.start(opening(path, FLAGS, 0o600))
    buffer = bytearray(1 << 20)
    waiting = ring.start(writing(fd, [memoryview(buffer)], 0), closing(fd))
    waiting.cancel()
    with pytest.raises(BufferError):  # the kernel has its address
        buffer.clear()
    await ring.close()
    assert Path(path).stat().st_size == 1 << 20
    buffer.clear()
    await ring.close()


async def test_the_kernel_is_asked_again_when_it_had_no_memory(
    ring: Ring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, refusals = ring._call, [errno.EAGAIN, errno.EBUSY]

    def refusing(*arguments: int) -> int:
        if not refusals:
            return call(*arguments)
        ctypes.set_errno(refusals.pop())
        return -1

    monkeypatch.setattr(ring, "_call", refusing)
    [fd] = await ring.start(opening(str(tmp_path / "file"), FLAGS, 0o600))
    os.close(fd)
    assert not refusals


async def test_a_ring_that_fails_leaves_the_rest_to_threads(
    tmp_path: Path, ring: Ring, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = FileBlobStore(tmp_path, "worker-0")
    used = store._usable_ring()
    assert used is not None

    def refusing(*_arguments: int) -> int:
        ctypes.set_errno(errno.EBADF)
        return -1

    monkeypatch.setattr(used, "_call", refusing)
    blob_id = blob_id_at(now_ms())
    with pytest.raises(StorageUnavailable, match="io_uring_enter: Bad file descriptor"):
        await store_blob(store, blob_id, b"data")
    with pytest.raises(OSError, match="io_uring_enter"):
        used.start(closing(0))
    assert "by threads from now on" in caplog.text
    await store_blob(store, blob_id, b"data")
    assert await load_blob(store, blob_id) == b"data"
    await store.close()


def refused(code: int) -> Any:
    def call(*_arguments: int) -> int:
        ctypes.set_errno(code)
        return -1

    return lambda: call


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOSYS, errno.ENOMEM, errno.EMFILE])
async def test_where_the_kernel_gives_no_ring_threads_do_it_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(io_uring, "_system_call", refused(code))
    store = FileBlobStore(tmp_path, "worker-0")
    for _ in range(2):
        blob_id = blob_id_at(now_ms())
        await store_blob(store, blob_id, b"data")
        assert await load_blob(store, blob_id) == b"data"
    await store.close()
    assert caplog.text.count("since there is no io_uring") == 1


async def test_no_descriptor_is_left_of_a_ring_that_could_not_be_made(
    ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(io_uring, "_WRITEV", 250)  # an operation that no kernel has
    with pytest.raises(OSError, match="does not know operation 250"):
        Ring()
    assert len(os.listdir("/proc/self/fd")) == before

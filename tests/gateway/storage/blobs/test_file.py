"""Blobs as files: the contract, the order of durable steps, crashes, full disks, cancellation, what is left behind."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.storage.blobs import directory_sync, file, file_reader, file_writer, places, ring_writer
from gateway.storage.blobs.directory_sync import DirectorySync, sync_in_thread
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.interface import BlobWriter
from gateway.storage.blobs.io_uring import Operation, Ring, letting_go, why_not, writing
from gateway.storage.blobs.layout import purge_all_temporary, purge_temporary
from gateway.storage.blobs.ring_writer import GATHERED_BYTES
from gateway.storage.errors import BlobMissing, StorageUnavailable
from tests.conformance.blobs import BlobSuite, blob_id_at, load_blob, now_ms, scanned, store_blob
from tests.gateway.storage.blobs.failing import failing
from tests.gateway.storage.blobs.steps import Steps


@pytest.fixture
def nothing_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file has to be opened and read in a thread."""
    monkeypatch.setattr(file, "open_cached", lambda _path: None)
    monkeypatch.setattr(file_reader, "read_cached", lambda _fd, _offset, _length: None)


class TestFileBlobStore(BlobSuite):
    @pytest.fixture(params=["as it comes", "by threads alone"])
    async def store(self, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[FileBlobStore]:
        by_threads = request.param == "by threads alone"
        if by_threads:
            request.getfixturevalue("nothing_cached")
        store = FileBlobStore(tmp_path / "data", "worker-0", fsync=False, io_uring=not by_threads)
        yield store
        await store.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(params=["io_uring", "threads"])
def io_uring(request: pytest.FixtureRequest) -> bool:
    if request.param == "io_uring" and asyncio.run(why_not()) is not None:
        pytest.skip("the kernel does not let us use io_uring")
    return bool(request.param == "io_uring")


@pytest.fixture
async def store(root: Path, io_uring: bool) -> AsyncIterator[FileBlobStore]:
    store = FileBlobStore(root, "worker-0", io_uring=io_uring)
    yield store
    await store.close()


def files(root: Path) -> list[Path]:
    return sorted(path.relative_to(root) for path in root.rglob("*") if path.is_file())


def open_files(root: Path) -> int:
    """Descriptors of files and directories below it."""
    targets = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # that of the listing itself
            targets.append(os.readlink(f"/proc/self/fd/{name}"))
    return sum(target.startswith(f"{root}/") for target in targets)


MUCH = bytes(2 * GATHERED_BYTES)
"""More than is kept before it is written."""


# Layout


async def test_blob_lies_under_its_time(store: FileBlobStore, root: Path) -> None:
    blob_id = bytes.fromhex("0199f00dcafe") + b"\x11" * 10
    await store_blob(store, blob_id, b"data")
    assert files(root) == [Path("blobs/0199/f00d/0199f00dcafe11111111111111111111")]


async def test_files_and_directories_are_for_their_owner_only(root: Path, io_uring: bool) -> None:
    before = os.umask(0)
    try:
        store = FileBlobStore(root, "worker-0", io_uring=io_uring)
        await store_blob(store, blob_id_at(now_ms()), b"data")
        writer = await store.create(blob_id_at(now_ms()))
        await writer.write(MUCH)
    finally:
        os.umask(before)
    modes = {path.is_dir(): stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}
    assert modes == {True: 0o700, False: 0o600}
    await writer.abort()
    await store.close()


@pytest.mark.parametrize("instance", ["", "..", "a/b", "/etc", ".hidden", "a" * 65, "a\n"])
def test_instance_is_a_plain_word(root: Path, instance: str) -> None:
    with pytest.raises(ValueError, match="instance"):
        FileBlobStore(root, instance)
    with pytest.raises(ValueError, match="instance"):
        purge_temporary(root, instance)


async def test_directory_goes_with_its_last_blob(store: FileBlobStore, root: Path) -> None:
    day_ms = 24 * 3600 * 1000
    old, same, young = blob_id_at(now_ms() - day_ms), blob_id_at(now_ms() - day_ms), blob_id_at(now_ms())
    same = old[:6] + same[6:]
    for blob_id in (old, same, young):
        await store_blob(store, blob_id, b"data")
    leaf = root / "blobs" / old.hex()[:4] / old.hex()[4:8]
    await store.delete(old)
    assert leaf.is_dir()
    await store.delete(same)
    assert not leaf.exists()
    await store.delete(young)
    assert (root / "blobs" / young.hex()[:4] / young.hex()[4:8]).is_dir(), "others may be writing there"
    await store_blob(store, old, b"again")
    assert await load_blob(store, old) == b"again"


async def test_scan_passes_over_what_is_not_ours(store: FileBlobStore, root: Path) -> None:
    blob_id = blob_id_at(10**12)
    await store_blob(store, blob_id, b"data")
    (root / "blobs" / "lost+found").mkdir()
    (root / "blobs" / blob_id.hex()[:4] / "notes.txt").write_text("")
    (root / "blobs" / blob_id.hex()[:4] / blob_id.hex()[4:8] / (blob_id.hex() + ".part")).write_text("")
    assert await scanned(store) == [blob_id]


# Durability


async def test_steps_of_a_commit_are_in_durable_order(
    store: FileBlobStore, monkeypatch: pytest.MonkeyPatch, io_uring: bool
) -> None:
    steps = Steps(monkeypatch)
    blob_id = blob_id_at(now_ms())
    upper, leaf = blob_id.hex()[:4], blob_id.hex()[4:8]
    await store_blob(store, blob_id, b"data")
    written, made = ["write", "fdatasync"], ["mkdir", "mkdir", "fsync blobs", f"fsync {upper}"]
    both = made + written if io_uring else written + made
    assert steps.seen == [*both, "rename", f"fsync {leaf}"]
    steps.seen.clear()
    await store_blob(store, blob_id[:6] + os.urandom(10), b"data")
    assert steps.seen == ["write", "fdatasync", "rename", f"fsync {leaf}"]


async def test_directory_of_another_process_counts_only_when_synced_here(
    store: FileBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_id = blob_id_at(now_ms())
    await store_blob(store, blob_id, b"data")
    other = FileBlobStore(root, "worker-1")
    steps = Steps(monkeypatch)
    await store_blob(other, blob_id[:6] + os.urandom(10), b"data")
    await other.close()
    assert steps.seen.index(f"fsync {blob_id.hex()[:4]}") < steps.seen.index("rename")


async def test_concurrent_writers_share_directory_syncs(store: FileBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = blob_id_at(now_ms())
    await store_blob(store, first, b"data")
    go_on = threading.Event()
    steps = Steps(monkeypatch)
    label = f"fsync {first.hex()[4:8]}"
    steps.before[label] = lambda: None if go_on.wait(60) else pytest.fail("stuck")
    writes = [asyncio.create_task(store_blob(store, first[:6] + os.urandom(10), b"data")) for _ in range(24)]
    while steps.seen.count("rename") < 24:
        await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(*writes)
    assert 1 <= steps.seen.count(label) <= 4


async def test_sync_that_began_before_does_not_count(root: Path) -> None:
    """The one that is under way may have passed the name that was renamed since."""
    store = FileBlobStore(root, "worker-0")
    begun, go_on = threading.Event(), threading.Event()
    synced: list[int] = []

    def slow(directories: Any) -> list[OSError | None]:
        begun.set()
        assert go_on.wait(60)
        synced.append(len(directories))
        return [None] * len(directories)

    original, directory_sync._sync_each = directory_sync._sync_each, slow
    try:
        sync = DirectorySync(partial(sync_in_thread, store._writing))
        one = asyncio.create_task(sync.sync(root))
        await asyncio.to_thread(begun.wait)
        two, three = asyncio.create_task(sync.sync(root)), asyncio.create_task(sync.sync(root / "blobs"))
        await asyncio.sleep(0)
        two.cancel()
        go_on.set()
        await asyncio.gather(one, three)
        assert synced == [1, 2]
        with pytest.raises(asyncio.CancelledError):
            await two
    finally:
        directory_sync._sync_each = original
        await store.close()


async def test_a_sync_that_cannot_even_begin_fails_all_who_wait_and_the_next_one_works(root: Path) -> None:
    class Exhausted(ThreadPoolExecutor):
        is_exhausted = True

        def submit(self, *arguments: Any, **options: Any) -> Any:
            if self.is_exhausted:
                raise RuntimeError("can't start new thread")
            return super().submit(*arguments, **options)

    root.mkdir()
    with Exhausted(1) as executor:
        sync = DirectorySync(partial(sync_in_thread, executor))
        async with asyncio.timeout(60):
            failed = await asyncio.gather(sync.sync(root), sync.sync(root), return_exceptions=True)
            assert [type(each) for each in failed] == [RuntimeError, RuntimeError]
            executor.is_exhausted = False
            await sync.sync(root)


async def test_long_upload_is_written_back_on_the_way(store: FileBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges: list[tuple[int, int]] = []
    for module in (file_writer, ring_writer):
        monkeypatch.setattr(module, "WRITE_BACK_BYTES", 1 << 20)
    monkeypatch.setattr(os, "posix_fadvise", lambda fd, offset, length, advice: ranges.append((offset, length)))

    def noted(fd: int, offset: int, length: int) -> Operation:
        ranges.append((offset, length))
        return letting_go(fd, offset, length)

    monkeypatch.setattr(ring_writer, "letting_go", noted)
    blob_id = blob_id_at(now_ms())
    await store_blob(store, blob_id, b"small")
    assert ranges == []
    data = os.urandom(700_000)
    writer = await store.create(blob_id[:6] + os.urandom(10))
    for _ in range(5):
        await writer.write(data)
    assert await writer.commit() == 3_500_000
    assert ranges == [(0, 1_400_000), (1_400_000, 1_400_000)]


# Failures


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("step", ["write", "fdatasync", "mkdir", "rename", "fsync leaf"])
async def test_failing_disk_leaves_no_trace(
    store: FileBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int
) -> None:
    blob_id = blob_id_at(now_ms())
    steps = Steps(monkeypatch)
    steps.before[step.replace("leaf", blob_id.hex()[4:8])] = failing(code)
    descriptors = open_files(root)
    with pytest.raises(StorageUnavailable):
        await store_blob(store, blob_id, b"data")
    steps.before.clear()
    assert files(root) == []
    assert open_files(root) == descriptors
    await store_blob(store, blob_id_at(now_ms()), b"works again")


async def test_short_writes_are_continued(store: FileBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    write, start = os.write, Ring.start
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:1000]))

    async def cut_short(ring: Ring, fd: int, pieces: list[Any], others: int) -> list[int]:
        whole = sum(map(len, pieces))
        left = writing(fd, [bytes(pieces[0][:1000])], os.fstat(fd).st_size)
        [written] = await start(ring, left)
        assert written < whole
        return [written] + [-errno.ECANCELED] * others

    asked: list[tuple[int, list[Any]]] = []

    def noted(fd: int, pieces: list[Any], offset: int) -> Operation:
        asked.append((fd, pieces))
        return writing(fd, pieces, offset)

    def started(ring: Ring, *operations: Operation) -> Any:
        if asked:
            fd, pieces = asked.pop()
            if sum(map(len, pieces)) > 1000:
                return asyncio.ensure_future(cut_short(ring, fd, pieces, len(operations) - 1))
        return start(ring, *operations)

    monkeypatch.setattr(ring_writer, "writing", noted)
    monkeypatch.setattr(Ring, "start", started)
    for size in (10_500, len(MUCH) + 10_500):
        blob_id, data = blob_id_at(now_ms()), os.urandom(size)
        writer = await store.create(blob_id)
        for piece in (data[:700], data[700:-300], data[-300:]):
            await writer.write(piece)
        assert await writer.commit() == size
        assert await load_blob(store, blob_id) == data


LIMITED = """
import asyncio, resource, sys
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.errors import StorageUnavailable

root, blob_id, io_uring, pieces = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3] == "True", int(sys.argv[4])

async def main():
    store = FileBlobStore(root, "limited", io_uring=io_uring)
    writer = await store.create(blob_id)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        for _ in range(pieces):
            await writer.write(bytes(120_000))
        await writer.commit()
    except StorageUnavailable as error:
        print(error)
    await store.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("pieces", [1, 4])
async def test_a_file_that_the_kernel_lets_grow_no_further(root: Path, io_uring: bool, pieces: int) -> None:
    """Linux writes what there is room for, and says at the next attempt that there is none."""
    blob_id = blob_id_at(now_ms())
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(root), blob_id.hex(), str(io_uring), str(pieces)],
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "File too large" in done.stdout
    assert files(root) == []


@pytest.mark.usefixtures("nothing_cached")
async def test_failing_read_is_unavailable(store: FileBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blob_id = blob_id_at(now_ms())
    await store_blob(store, blob_id, os.urandom(200_000))
    reader = await store.open(blob_id)
    monkeypatch.setattr(os, "pread", failing(errno.EIO))
    with pytest.raises(StorageUnavailable):
        await reader.read(100_000, 10)
    descriptors = open_files(root)
    await reader.close()
    with pytest.raises(StorageUnavailable):
        await store.open(blob_id)
    assert open_files(root) == descriptors - 1


async def test_store_that_cannot_be_made_or_written(
    tmp_path: Path, store: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable):
        FileBlobStore(tmp_path / "file" / "data", "worker-0")
    purge_all_temporary(tmp_path / "data")
    with pytest.raises(StorageUnavailable):
        await store.ping()


# Cancellation


async def test_cancelled_writer_leaves_no_trace(
    store: FileBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled at each step in turn, with the thread still busy there; then aborted, as a handler's finally does."""
    descriptors = open_files(root)
    for step in ("write", "fdatasync", "rename", "fsync leaf"):
        blob_id = blob_id_at(now_ms())
        begun, go_on = threading.Event(), threading.Event()

        def wait(begun: threading.Event = begun, go_on: threading.Event = go_on) -> None:
            begun.set()
            assert go_on.wait(60)

        with monkeypatch.context() as patch:
            steps = Steps(patch)
            steps.before[step.replace("leaf", blob_id.hex()[4:8])] = wait
            writer = await store.create(blob_id)

            async def upload(writer: BlobWriter = writer) -> None:
                try:
                    await writer.write(MUCH)
                    await writer.commit()
                finally:
                    await writer.abort()

            task = asyncio.create_task(upload())
            await asyncio.to_thread(begun.wait)
            task.cancel()
            await asyncio.sleep(0)
            go_on.set()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert files(root) == []
    await store.close()  # with it the threads that still had a directory open
    assert open_files(root) == descriptors


@pytest.mark.usefixtures("nothing_cached")
async def test_reader_closed_during_a_cancelled_read_closes_later(
    store: FileBlobStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_id = blob_id_at(now_ms())
    await store_blob(store, blob_id, os.urandom(200_000))
    descriptors = open_files(root)
    reader = await store.open(blob_id)
    begun, go_on, pread = threading.Event(), threading.Event(), os.pread

    def slow(fd: int, length: int, offset: int) -> bytes:
        begun.set()
        assert go_on.wait(60)
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", slow)
    read = asyncio.create_task(reader.read(100_000, 10))
    await asyncio.to_thread(begun.wait)
    read.cancel()
    with pytest.raises(asyncio.CancelledError):
        await read
    await reader.close()
    assert open_files(root) == descriptors + 1, "a number in use by a thread must not be given to another file"
    go_on.set()
    await store.close()
    assert open_files(root) == descriptors


# Crashes and neighbours

CRASHING = """
import asyncio, os, signal, sys
from gateway.storage.blobs.file import FileBlobStore

root, blob_id, step, skip = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3], int(sys.argv[4])
original = getattr(os, step)
calls = 0

def dying(*arguments, **keywords):
    global calls
    calls += 1
    if calls > skip:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **keywords)

async def main():
    store = FileBlobStore(root, "doomed", io_uring=False)  # what io_uring does is for tests/crash to interrupt
    setattr(os, step, dying)
    writer = await store.create(blob_id)
    await writer.write(b"first half, ")
    await writer.write(b"second half")
    await writer.commit()
    print("committed", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("step", "skip", "is_visible"),
    [
        ("write", 1, False),
        ("fdatasync", 0, False),
        ("mkdir", 1, False),
        ("rename", 0, False),
        ("fsync", 2, True),  # two for new directories, before the rename; the third follows it
        ("getppid", 0, True),
    ],
)
async def test_crash_leaves_a_whole_blob_or_none(
    store: FileBlobStore, root: Path, step: str, skip: int, is_visible: bool
) -> None:
    blob_id = blob_id_at(now_ms())
    died = subprocess.run(
        [sys.executable, "-c", CRASHING, str(root), blob_id.hex(), step, str(skip)],
        cwd=Path(__file__).parents[4],
        stdout=subprocess.PIPE,
        check=False,
    )
    assert died.returncode == -9
    assert died.stdout == (b"committed\n" if step == "getppid" else b"")
    if is_visible:
        assert await load_blob(store, blob_id) == b"first half, second half"
    else:
        with pytest.raises(BlobMissing):
            await store.open(blob_id)
        assert await scanned(store) == []
    purge_temporary(root, "doomed")
    assert len(files(root)) == is_visible
    await store_blob(store, blob_id_at(now_ms()), b"the others go on")


async def test_two_stores_share_a_directory(root: Path) -> None:
    stores = [FileBlobStore(root, f"worker-{i}", io_uring=bool(i)) for i in range(2)]
    now = now_ms()
    blobs = {blob_id_at(now): (stores[i % 2], os.urandom(100)) for i in range(40)}
    await asyncio.gather(*(store_blob(store, blob_id, data) for blob_id, (store, data) in blobs.items()))
    for blob_id, (_, data) in blobs.items():
        for store in stores:
            assert await load_blob(store, blob_id) == data
    for store in stores:
        await store.close()


async def test_directory_removed_under_the_writer_is_made_anew(
    store: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob_id = blob_id_at(now_ms() - 24 * 3600 * 1000)
    directory = store._layout.directory(blob_id)
    steps = Steps(monkeypatch)

    def remove_once() -> None:
        steps.before.clear()
        directory.rmdir()
        directory.parent.rmdir()

    steps.before["rename"] = remove_once
    await store_blob(store, blob_id, b"data")
    assert await load_blob(store, blob_id) == b"data"


async def test_old_directories_are_never_taken_for_durable_unseen(
    store: FileBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have removed and made them since."""
    blob_id = blob_id_at(now_ms() - places._REMEMBERED_MS)
    await store_blob(store, blob_id, b"data")
    steps = Steps(monkeypatch)
    await store_blob(store, blob_id[:6] + os.urandom(10), b"data")
    assert f"fsync {blob_id.hex()[:4]}" in steps.seen


async def test_purge_spares_other_instances(root: Path) -> None:
    stores = [FileBlobStore(root, name) for name in ("worker-0", "worker-1")]
    for store in stores:
        writer = await store.create(blob_id_at(now_ms()))
        await writer.write(MUCH)
        await store.close()
        os.close(writer._fd)
    assert [path.parts[:2] for path in files(root)] == [("tmp", "worker-0"), ("tmp", "worker-1")]
    purge_temporary(root, "worker-0")
    purge_temporary(root, "worker-0")
    assert [path.parts[:2] for path in files(root)] == [("tmp", "worker-1")]
    purge_all_temporary(root)
    purge_all_temporary(root)
    assert files(root) == []

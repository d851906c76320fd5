"""The sweeper: what it removes, what it spares, who does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing, StorageUnavailable
from gateway.storage.index.interface import Index
from gateway.storage.index.records import Deletion
from gateway.storage.index.sqlite import open_sqlite_index
from gateway.storage.sweep import Sweeper, SweepReport
from tests.conformance.blobs import load_blob, store_blob
from tests.conformance.index import NOW_US, Clock, bucket_row, new_id, object_row, put
from tests.fakes import MemoryBlobStore, MemoryIndex

HOUR_US = 3600 * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def index(clock: Clock) -> MemoryIndex:
    return MemoryIndex(clock)


@pytest.fixture
def blobs(clock: Clock) -> MemoryBlobStore:
    return MemoryBlobStore(lambda: clock.now_us // 1000)


@pytest.fixture
def sweeper(index: Index, blobs: BlobStore, clock: Clock) -> Sweeper:
    return Sweeper(index, blobs, "worker-0", clock_us=clock, batch=3)


@pytest.fixture
async def bucket_id(index: Index) -> bytes:
    row = bucket_row()
    await index.create_bucket(row)
    return row.bucket_id


async def store_object(index: Index, blobs: BlobStore, bucket_id: bytes, key: bytes) -> bytes:
    """An object with a blob; the blob's id."""
    row = object_row(bucket_id, key)
    await store_blob(blobs, row.blob_ids[0], b"data")
    await put(index, row)
    return row.blob_ids[0]


async def test_condemned_blobs_go_after_their_grace(
    sweeper: Sweeper, index: MemoryIndex, blobs: MemoryBlobStore, bucket_id: bytes, clock: Clock
) -> None:
    keys = [b"k%d" % i for i in range(8)]
    ids = [await store_object(index, blobs, bucket_id, key) for key in keys]
    await index.delete_objects(bucket_id, [Deletion(key) for key in keys[1:]])
    assert (await sweeper.sweep()).condemned_blobs == 0
    assert len(blobs.blobs) == 8
    clock.now_us += 15 * 60 * 1_000_000 + 1
    assert (await sweeper.sweep()).condemned_blobs == 7
    assert list(blobs.blobs) == ids[:1]
    assert await index.known_blobs(ids) == set(ids[:1])
    assert (await sweeper.sweep()).condemned_blobs == 0


async def test_condemned_inline_blobs_go_after_their_grace(
    sweeper: Sweeper, index: MemoryIndex, bucket_id: bytes, clock: Clock
) -> None:
    rows = [await put(index, object_row(bucket_id, b"k%d" % i), inline=b"body") for i in range(5)]
    await index.delete_objects(bucket_id, [Deletion(row.key) for row in rows[1:]])
    assert (await sweeper.sweep()).inline_blobs == 0
    clock.now_us += HOUR_US
    assert (await sweeper.sweep()).inline_blobs == 4
    assert await index.read_inline(rows[0].blob_ids[0]) == b"body"
    with pytest.raises(BlobMissing):
        await index.read_inline(rows[1].blob_ids[0])


async def test_orphans_go_after_a_day(
    sweeper: Sweeper, index: MemoryIndex, blobs: MemoryBlobStore, bucket_id: bytes, clock: Clock
) -> None:
    live = [await store_object(index, blobs, bucket_id, b"k%d" % i) for i in range(4)]
    orphans = [new_id() for _ in range(7)]
    for blob_id in orphans:
        await store_blob(blobs, blob_id, b"orphan")
    clock.now_us += 24 * HOUR_US
    assert (await sweeper.sweep()).orphans == 0
    clock.now_us += 24 * HOUR_US + 1000
    assert (await sweeper.sweep()).orphans == 7
    assert sorted(blobs.blobs) == sorted(live)


async def test_upload_of_two_days_is_no_orphan_at_its_commit(
    sweeper: Sweeper, blobs: MemoryBlobStore, clock: Clock
) -> None:
    blob_id = new_id(clock.now_us)
    clock.now_us += 48 * HOUR_US
    await store_blob(blobs, blob_id, b"its row is written next")
    assert (await sweeper.sweep()).orphans == 0
    assert blob_id in blobs.blobs


async def test_condemned_blobs_are_no_orphans(
    sweeper: Sweeper, index: MemoryIndex, blobs: MemoryBlobStore, bucket_id: bytes, clock: Clock
) -> None:
    await store_object(index, blobs, bucket_id, b"key")
    clock.now_us += 48 * HOUR_US
    await index.delete_object(bucket_id, Deletion(b"key"))
    report = await sweeper.sweep()
    assert (report.orphans, report.condemned_blobs, len(blobs.blobs)) == (0, 0, 1)


async def test_store_is_walked_once_a_day(sweeper: Sweeper, clock: Clock) -> None:
    assert (await sweeper.sweep()).jobs == ["sweep-condemned", "sweep-orphans"]
    clock.now_us += 24 * HOUR_US - 1
    assert (await sweeper.sweep()).jobs == ["sweep-condemned"]
    clock.now_us += 1
    assert (await sweeper.sweep()).jobs == ["sweep-condemned", "sweep-orphans"]


async def test_only_the_owner_of_the_lease_sweeps(
    sweeper: Sweeper, index: MemoryIndex, blobs: MemoryBlobStore, clock: Clock
) -> None:
    for job in ("sweep-condemned", "sweep-orphans"):
        assert await index.take_job(job, "dead worker", now_us=clock.now_us, until_us=clock.now_us + HOUR_US)
    assert await sweeper.sweep() == SweepReport()
    clock.now_us += HOUR_US
    assert len((await sweeper.sweep()).jobs) == 2


async def test_sweep_that_fails_goes_on_next_time(
    sweeper: Sweeper,
    index: MemoryIndex,
    blobs: MemoryBlobStore,
    bucket_id: bytes,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = [await store_object(index, blobs, bucket_id, b"k%d" % i) for i in range(5)]
    await index.delete_objects(bucket_id, [Deletion(b"k%d" % i) for i in range(5)])
    clock.now_us += HOUR_US
    delete = blobs.delete

    async def failing(blob_id: bytes) -> None:
        if blob_id == victim:
            raise StorageUnavailable("disk")
        await delete(blob_id)

    victim = (await index.condemned_blobs(before_us=clock.now_us, limit=10))[4]
    with monkeypatch.context() as patch:
        patch.setattr(blobs, "delete", failing)
        with pytest.raises(StorageUnavailable):
            await sweeper.sweep()
    assert list(blobs.blobs) == [victim]
    assert victim in await index.known_blobs(ids)
    assert (await sweeper.sweep()).condemned_blobs == 2
    assert blobs.blobs == {}
    assert await index.known_blobs(ids) == frozenset()


class TestRealStores:
    """The same on SQLite and files, whole."""

    @pytest.fixture
    async def index(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Index]:
        index = await open_sqlite_index(tmp_path / "index.sqlite", durable=False, clock_us=clock)
        yield index
        await index.close()

    @pytest.fixture
    async def blobs(self, tmp_path: Path) -> AsyncIterator[BlobStore]:
        store = FileBlobStore(tmp_path, "worker-0", fsync=False)
        yield store
        await store.close()

    async def test_a_pass_removes_garbage_and_nothing_else(
        self, sweeper: Sweeper, index: Index, blobs: BlobStore, bucket_id: bytes, clock: Clock
    ) -> None:
        ids = [await store_object(index, blobs, bucket_id, b"k%d" % i) for i in range(6)]
        inline = await put(index, object_row(bucket_id, b"inline"), inline=b"body")
        await index.delete_objects(bucket_id, [Deletion(key) for key in (b"k0", b"k1", b"k2", b"k3", b"inline")])
        orphan = new_id(NOW_US - HOUR_US)
        await store_blob(blobs, orphan, b"orphan")
        clock.now_us += 10**6 * 10**9  # far later than the files' own times
        report = await sweeper.sweep()
        assert (report.condemned_blobs, report.inline_blobs, report.orphans) == (4, 1, 1)
        for blob_id in ids[4:]:
            assert await load_blob(blobs, blob_id) == b"data"
        for blob_id in (*ids[:4], orphan):
            with pytest.raises(BlobMissing):
                await blobs.open(blob_id)
        assert await index.known_blobs([*ids, orphan, *inline.blob_ids]) == set(ids[4:])

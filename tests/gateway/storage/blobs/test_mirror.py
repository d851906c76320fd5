"""Blobs in two stores: the contract over pairs of stores, and what happens when one of the two fails."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.storage.blobs import mirror as mirroring
from gateway.storage.blobs.copies import copies_of, copy_blob
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.blobs.interface import BlobReader, Buffer
from gateway.storage.blobs.mirror import MirrorBlobStore
from gateway.storage.blobs.naming import directory_of, locations_of
from gateway.storage.blobs.s3 import backend
from gateway.storage.blobs.s3.backend import Timing
from gateway.storage.blobs.s3.store import S3BlobStore
from gateway.storage.errors import BlobMissing, StorageUnavailable
from tests.conformance.blobs import BlobSuite, blob_id_at, load_blob, now_ms, scanned, store_blob
from tests.fakes import MemoryBlobStore
from tests.faulty_proxy import Fault, FaultyProxy
from tests.gateway.storage.blobs.test_s3 import CREDENTIALS, bucket, location, moto, names

__all__ = ["bucket", "moto"]  # fixtures


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "PAUSE_SECONDS", 0.001)


def patient_store(endpoint: str, bucket: str, directory: Path) -> S3BlobStore:
    """That leaves a busy machine time: what is shown here waits for nothing but the mirror's own patience."""
    timing = Timing(connect_seconds=10, idle_seconds=20, attempt_seconds=30)
    return S3BlobStore(location(endpoint, bucket), directory, "worker-0", credentials=CREDENTIALS, timing=timing)


class TestMirrorOfFiles(BlobSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[MirrorBlobStore]:
        store = MirrorBlobStore(*(FileBlobStore(tmp_path / name, "test", fsync=False) for name in ("a", "b")))
        yield store
        await store.close()


class TestMirrorOfFilesAndS3(BlobSuite):
    @pytest.fixture
    async def store(self, tmp_path: Path, moto: str, bucket: str) -> AsyncIterator[MirrorBlobStore]:
        files = FileBlobStore(tmp_path / "a", "test", fsync=False)
        store = MirrorBlobStore(files, patient_store(moto, bucket, tmp_path / "b"))
        yield store
        await store.close()


class Failing(MemoryBlobStore):
    """A store in memory that is away when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away = False
        self.opened = 0

    async def open(self, blob_id: bytes, *, start: int = 0, end: int = 0) -> BlobReader:  # type: ignore[override]
        self.opened += 1
        self._require()
        return _FailingReader(self, await super().open(blob_id, start=start, end=end))

    async def delete(self, blob_id: bytes) -> None:
        self._require()
        await super().delete(blob_id)

    async def ping(self) -> None:
        self._require()

    def commit(self, blob_id: bytes, data: bytes) -> None:
        self._require()
        super().commit(blob_id, data)

    def _require(self) -> None:
        if self.is_away:
            raise StorageUnavailable("away")


@dataclass
class _FailingReader:
    store: Failing
    reader: BlobReader

    @property
    def waits(self) -> bool:
        return self.reader.waits

    def stored_bytes(self) -> int:
        return self.reader.stored_bytes()

    async def read(self, offset: int, length: int) -> Buffer:
        self.store._require()
        return await self.reader.read(offset, length)

    async def distrust(self) -> bool:
        return False

    async def close(self) -> None:
        await self.reader.close()


@dataclass
class Pair:
    first: Failing
    second: Failing
    mirror: MirrorBlobStore
    told: list[str]

    @property
    def both(self) -> tuple[Failing, Failing]:
        return self.first, self.second


@pytest.fixture
def pair() -> Pair:
    first, second, told = Failing(), Failing(), []  # type: ignore[var-annotated]
    return Pair(first, second, MirrorBlobStore(first, second, told.append), told)


async def test_what_is_acknowledged_is_in_both(pair: Pair) -> None:
    blob_id, data = blob_id_at(now_ms()), os.urandom(1000)
    await store_blob(pair.mirror, blob_id, data)
    assert [store.blobs for store in pair.both] == [{blob_id: data}] * 2
    assert list(copies_of(pair.mirror)) == list(pair.both)
    await pair.mirror.delete(blob_id)
    assert [store.blobs for store in pair.both] == [{}, {}]


@pytest.mark.parametrize("away", [0, 1])
async def test_a_write_that_one_store_refuses_fails_and_leaves_nothing_in_the_other(pair: Pair, away: int) -> None:
    blob_id = blob_id_at(now_ms())
    writer = await pair.mirror.create(blob_id)
    await writer.write(b"data")
    pair.both[away].is_away = True
    with pytest.raises(StorageUnavailable):
        await writer.commit()
    await writer.abort()
    assert [store.blobs for store in pair.both] == [{}, {}]
    with pytest.raises(StorageUnavailable):
        await pair.mirror.ping()


@pytest.mark.parametrize("away", [0, 1])
async def test_reads_go_on_when_one_store_is_away(pair: Pair, away: int) -> None:
    blob_id, data = blob_id_at(now_ms()), os.urandom(1000)
    await store_blob(pair.mirror, blob_id, data)
    reader = await pair.mirror.open(blob_id)
    assert await reader.read(0, 10) == data[:10]
    pair.both[away].is_away = True
    assert await reader.read(10, 10) == data[10:20]
    assert reader.stored_bytes() == 1000
    await reader.close()
    opened = pair.both[away].opened
    for _ in range(3):
        assert await load_blob(pair.mirror, blob_id) == data
    assert pair.both[away].opened == opened  # it is not asked first for a while
    with pytest.raises(StorageUnavailable):
        await pair.mirror.delete(blob_id)
    assert pair.both[1 - away].blobs == {}  # the row stays, so that the sweep comes back for the other
    pair.both[1 - away].is_away = True
    with pytest.raises(StorageUnavailable):
        await pair.mirror.open(blob_id)
    assert pair.told == []


async def test_a_copy_that_is_missing_is_told_and_read_from_the_other(pair: Pair) -> None:
    blob_id, data = blob_id_at(now_ms()), os.urandom(1000)
    await store_blob(pair.mirror, blob_id, data)
    del pair.first.blobs[blob_id]
    assert await load_blob(pair.mirror, blob_id) == data
    assert pair.told == [f"{blob_id.hex()}: copy 1 is missing, read from the other"]
    pair.second.is_away = True
    with pytest.raises(StorageUnavailable):  # it may be there: nobody can say that it is missing
        await pair.mirror.open(blob_id)
    pair.second.is_away = False
    del pair.second.blobs[blob_id]
    with pytest.raises(BlobMissing):
        await pair.mirror.open(blob_id)


async def test_a_reader_goes_to_the_other_copy_once_when_told_not_to_trust_one(pair: Pair) -> None:
    blob_id, data = blob_id_at(now_ms()), os.urandom(1000)
    await store_blob(pair.mirror, blob_id, data)
    pair.first.blobs[blob_id] = bytes(999)
    reader = await pair.mirror.open(blob_id)
    assert (await reader.read(0, 2000), reader.stored_bytes()) == (bytes(999), 999)
    assert await reader.distrust()
    assert (await reader.read(0, 2000), reader.stored_bytes()) == (data, 1000)
    assert not await reader.distrust()
    await reader.close()
    del pair.second.blobs[blob_id]
    reader = await pair.mirror.open(blob_id)
    assert not await reader.distrust()


async def test_what_either_has_is_listed_once_and_in_order(pair: Pair) -> None:
    ids = [blob_id_at(1000 + number) for number in range(6)]
    for number, blob_id in enumerate(ids):
        await store_blob(pair.mirror, blob_id, b"x")
        if number % 3:
            del pair.both[number % 3 - 1].blobs[blob_id]
    assert await scanned(pair.mirror) == ids


@pytest.mark.parametrize("fault", [Fault.STATUS_500, Fault.STATUS_503, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.HANG])
async def test_faults_of_one_store_cost_no_read_and_no_torn_write(
    moto: str, bucket: str, tmp_path: Path, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as no number of attempts gets over."""
    monkeypatch.setattr(mirroring, "PATIENCE_SECONDS", 0.3)
    async with FaultyProxy(moto) as proxy:
        files = FileBlobStore(tmp_path / "a", "test", fsync=False)
        mirror = MirrorBlobStore(patient_store(proxy.url, bucket, tmp_path / "b"), files)
        blob_id, data = blob_id_at(now_ms()), os.urandom(200_000)
        await store_blob(mirror, blob_id, data)
        proxy.fail_next(fault, 1000)
        assert await load_blob(mirror, blob_id) == data
        if fault is Fault.HANG:  # a write waits for both, however long
            await mirror.close()
            return
        refused = blob_id_at(now_ms() + 1)
        writer = await mirror.create(refused)
        with pytest.raises(StorageUnavailable):
            await writer.write(data)
            await writer.commit()
        await writer.abort()
        with pytest.raises(BlobMissing):
            await files.open(refused)
        proxy.faults_left = 0
        assert await scanned(mirror) in ([blob_id], [blob_id, refused])  # an orphan where the answer alone was lost
        await mirror.close()


async def test_a_body_that_breaks_off_goes_on_from_the_other(moto: str, bucket: str, tmp_path: Path) -> None:
    async with FaultyProxy(moto) as proxy:
        files = FileBlobStore(tmp_path / "a", "test", fsync=False)
        mirror = MirrorBlobStore(patient_store(proxy.url, bucket, tmp_path / "b"), files)
        blob_id, data = blob_id_at(now_ms()), os.urandom(3 << 20)
        await store_blob(mirror, blob_id, data)
        proxy.fail_next(Fault.CUT_BODY, 1000)
        reader = await mirror.open(blob_id, start=0, end=len(data))
        pieces = [await reader.read(offset, 1 << 18) for offset in range(0, len(data), 1 << 18)]
        assert b"".join(pieces) == data
        await reader.close()
        proxy.faults_left = 0
        await mirror.close()


async def test_a_copy_is_written_in_the_place_of_a_bad_one(moto: str, bucket: str, tmp_path: Path) -> None:
    """Though a store overwrites nothing."""
    files, s3 = FileBlobStore(tmp_path / "a", "test", fsync=False), patient_store(moto, bucket, tmp_path / "b")
    blob_id, data = blob_id_at(now_ms()), os.urandom((2 << 20) + 5)
    await store_blob(files, blob_id, data)
    await store_blob(s3, blob_id, b"damaged")
    await copy_blob(files, s3, blob_id, len(data))
    assert await load_blob(s3, blob_id) == data
    await copy_blob(s3, files, blob_id, len(data))
    assert await load_blob(files, blob_id) == data
    assert len(names(moto, bucket)) == 1
    with pytest.raises(BlobMissing):
        await copy_blob(files, s3, blob_id, len(data) + 1)
    await files.close()
    await s3.close()


def test_locations() -> None:
    assert locations_of("file") == ("file",)
    assert locations_of("mirror(file, s3://a/b)") == ("file", "s3://a/b")
    assert locations_of("mirror(file:/mnt/b,file)") == ("file:/mnt/b", "file")
    for text in ("mirror(file)", "mirror(file, file)", "mirror(a, b, c)", "mirror(a, mirror(b, c))", "mirror a b"):
        with pytest.raises(ValueError, match="mirror"):
            locations_of(text)
    assert directory_of("file:/mnt/b") == Path("/mnt/b")
    assert directory_of("file") is directory_of("s3://b/p") is None
    for text in ("file:", "file:b", "file:/a/../b"):
        with pytest.raises(ValueError, match="from the root on"):
            directory_of(text)

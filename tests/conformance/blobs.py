"""What every blob store must do. A test class inherits from BlobSuite and offers the fixture `store`."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing

FAR_FUTURE_MS = 2**48 - 1


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def blob_id_at(ms: int) -> bytes:
    return ms.to_bytes(6) + os.urandom(10)


async def store_blob(store: BlobStore, blob_id: bytes, data: bytes) -> None:
    writer = await store.create(blob_id)
    await writer.write(data)
    assert await writer.commit() == len(data)


async def load_blob(store: BlobStore, blob_id: bytes) -> bytes:
    reader = await store.open(blob_id)
    try:
        return await reader.read(0, 1 << 24)
    finally:
        await reader.close()


async def scanned(store: BlobStore, before_ms: int = FAR_FUTURE_MS) -> list[bytes]:
    return [blob_id async for blob_id in store.scan(before_ms=before_ms)]


class BlobSuite:
    holds_open_blobs = True
    """Whether an open blob can be read to its end though it is deleted."""

    @pytest.mark.parametrize("size", [0, 1, 16 << 10, 69_631, 69_632, 69_633, 1 << 20])
    async def test_blob_comes_back_by_ranges(self, store: BlobStore, size: int) -> None:
        blob_id, data = blob_id_at(now_ms()), os.urandom(size)
        await store_blob(store, blob_id, data)
        reader = await store.open(blob_id)
        assert reader.stored_bytes() == size
        for offset in (0, 1, size // 2, 69_000, size - 1, size, size + 1):
            if offset < 0:
                continue
            for length in (0, 1, 700, 1 << 16, size, size + 10):
                assert await reader.read(offset, length) == data[offset : offset + length]
        await reader.close()
        await reader.close()

    async def test_writes_of_any_kind_and_size_are_joined(self, store: BlobStore) -> None:
        pieces = (b"one", bytearray(b"two"), memoryview(b"..three..")[2:7], b"", os.urandom(100_000))
        blob_id = blob_id_at(now_ms())
        writer = await store.create(blob_id)
        for piece in pieces:
            await writer.write(piece)
        whole = b"".join(bytes(piece) for piece in pieces)
        assert await writer.commit() == len(whole)
        await writer.abort()
        assert await load_blob(store, blob_id) == whole

    async def test_thousands_of_tiny_writes(self, store: BlobStore) -> None:
        blob_id, data = blob_id_at(now_ms()), os.urandom(3000)
        writer = await store.create(blob_id)
        for start in range(len(data)):
            await writer.write(data[start : start + 1])
        assert await writer.commit() == len(data)
        assert await load_blob(store, blob_id) == data

    async def test_buffer_may_be_reused_after_write(self, store: BlobStore) -> None:
        blob_id = blob_id_at(now_ms())
        writer = await store.create(blob_id)
        buffer = bytearray(b"a" * 1000)
        await writer.write(buffer)
        buffer[:] = b"b" * 1000
        await writer.write(memoryview(buffer)[:500])
        await writer.commit()
        assert await load_blob(store, blob_id) == b"a" * 1000 + b"b" * 500

    async def test_nothing_is_visible_before_commit(self, store: BlobStore) -> None:
        blob_id = blob_id_at(now_ms())
        writer = await store.create(blob_id)
        await writer.write(b"data")
        with pytest.raises(BlobMissing):
            await store.open(blob_id)
        assert await scanned(store) == []
        await writer.commit()
        assert await load_blob(store, blob_id) == b"data"

    async def test_abort_leaves_no_trace(self, store: BlobStore) -> None:
        for pieces in ([], [b"data"]):
            blob_id = blob_id_at(now_ms())
            writer = await store.create(blob_id)
            for piece in pieces:
                await writer.write(piece)
            await writer.abort()
            await writer.abort()
            with pytest.raises(BlobMissing):
                await store.open(blob_id)
        assert await scanned(store) == []

    async def test_missing_blob(self, store: BlobStore) -> None:
        with pytest.raises(BlobMissing):
            await store.open(blob_id_at(now_ms()))

    async def test_delete_is_idempotent(self, store: BlobStore) -> None:
        blob_id = blob_id_at(now_ms())
        await store_blob(store, blob_id, b"data")
        await store.delete(blob_id)
        await store.delete(blob_id)
        with pytest.raises(BlobMissing):
            await store.open(blob_id)

    async def test_open_blob_stays_readable_when_deleted(self, store: BlobStore) -> None:
        blob_id, data = blob_id_at(now_ms()), os.urandom(200_000)
        await store_blob(store, blob_id, data)
        reader = await store.open(blob_id)
        await store.delete(blob_id)
        try:
            assert await reader.read(100_000, 100_000) == data[100_000:]
        except BlobMissing:
            assert not self.holds_open_blobs
        await reader.close()

    @pytest.mark.parametrize(("start", "end"), [(0, 0), (0, 700_000), (300_000, 700_000), (10_000, 20_000), (9, 2**40)])
    async def test_announced_range_is_only_a_hint(self, store: BlobStore, start: int, end: int) -> None:
        blob_id, data = blob_id_at(now_ms()), os.urandom(700_000)
        await store_blob(store, blob_id, data)
        reader = await store.open(blob_id, start=start, end=end)
        for offset, length in (
            (0, 128),
            (300_000, 1 << 16),
            (365_536, 1 << 16),
            (0, 5),
            (699_000, 5000),
            (500, 1 << 20),
        ):
            assert await reader.read(offset, length) == data[offset : offset + length]
        await reader.close()

    async def test_nothing_unfinished_is_discarded_while_it_is_written(self, store: BlobStore) -> None:
        blob_id, data = blob_id_at(now_ms()), os.urandom(1 << 20)
        writer = await store.create(blob_id)
        for _ in range(20):
            await writer.write(data)
        assert await store.discard_unfinished(before_ms=now_ms() - 60_000) == 0
        assert await writer.commit() == 20 << 20
        reader = await store.open(blob_id, start=19 << 20, end=20 << 20)
        assert await reader.read(19 << 20, 1 << 20) == data
        await reader.close()

    async def test_many_writers_at_once(self, store: BlobStore) -> None:
        blobs = {blob_id_at(now_ms()): os.urandom(5000) for _ in range(50)}
        await asyncio.gather(*(store_blob(store, blob_id, data) for blob_id, data in blobs.items()))
        for blob_id, data in blobs.items():
            assert await load_blob(store, blob_id) == data

    async def test_scan_gives_ids_in_order_up_to_a_time(self, store: BlobStore) -> None:
        # From one millisecond to months apart; all long ago.
        times = [0, 1, 65_535, 65_536, 10**9, 2**32 - 1, 2**32, 10**12, 10**12 + 1]
        blob_ids = [blob_id_at(ms) for ms in times]
        for blob_id in reversed(blob_ids):
            await store_blob(store, blob_id, b"data")
        assert await scanned(store) == blob_ids
        hence_ms = now_ms() + 10_000
        assert await scanned(store, hence_ms) == blob_ids

    async def test_scan_spares_what_was_committed_just_now(self, store: BlobStore) -> None:
        """A long upload commits under an old id: its row is still to come."""
        before_ms = now_ms() - 1000
        await store_blob(store, blob_id_at(before_ms - 10**8), b"data")
        assert await scanned(store, before_ms) == []

    async def test_scan_spares_ids_after_the_time(self, store: BlobStore) -> None:
        later_ms = now_ms() + 10**9
        await store_blob(store, blob_id_at(later_ms), b"data")
        assert await scanned(store, later_ms) == []
        assert len(await scanned(store, later_ms + 1)) == 1

    async def test_ping(self, store: BlobStore) -> None:
        await store.ping()

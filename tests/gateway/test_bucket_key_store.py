"""Rows of bucket keys: what is found is what was kept, and nothing that somebody put there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.bucket_key_store import IndexBucketKeys
from gateway.operations.sealed_rows import SealedRows
from gateway.sealing.bucket_keys import BucketKey
from gateway.sealing.row import RowSealer
from gateway.storage.errors import NoSuchBucket
from gateway.storage.index.records import BucketKeyRow
from tests.conformance.index import bucket_row
from tests.fakes import MemoryIndex
from tests.gateway.sealing.material import key

MADE = BucketKey("arn:aws:kms:us-east-1:123456789012:key/1", 2, b"from the KMS", 1_790_000_000_000_000)
REQUESTER = b"r" * 32


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex(lambda: 0)


@pytest.fixture
def events() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def store(index: MemoryIndex, events: list[tuple[str, str]]) -> IndexBucketKeys:
    return IndexBucketKeys(index, SealedRows(RowSealer({1: key()}, 1)), lambda *event: events.append(event))


async def kept(index: MemoryIndex, store: IndexBucketKeys) -> BucketKeyRow:
    bucket = bucket_row()
    await index.create_bucket(bucket)
    await store.keep(bucket.bucket_id, REQUESTER, MADE, forget_before_us=0)
    row = await index.bucket_key(bucket.bucket_id, REQUESTER)
    assert row is not None
    return row


async def test_what_was_kept_is_found(
    index: MemoryIndex, store: IndexBucketKeys, events: list[tuple[str, str]]
) -> None:
    row = await kept(index, store)
    assert await store.find(row.bucket_id, REQUESTER) == MADE
    assert await store.find(row.bucket_id, b"s" * 32) is None
    assert events == []


@pytest.mark.parametrize(
    "change",
    [
        {"wrapped": b"known to somebody"},
        {"key_arn": "arn:aws:kms:us-east-1:123456789012:key/2"},
        {"key_version": 3},
        {"created_us": MADE.created_us + 1},
        {"requester": b"s" * 32},
        {"requester": b"r" * 16 + b"s" * 16},
        {"sealed": b""},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_row_that_was_changed_or_moved_is_an_event_and_not_used(
    index: MemoryIndex, store: IndexBucketKeys, events: list[tuple[str, str]], change: dict[str, Any]
) -> None:
    row = replace(await kept(index, store), **change)
    await index.put_bucket_key(row, forget_before_us=0)
    assert await store.find(row.bucket_id, row.requester) is None
    [(kind, detail)] = events
    assert kind == "row" and row.bucket_id.hex() in detail
    await store.keep(row.bucket_id, row.requester, MADE, forget_before_us=0)
    assert await store.find(row.bucket_id, row.requester) == MADE


async def test_a_row_of_another_bucket_is_not_used(
    index: MemoryIndex, store: IndexBucketKeys, events: list[tuple[str, str]]
) -> None:
    row, other = await kept(index, store), bucket_row("other")
    await index.create_bucket(other)
    await index.put_bucket_key(replace(row, bucket_id=other.bucket_id), forget_before_us=0)
    assert await store.find(other.bucket_id, REQUESTER) is None
    assert len(events) == 1


async def test_nothing_is_kept_for_a_bucket_that_is_gone(store: IndexBucketKeys) -> None:
    with pytest.raises(NoSuchBucket):
        await store.keep(b"b" * 16, REQUESTER, MADE, forget_before_us=0)

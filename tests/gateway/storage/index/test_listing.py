"""Listing against the model: MemoryIndex looks at every key, SQLite seeks and skips, PostgreSQL skips by itself."""

from __future__ import annotations

import asyncio
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.storage.index.interface import Index
from gateway.storage.index.listing import ABOVE_ALL_KEYS, end_of_prefix, key_after_prefix
from gateway.storage.index.postgresql.index import open_postgresql_index
from gateway.storage.index.sqlite import SQLiteIndex, open_sqlite_index
from tests.conformance.index import bucket_row, object_row, put, upload_row, version_row
from tests.fakes import MemoryIndex
from tests.postgresql import MISSING, find_postgresql, shared_postgresql
from tests.told import keys_of

# Few letters, so that prefixes, delimiters and keys meet; 0x00 and 0xFF are the edges of the order.
letters = st.sampled_from([b"\x00", b"/", b"a", b"b", b"\xfe", b"\xff"])


def words(least: int, most: int) -> st.SearchStrategy[bytes]:
    return st.lists(letters, min_size=least, max_size=most).map(b"".join)


@asynccontextmanager
async def both() -> AsyncIterator[tuple[SQLiteIndex, MemoryIndex, bytes]]:
    """The two indexes, each with the same empty bucket, and its id."""
    with tempfile.TemporaryDirectory() as directory:
        sqlite, memory = await open_sqlite_index(Path(directory) / "index", durable=False), MemoryIndex()
        try:
            bucket = bucket_row()
            for index in (sqlite, memory):
                await index.create_bucket(bucket)
            yield sqlite, memory, bucket.bucket_id
        finally:
            await sqlite.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    keys=st.sets(words(1, 6), max_size=40),
    queries=st.lists(st.tuples(words(0, 3), words(0, 2), words(0, 6), st.integers(1, 12)), min_size=1, max_size=20),
)
async def test_objects_are_listed_as_by_the_model(
    keys: set[bytes], queries: list[tuple[bytes, bytes, bytes, int]]
) -> None:
    async with both() as (sqlite, memory, bucket_id):
        rows = [object_row(bucket_id, key) for key in keys]
        await asyncio.gather(*(put(sqlite, row) for row in rows))
        for row in rows:
            await put(memory, row)
        for prefix, delimiter, after, size in queries:
            seen: list[bytes] = []
            position: bytes | None = after
            while position is not None:
                page, expected = [
                    await index.list_objects(
                        bucket_id, prefix=prefix, delimiter=delimiter, after=position, max_keys=size
                    )
                    for index in (sqlite, memory)
                ]
                assert page == expected
                seen += [*keys_of(page), *page.common_prefixes]
                position = page.next_after
            assert len(seen) == len(set(seen)), "pages joined give nothing twice"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    uploads=st.lists(words(1, 4), max_size=25),
    queries=st.lists(
        st.tuples(words(0, 2), words(0, 2), st.none() | st.tuples(words(0, 4), st.none()), st.integers(1, 8)),
        min_size=1,
        max_size=15,
    ),
)
async def test_uploads_are_listed_as_by_the_model(
    uploads: list[bytes], queries: list[tuple[bytes, bytes, tuple[bytes, None] | None, int]]
) -> None:
    async with both() as (sqlite, memory, bucket_id):
        rows = [upload_row(bucket_id, key) for key in uploads]
        await asyncio.gather(*(sqlite.create_upload(row) for row in rows))
        for row in rows:
            await memory.create_upload(row)
        for prefix, delimiter, after, size in queries:
            position: tuple[bytes, bytes | None] | None = after
            while True:
                page, expected = [
                    await index.list_uploads(
                        bucket_id, prefix=prefix, delimiter=delimiter, after=position, max_uploads=size
                    )
                    for index in (sqlite, memory)
                ]
                assert page == expected
                if page.next_after is None:
                    break
                position = page.next_after


@pytest.mark.skipif(find_postgresql() is None, reason=MISSING)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    keys=st.lists(words(1, 4), min_size=5, max_size=15),
    queries=st.lists(st.tuples(words(0, 1), words(1, 2), words(0, 2), st.integers(2, 12)), min_size=5, max_size=10),
)
async def test_postgresql_skips_as_the_model(keys: list[bytes], queries: list[tuple[bytes, bytes, bytes, int]]) -> None:
    memory, bucket = MemoryIndex(), bucket_row(f"b-{uuid.uuid4()}")
    index = await open_postgresql_index(shared_postgresql().url, schema="listing", durable=False)
    try:
        for each in (index, memory):
            await each.create_bucket(bucket)
        for number, key in enumerate(keys):
            version, upload = version_row(bucket.bucket_id, number, key), upload_row(bucket.bucket_id, key)
            for each in (index, memory):
                await put(each, version)
                await each.create_upload(upload)
        for prefix, delimiter, after, size in queries:
            assert await pages(index, bucket.bucket_id, prefix, delimiter, after, size) == await pages(
                memory, bucket.bucket_id, prefix, delimiter, after, size
            )
    finally:
        await index.close()


async def pages(
    index: Index, bucket_id: bytes, prefix: bytes, delimiter: bytes, after: bytes, size: int
) -> list[object]:
    """All that follows `after`, page by page: objects, then versions, then uploads."""
    found: list[object] = []
    key: bytes | None = after
    while key is not None:
        page = await index.list_objects(bucket_id, prefix=prefix, delimiter=delimiter, after=key, max_keys=size)
        found.append(page)
        key = page.next_after
    version: tuple[bytes, str | None] | None = (after, None)
    while version is not None:
        of_versions = await index.list_versions(
            bucket_id, prefix=prefix, delimiter=delimiter, after=version, max_keys=size
        )
        found.append(of_versions)
        version = of_versions.next_after
    upload: tuple[bytes, bytes | None] | None = (after, None)
    while upload is not None:
        of_uploads = await index.list_uploads(
            bucket_id, prefix=prefix, delimiter=delimiter, after=upload, max_uploads=size
        )
        found.append(of_uploads)
        upload = of_uploads.next_after
    return found


@pytest.mark.parametrize(
    ("prefix", "after"),
    [
        (b"a", b"b"),
        (b"a/", b"a0"),
        (b"a\xff", b"b"),
        (b"a\xff\xff", b"b"),
        (b"\xfe\xff", b"\xff"),
        (b"\xff", None),
        (b"\xff\xff", None),
        (b"", None),
    ],
)
def test_key_after_prefix(prefix: bytes, after: bytes | None) -> None:
    assert key_after_prefix(prefix) == after
    assert end_of_prefix(prefix) == (after or ABOVE_ALL_KEYS)


@given(prefix=words(0, 4), key=words(1, 6))
def test_key_after_prefix_is_the_end_of_what_begins_with_it(prefix: bytes, key: bytes) -> None:
    assert (prefix <= key < end_of_prefix(prefix)) == key.startswith(prefix)

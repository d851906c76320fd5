"""The index on PostgreSQL: the conformance suite, and what is its own."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from database.connection import PATIENCE_SECONDS, Transaction
from gateway.storage.errors import NoSuchBucket, NoSuchVersion, OutcomeUnknown, StorageUnavailable
from gateway.storage.index.interface import Index
from gateway.storage.index.postgresql import (
    blob_rows,
    bucket_keys,
    expiry,
    garbage,
    kms_keys,
    locks,
    objects,
    uploads,
    versions,
)
from gateway.storage.index.postgresql.index import PostgreSQLIndex, open_postgresql_index
from gateway.storage.index.postgresql.locks import lock_keys
from gateway.storage.index.postgresql.schema import MIGRATIONS
from gateway.storage.index.records import NewBlob, ObjectRow
from tests.conformance.index import Clock, IndexSuite, Refused, bucket_row, object_row, put, version_row
from tests.postgresql import MISSING, PostgreSQLServer, find_postgresql, shared_postgresql, start_postgresql
from tests.told import keys_of

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

_SCHEMA = "conformance"
_TABLES = (
    "object_version",
    "object_parts",
    "bad_blob",
    "blob",
    "multipart_upload",
    "bucket",
    "key_epoch",
    "job",
    "client_token",
)


async def open_empty_index(clock: Clock | None = None, **options: Any) -> PostgreSQLIndex:
    """Making the schema anew for every test, or truncating tables, would take longer than the tests."""
    index = await open_postgresql_index(
        shared_postgresql().url, schema=_SCHEMA, durable=False, clock_us=clock or Clock(), **options
    )
    await index._database.write(
        lambda t: t.run(";".join(f"DELETE FROM {table}" for table in (*_TABLES, "bucket_key", "batch_job")))
    )
    return index


class TestPostgreSQLIndex(IndexSuite):
    MANY_PARTS = 2_000

    @pytest.fixture
    async def index(self, clock: Clock) -> AsyncIterator[Index]:
        index = await open_empty_index(clock)
        yield index
        with suppress(StorageUnavailable):  # closed
            assert await index.self_check() == []
        await index.close()


@pytest.fixture
async def index() -> AsyncIterator[PostgreSQLIndex]:
    index = await open_empty_index()
    yield index
    await index.close()


@pytest.fixture
async def bucket_id(index: PostgreSQLIndex) -> bytes:
    row = bucket_row()
    await index.create_bucket(row)
    return row.bucket_id


@pytest.fixture
async def administrator() -> AsyncIterator[Any]:
    """A connection of its own, which sees the schema."""
    connection = await asyncpg.connect(shared_postgresql().url, server_settings={"search_path": _SCHEMA})
    yield connection
    await connection.close()


# Transactions that meet


async def test_of_conditional_writers_on_several_gateways_one_wins(index: PostgreSQLIndex, bucket_id: bytes) -> None:
    def if_none_match(current: ObjectRow | None) -> None:
        if current is not None:
            raise Refused

    others = [await open_postgresql_index(shared_postgresql().url, schema=_SCHEMA, durable=False) for _ in range(3)]
    try:
        for round_ in range(5):
            rows = [object_row(bucket_id, b"%d" % round_) for _ in range(16)]
            gateways = [index, *others] * 4
            results = await asyncio.gather(
                *(
                    gateway.put_object(row, [NewBlob(row.blob_ids[0], 5)], if_none_match)
                    for gateway, row in zip(gateways, rows, strict=True)
                ),
                return_exceptions=True,
            )
            (winner,) = [row for row, result in zip(rows, results, strict=True) if result is None]
            assert sum(isinstance(result, Refused) for result in results) == 15
            assert await others[0].get_object(bucket_id, b"%d" % round_) == winner
    finally:
        for other in others:
            await other.close()


async def test_writers_of_versions_on_several_gateways_leave_one_current(
    index: PostgreSQLIndex, bucket_id: bytes, administrator: Any
) -> None:
    other = await open_postgresql_index(shared_postgresql().url, schema=_SCHEMA, durable=False)
    rows = [version_row(bucket_id, number) for number in range(24)]
    await asyncio.gather(*(put((index, other)[number % 2], row) for number, row in enumerate(rows)))
    await asyncio.gather(*(put((index, other)[number % 2], object_row(bucket_id)) for number in range(8)))
    await other.close()
    page = await index.list_versions(bucket_id, prefix=b"", delimiter=b"", after=None, max_keys=1000, whole=True)
    assert sorted(entry.row.version_id for entry in page.entries) == sorted([*(row.version_id for row in rows), "null"])
    assert [entry.is_latest for entry in page.entries] == [True] + [False] * 24
    assert await administrator.fetchval("SELECT count(*) FROM object_version WHERE is_current") == 1
    assert await administrator.fetchval("SELECT sum(refs) FROM blob") == 25


async def test_a_bucket_is_not_deleted_under_a_write(index: PostgreSQLIndex) -> None:
    for _ in range(10):
        bucket = bucket_row()
        await index.create_bucket(bucket)
        row = object_row(bucket.bucket_id)
        wrote, _deleted = await asyncio.gather(
            put(index, row), index.delete_bucket(bucket.bucket_id), return_exceptions=True
        )
        if isinstance(wrote, ObjectRow):
            assert await index.get_object(bucket.bucket_id, b"key") == row
            assert (await index.get_bucket("photos")).bucket_id == bucket.bucket_id
            await index.delete_objects(bucket.bucket_id, [objects.Deletion(b"key")])
            await index.delete_bucket(bucket.bucket_id)
        else:
            assert isinstance(wrote, NoSuchBucket)


async def test_transactions_that_deadlock_both_happen(index: PostgreSQLIndex, administrator: Any) -> None:
    """PostgreSQL ends one of them after `deadlock_timeout`, a second; it is run again."""
    both_hold = asyncio.Barrier(2)
    attempts = 0

    def crossing(first: bytes, second: bytes) -> Callable[[Transaction], Awaitable[None]]:
        async def work(transaction: Transaction) -> None:
            nonlocal attempts
            attempts += 1
            await lock_keys(transaction, [(b"", first)])
            if attempts <= 2:
                await both_hold.wait()
            await lock_keys(transaction, [(b"", second)])
            await transaction.change("INSERT INTO job (name, until_us) VALUES ($1, 0)", first.decode())

        return work

    await asyncio.gather(
        index._database.write(crossing(b"a", b"b")),
        index._database.write(crossing(b"b", b"a")),
    )
    assert attempts == 3
    assert await administrator.fetchval("SELECT count(*) FROM job") == 2


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_serialisation_failures_are_tried_again(index: PostgreSQLIndex, administrator: Any, code: str) -> None:
    """As databases answer that run every transaction serialisable."""
    attempts = 0

    async def work(transaction: Transaction) -> None:
        nonlocal attempts
        attempts += 1
        await transaction.change("INSERT INTO job (name, until_us) VALUES ('job', 0)")
        if attempts < 3:
            await transaction.run(f"DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '{code}'; END $$")

    await index._database.write(work)
    assert attempts == 3
    assert await administrator.fetchval("SELECT count(*) FROM job") == 1


async def test_a_serialisation_failure_that_does_not_end_is_refused(index: PostgreSQLIndex) -> None:
    async def work(transaction: Transaction) -> None:
        await transaction.run("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '40001'; END $$")

    with pytest.raises(StorageUnavailable):
        await index._database.write(work)


async def test_a_fault_of_the_program_is_not_taken_for_the_databases(index: PostgreSQLIndex) -> None:
    with pytest.raises(asyncpg.UndefinedColumnError):
        await index._database.rows("SELECT nothing FROM bucket")


# Deadlines, cancellation, lost connections


async def _wait_for_idle(administrator: Any) -> None:
    """A server process whose client left learns of it after its statement."""
    busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sealgate' AND state <> 'idle'"
    async with asyncio.timeout(30):
        while await administrator.fetchval(busy):
            await asyncio.sleep(0.01)


async def test_a_lock_that_is_not_given_up_refuses_the_write_in_time(bucket_id: bytes, administrator: Any) -> None:
    index = await open_postgresql_index(
        shared_postgresql().url, schema=_SCHEMA, durable=False, patience_seconds=0.5, connections=2
    )
    row = object_row(bucket_id)
    try:
        async with administrator.transaction():
            await administrator.execute("SELECT 1 FROM key_lock FOR UPDATE")
            begun = time.monotonic()
            results = await asyncio.gather(*(put(index, row) for _ in range(6)), return_exceptions=True)
            assert time.monotonic() - begun < PATIENCE_SECONDS / 2
        assert {type(result) for result in results} == {StorageUnavailable}
        assert await index.known_blobs(row.blob_ids) == frozenset()
        await put(index, row)
        assert await index.get_object(bucket_id, b"key") == row
    finally:
        await index.close()


async def test_a_cancelled_write_is_whole_or_not_done(
    index: PostgreSQLIndex, bucket_id: bytes, administrator: Any
) -> None:
    rows = [object_row(bucket_id, b"%d" % number) for number in range(60)]
    for number, row in enumerate(rows):
        write = asyncio.create_task(put(index, row, inline=b"body"))
        await asyncio.sleep(number / 60 * 0.008)
        write.cancel()
        with suppress(asyncio.CancelledError):
            await write
    await put(index, object_row(bucket_id, b"next"))
    await _wait_for_idle(administrator)
    page = await index.list_versions(bucket_id, prefix=b"", delimiter=b"", after=None, max_keys=1000, whole=True)
    named = {blob_id for entry in page.entries for blob_id in entry.row.blob_ids}
    referenced = await administrator.fetch("SELECT blob_id FROM blob WHERE refs = 1")
    assert {blob_id for (blob_id,) in referenced} == named
    assert await administrator.fetchval("SELECT count(*) FROM blob") == len(named)


@pytest.fixture
async def slow_commits(administrator: Any, bucket_id: bytes) -> AsyncIterator[None]:
    """A bucket called "slow" takes long to commit."""
    await administrator.execute("""
        CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(4); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON bucket DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
            WHEN (NEW.name = 'slow') EXECUTE FUNCTION dawdle()
    """)
    yield
    await _wait_for_idle(administrator)
    await administrator.execute("DROP FUNCTION dawdle CASCADE")


@pytest.mark.usefixtures("slow_commits")
async def test_a_deadline_in_a_commit_leaves_the_outcome_unknown() -> None:
    index = await open_postgresql_index(shared_postgresql().url, schema=_SCHEMA, durable=False, patience_seconds=1.5)
    with pytest.raises(OutcomeUnknown):
        await index.create_bucket(bucket_row("slow"))
    await index.close()


@pytest.mark.usefixtures("slow_commits")
async def test_a_connection_lost_in_a_commit_leaves_the_outcome_unknown(
    index: PostgreSQLIndex, administrator: Any
) -> None:
    write = asyncio.create_task(index.create_bucket(bucket_row("slow")))
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"
    async with asyncio.timeout(30):
        while not await administrator.fetch(ended):
            await asyncio.sleep(0.01)
    with pytest.raises(OutcomeUnknown):
        await write


async def test_broken_connections_are_replaced(index: PostgreSQLIndex, bucket_id: bytes, administrator: Any) -> None:
    row = await put(index, object_row(bucket_id))
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sealgate'"
    assert await administrator.fetch(ended)
    assert await index.get_object(bucket_id, b"key") == row
    assert await administrator.fetch(ended)
    await put(index, object_row(bucket_id, b"next"))


# A server that goes away


@pytest.fixture
def own_server() -> Iterator[PostgreSQLServer]:
    server = start_postgresql()
    yield server
    server.stop(signal.SIGQUIT)


async def test_a_server_that_crashes_is_unavailable_until_it_is_back(own_server: PostgreSQLServer) -> None:
    index = await open_postgresql_index(own_server.url, patience_seconds=2)
    bucket = bucket_row()
    await index.create_bucket(bucket)
    row = await put(index, object_row(bucket.bucket_id))
    own_server.stop(signal.SIGQUIT)
    for call in (index.ping(), put(index, object_row(bucket.bucket_id, b"lost")), index.get_bucket(bucket.name)):
        begun = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await call
        assert time.monotonic() - begun < PATIENCE_SECONDS / 2
    own_server.start()
    assert await index.get_object(bucket.bucket_id, b"key") == row
    await put(index, object_row(bucket.bucket_id, b"next"))
    await index.close()
    own_server.stop()
    with pytest.raises(StorageUnavailable):
        await open_postgresql_index(own_server.url)


# Opening


async def test_many_open_a_new_schema_together(administrator: Any) -> None:
    await administrator.execute("DROP SCHEMA IF EXISTS fresh CASCADE")
    opened = [open_postgresql_index(shared_postgresql().url, schema="fresh", durable=False) for _ in range(6)]
    indexes = await asyncio.gather(*opened)
    row = bucket_row()
    await indexes[0].create_bucket(row)
    assert await indexes[5].get_bucket(row.name) == row
    applied = await administrator.fetch("SELECT number FROM fresh.schema_migration ORDER BY number")
    assert [number for (number,) in applied] == [migration.number for migration in MIGRATIONS.all()]
    await asyncio.gather(*(index.close() for index in indexes))


@pytest.mark.parametrize("lost", ["object_version", "blob", "schema_migration"])
async def test_a_schema_that_lacks_tables_is_refused_by_name(administrator: Any, lost: str) -> None:
    name = f"lacking_{lost}"
    await (await open_postgresql_index(shared_postgresql().url, schema=name)).close()
    await administrator.execute(f"DROP TABLE {name}.{lost} CASCADE")
    with pytest.raises(StorageUnavailable, match=rf"the schema {name} lacks {lost}[ ,:].*docs/backup.md"):
        await open_postgresql_index(shared_postgresql().url, schema=name)


async def test_newer_schema_is_refused_and_left_alone(administrator: Any) -> None:
    await administrator.execute("DROP SCHEMA IF EXISTS newer CASCADE")
    await (await open_postgresql_index(shared_postgresql().url, schema="newer", durable=False)).close()
    await administrator.execute(f"INSERT INTO newer.schema_migration VALUES ({len(MIGRATIONS.all()) + 1}, 'later', 0)")
    with pytest.raises(StorageUnavailable, match="newer program"):
        await open_postgresql_index(shared_postgresql().url, schema="newer")


@pytest.mark.parametrize("database", ["nowhere", "latin"])
async def test_a_database_that_is_no_use_is_refused(administrator: Any, database: str) -> None:
    if database == "latin":
        await administrator.execute("DROP DATABASE IF EXISTS latin")
        await administrator.execute(
            "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    with pytest.raises(StorageUnavailable):
        await open_postgresql_index(shared_postgresql().url.replace("/postgres?", f"/{database}?"))


async def test_commits_wait_for_the_disk(administrator: Any) -> None:
    """Also where the server would not: an administrator may have switched it off for all."""
    url = shared_postgresql().url + "&options=" + "-csynchronous_commit%3Doff"
    index = await open_postgresql_index(url, schema=_SCHEMA)
    assert await index._database.row("SELECT current_setting('synchronous_commit')") == ("on",)
    await index.close()


async def test_text_with_a_nul_is_not_there(index: PostgreSQLIndex, bucket_id: bytes) -> None:
    """PostgreSQL's TEXT cannot hold it, so asking would be an error; clients can write it in a query string."""
    with pytest.raises(NoSuchBucket):
        await index.get_bucket("photos\0")
    assert await index.list_buckets("123456789012", prefix="p\0", after="", limit=9) == []
    assert len(await index.list_buckets("123456789012", prefix="", after="phot\0", limit=9)) == 1
    assert await index.list_buckets("123456789012", prefix="", after="photos\0", limit=9) == []
    with pytest.raises(NoSuchVersion):
        await index.get_object(bucket_id, b"key", "v\0")
    assert await index.request_of_token(bucket_id, "t\0") is None


# Query plans

_ROWS = 20_000
_FILL = f"""
    INSERT INTO bucket SELECT decode(lpad(to_hex(b), 32, '0'), 'hex'), CASE WHEN b <= 20 THEN 'full' ELSE 'empty' END,
        'bucket-' || b, 'r', 0, 1, ''
    FROM generate_series(1, 5000) b;
    INSERT INTO object_version (bucket_id, key, vsort, is_current, row_uid, version_id, kind, size, modified_us, mode,
        wrapped, key_arn, key_version, blob_id, part_count, revision, blob_count, has_parts, sealed)
    SELECT b.bucket_id, convert_to('folder-' || n / 100 || '/' || n || '-' || b.name, 'UTF8'), v, v = 1,
        decode(md5(b.name || '.' || n || '-' || v), 'hex'),
        CASE WHEN n % 2 = 0 THEN 'null' ELSE n || '-' || v END, 0, 5, 0, 1,
        '', 'arn:' || n % 50, 1, decode(md5('blob' || b.name || '.' || n || '-' || v), 'hex'), 0, 1, 1, n % 100 = 0,
        repeat('x', 200)::bytea
    FROM bucket b, generate_series(1, {_ROWS // 40}) n, generate_series(1, 2) v WHERE b.account_id = 'full';
    INSERT INTO object_parts SELECT row_uid, blob_id, '' FROM object_version;
    INSERT INTO blob SELECT blob_id, 5, has_parts, 1, CASE WHEN key_version = 2 THEN 1 END FROM object_version;
    INSERT INTO inline_blob SELECT blob_id, '' FROM blob WHERE is_inline;
    INSERT INTO multipart_upload SELECT row_uid, bucket_id, key, row_uid, 0, 1, '', key_arn, 1, 1, ''
        FROM object_version WHERE is_current;
    INSERT INTO multipart_part SELECT upload_id, 1, upload_id, 1, 1, 1, '' FROM multipart_upload;
    INSERT INTO client_token SELECT bucket_id, row_uid::text, '', 1 FROM object_version;
    INSERT INTO bucket_key SELECT bucket_id, row_uid, key_arn, 1, '', 1, '' FROM object_version;
    ANALYZE;
"""

HOT_QUERIES = {
    "lock": locks._LOCK,
    "lock in a bucket": locks._LOCK_IN_BUCKET,
    "newest version": versions.GET_NEWEST,
    "null version": versions.GET_NULL,
    "version": versions.GET_VERSION,
    "change": versions._CHANGE,
    "move": versions._MOVE,
    "delete": versions._DELETE,
    "note change": versions._NOTE_CHANGE,
    "lists of blobs": versions._LISTED_PARTS,
    "list objects": objects.LIST_CURRENT.plain,
    "list objects, skipping": objects.LIST_CURRENT.skipping,
    "list versions": objects.LIST_VERSIONS.plain,
    "list versions, skipping": objects.LIST_VERSIONS.skipping,
    "share blobs": blob_rows._SHARE,
    "release blobs": blob_rows._RELEASE,
    "upload": uploads.GET,
    "lock upload": uploads._LOCK,
    "list uploads": uploads.LIST.plain,
    "list uploads, skipping": uploads.LIST.skipping,
    "list parts": uploads.LIST_PARTS,
    "put part": uploads._PUT_PART,
    "newer versions": expiry.NEWER,
    "older versions": expiry.HAS_OLDER,
    "condemned blobs": garbage.CONDEMNED,
    "known blobs": garbage.KNOWN,
    "forget inline blobs": garbage.FORGET_INLINE,
    "objects of a KMS key": kms_keys.LIST_OBJECTS,
    "uploads of a KMS key": kms_keys.LIST_UPLOADS,
    "bucket key": bucket_keys.GET,
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled() -> AsyncIterator[Any]:
    await (await open_postgresql_index(shared_postgresql().url, schema="plans", durable=False)).close()
    connection = await asyncpg.connect(shared_postgresql().url, server_settings={"search_path": "plans", "jit": "off"})
    await connection.execute(_FILL)
    # The plan that a statement gets after it was executed a few times, whatever its parameters.
    await connection.execute("SET plan_cache_mode = force_generic_plan")
    yield connection
    await connection.execute("DROP SCHEMA plans CASCADE")
    await connection.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", HOT_QUERIES)
async def test_no_table_is_read_from_end_to_end(filled: Any, name: str) -> None:
    await filled.execute(f"PREPARE hot AS {HOT_QUERIES[name]}")
    try:
        (types,) = await filled.fetchrow(
            "SELECT parameter_types::text[] FROM pg_prepared_statements WHERE name = 'hot'"
        )
        values = ", ".join(_SAMPLE[type_] for type_ in types)
        plan = "\n".join(line for (line,) in await filled.fetch(f"EXPLAIN EXECUTE hot({values})"))
    finally:
        await filled.execute("DEALLOCATE hot")
    assert any(way in plan for way in ("Scan using", "Scan Backward using", "Bitmap Index Scan"))
    assert "Seq Scan on" not in plan, plan


_SAMPLE = {
    "bytea": "'\\x00'",
    "bytea[]": "ARRAY['\\x00'::bytea]",
    "integer[]": "ARRAY[1]",
    "bigint": "1",
    "smallint": "1",
    "integer": "1",
    "boolean": "TRUE",
    "text": "'x'",
}


def _noted_queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked for rows from here on."""
    asked: list[str] = []
    ask = Transaction.rows

    async def noting(transaction: Transaction, sql: str, *parameters: object) -> Any:
        asked.append(sql)
        return await ask(transaction, sql, *parameters)

    monkeypatch.setattr(Transaction, "rows", noting)
    return asked


@pytest.mark.parametrize("delimiter", [b"/", b"-", b"/1", b"\xff", b"/\xff"])
async def test_a_page_of_prefixes_takes_one_query(
    index: PostgreSQLIndex, bucket_id: bytes, monkeypatch: pytest.MonkeyPatch, delimiter: bytes
) -> None:
    rows = [object_row(bucket_id, b"p%03d" % (i // 5) + delimiter + b"%d" % i) for i in range(600)]
    await asyncio.gather(*(put(index, row) for row in rows))
    asked = _noted_queries(monkeypatch)
    page = await index.list_objects(bucket_id, prefix=b"", delimiter=delimiter, after=b"", max_keys=100)
    assert list(page.common_prefixes) == [b"p%03d" % i + delimiter for i in range(100)]
    assert page.next_after == b"p099" + delimiter
    if delimiter != b"\xff":
        assert asked == [objects.LIST_CURRENT.skipping]


@pytest.mark.parametrize("page_size", [3, 4, 5, 63, 64, 65, 1000])
async def test_a_page_goes_from_steps_to_ranges_and_back(
    index: PostgreSQLIndex, bucket_id: bytes, page_size: int
) -> None:
    """Objects before, between and behind common prefixes, more of them than follow steps in one query."""
    objects_ = [b"%s%03d" % (place, i) for place, count in ((b"a", 70), (b"m", 4), (b"z", 400)) for i in range(count)]
    folders = [b"%s%03d/" % (place, i) for place in (b"f", b"p") for i in range(20)]
    keys = objects_ + [folder + b"%d" % i for folder in folders for i in range(3)]
    await asyncio.gather(*(put(index, object_row(bucket_id, key)) for key in keys))
    found: list[bytes] = []
    after: bytes | None = b""
    while after is not None:
        page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"/", after=after, max_keys=page_size)
        entries = sorted([*keys_of(page), *page.common_prefixes])
        after = page.next_after
        assert len(entries) == page_size or after is None
        found += entries
    assert found == sorted(objects_ + folders)


@pytest.mark.parametrize(("count", "queries"), [(3, 1), (4, 1), (63, 1), (64, 2), (400, 3)])
async def test_a_folder_of_objects_is_read_in_few_ranges(
    index: PostgreSQLIndex, bucket_id: bytes, monkeypatch: pytest.MonkeyPatch, count: int, queries: int
) -> None:
    keys = [b"folder/%03d" % i for i in range(count)]
    await asyncio.gather(*(put(index, object_row(bucket_id, key)) for key in keys))
    asked = _noted_queries(monkeypatch)
    page = await index.list_objects(bucket_id, prefix=b"folder/", delimiter=b"/", after=b"", max_keys=1000)
    assert keys_of(page) == keys
    assert asked == [objects.LIST_CURRENT.skipping] + [objects.LIST_CURRENT.plain] * (queries - 1)

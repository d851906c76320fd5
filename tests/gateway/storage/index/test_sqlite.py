"""SQLite: the contract, group commit, several processes, crashes, failing disks, migrations."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from gateway.protocol.modes import Mode, Wrap
from gateway.storage.errors import NoSuchKey, OutcomeUnknown, StorageUnavailable
from gateway.storage.index import pages
from gateway.storage.index.interface import Index
from gateway.storage.index.records import Deletion, NewBlob, ObjectRow
from gateway.storage.index.sqlite import SQLiteIndex, open_sqlite_index, writer
from gateway.storage.index.sqlite.connection import Database
from gateway.storage.index.sqlite.schema import migrations
from gateway.storage.index.sqlite.write_lock import WriteLock
from tests.conformance.index import Clock, IndexSuite, Refused, bucket_row, new_id, object_row, put, refuse
from tests.told import keys_of, told_of


class TestSQLiteIndex(IndexSuite):
    @pytest.fixture
    async def index(self, tmp_path: Path, clock: Clock) -> AsyncIterator[Index]:
        index = await open_sqlite_index(tmp_path / "index.sqlite", durable=False, clock_us=clock)
        yield index
        assert await index.self_check() in ([], ["the index is closed"])
        await index.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.sqlite"


@pytest.fixture
async def index(path: Path) -> AsyncIterator[SQLiteIndex]:
    index = await open_sqlite_index(path, durable=False)
    yield index
    await index.close()


@pytest.fixture
async def bucket_id(index: SQLiteIndex) -> bytes:
    row = bucket_row()
    await index.create_bucket(row)
    return row.bucket_id


# Group commit


async def test_writes_that_wait_are_committed_together(index: SQLiteIndex, bucket_id: bytes, path: Path) -> None:
    """The WAL holds a commit frame for each transaction: far fewer than writes."""
    before = _commits(path)
    await asyncio.gather(*(put(index, object_row(bucket_id, b"%d" % i)) for i in range(100)))
    assert 1 <= _commits(path) - before <= 5


async def test_refused_write_does_not_disturb_its_group(index: SQLiteIndex, bucket_id: bytes, path: Path) -> None:
    rows = [object_row(bucket_id, b"%d" % i) for i in range(9)]
    lock = WriteLock(path)
    with lock.held():
        writes = [
            asyncio.create_task(index.put_object(row, [NewBlob(row.blob_ids[0], 5)], refuse if i % 3 == 1 else None))
            for i, row in enumerate(rows)
        ]
        await asyncio.sleep(0)
    lock.close()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), Refused, type(None)] * 3
    page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
    assert page.told.rows == told_of(row for i, row in enumerate(rows) if i % 3 != 1)
    assert len(await index.known_blobs([row.blob_ids[0] for row in rows])) == 6


async def test_usual_writes_take_one_statement_and_removals_two(index: SQLiteIndex, bucket_id: bytes) -> None:
    """A statement is told of once more for each one of a trigger that it has run."""
    row = object_row(bucket_id)
    statements: list[str] = []
    index._database._writer._connection.set_trace_callback(statements.append)

    def told() -> list[str]:
        words = [" ".join(each.split()[:3]) for each in statements]
        statements.clear()
        return [key for key, _ in groupby(words)]

    await index.put_object(row, [NewBlob(row.blob_ids[0], 5, b"body")])
    assert told() == ["BEGIN IMMEDIATE", "INSERT INTO placed_object", "COMMIT"]
    await index.delete_object(bucket_id, Deletion(row.key, row.version_id))
    assert [each for each in told() if not each.startswith("SELECT")] == [
        "BEGIN IMMEDIATE",
        "INSERT INTO removed_object",
        "COMMIT",
    ]


async def test_usual_write_that_fails_half_way_is_undone_alone(
    index: SQLiteIndex, bucket_id: bytes, path: Path
) -> None:
    rows = [object_row(bucket_id, b"%d" % i) for i in range(3)]
    rows[1] = replace(rows[1], sealed=None)  # type: ignore[arg-type]  # refused after its blob was added
    lock = WriteLock(path)
    with lock.held():
        writes = [asyncio.create_task(put(index, row)) for row in rows]
        await asyncio.sleep(0)
    lock.close()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [type(result) for result in results] == [ObjectRow, sqlite3.IntegrityError, ObjectRow]
    page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
    assert keys_of(page) == [b"0", b"2"]
    assert await index.known_blobs([row.blob_ids[0] for row in rows]) == {rows[0].blob_ids[0], rows[2].blob_ids[0]}


async def test_precondition_that_raises_stop_iteration_is_reported(index: SQLiteIndex, bucket_id: bytes) -> None:
    def exhausted(current: ObjectRow | None) -> None:
        next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        await index.delete_object(bucket_id, Deletion(b"key"), exhausted)
    await put(index, object_row(bucket_id))


async def test_write_cancelled_in_the_queue_is_not_done(index: SQLiteIndex, bucket_id: bytes, path: Path) -> None:
    lock = WriteLock(path)
    with lock.held():
        cancelled = asyncio.create_task(put(index, object_row(bucket_id, b"cancelled")))
        kept = asyncio.create_task(put(index, object_row(bucket_id, b"kept")))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    lock.close()
    await kept
    with pytest.raises(NoSuchKey):
        await index.get_object(bucket_id, b"cancelled")


async def test_write_cancelled_under_way_is_whole(index: SQLiteIndex, bucket_id: bytes) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(current: ObjectRow | None) -> None:
        begun.set()
        assert go_on.wait(60)

    row = object_row(bucket_id, blob_ids=(new_id(), new_id()))  # in the thread, as it is more than a statement
    blobs = [NewBlob(blob_id, 5, b"body") for blob_id in row.blob_ids]
    write = asyncio.create_task(index.put_object(row, blobs, wait))
    assert await asyncio.to_thread(begun.wait, 60)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    go_on.set()
    await put(index, object_row(bucket_id, b"next"))
    assert await index.get_object(bucket_id, b"key") == row
    assert [await index.read_inline(blob_id) for blob_id in row.blob_ids] == [b"body"] * 2


async def test_write_of_one_statement_cancelled_under_way_is_whole(index: SQLiteIndex, bucket_id: bytes) -> None:
    begun, go_on = threading.Event(), threading.Event()
    own_writer = index._database._writer

    class Waiting(_Around):
        """A connection whose COMMIT waits."""

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                begun.set()
                assert go_on.wait(60)
            return self._connection.execute(sql, *parameters)

    own_writer._connection = Waiting(own_writer._connection)  # type: ignore[assignment]
    row = object_row(bucket_id)
    write = asyncio.create_task(index.put_object(row, [NewBlob(row.blob_ids[0], 5, b"body")]))
    assert await asyncio.to_thread(begun.wait, 60)
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    with pytest.raises(NoSuchKey):  # it is done, and not durable yet
        await index.get_object(bucket_id, b"key")
    go_on.set()
    await put(index, object_row(bucket_id, b"next"))
    assert await index.get_object(bucket_id, b"key") == row
    assert await index.read_inline(row.blob_ids[0]) == b"body"


async def test_a_write_waits_for_one_that_is_expected(
    index: SQLiteIndex, bucket_id: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_EXPECTING_SECONDS", 600)
    before = _commits(path)
    with index.expecting():
        first = asyncio.create_task(put(index, object_row(bucket_id, b"first")))
        done, _ = await asyncio.wait([first], timeout=0.05)
        assert not done
    await put(index, object_row(bucket_id, b"second"))
    await first
    assert _commits(path) - before == 1


async def test_a_write_waits_no_longer_than_so_long(
    index: SQLiteIndex, bucket_id: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_EXPECTING_SECONDS", 0.001)
    with index.expecting():
        await put(index, object_row(bucket_id, b"first"))


async def test_one_that_is_expected_and_does_not_come_is_not_waited_for(
    index: SQLiteIndex, bucket_id: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_EXPECTING_SECONDS", 600)
    first = asyncio.create_task(put(index, object_row(bucket_id, b"first")))
    with pytest.raises(Refused), index.expecting(), index.expecting():
        await asyncio.sleep(0.01)  # the write waits by now, or will find that nothing is expected
        raise Refused
    await first


async def test_the_event_loop_does_not_wait_for_who_writes_without_the_lock(
    index: SQLiteIndex, bucket_id: bytes, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writes = [asyncio.create_task(put(index, object_row(bucket_id, b"%d" % number))) for number in range(3)]
        done, _ = await asyncio.wait(writes, timeout=0.05)
        assert not done
        other.execute("ROLLBACK")
    await asyncio.gather(*writes)
    assert [await index.get_object(bucket_id, b"%d" % number) for number in range(3)]


async def test_more_than_the_event_loop_does_at_once_is_done_by_the_thread(
    index: SQLiteIndex, bucket_id: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_AT_ONCE", 2)
    before = _commits(path)
    keys = [b"%d" % number for number in range(9)]
    await asyncio.gather(*(put(index, object_row(bucket_id, key)) for key in keys))
    assert _commits(path) - before == 1
    assert keys_of(await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)) == keys


async def test_write_that_never_gets_its_turn_is_refused(path: Path) -> None:
    index = await open_sqlite_index(path, durable=False, patience_seconds=0.01)
    row = bucket_row()
    lock = WriteLock(path)
    try:
        with lock.held(), pytest.raises(StorageUnavailable):
            await index.create_bucket(row)
        await index.create_bucket(row)
        assert await index.get_bucket(row.name) == row
    finally:
        lock.close()
        await index.close()


class _Around:
    """A connection that does something else in some of its methods."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Forgetful(_Around):
    """A connection that runs out of memory in one statement, before or after it took effect."""

    def __init__(self, connection: sqlite3.Connection, statement: str, *, is_after: bool) -> None:
        super().__init__(connection)
        self._statement = statement
        self._is_after = is_after

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql != self._statement:
            return self._connection.execute(sql, *parameters)
        self._statement = ""
        if self._is_after:
            self._connection.execute(sql, *parameters)
        raise MemoryError


@pytest.mark.parametrize(
    ("statement", "is_after", "error", "is_written"),
    [
        ("BEGIN IMMEDIATE", False, MemoryError, False),
        ("COMMIT", False, OutcomeUnknown, False),
        ("COMMIT", True, OutcomeUnknown, True),
    ],
)
async def test_without_memory_a_write_is_refused_and_the_next_one_served(
    index: SQLiteIndex, bucket_id: bytes, statement: str, is_after: bool, error: type[Exception], is_written: bool
) -> None:
    writer = index._database._writer
    writer._connection = _Forgetful(writer._connection, statement, is_after=is_after)  # type: ignore[assignment]
    with pytest.raises(error):
        await put(index, object_row(bucket_id, b"first"))
    await put(index, object_row(bucket_id, b"second"))
    assert (await index.get_object(bucket_id, b"second")).key == b"second"
    if is_written:
        assert (await index.get_object(bucket_id, b"first")).key == b"first"
    else:
        with pytest.raises(NoSuchKey):
            await index.get_object(bucket_id, b"first")


async def test_close_commits_what_is_queued(path: Path) -> None:
    index = await open_sqlite_index(path, durable=False)
    row = bucket_row()
    write = asyncio.create_task(index.create_bucket(row))
    await asyncio.sleep(0)
    await index.close()
    await write
    again = await open_sqlite_index(path, durable=False)
    assert await again.get_bucket(row.name) == row
    await again.close()


async def test_commits_are_durable_by_default(path: Path) -> None:
    """FULL is what makes SQLite sync the WAL at each commit (2 in PRAGMA synchronous)."""
    index = await open_sqlite_index(path)
    synchronous = await index._database.write(lambda c: c.execute("PRAGMA synchronous").fetchone())
    await index.close()
    assert synchronous == (2,)


# A failing database


async def test_full_disk_refuses_writes_and_serves_reads(index: SQLiteIndex, bucket_id: bytes) -> None:
    row = await put(index, object_row(bucket_id), inline=b"body")
    await index._database.write(_limit_to_present_size)
    big = [object_row(bucket_id, b"big %d" % i) for i in range(20)]
    results = await asyncio.gather(*(put(index, r, inline=os.urandom(100_000)) for r in big), return_exceptions=True)
    assert any(isinstance(result, StorageUnavailable) for result in results)
    assert all(isinstance(result, (StorageUnavailable, ObjectRow)) for result in results)
    page = await index.list_objects(bucket_id, prefix=b"big", delimiter=b"", after=b"", max_keys=100)
    stored = [r for r, result in zip(big, results, strict=True) if isinstance(result, ObjectRow)]
    assert sorted(keys_of(page)) == sorted(r.key for r in stored)
    assert await index.get_object(bucket_id, b"key") == row
    await index._database.write(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchall())
    await put(index, object_row(bucket_id, b"after"), inline=os.urandom(100_000))


def _limit_to_present_size(connection: sqlite3.Connection) -> None:
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()


async def test_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 1000)
    with pytest.raises(StorageUnavailable):
        await open_sqlite_index(path)
    assert path.read_bytes().startswith(b"something else")


async def test_database_of_another_program_is_refused(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    with pytest.raises(StorageUnavailable, match="another program"):
        await open_sqlite_index(path)


async def test_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await open_sqlite_index(tmp_path / "missing" / "index.sqlite")


async def test_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    await (await open_sqlite_index(path, durable=False)).close()
    with sqlite3.connect(path) as newer:
        newer.execute("INSERT INTO schema_migration VALUES (?, 'later', 0)", (len(migrations()) + 1,))
    newer.close()
    with pytest.raises(StorageUnavailable, match="newer program"):
        await open_sqlite_index(path)


async def test_files_are_for_their_owner_only(index: SQLiteIndex, bucket_id: bytes, path: Path) -> None:
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert {f"index.sqlite{suffix}" for suffix in ("", "-wal", "-shm", "-lock", "-turnstile")} == modes.keys()
    assert set(modes.values()) == {0o600}


# Listing


async def test_pages_are_read_where_their_rows_lie_side_by_side(
    index: SQLiteIndex, bucket_id: bytes, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order of keys, whatever the order of writing: no search and no sort, of whole rows neither."""
    asked: list[tuple[str, Any]] = []
    rows_of = Database.rows

    def rows(self: Database, sql: str, parameters: Any = ()) -> Any:
        asked.append((sql, parameters))
        return rows_of(self, sql, parameters)

    monkeypatch.setattr(Database, "rows", rows)
    await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=10)
    for whole in (False, True):
        await index.list_versions(bucket_id, prefix=b"", delimiter=b"", after=None, max_keys=10, whole=whole)
    selects = [each for each in asked if "FROM object_version" in each[0]]
    with closing(sqlite3.connect(path)) as connection:
        plans = [[row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", given)] for sql, given in selects]
    assert len(plans) == 3
    for plan in plans:
        assert {step for step in plan if step.startswith("S")} == {step for step in plan if "PRIMARY KEY" in step}
        assert not any("TEMP B-TREE" in step for step in plan)


async def test_a_place_in_the_list_of_a_key_that_another_release_noted_is_the_beginning(
    index: SQLiteIndex, bucket_id: bytes
) -> None:
    wrap = Wrap(Mode.SSE_KMS, b"w", "arn", 1)
    rows = [await put(index, object_row(bucket_id, b"%d" % i, wrap=wrap)) for i in range(3)]
    whole = await index.list_objects_of_key("arn", after=None, limit=10)
    assert sorted(each.row.key for each in whole.objects) == [row.key for row in rows]
    assert await index.list_objects_of_key("arn", after=bytes(16), limit=10) == whole


async def test_page_of_whole_rows_ends_early_rather_than_have_too_many_blobs(
    index: SQLiteIndex, bucket_id: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_BLOBS", 10)
    rows = [
        await put(index, object_row(bucket_id, b"%d" % i, blob_ids=(new_id(), new_id(), new_id()))) for i in range(9)
    ]
    listed: list[ObjectRow] = []
    after: tuple[bytes, str | None] | None = (b"", None)
    count = 0
    while after is not None:
        page = await index.list_versions(bucket_id, prefix=b"", delimiter=b"", after=after, max_keys=1000, whole=True)
        listed.extend(entry.row for entry in page.entries)
        count += 1
        after = page.next_after
    assert listed == rows
    assert count == 3


async def test_listing_with_delimiter_reads_a_row_for_each_prefix(index: SQLiteIndex, bucket_id: bytes) -> None:
    """In two statements, whose steps do not grow with what lies in a folder."""
    other = bucket_row("other-bucket")
    await index.create_bucket(other)
    rows = [object_row(bucket_id, b"p%d/%03d" % (i // 100, i % 100)) for i in range(500)]
    rows += [object_row(other.bucket_id, b"p%d/" % i) for i in range(5)]
    await asyncio.gather(*(put(index, row) for row in rows))
    steps = {}
    for each in (bucket_id, other.bucket_id):
        statements: list[str] = []
        counted: list[None] = []
        index._database._reader.set_trace_callback(statements.append)
        index._database._reader.set_progress_handler(partial(counted.append, None), 1)
        page = await index.list_objects(each, prefix=b"", delimiter=b"/", after=b"", max_keys=1000)
        index._database._reader.set_progress_handler(None, 1)
        assert page.common_prefixes == (b"p0/", b"p1/", b"p2/", b"p3/", b"p4/")
        assert len([s for s in statements if "SELECT" in s]) == 2
        steps[each] = len(counted)
    assert abs(steps[bucket_id] - steps[other.bucket_id]) < 10 < steps[bucket_id], "but for where it ends"


async def test_keys_between_folders_are_read_as_ranges(index: SQLiteIndex, bucket_id: bytes) -> None:
    keys = [b"a/1", b"a/2", b"b/1", *(b"k%03d" % number for number in range(200)), b"z/1"]
    rows = [await put(index, object_row(bucket_id, key)) for key in keys]
    statements: list[str] = []
    index._database._reader.set_trace_callback(statements.append)
    page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"/", after=b"", max_keys=1000)
    assert (page.told.rows, page.common_prefixes) == (told_of(rows[3:-1]), (b"a/", b"b/", b"z/"))
    # One for the first folder, one over folders, then of 4, 16, 64 and 256 rows.
    assert len([s for s in statements if "SELECT" in s]) == 6


# Processes

WRITER = """
import asyncio, sys
from gateway.storage.index.sqlite import open_sqlite_index
from gateway.storage.index.records import NewBlob
from tests.conformance.index import object_row

async def main(path, bucket_id, name, count):
    index = await open_sqlite_index(path)
    numbers = iter(range(count))
    async def client():
        for number in numbers:
            key = b"%s-%06d" % (name.encode(), number)
            row = object_row(bucket_id, key)
            await index.put_object(row, [NewBlob(row.blob_ids[0], len(key), key)])
            print(key.decode(), flush=True)
    await asyncio.gather(*(client() for _ in range(16)))
    await index.close()

asyncio.run(main(sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
"""


def _writer(path: Path, bucket_id: bytes, name: str, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), bucket_id.hex(), name, str(count)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[4],
    )


async def test_two_processes_write_at_once(index: SQLiteIndex, bucket_id: bytes, path: Path) -> None:
    writers = [_writer(path, bucket_id, name, 300) for name in ("a", "b")]
    outputs = await asyncio.gather(*(asyncio.to_thread(writer.communicate) for writer in writers))
    assert [writer.returncode for writer in writers] == [0, 0]
    acknowledged = sorted(line for out, _ in outputs for line in out.split())
    page = await index.list_objects(bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=1000)
    assert keys_of(page) == acknowledged
    assert len(acknowledged) == 600


async def test_other_process_that_closes_leaves_the_log_to_us(index: SQLiteIndex, bucket_id: bytes, path: Path) -> None:
    """The last one to close removes the WAL; SQLite's locks tell it that it is not the last."""
    wal = path.with_name(path.name + "-wal")
    before = wal.stat().st_ino
    writer = _writer(path, bucket_id, "a", 1)
    await asyncio.to_thread(writer.communicate)
    assert writer.returncode == 0
    assert wal.stat().st_ino == before
    assert (await index.get_object(bucket_id, b"a-000000")).key == b"a-000000"


async def test_kill_in_the_middle_of_commits_loses_nothing_acknowledged(path: Path) -> None:
    index = await open_sqlite_index(path)
    bucket = bucket_row()
    await index.create_bucket(bucket)
    acknowledged: list[bytes] = []
    for round_, lines in enumerate((1, 60, 200)):
        writer = _writer(path, bucket.bucket_id, str(round_), 1_000_000)
        assert writer.stdout is not None
        acknowledged += [(await asyncio.to_thread(writer.stdout.readline)).strip() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        rest, _ = await asyncio.to_thread(writer.communicate)
        acknowledged += [line for line in rest.split(b"\n")[:-1] if line]
        await put(index, object_row(bucket.bucket_id, b"z between %d" % round_))  # the lock was let go
    await index.close()

    index = await open_sqlite_index(path)
    keys = []
    after: bytes | None = b""
    while after is not None:
        page = await index.list_objects(bucket.bucket_id, prefix=b"", delimiter=b"", after=after, max_keys=1000)
        for key in keys_of(page):
            keys.append(key)
            if not key.startswith(b"z"):
                (blob_id,) = (await index.get_object(bucket.bucket_id, key)).blob_ids
                assert await index.read_inline(blob_id) == key
        after = page.next_after
    assert set(acknowledged) <= set(keys)
    # Beyond that, at most what was under way: one write of each of the 16 clients in each of the three rounds.
    assert len(set(keys) - set(acknowledged)) <= 3 + 3 * 2 * 16
    assert index._database.rows("PRAGMA integrity_check") == [("ok",)]
    assert index._database.rows("PRAGMA foreign_key_check") == []
    await index.close()


async def test_many_open_a_new_index_together(path: Path) -> None:
    indexes = await asyncio.gather(*(open_sqlite_index(path, durable=False) for _ in range(8)))
    row = bucket_row()
    await indexes[0].create_bucket(row)
    assert await indexes[7].get_bucket(row.name) == row
    applied = indexes[0]._database.rows("SELECT number FROM schema_migration")
    assert applied == [(migration.number,) for migration in migrations()]
    await asyncio.gather(*(index.close() for index in indexes))


async def test_waiting_writer_goes_before_the_one_that_wrote_last(path: Path) -> None:
    order: list[str] = []
    first, second, third = WriteLock(path), WriteLock(path), WriteLock(path)

    def wait_and_write() -> None:
        with second.held():
            order.append("waiting")

    waiting = threading.Thread(target=wait_and_write)
    with first.held():
        waiting.start()
        while _is_free(third._turnstile):
            os.sched_yield()
    with first.held():
        order.append("again")
    await asyncio.to_thread(waiting.join)
    first.close()
    second.close()
    third.close()
    assert order == ["waiting", "again"]


def _is_free(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    fcntl.flock(lock, fcntl.LOCK_UN)
    return True


def _commits(path: Path) -> int:
    """Commit frames in the WAL (https://www.sqlite.org/fileformat2.html, "The Write-Ahead Log")."""
    wal = path.with_name(path.name + "-wal").read_bytes()
    page_size = int.from_bytes(wal[8:12])
    salts = wal[16:24]
    frames = range(32, len(wal), 24 + page_size)
    return sum(wal[i + 8 : i + 16] == salts and wal[i + 4 : i + 8] != b"\0\0\0\0" for i in frames)

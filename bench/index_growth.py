"""What an index costs when it grows: a GET, a PUT and pages of a listing at 10 thousand and at a million rows.

    python -m bench.index_growth [--engine sqlite|postgresql] [--rows 10000,1000000] [--buckets 100]

Rows are copies of one that the index itself wrote, made by a statement; operations go through the index, each on a key
at random of all of them. CPU microseconds for an operation (of this process, and of PostgreSQL's), the median that the
clock says, and bytes on the disk for a row, indexes and all. Budget: at the most rows within 20 % of the fewest.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.ids import new_id
from gateway.storage.index.interface import Index
from gateway.storage.index.postgresql.index import open_postgresql_index
from gateway.storage.index.records import BucketRow, NewBlob, ObjectRow, RowKind
from gateway.storage.index.sqlite.index import open_sqlite_index
from tests.postgresql import PostgreSQLServer, start_postgresql

TICKS = os.sysconf("SC_CLK_TCK")
KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
WRAPPED_BYTES = 217
"""Of a data key under a KMS key: docs/formats/ciphertext-blob.md."""

SEALED_BYTES = 260
"""Of a small object's row: docs/formats/object.md."""

SCHEMA = "growth"
SHARED_BUFFERS = "2GB"
"""All of a million rows."""

ROUNDS = 2000
PAGES = 500
PAGE_ROWS = 50
PREFIXES = 100
"""As many as a bucket has rows at the fewest, so that pages are as long then."""


def key_of(number: int) -> bytes:
    return b"%02d/%012d" % (number % PREFIXES, number)


def row_of(bucket_id: bytes, key: bytes) -> ObjectRow:
    return ObjectRow(
        bucket_id=bucket_id,
        key=key,
        row_uid=new_id(),
        version_id="null",
        kind=RowKind.OBJECT,
        size=1 << 20,
        modified_us=time.time_ns() // 1000,
        wrap=Wrap(Mode.SSE_KMS, os.urandom(WRAPPED_BYTES), KEY_ARN, 1),
        blob_ids=(new_id(),),
        manifest_id=None,
        part_count=0,
        revision=1,
        sealed=os.urandom(SEALED_BYTES),
    )


@dataclass(frozen=True)
class Store:
    """An index, and how to copy rows in it beside it. `fill` makes so many copies of the row with key "template"."""

    index: Index
    fill: Callable[[bytes, int, int], Awaitable[None]]
    bytes_of: Callable[[], Awaitable[int]]
    server_ticks: Callable[[], int]


_COPIED = {"key", "row_uid", "blob_id"}


def _columns(names: list[str]) -> tuple[list[str], str]:
    kept = [name for name in names if name != "version_no"]
    return kept, ", ".join(kept)


async def sqlite_store(directory: Path) -> Store:
    path = directory / "index.sqlite"
    index = await open_sqlite_index(path, durable=False)

    async def fill(bucket_id: bytes, first: int, last: int) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            names = [row[1] for row in connection.execute("PRAGMA table_info(object_version)")]
            _, listed = _columns(names)
            blob = "CAST(printf('%016d', n) AS BLOB)"
            made = {
                "key": f"CAST(printf('%02d/%012d', n % {PREFIXES}, n) AS BLOB)",
                "row_uid": "randomblob(16)",
                "blob_id": blob,
            }
            values = ", ".join(made.get(name, f"t.{name}") for name in names)
            numbers = "WITH RECURSIVE numbers(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?2)"
            template = "(SELECT * FROM object_version WHERE bucket_id = ?3 AND key = x'74656d706c617465') AS t"
            connection.execute(
                f"{numbers} INSERT INTO object_version ({listed}) SELECT {values} FROM numbers, {template}",
                (first, last, bucket_id),
            )
            connection.execute(
                f"{numbers} INSERT INTO blob (blob_id, stored_bytes, is_inline, refs) "
                f"SELECT {blob}, 1, 0, 1 FROM numbers",
                (first, last),
            )

    async def size() -> int:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.stat().st_size

    return Store(index, fill, size, lambda: 0)


async def postgresql_store(server: PostgreSQLServer) -> Store:
    index = await open_postgresql_index(server.url, schema=SCHEMA, durable=False)
    connection = await asyncpg.connect(server.url, server_settings={"search_path": SCHEMA, "synchronous_commit": "off"})

    async def fill(bucket_id: bytes, first: int, last: int) -> None:
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"
        names = [str(row[0]) for row in await connection.fetch(query, SCHEMA, "object_version")]
        kept, listed = _columns(names)
        blob = "convert_to(lpad(n::text, 16, '0'), 'UTF8')"
        made = {
            "key": f"convert_to(lpad((n % {PREFIXES})::text, 2, '0') || '/' || lpad(n::text, 12, '0'), 'UTF8')",
            "row_uid": "decode(md5(n::text), 'hex')",
            "blob_id": blob,
        }
        values = ", ".join(made.get(name, f"t.{name}") for name in kept)
        await connection.execute(
            f"INSERT INTO object_version ({listed}) SELECT {values} FROM generate_series($1::bigint, $2::bigint) AS n, "
            "(SELECT * FROM object_version WHERE bucket_id = $3 AND key = 'template') AS t",
            first, last, bucket_id,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO blob (blob_id, stored_bytes, is_inline, refs) "
            f"SELECT {blob}, 1, FALSE, 1 FROM generate_series($1::bigint, $2::bigint) AS n",
            first, last,
        )  # fmt: skip

    async def size() -> int:
        await connection.execute("VACUUM ANALYZE")
        query = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace "
        return int(await connection.fetchval(query + "WHERE nspname = $1 AND relkind = 'r'", SCHEMA))

    assert server.process is not None
    return Store(index, fill, size, lambda: _ticks_of_children(server.process.pid))


def _ticks_of_children(parent: int) -> int:
    """CPU time of PostgreSQL's own processes, which are the server's children, and of those that have ended."""
    ended = Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()
    total = int(ended[13]) + int(ended[14])
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            total += int(fields[11]) + int(fields[12])
    return total


@dataclass(frozen=True)
class Cost:
    cpu_us: float
    server_us: float
    median_us: float


async def cost_of(store: Store, operation: Callable[[], Awaitable[object]], rounds: int) -> Cost:
    for _ in range(2 * rounds):  # until pages of the file are mapped, and the server has them
        await operation()
    took = []
    ticks, cpu = store.server_ticks(), time.process_time()
    for _ in range(rounds):
        began = time.perf_counter()
        await operation()
        took.append(time.perf_counter() - began)
    cpu, ticks = time.process_time() - cpu, store.server_ticks() - ticks
    return Cost(cpu * 1e6 / rounds, ticks * 1e6 / TICKS / rounds, statistics.median(took) * 1e6)


async def measure(store: Store, buckets: list[bytes], rows: int) -> dict[str, Cost]:
    each = rows // len(buckets)

    def any_row() -> tuple[bytes, bytes]:
        number = random.randrange(len(buckets))
        return buckets[number], key_of(number * 10**9 + random.randrange(each))

    async def get() -> None:
        await store.index.get_object(*any_row())

    async def put() -> None:
        bucket_id, key = any_row()
        row = row_of(bucket_id, key + b"+" + os.urandom(4).hex().encode())
        await store.index.put_object(row, [NewBlob(row.blob_ids[0], 1 << 20)])

    async def page(delimiter: bytes = b"") -> None:
        number = random.randrange(len(buckets))
        # In the first half, so that there is a whole page after it, however few rows there are.
        after = b"" if delimiter else key_of(number * 10**9 + random.randrange(PREFIXES // 2))
        await store.index.list_objects(
            buckets[number], prefix=b"", delimiter=delimiter, after=after, max_keys=1000 if delimiter else PAGE_ROWS
        )

    return {
        "get": await cost_of(store, get, ROUNDS),
        "put": await cost_of(store, put, ROUNDS),
        f"page of {PAGE_ROWS}": await cost_of(store, page, PAGES),
        f"page of {PREFIXES} prefixes": await cost_of(store, lambda: page(b"/"), PAGES),
    }


async def run(engine: str, sizes: list[int], number_of_buckets: int, directory: Path) -> dict[str, object]:
    store = await (
        postgresql_store(start_postgresql(shared_buffers=SHARED_BUFFERS))
        if engine == "postgresql"
        else sqlite_store(directory)
    )
    buckets = []
    for number in range(number_of_buckets):
        row = BucketRow(new_id(), "123456789012", f"bucket-{number}", "us-east-1", 0, 1, b"sealed")
        await store.index.create_bucket(row)
        template = row_of(row.bucket_id, b"template")
        await store.index.put_object(template, [NewBlob(template.blob_ids[0], 1)])
        buckets.append(row.bucket_id)
    found: dict[int, dict[str, Cost]] = {}
    stored: dict[int, int] = {}
    filled = 0
    for rows in sorted(sizes):
        each = rows // number_of_buckets
        for number, bucket_id in enumerate(buckets):
            await store.fill(bucket_id, number * 10**9 + filled, number * 10**9 + each - 1)
        filled = each
        stored[rows] = await store.bytes_of()
        found[rows] = await measure(store, buckets, rows)
    await store.index.close()
    few, many = min(sizes), max(sizes)
    print(f"{engine}, {number_of_buckets} buckets; {(stored[many] - stored[few]) / (many - few):.0f} bytes a row")
    print(f"{'':22}" + "".join(f"{rows:>26,} rows" for rows in sorted(sizes)) + f"{'ratio':>8}")
    for name in found[few]:
        costs = [found[rows][name] for rows in sorted(sizes)]
        told = "".join(f"{c.cpu_us:9.0f} +{c.server_us:6.0f} us, {c.median_us:7.0f} us" for c in costs)
        ratio = (costs[-1].cpu_us + costs[-1].server_us) / (costs[0].cpu_us + costs[0].server_us)
        print(f"{name:22}{told}{ratio:8.2f}")
    return {
        "engine": engine,
        "buckets": number_of_buckets,
        "stored_bytes": stored,
        "costs": {rows: {name: vars(cost) for name, cost in each.items()} for rows, each in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--rows", default="10000,1000000")
    parser.add_argument("--buckets", type=int, default=100)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    sizes = [int(each) for each in asked.rows.split(",")]
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(run(asked.engine, sizes, asked.buckets, Path(directory)))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

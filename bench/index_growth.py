"""What an index costs when it grows: a GET, a PUT and pages of a listing at 10 thousand and at a million rows.

    python -m bench.index_growth [--engine sqlite|postgresql] [--rows 10000,1000000] [--buckets 100]

Rows are copies of one that the index itself wrote, made by a statement; operations go through the index, each on a key
at random of all of them. CPU microseconds for an operation (of this process, and of PostgreSQL's), the median that the
clock says, and bytes on the disk for a row, indexes and all. Sizes are measured in turn, so that what else the machine
does meets all of them, and of the turns the median is told. A page of common prefixes needs nothing of rows that a copy
lacks, so it is measured as a whole request as well, from signature to XML, without sockets. Budget: at the most rows
within 20 % of the fewest.
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
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from gateway.protocol.messages import Request
from gateway.protocol.modes import Mode, Wrap
from gateway.sealing.ids import new_id
from gateway.storage.index.interface import Index
from gateway.storage.index.postgresql.index import open_postgresql_index
from gateway.storage.index.records import NewBlob, ObjectRow, RowKind
from gateway.storage.index.sqlite.index import open_sqlite_index
from tests.gateway.gateway_in_process import InProcessGateway, collect, in_process_gateway
from tests.postgresql import PostgreSQLServer, start_postgresql

KEY_ARN = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
WRAPPED_BYTES = 217
"""Of a data key under a KMS key: docs/formats/ciphertext-blob.md."""

SEALED_BYTES = 260
"""Of a small object's row: docs/formats/object.md."""

SHARED_BUFFERS = "2GB"
"""All of a million rows."""

TURNS = 7
ROUNDS = 400
PAGES = 100
PAGE_ROWS = 50
PREFIXES = 100
"""As many as a bucket has rows at the fewest, so that pages are as long then."""


TEMPLATE = b"00/template"
"""In a common prefix, so that no request looks at it."""


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


Operation = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Store:
    """An index, and how to copy rows in it beside it. `fill` makes copies of the row with key TEMPLATE."""

    index: Index
    fill: Callable[[bytes, int, int], Awaitable[None]]
    bytes_of: Callable[[], Awaitable[int]]
    server_ns: Callable[[], int]


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
            template = "(SELECT * FROM object_version WHERE bucket_id = ?3 AND key = ?4) AS t"
            connection.execute(
                f"{numbers} INSERT INTO object_version ({listed}) SELECT {values} FROM numbers, {template}",
                (first, last, bucket_id, TEMPLATE),
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


async def postgresql_store(server: PostgreSQLServer, schema: str) -> Store:
    index = await open_postgresql_index(server.url, schema=schema, durable=False)
    connection = await asyncpg.connect(server.url, server_settings={"search_path": schema, "synchronous_commit": "off"})

    async def fill(bucket_id: bytes, first: int, last: int) -> None:
        query = "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2"
        names = [str(row[0]) for row in await connection.fetch(query, schema, "object_version")]
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
            "(SELECT * FROM object_version WHERE bucket_id = $3 AND key = $4) AS t",
            first, last, bucket_id, TEMPLATE,
        )  # fmt: skip
        await connection.execute(
            "INSERT INTO blob (blob_id, stored_bytes, is_inline, refs) "
            f"SELECT {blob}, 1, FALSE, 1 FROM generate_series($1::bigint, $2::bigint) AS n",
            first, last,
        )  # fmt: skip

    async def size() -> int:
        await connection.execute("VACUUM ANALYZE")
        query = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace s ON s.oid = relnamespace "
        return int(await connection.fetchval(query + "WHERE nspname = $1 AND relkind = 'r'", schema))

    assert server.process is not None
    return Store(index, fill, size, lambda: _cpu_of_children(server.process.pid))


def _cpu_of_children(parent: int) -> int:
    """Nanoseconds of CPU that PostgreSQL's processes took, which are the server's children, while there."""
    total = 0
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):  # it has ended
            total += int(Path(f"/proc/{child}/schedstat").read_text().split()[0])
    return total


@dataclass(frozen=True)
class Cost:
    cpu_us: float
    server_us: float
    median_us: float

    @property
    def all_us(self) -> float:
        return self.cpu_us + self.server_us


def _median(turns: list[Cost]) -> Cost:
    return sorted(turns, key=lambda cost: cost.all_us)[len(turns) // 2]


async def cost_of(store: Store, operation: Operation, rounds: int) -> Cost:
    for _ in range(rounds):  # until pages of the file are mapped, and the caches have what they can
        await operation()
    took = []
    server, cpu = store.server_ns(), time.process_time()
    for _ in range(rounds):
        began = time.perf_counter()
        await operation()
        took.append(time.perf_counter() - began)
    cpu, server = time.process_time() - cpu, store.server_ns() - server
    return Cost(cpu * 1e6 / rounds, server / 1000 / rounds, statistics.median(took) * 1e6)


@dataclass(frozen=True)
class Filled:
    """A store with its rows, and the gateway in front of it."""

    store: Store
    gateway: InProcessGateway
    buckets: list[bytes]
    rows: int

    def operations(self) -> dict[str, tuple[Operation, int]]:
        """Each with how often a turn does it. What writes comes last."""
        return {
            "get": (self._get, ROUNDS),
            f"page of {PAGE_ROWS}": (self._page, PAGES),
            f"page of {PREFIXES} prefixes": (self._page_of_prefixes, PAGES),
            "the same, a request": (self._request(), PAGES),
            "put": (self._put, ROUNDS),
        }

    def _any_row(self) -> tuple[bytes, bytes]:
        number = random.randrange(len(self.buckets))
        return self.buckets[number], key_of(number * 10**9 + random.randrange(self.rows // len(self.buckets)))

    async def _get(self) -> None:
        await self.store.index.get_object(*self._any_row())

    async def _put(self) -> None:
        bucket_id, key = self._any_row()
        row = row_of(bucket_id, key + b"+" + os.urandom(4).hex().encode())
        await self.store.index.put_object(row, [NewBlob(row.blob_ids[0], 1 << 20)])

    async def _page(self) -> None:
        number = random.randrange(len(self.buckets))
        # In the first half, so that there is a whole page after it, however few rows there are.
        after = key_of(number * 10**9 + random.randrange(PREFIXES // 2))
        await self.store.index.list_objects(
            self.buckets[number], prefix=b"", delimiter=b"", after=after, max_keys=PAGE_ROWS
        )

    async def _page_of_prefixes(self) -> None:
        bucket_id = random.choice(self.buckets)
        page = await self.store.index.list_objects(bucket_id, prefix=b"", delimiter=b"/", after=b"", max_keys=1000)
        assert len(page.common_prefixes) == PREFIXES

    def _request(self) -> Operation:
        """Signed before, so that clients' work does not count."""
        requests = iter(
            [_list_request(self.gateway, random.randrange(len(self.buckets))) for _ in range(2 * PAGES * TURNS)]
        )

        async def request() -> None:
            answer = await collect(await self.gateway.dispatcher.handle(next(requests)))
            assert answer.body.count(b"<CommonPrefixes>") == PREFIXES, answer.body

        return request


def _list_request(gateway: InProcessGateway, number: int) -> Request:
    return gateway.request("GET", f"/{_bucket_name(number)}", query={"list-type": "2", "delimiter": "/"})


def _bucket_name(number: int) -> str:
    return f"bucket-{number}"


@asynccontextmanager
async def filled(store: Store, directory: Path, rows: int, number_of_buckets: int) -> AsyncIterator[Filled]:
    async def opened() -> Index:
        return store.index

    async with in_process_gateway(directory, open_index=opened) as gateway:
        buckets = []
        each = rows // number_of_buckets
        for number in range(number_of_buckets):
            await gateway.call("PUT", f"/{_bucket_name(number)}")
            bucket_id = (await store.index.get_bucket(_bucket_name(number))).bucket_id
            template = row_of(bucket_id, TEMPLATE)
            await store.index.put_object(template, [NewBlob(template.blob_ids[0], 1)])
            await store.fill(bucket_id, number * 10**9, number * 10**9 + each - 1)
            buckets.append(bucket_id)
        yield Filled(store, gateway, buckets, rows)


async def run(engine: str, sizes: list[int], number_of_buckets: int, directory: Path) -> dict[str, object]:
    server = start_postgresql(shared_buffers=SHARED_BUFFERS) if engine == "postgresql" else None
    found: dict[int, dict[str, Cost]] = {rows: {} for rows in sizes}
    stored: dict[int, int] = {}
    async with AsyncExitStack() as stack:
        all_filled = []
        for rows in sorted(sizes):
            place = directory / str(rows)
            place.mkdir()
            store = await (sqlite_store(place) if server is None else postgresql_store(server, f"growth_{rows}"))
            all_filled.append(await stack.enter_async_context(filled(store, place, rows, number_of_buckets)))
            stored[rows] = await store.bytes_of()
        operations = {each.rows: each.operations() for each in all_filled}
        for name in operations[min(sizes)]:
            turns: dict[int, list[Cost]] = {rows: [] for rows in sizes}
            for _ in range(TURNS):
                for each in all_filled:
                    turns[each.rows].append(await cost_of(each.store, *operations[each.rows][name]))
            for rows, costs in turns.items():
                found[rows][name] = _median(costs)
    few, many = min(sizes), max(sizes)
    print(f"{engine}, {number_of_buckets} buckets; {(stored[many] - stored[few]) / (many - few):.0f} bytes a row")
    print(f"{'':22}" + "".join(f"{rows:>26,} rows" for rows in sorted(sizes)) + f"{'ratio':>8}")
    for name in found[few]:
        told_costs = [found[rows][name] for rows in sorted(sizes)]
        told = "".join(f"{c.cpu_us:9.0f} +{c.server_us:6.0f} us, {c.median_us:7.0f} us" for c in told_costs)
        ratio = told_costs[-1].all_us / told_costs[0].all_us
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

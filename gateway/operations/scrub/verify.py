"""The index held against itself and the blobs: every seal opened, every reference counted, every blob looked for.

For a command, beside gateways that serve: what it finds it looks at a second time, since rows change while it reads,
and only what is wrong both times counts. Counts are kept in a temporary database, not in memory.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec

from gateway.operations.sealed_rows import SealedRows
from gateway.sealing.errors import SealingError
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing, NoSuchKey, NoSuchUpload, NoSuchVersion, RowDamaged
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BucketRow, ObjectRow, RowKind, UploadRow
from gateway.storage.index.version_columns import all_blobs

PAGE: Final = 1000
_MAX_JOBS: Final = 100_000
MAX_EXAMPLES: Final = 1000
_BEFORE_ALL_PARTS: Final = -(2**31)
"""Before numbers, too, that no part has."""

ENGINE: Final = "DatabaseDamaged"
DAMAGED: Final = "DamagedRow"
UNREADABLE: Final = "UnreadableRow"
TOO_FEW: Final = "TooFewReferences"
TOO_MANY: Final = "TooManyReferences"
NO_ROW: Final = "BlobWithoutRow"
MISSING: Final = "MissingBlob"

_anything = msgspec.json.Decoder(dict[str, msgspec.Raw])

_SCHEMA = """
    CREATE TABLE blob (blob_id BLOB PRIMARY KEY, refs INTEGER, is_inline INTEGER) WITHOUT ROWID;
    CREATE TABLE named (blob_id BLOB PRIMARY KEY, count INTEGER) WITHOUT ROWID;
    CREATE TABLE stored (blob_id BLOB PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE suspect (blob_id BLOB PRIMARY KEY, refs INTEGER, count INTEGER) WITHOUT ROWID;
"""
_NAME = "INSERT INTO named VALUES (?, 1) ON CONFLICT (blob_id) DO UPDATE SET count = count + 1"
_NAME_SUSPECT = _NAME.replace("VALUES (?, 1)", "SELECT blob_id, 1 FROM suspect WHERE blob_id = ?")
_SUSPECT = """
    INSERT INTO suspect
    SELECT blob_id, refs, coalesce(count, 0) FROM blob LEFT JOIN named USING (blob_id) WHERE refs != coalesce(count, 0)
    UNION ALL SELECT blob_id, 0, count FROM named WHERE blob_id NOT IN (SELECT blob_id FROM blob)
"""


@dataclass(frozen=True, slots=True)
class Problem:
    """`kind` is one of the names above, `where` a row or blob in words."""

    kind: str
    where: str


@dataclass(slots=True)
class VerifyReport:
    """`unnamed` blobs have references that no row has: what a rebuild keeps from the sweep, or a leak. `orphans` have
    no row, and are older than the sweep's grace. Neither is a problem: nothing of them is served."""

    buckets: int = 0
    versions: int = 0
    uploads: int = 0
    parts: int = 0
    jobs: int = 0
    blobs: int = 0
    unnamed: int = 0
    orphans: int = 0
    are_references_checked: bool = True
    problems: Counter[str] = field(default_factory=Counter)
    examples: list[Problem] = field(default_factory=list)

    def add(self, kind: str, where: str) -> None:
        self.problems[kind] += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(Problem(kind, where))


class IndexVerifier:
    """Used once. `progress` is told how many rows were read, and about how many there are."""

    def __init__(
        self,
        index: Index,
        blobs: BlobStore,
        rows: SealedRows,
        *,
        orphan_grace_seconds: float,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> None:
        self._index = index
        self._blobs = blobs
        self._rows = rows
        self._grace_seconds = orphan_grace_seconds
        self._progress = progress
        self._report = VerifyReport()
        self._total = 0

    async def verify(self) -> VerifyReport:
        """Raises StorageError."""
        for problem in await self._index.self_check():
            self._report.add(ENGINE, problem)
        with closing(sqlite3.connect("", isolation_level=None)) as counts:  # a file without a name, gone when closed
            counts.executescript(_SCHEMA)
            self._total = 2 * await self._index.count_blobs()
            await self._read_blobs(counts)
            await self._read_rows(counts, _NAME, self._report)
            if self._report.are_references_checked:
                await self._check_references(counts)
            await self._check_presence(counts)
        return self._report

    async def _read_blobs(self, counts: sqlite3.Connection) -> None:
        after = b""
        while page := await self._index.list_blobs(after=after, limit=PAGE):
            values = [(row.blob_id, row.references, row.is_inline) for row in page]
            counts.executemany("INSERT OR REPLACE INTO blob VALUES (?, ?, ?)", values)
            after = page[-1].blob_id
            self._report.blobs += len(page)
            self._tell(len(page))

    def _tell(self, more: int) -> None:
        report = self._report
        self._progress(report.blobs + report.versions + report.parts, self._total)

    async def _read_rows(self, counts: sqlite3.Connection, name: str, report: VerifyReport) -> None:
        """Open every row, and count by the statement `name` which blobs they name."""

        def count(blob_ids: Iterable[bytes]) -> None:
            counts.executemany(name, [(blob_id,) for blob_id in blob_ids])

        async for bucket in self._buckets():
            report.buckets += 1
            self._open(report, f"bucket {bucket.name}", partial(self._rows.open_bucket, bucket))
            try:
                async for row in self._versions(bucket):
                    await self._version(report, bucket, row)
                    count(all_blobs(row))
                async for upload in self._uploads(bucket):
                    count(await self._upload(report, bucket, upload))
            except RowDamaged as error:
                report.add(UNREADABLE, f"bucket {bucket.name}, and what comes after it there: {error}")
                report.are_references_checked = False
        for job in await self._index.list_batch_jobs(limit=_MAX_JOBS):
            report.jobs += 1
            self._open(report, f"job {job.job_id}", partial(self._rows.open_job, job, _anything))

    async def _version(self, report: VerifyReport, bucket: BucketRow, row: ObjectRow) -> None:
        report.versions += 1
        self._tell(1)
        where = f"{bucket.name}/{row.key.decode(errors='replace')} version {row.version_id}"
        try:
            document = self._rows.open_object(row)
            if row.kind is RowKind.OBJECT and not document.commitment:
                whole = await self._index.get_object(row.bucket_id, row.key, row.version_id)
                self._rows.open_parts(whole)
        except (NoSuchKey, NoSuchVersion):
            return  # deleted meanwhile
        except SealingError:
            report.add(DAMAGED, where)

    async def _upload(self, report: VerifyReport, bucket: BucketRow, upload: UploadRow) -> list[bytes]:
        report.uploads += 1
        where = f"upload {upload.upload_id.hex()} of {bucket.name}/{upload.key.decode(errors='replace')}"
        self._open(report, where, partial(self._rows.open_upload, upload))
        named, after = [], _BEFORE_ALL_PARTS
        try:
            while page := await self._index.list_parts(upload.upload_id, after=after, limit=PAGE):
                for part in page:
                    report.parts += 1
                    self._open(report, f"part {part.part_number} of {where}", partial(self._rows.open_part, part))
                    named.append(part.blob_id)
                after = page[-1].part_number
        except NoSuchUpload:
            pass
        return named

    @staticmethod
    def _open(report: VerifyReport, where: str, opening: Callable[[], object]) -> None:
        try:
            opening()
        except SealingError:
            report.add(DAMAGED, where)

    async def _buckets(self) -> AsyncIterator[BucketRow]:
        after = ""
        while page := await self._index.all_buckets(after=after, limit=PAGE):
            for bucket in page:
                yield bucket
            after = page[-1].name

    async def _versions(self, bucket: BucketRow) -> AsyncIterator[ObjectRow]:
        after: tuple[bytes, str | None] | None = None
        while True:
            page = await self._index.list_versions(
                bucket.bucket_id, prefix=b"", delimiter=b"", after=after, max_keys=PAGE, whole=True
            )
            for entry in page.entries:
                yield entry.row
            after = page.next_after
            if after is None:
                return

    async def _uploads(self, bucket: BucketRow) -> AsyncIterator[UploadRow]:
        after: tuple[bytes, bytes | None] | None = None
        while True:
            page = await self._index.list_uploads(
                bucket.bucket_id, prefix=b"", delimiter=b"", after=after, max_uploads=PAGE
            )
            for upload in page.uploads:
                yield upload
            after = page.next_after
            if after is None:
                return

    async def _check_references(self, counts: sqlite3.Connection) -> None:
        """Those that do not agree are counted once more; what happened to them meanwhile shows in their references."""
        counts.execute(_SUSPECT)
        if not counts.execute("SELECT count(*) FROM suspect").fetchone()[0]:
            return
        counts.execute("DELETE FROM named")
        await self._read_rows(counts, _NAME_SUSPECT, VerifyReport())
        again = "SELECT blob_id, s.refs, s.count, coalesce(n.count, 0) FROM suspect s LEFT JOIN named n USING (blob_id)"
        for blob_id, references, once, twice in counts.execute(again):
            row = await self._index.get_blob(blob_id)
            now = row.references if row is not None else 0
            if now != references or once != twice or now == once:
                continue
            where = f"blob {blob_id.hex()}: {now} references, named by {once} rows"
            if row is None:
                self._report.add(NO_ROW, where)
            elif once > now:
                self._report.add(TOO_FEW, where)
            elif once:
                self._report.add(TOO_MANY, where)
            else:
                self._report.unnamed += 1

    async def _check_presence(self, counts: sqlite3.Connection) -> None:
        before_ms = time.time_ns() // 1_000_000
        batch: list[tuple[bytes]] = []
        async for blob_id in self._blobs.scan(before_ms=before_ms):
            batch.append((blob_id,))
            if len(batch) == PAGE:
                counts.executemany("INSERT OR IGNORE INTO stored VALUES (?)", batch)
                batch = []
        counts.executemany("INSERT OR IGNORE INTO stored VALUES (?)", batch)
        missing = "SELECT blob_id FROM blob WHERE NOT is_inline AND refs EXCEPT SELECT blob_id FROM stored"
        for (blob_id,) in counts.execute(missing):
            if await self._is_missing(blob_id):
                self._report.add(MISSING, f"blob {blob_id.hex()}")
        oldest_ms = before_ms - int(self._grace_seconds * 1000)
        orphans = "SELECT blob_id FROM stored WHERE blob_id < ? EXCEPT SELECT blob_id FROM blob"
        for (blob_id,) in counts.execute(orphans, (max(oldest_ms, 0).to_bytes(6),)):
            if await self._index.get_blob(blob_id) is None:
                self._report.orphans += 1

    async def _is_missing(self, blob_id: bytes) -> bool:
        row = await self._index.get_blob(blob_id)
        if row is None or not row.references:
            return False  # deleted meanwhile
        try:
            reader = await self._blobs.open(blob_id)
        except BlobMissing:
            return True
        await reader.close()
        return False

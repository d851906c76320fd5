"""The index made anew: all footers first, then buckets, versions in the order in which they were written, keys at last.

Theory of operation. Blobs are read in the order of their ids and each footer that describes an object is opened and
authenticated; what it says goes into a scratch database. There it shows which footer holds of several for one version,
and whether all blobs of a version are there. Only then the index is written, through its own interface, so that any
engine takes it. The service's keys come last: an index without them serves nothing, so one that was left half made
cannot be taken for a whole one, and is refused by the next rebuild as well.

Blobs that no version names are held, by a reference of their own: what could not be opened today may be tomorrow, and
the sweep would delete it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from gateway.index_notes import Notes
from gateway.operations.documents import BucketDocument
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.modes import BlobKind
from gateway.protocol.public_access import ALL_BLOCKED
from gateway.protocol.version_ids import NULL_VERSION_ID
from gateway.rebuild.footers import FooterOpener, NoCustomerKey, StoredFooter, read_stored
from gateway.rebuild.scratch import Scratch, State
from gateway.sealing.epochs import INDEX_KEY, SERVICE_KEY
from gateway.sealing.errors import AuthenticationFailed
from gateway.sealing.ids import id_time_ms
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import BlobMissing
from gateway.storage.index.interface import Index
from gateway.storage.index.records import BucketRow, ObjectRow
from gateway.storage.index.version_columns import all_blobs
from kms.api.errors import KMSError, KMSUnavailable

READERS: Final = 16
"""Footers under way at once: mostly they wait for the disk, or for the KMS."""

BATCH: Final = 64
"""Rows that are written at once: as many share a commit."""

MAX_TOLD: Final = 1000
"""Blobs that a report names; all are counted."""

DAMAGED: Final = "damaged"
NO_CUSTOMER_KEY: Final = "SSE-C, without its key"
UNKNOWN_BUCKET: Final = "of a bucket that the notes do not name"
INCOMPLETE: Final = "other blobs of the object are missing or changed"

Progress = Callable[[str, int, int], None]


class NotEmpty(Exception):
    """The index holds something, and is left as it is."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A blob whose object is not in the index. `key` is None where nothing tells it."""

    blob_id: bytes
    reason: str
    bucket: str | None = None
    key: bytes | None = None


@dataclass(slots=True)
class RebuildReport:
    """`versions` of `size` bytes are in `buckets`, of which `made_buckets` are called and set by guess. `earlier`
    footers say what was so before; `held` blobs, of `held_bytes`, are kept though nothing names them."""

    blobs: int = 0
    buckets: int = 0
    made_buckets: list[str] = field(default_factory=list)
    damaged_buckets: list[str] = field(default_factory=list)
    versions: int = 0
    size: int = 0
    earlier: int = 0
    held: int = 0
    held_bytes: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    examples: list[Skipped] = field(default_factory=list)

    def skip(self, skipped: Skipped) -> None:
        self.skipped[skipped.reason] += 1
        if len(self.examples) < MAX_TOLD:
            self.examples.append(skipped)


@dataclass(slots=True)
class Rebuilder:
    """One rebuild. `other_buckets`: objects of buckets that the notes do not name are taken as well; `keeps_parts`:
    parts that no object names are held, too."""

    notes: Notes
    blobs: BlobStore
    rows: SealedRows
    opener: FooterOpener
    scratch: Scratch
    region: str
    other_buckets: bool = False
    keeps_parts: bool = True
    progress: Progress = lambda what, done, total: None
    report: RebuildReport = field(default_factory=RebuildReport)
    _buckets: dict[bytes, BucketRow] = field(default_factory=dict)
    _unknown: dict[bytes, StoredFooter] = field(default_factory=dict)
    _versioned: set[bytes] = field(default_factory=set)

    async def read(self) -> None:
        """Read all footers, and settle what will be in the index. Raises KMSUnavailable, StorageUnavailable."""
        self._take_buckets()
        total = 0
        async for _ in self._scan():
            total += 1
        await _at_once(READERS, self._scan(), lambda blob_id: self._read(blob_id, total))
        for blob_id, row in self.scratch.drop_incomplete():
            self.report.skip(Skipped(blob_id, INCOMPLETE, self._name(row.bucket_id), row.key))
        self.report.earlier = self.scratch.drop_earlier()
        self.scratch.mark_named()
        self.report.versions, self.report.size = self.scratch.count()
        for page in self.scratch.unnamed():
            self.report.held += len(page)
            self.report.held_bytes += sum(blob.stored_bytes for blob in page)
        self._make_buckets()
        self.report.buckets = len(self._buckets)

    async def write(self, index: Index) -> None:
        """Write it into an empty index. Raises NotEmpty, StorageError."""
        await require_empty(index)
        for bucket in self._buckets.values():
            await index.create_bucket(bucket)
        done = 0
        for batch in _batches(self.scratch.versions()):
            puts = [index.put_object(row, self.scratch.new_blobs(all_blobs(row))) for row in batch]
            await asyncio.gather(*puts)
            done += len(batch)
            self.progress("versions", done, self.report.versions)
        for page in self.scratch.unnamed():
            await index.hold_blobs(page)
        for epoch in self.notes.epochs:
            await index.add_key_epoch(epoch)

    def _scan(self) -> AsyncIterator[bytes]:
        return self.blobs.scan(before_ms=time.time_ns() // 1_000_000)

    def _take_buckets(self) -> None:
        """Those of the notes whose seals are right."""
        for row in self.notes.buckets:
            try:
                self.rows.open_bucket(row)
            except AuthenticationFailed:
                self.report.damaged_buckets.append(row.name)
            else:
                self._buckets[row.bucket_id] = row

    async def _read(self, blob_id: bytes, total: int) -> None:
        self.report.blobs += 1
        self.progress("blobs", self.report.blobs, total)
        try:
            stored = await read_stored(self.blobs, blob_id)
        except BlobMissing:
            return  # deleted since it was listed
        except AuthenticationFailed:
            self.scratch.add_unreadable(blob_id, await self._stored_bytes(blob_id))
            self.report.skip(Skipped(blob_id, DAMAGED))
            return
        if stored.envelope.kind is BlobKind.PART:
            self.scratch.add_blob(stored, State.UNNAMED if self.keeps_parts else State.EARLIER)
            return
        self.scratch.add_blob(stored)
        await self._open(blob_id, stored)

    async def _stored_bytes(self, blob_id: bytes) -> int:
        reader = await self.blobs.open(blob_id)
        try:
            return reader.stored_bytes()
        finally:
            await reader.close()

    async def _open(self, blob_id: bytes, stored: StoredFooter) -> None:
        bucket_id = stored.envelope.bucket_id
        name = self._name(bucket_id)
        if name is None and not self.other_buckets:
            self.report.skip(Skipped(blob_id, UNKNOWN_BUCKET))
            return
        try:
            described = await self.opener.open(stored)
        except NoCustomerKey:
            self.report.skip(Skipped(blob_id, NO_CUSTOMER_KEY, name))
        except AuthenticationFailed:
            self.report.skip(Skipped(blob_id, DAMAGED, name))
        except KMSUnavailable:
            raise
        except KMSError as error:
            self.report.skip(Skipped(blob_id, f"KMS.{error.code}", name))
        else:
            self.scratch.add_version(blob_id, described)
            if name is None:
                self._unknown.setdefault(bucket_id, stored)
            if described.row.version_id != NULL_VERSION_ID:
                self._versioned.add(bucket_id)

    def _name(self, bucket_id: bytes) -> str | None:
        row = self._buckets.get(bucket_id)
        return None if row is None else row.name

    def _make_buckets(self) -> None:
        """For objects of buckets that no note tells of: closed to the public, and called by their ids."""
        for bucket_id, stored in self._unknown.items():
            row = BucketRow(
                bucket_id=bucket_id,
                account_id=stored.envelope.account_id,
                name=f"recovered-{bucket_id.hex()}",
                region=self.region,
                created_us=id_time_ms(bucket_id) * 1000,
                revision=0,
                sealed=b"",
            )
            versioning = "Enabled" if bucket_id in self._versioned else None
            document = BucketDocument(versioning=versioning, public_access_block=ALL_BLOCKED)
            self._buckets[bucket_id] = self.rows.seal_bucket(row, document)
            self.report.made_buckets.append(row.name)


async def require_empty(index: Index) -> None:
    """Raises NotEmpty."""
    epochs = [*await index.key_epochs(INDEX_KEY), *await index.key_epochs(SERVICE_KEY)]
    buckets = await index.all_buckets(after="", limit=1)
    if epochs:
        raise NotEmpty("the index is not empty: it has keys of the service, and needs no rebuild")
    if buckets:
        raise NotEmpty("the index is not empty: an earlier rebuild was cut short; remove it first")


def _batches(rows: Iterable[ObjectRow]) -> Iterable[list[ObjectRow]]:
    """In order; those of one batch have neither a key nor a blob in common, so that their order does not count."""
    batch: list[ObjectRow] = []
    names: set[tuple[bytes, bytes]] = set()
    blobs: set[bytes] = set()
    for row in rows:
        name, own = (row.bucket_id, row.key), set(all_blobs(row))
        if len(batch) == BATCH or name in names or own & blobs:
            yield batch
            batch, names, blobs = [], set(), set()
        batch.append(row)
        names.add(name)
        blobs |= own
    if batch:
        yield batch


async def _at_once(count: int, items: AsyncIterator[bytes], work: Callable[[bytes], Awaitable[None]]) -> None:
    """Do `work` on all items, on `count` at a time; the first failure ends it all."""
    turn = asyncio.Lock()  # an async generator gives one at a time

    async def go_on() -> None:
        while True:
            async with turn:
                item = await anext(items, None)
            if item is None:
                return
            await work(item)

    tasks = [asyncio.create_task(go_on()) for _ in range(count)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

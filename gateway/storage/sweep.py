"""Collecting garbage: bytes that nothing refers to any more.

Four kinds, each with a grace period:

- *Condemned blobs*: the last row that named them is gone. Readers that found the row before may still be about to
  open them, hence minutes. The bytes go first, then the row: a crash between the two repeats a harmless deletion.
- *Condemned inline blobs*: the same inside the index, in one step.
- *Orphans*: blobs in the store that the index does not know: their writer died between the blob and the row. That is
  a moment; the grace of a day is counted from the last write, not from the start of an upload, so no upload is too
  slow for it. Looking for them means walking over the whole store, so it happens once a day.
- *Unfinished blobs*, where the store keeps what dead writers left (a backing S3's multipart uploads): with the orphans.

Every step may be repeated or done by two at once without harm, so the leases in the index (`job` rows) only save work:
one process sweeps, any process goes on when that one dies, and on many machines it is one of all of them. An flock
would not tell machines apart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from gateway.storage.blobs.interface import BlobStore
from gateway.storage.index.interface import GarbageIndex, JobIndex


class SweepIndex(GarbageIndex, JobIndex, Protocol):
    """What the sweeper needs of an index."""


CONDEMNED_GRACE_SECONDS = 15 * 60
ORPHAN_GRACE_SECONDS = 24 * 3600
ORPHAN_INTERVAL_SECONDS = 24 * 3600
LEASE_SECONDS = 5 * 60
BATCH = 500
"""Blobs between two looks at the lease, and in one transaction."""

_CONDEMNED_JOB = "sweep-condemned"
_ORPHANS_JOB = "sweep-orphans"


@dataclass(slots=True)
class SweepReport:
    """What one pass removed."""

    condemned_blobs: int = 0
    inline_blobs: int = 0
    orphans: int = 0
    unfinished: int = 0
    jobs: list[str] = field(default_factory=list)
    """Which jobs this process did: an empty list means that others have them, or that none is due."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Sweeps `index` and `blobs`; `owner` is unique among running processes. `clock_us` gives Unix microseconds."""

    index: SweepIndex
    blobs: BlobStore
    owner: str
    condemned_grace_seconds: float = CONDEMNED_GRACE_SECONDS
    orphan_grace_seconds: float = ORPHAN_GRACE_SECONDS
    orphan_interval_seconds: float = ORPHAN_INTERVAL_SECONDS
    batch: int = BATCH
    clock_us: Callable[[], int] = lambda: time.time_ns() // 1000

    async def sweep(self) -> SweepReport:
        """One pass. Raises StorageUnavailable; what was removed until then stays removed, the next pass goes on."""
        report = SweepReport()
        if await self._take(_CONDEMNED_JOB):
            report.jobs.append(_CONDEMNED_JOB)
            await self._sweep_condemned(report)
            await self._sweep_inline(report)
            await self._finish(_CONDEMNED_JOB, 0)
        if await self._take(_ORPHANS_JOB):
            report.jobs.append(_ORPHANS_JOB)
            if await self._sweep_orphans(report):
                await self._finish(_ORPHANS_JOB, self.orphan_interval_seconds)
        return report

    async def _sweep_condemned(self, report: SweepReport) -> None:
        before_us = self._ago_us(self.condemned_grace_seconds)
        while blob_ids := await self.index.condemned_blobs(before_us=before_us, limit=self.batch):
            for blob_id in blob_ids:
                await self.blobs.delete(blob_id)
            await self.index.forget_blobs(blob_ids)
            report.condemned_blobs += len(blob_ids)
            if len(blob_ids) < self.batch or not await self._take(_CONDEMNED_JOB):
                return

    async def _sweep_inline(self, report: SweepReport) -> None:
        before_us = self._ago_us(self.condemned_grace_seconds)
        while count := await self.index.forget_inline_blobs(before_us=before_us, limit=self.batch):
            report.inline_blobs += count
            if count < self.batch or not await self._take(_CONDEMNED_JOB):
                return

    async def _sweep_orphans(self, report: SweepReport) -> bool:
        """False if the lease was lost on the way."""
        before_ms = self._ago_us(self.orphan_grace_seconds) // 1000
        report.unfinished += await self.blobs.discard_unfinished(before_ms=before_ms)
        batch: list[bytes] = []
        async for blob_id in self.blobs.scan(before_ms=before_ms):
            batch.append(blob_id)
            if len(batch) < self.batch:
                continue
            await self._delete_unknown(batch, report)
            batch = []
            if not await self._take(_ORPHANS_JOB):
                return False
        await self._delete_unknown(batch, report)
        return True

    async def _delete_unknown(self, blob_ids: list[bytes], report: SweepReport) -> None:
        known = await self.index.known_blobs(blob_ids)
        for blob_id in blob_ids:
            if blob_id not in known:
                await self.blobs.delete(blob_id)
                report.orphans += 1

    async def _take(self, job: str) -> bool:
        now_us = self.clock_us()
        return await self.index.take_job(job, self.owner, now_us=now_us, until_us=now_us + LEASE_SECONDS * 1_000_000)

    async def _finish(self, job: str, pause_seconds: float) -> None:
        await self.index.finish_job(job, self.owner, due_us=self.clock_us() + int(pause_seconds * 1e6))

    def _ago_us(self, seconds: float) -> int:
        return max(0, self.clock_us() - int(seconds * 1e6))

"""What a worker does beside requests: sweeps, scrubs, lifecycle rules, jobs; each in a task of its own.

Which of the workers does what is decided by leases in the index. What needs keys begins once the worker is unsealed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine

from gateway.batch_roles import StoredRoles
from gateway.blob_places import lie_in_files
from gateway.config import Settings
from gateway.integrity import integrity_event, telling
from gateway.operations.context import Services
from gateway.operations.jobs.batch_runner import BatchRunner
from gateway.operations.jobs.rewrap_jobs import RewrapJobs
from gateway.operations.jobs.rewrap_runner import RewrapRunner
from gateway.operations.lifecycle.passes import LifecyclePasses, Pace
from gateway.operations.rows import UPDATE_OBJECT_ENCRYPTION
from gateway.operations.scrub.deep import DeepScrub
from gateway.operations.scrub.passes import Pass
from gateway.operations.scrub.shallow import ShallowScrub
from gateway.sealing.errors import SealingError
from gateway.server import metrics
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import RowDamaged, StorageError
from gateway.storage.index.interface import Index
from gateway.storage.sweep import Sweeper
from iam.face.service import IdentityService
from iam.store.interface import IdentityStore, StoreUnavailable
from kms.api.service import KeyService

_log = logging.getLogger(__name__)

JOBS_SECONDS = 2.0
"""Between two looks for jobs that nobody goes on with."""

SCRUB_LOOK_SECONDS = 5.0
"""Between two looks whether a scrub is due, or one that nobody goes on with."""

LIFECYCLE_LOOK_SECONDS = 30.0
"""Between two looks whether a pass over lifecycle rules is due, or one that nobody goes on with."""

DAY_SECONDS = 86_400.0

WRITE_USES_SECONDS = 60.0
"""Between two notes of which access keys were used: each makes every worker read its credentials anew."""


class Background:
    """`owner` is unique among running processes: leases are taken in its name."""

    def __init__(self, settings: Settings, index: Index, blobs: BlobStore, owner: str) -> None:
        self._settings = settings
        self._index = index
        self._blobs = blobs
        self._owner = owner
        self._one_scrub = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """What needs no keys."""
        self._begin("sweep", self._sweep())
        settings = self._settings.scrub
        if settings.schedule == "always" or (settings.schedule == "files" and lie_in_files(self._settings)):
            shallow = ShallowScrub(self._index, self._blobs, telling(ShallowScrub.name), self._owner)
            self._begin("scrub", self._scrub(shallow, settings.every_days))

    def start_unsealed(
        self, kms: KeyService, services: Services, identities: IdentityStore, identity_service: IdentityService
    ) -> None:
        """The rest; called once."""
        via_service = f"s3.{self._settings.region}.amazonaws.com"
        rewrapping = RewrapRunner(
            RewrapJobs(self._index, services.rows, integrity_event),
            kms=kms,
            index=self._index,
            blobs=self._blobs,
            rows=services.rows,
            data_keys=services.data_keys,
            inline_limit_bytes=services.inline_limit_bytes,
            integrity_event=integrity_event,
            owner=self._owner,
            via_service=via_service,
        )
        batches = BatchRunner(
            services, StoredRoles(identities), UPDATE_OBJECT_ENCRYPTION, owner=self._owner, via_service=via_service
        )
        lifecycle = LifecyclePasses(
            self._index,
            services.rows,
            services.lifecycle_days,
            Pace(self._settings.lifecycle.every_seconds, self._settings.lifecycle.removals_per_second),
            owner=self._owner,
            integrity_event=integrity_event,
            count=metrics.count_expired,
        )
        self._begin("uses", self._write_uses(identity_service))
        self._begin("jobs", self._go_on_with_jobs(rewrapping))
        self._begin("batches", self._repeat("batch jobs", batches.run_open))
        self._begin("lifecycle", self._let_expire(lifecycle))
        if self._settings.scrub.deep_every_days:
            deep = DeepScrub(
                self._index,
                self._blobs,
                telling(DeepScrub.name),
                self._owner,
                rows=services.rows,
                data_keys=services.data_keys,
                inline_limit_bytes=services.inline_limit_bytes,
                via_service=via_service,
            )
            self._begin("deep scrub", self._scrub(deep, self._settings.scrub.deep_every_days))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _begin(self, name: str, work: Coroutine[None, None, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def _write_uses(self, service: IdentityService) -> None:
        while True:
            await asyncio.sleep(WRITE_USES_SECONDS)
            await write_uses(service)

    async def _go_on_with_jobs(self, rewrapping: RewrapRunner) -> None:
        async def rewrap() -> bool:
            await rewrapping.run_active()
            return False

        await self._repeat("jobs", rewrap)

    async def _repeat(self, what: str, work: Callable[[], Awaitable[bool]]) -> None:
        """Round after round while `work` says that there is more, and otherwise with a pause between."""
        reported = ""
        is_busy = False
        while True:
            await asyncio.sleep(0 if is_busy else JOBS_SECONDS)
            is_busy = False
            try:
                is_busy = await work()
            except (StorageError, StoreUnavailable) as error:
                reason = f"{what}: {error}"
                _log.warning("%s", reason)
                if isinstance(error, RowDamaged) and reason != reported:
                    reported = reason
                    integrity_event("row", reason)

    async def _sweep(self) -> None:
        settings = self._settings.storage
        sweeper = Sweeper(
            self._index,
            self._blobs,
            self._owner,
            condemned_grace_seconds=settings.condemned_grace_seconds,
            orphan_grace_seconds=settings.orphan_grace_seconds,
        )
        while True:
            await asyncio.sleep(settings.sweep_seconds)
            try:
                report = await sweeper.sweep()
            except StorageError as error:
                _log.warning("sweep: %s", error)
                continue
            metrics.count_swept("condemned", report.condemned_blobs + report.inline_blobs)
            metrics.count_swept("orphan", report.orphans + report.unfinished)

    async def _scrub(self, scrub: Pass, every_days: float) -> None:
        while True:
            await asyncio.sleep(SCRUB_LOOK_SECONDS)
            try:
                async with self._one_scrub:  # how much is read in a second is said of both kinds together
                    if await scrub.is_due(every_days * DAY_SECONDS):
                        await scrub.run(bytes_per_second=self._settings.scrub.bytes_per_second)
            except (StorageError, SealingError) as error:
                _log.warning("%s: %s", scrub.name, error)

    async def _let_expire(self, lifecycle: LifecyclePasses) -> None:
        while True:
            await asyncio.sleep(min(self._settings.lifecycle.every_seconds, LIFECYCLE_LOOK_SECONDS))
            try:
                await lifecycle.run_if_due()
            except (StorageError, SealingError) as error:
                _log.warning("lifecycle: %s", error)


async def write_uses(service: IdentityService) -> None:
    """When keys were last used is not worth a failure."""
    try:
        await service.write_uses()
    except StoreUnavailable as error:
        _log.warning("the last use of access keys was not noted: %s", error)

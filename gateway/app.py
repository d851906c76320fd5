"""The wiring: every part of a worker made and joined, in code, top to bottom."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
from collections.abc import Awaitable, Callable
from functools import partial

from gateway.batch_roles import StoredRoles
from gateway.blob_places import lie_in_files
from gateway.blob_stores import open_blob_store
from gateway.bucket_key_store import open_bucket_keys
from gateway.change_trail import KMSChangeTrail
from gateway.config import ConfigError, Settings
from gateway.configured_identities import apply_configured, one_at_a_time, read_configured
from gateway.database_files import database_files, troubles
from gateway.identity_stores import IdentityStores
from gateway.index_notes import NoteKeeper, NoteTaking
from gateway.index_stores import open_index
from gateway.metered import MeteredKeyService
from gateway.operations.context import Owner, PublicAccess, Services
from gateway.operations.copy_sharing import CopySetting
from gateway.operations.jobs.batch_runner import BatchRunner
from gateway.operations.jobs.rewrap_jobs import RewrapJobs
from gateway.operations.jobs.rewrap_runner import RewrapRunner
from gateway.operations.key_usage import count_usage
from gateway.operations.key_watch import KeyWatch
from gateway.operations.lifecycle.passes import LifecyclePasses, Pace
from gateway.operations.rows import OPERATIONS, UPDATE_OBJECT_ENCRYPTION
from gateway.operations.scrub.deep import DeepScrub
from gateway.operations.scrub.passes import Pass, Telling
from gateway.operations.scrub.shallow import ShallowScrub
from gateway.operations.sealed_rows import SealedRows
from gateway.protocol.acl import ANONYMOUS_ID, EC2_ID
from gateway.protocol.lifecycle import LifecycleDays
from gateway.protocol.messages import Request, Response
from gateway.protocol.public_access import ObjectOwnership
from gateway.sealing.bucket_keys import BucketKeys
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.errors import SealingError
from gateway.sealing.selftest import run_self_test
from gateway.server import metrics
from gateway.server.brakes import Brakes
from gateway.server.deletion_usage import UsageTellingKeyService
from gateway.server.dispatch import Dispatcher, Unsealed
from gateway.server.door import Door
from gateway.server.kms_edge import KMSEdge
from gateway.server.kms_quotas import KMSQuotas
from gateway.server.provider_keys import ProviderKeys
from gateway.server.rate_table import RateTable
from gateway.service_keys import IndexKeySecretSealer, ServiceKeys, open_service_keys
from gateway.storage.blobs.interface import BlobStore
from gateway.storage.errors import RowDamaged, StorageError, StorageUnavailable
from gateway.storage.index.interface import Index
from gateway.storage.sweep import Sweeper
from iam.authenticator import Authenticator
from iam.face.auditing import CallRecord
from iam.face.service import IdentityService
from iam.jose import NotAKeySet, parse_key_set
from iam.key_uses import AccessKeyUses
from iam.oidc_providers import check_provider_url
from iam.policy.errors import PolicyError
from iam.principals import service_caller
from iam.scope import GLOBAL_REGION, IAM, KMS, ORGANIZATIONS, STS
from iam.session_tokens import SessionTokens
from iam.sessions import Sessions
from iam.store.interface import IdentityStore, IdentityStoreError, NoSuchAccount, OutcomeUnknown, StoreUnavailable
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.quotas import parse_quotas
from kms.api.types import HealthState
from kms.client import KMSClient
from kms.epoch import SharedEpoch

_log = logging.getLogger(__name__)

JOBS_SECONDS = 2.0
"""Between two looks for jobs that nobody goes on with."""

SCRUB_LOOK_SECONDS = 5.0
"""Between two looks whether a scrub is due, or one that nobody goes on with."""

LIFECYCLE_LOOK_SECONDS = 30.0
"""Between two looks whether a pass over lifecycle rules is due, or one that nobody goes on with."""

DAY_SECONDS = 86_400.0

UNSEAL_PAUSE_SECONDS = 1.0
"""Between two attempts to open the service's own keys while the KMS is away."""

WRITE_USES_SECONDS = 60.0
"""Between two notes of which access keys were used: each makes every worker read its credentials anew."""


OWNER_SECONDS = 1.0
"""How long what an account is called is not asked again."""


class Application:
    """One worker's services. Sealed until the KMS opened the service's own keys; then it serves, without restart."""

    def __init__(self, settings: Settings, index: Index, blobs: BlobStore, kms: KMSClient, rates: RateTable) -> None:
        self._settings = settings
        self._index = index
        self._blobs = blobs
        self._kms = kms
        self._service = MeteredKeyService(kms, KMSQuotas(rates, parse_quotas(settings.limits.kms_quotas)))
        self._deletions = UsageTellingKeyService(self._service, settings.region)
        self._database_files = database_files(settings)
        self._identity_stores = IdentityStores(settings)
        self._identities: IdentityStore | None = None
        self._identity_service: IdentityService | None = None
        self._uses = AccessKeyUses()
        self._provider_keys = open_provider_keys(settings)
        self._change_trail = KMSChangeTrail(self._service)
        self._untold: list[str] = []
        self._epoch = SharedEpoch.open_reader(settings.epoch_path)
        self._bucket_keys: BucketKeys | None = None
        self._rewrapping: RewrapRunner | None = None
        self._batches: BatchRunner | None = None
        self._deep_scrub: DeepScrub | None = None
        self._lifecycle: LifecyclePasses | None = None
        self._owner = ""
        self._notes = NoteTaking(NoteKeeper(settings.notes_path, index), settings.run_directory / "notes.lock")
        self._key_watch: KeyWatch | None = None
        if settings.kms.on_key_disabled == "abort":
            self._key_watch = KeyWatch(self._service, lambda: self._epoch.value)
        self._unsealed: Unsealed | None = None
        self.is_unsealed = asyncio.Event()
        self._sealed_because = "starting"
        self._tasks: list[asyncio.Task[None]] = []
        brakes = Brakes(rates, settings.limits)
        self._dispatcher = dispatcher(settings, KMSEdge(self._deletions, brakes), brakes, self._require_unsealed)

    async def start(self, instance: str) -> None:
        """Try to unseal once, so that a healthy worker is ready at once; else go on trying beside."""
        self._owner = f"{instance}-{time.time_ns()}"
        sweeper = Sweeper(
            self._index,
            self._blobs,
            self._owner,
            condemned_grace_seconds=self._settings.storage.condemned_grace_seconds,
            orphan_grace_seconds=self._settings.storage.orphan_grace_seconds,
        )
        if not await self._try_to_unseal():
            self._tasks.append(asyncio.create_task(self._unseal(), name="unseal"))
        self._tasks.append(asyncio.create_task(self._sweep(sweeper), name="sweep"))
        self._tasks.append(asyncio.create_task(self._notes.run(), name="notes"))
        self._tasks.append(asyncio.create_task(self._go_on_with_jobs(), name="jobs"))
        self._tasks.append(asyncio.create_task(self._go_on_with_batches(), name="batches"))
        self._tasks.append(asyncio.create_task(self._scrub(), name="scrub"))
        self._tasks.append(asyncio.create_task(self._let_expire(), name="lifecycle"))

    async def handle(self, request: Request) -> Response:
        """Answer one request; never raises but CancelledError and MemoryError."""
        return await self._dispatcher.handle(request)

    async def ready(self) -> tuple[bool, list[str]]:
        """Whether requests can be served, and every reason why not, or not fully."""
        reasons = []
        if self._unsealed is None:
            reasons.append(f"sealed: {self._sealed_because}")
        reasons += await asyncio.to_thread(troubles, self._database_files)
        try:
            await self._index.ping()
            await self._blobs.ping()
        except StorageUnavailable as error:
            reasons.append(f"storage: {error}")
        try:
            self._identity_stores.require_current()
        except StoreUnavailable as error:
            reasons.append(str(error))
        health = await self._kms.health()
        if health.state is not HealthState.READY:
            reasons.append(f"kms {health.state.value}: {health.detail}")
        return not reasons, reasons

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._notes.close()
        await self._provider_keys.close()
        if self._bucket_keys is not None:
            self._bucket_keys.close()
        if self._key_watch is not None:
            await self._key_watch.close()
        self._epoch.close()
        await self._kms.close()
        await self._index.close()
        await self._blobs.close()
        if self._identity_service is not None:
            await write_uses(self._identity_service)
            await self._identity_service.close()
        if self._identities is not None:
            self._identities.close()
        await asyncio.to_thread(self._identity_stores.close)

    def _require_unsealed(self) -> Unsealed:
        if self._unsealed is None:
            raise KMSUnavailable("The service is sealed: its root key is not available.")
        return self._unsealed

    async def _unseal(self) -> None:
        while not await self._try_to_unseal():  # noqa: ASYNC110  # the key is in another process: nothing to wait on
            await asyncio.sleep(UNSEAL_PAUSE_SECONDS)  # another process's state: nothing to wait on

    async def _try_to_unseal(self) -> bool:
        try:
            keys = await open_service_keys(self._service, self._index, request_id="start")
        except (KMSError, StorageError, SealingError) as error:
            reason = f"{type(error).__name__}: {error}"
            if reason != self._sealed_because:
                _log.warning("sealed: %s", reason)
                if isinstance(error, SealingError):
                    integrity_event("key", reason)
            self._sealed_because = reason
            return False
        if not await self._try_to_configure(keys):
            return False
        self._identities = self._open_identities(keys)
        # It has a connection of its own, as the other belongs to this thread.
        tokens = SessionTokens(IndexKeySecretSealer(keys.rows))
        self._identity_service = IdentityService(
            lambda: self._open_identities(keys),
            self._uses,
            tokens,
            self._change_trail,
            self._provider_keys,
            catch_up=self._identity_stores.catch_up,
        )
        self._tasks.append(asyncio.create_task(self._write_uses(self._identity_service), name="uses"))
        sessions = Sessions(tokens, self._identities)
        self._unsealed = self._wire(keys, self._identities, self._identity_service, sessions)
        self.is_unsealed.set()
        _log.info("unsealed")
        return True

    async def _try_to_configure(self, keys: ServiceKeys) -> bool:
        """What the configuration says about identities must be so before anybody is let in."""
        try:
            try:
                await asyncio.to_thread(self._configure, keys)
            finally:
                await self._tell_configured()
        except (ConfigError, IdentityStoreError, PolicyError, ValueError, OSError) as error:
            reason = f"configured accounts: {error}"
            if reason != self._sealed_because:
                _log.error("sealed: %s", reason)
            self._sealed_because = reason
            return False
        return True

    async def _tell_configured(self) -> None:
        """In the audit trail, before anybody is let in. Raises TrailUnavailable: it is owed then."""
        while self._untold:
            told = json.dumps({"change": self._untold[0]})
            record = CallRecord("iam.amazonaws.com", "ConfigureIdentities", told)
            await self._change_trail.record(service_caller("start"), record)
            del self._untold[0]

    def _configure(self, keys: ServiceKeys) -> None:
        """What was changed before something failed is to be told as well."""
        configured = read_configured(self._settings)
        with (
            one_at_a_time(self._settings.run_directory / "accounts.lock"),
            contextlib.closing(self._open_identities(keys)) as store,
        ):
            try:
                for change in apply_configured(store, configured, time.time_ns() // 1000):
                    self._note_configured(change)
            except OutcomeUnknown as error:
                self._note_configured(f"it is not known whether a change was made: {error}")
                raise

    def _note_configured(self, change: str) -> None:
        _log.info("configured accounts: %s", change)
        self._untold.append(change)

    def _open_identities(self, keys: ServiceKeys) -> IdentityStore:
        return self._identity_stores.open(IndexKeySecretSealer(keys.rows))

    def _wire(
        self, keys: ServiceKeys, identities: IdentityStore, identity_service: IdentityService, sessions: Sessions
    ) -> Unsealed:
        rows = SealedRows(keys.rows)
        self._deletions.count = partial(count_usage, self._index, rows)
        self._bucket_keys = open_bucket_keys(
            self._settings.kms,
            self._service,
            self._index,
            rows,
            epoch=lambda: self._epoch.value,
            integrity_event=integrity_event,
        )
        services = Services(
            index=self._index,
            blobs=self._blobs,
            rows=rows,
            data_keys=DataKeys(self._service, keys.sse_s3, self._bucket_keys),
            region=self._settings.region,
            inline_limit_bytes=self._settings.storage.inline_bytes,
            buckets_per_account=self._settings.storage.buckets_per_account,
            owner_of=owners(identities),
            owner_by_id=owners_by_id(identities),
            could_be_principal=could_be_principal(identities),
            catch_up=self._identity_stores.catch_up,
            account_access=identities.account_access,
            put_account_block=identity_service.put_account_block,
            integrity_event=integrity_event,
            public_access=PublicAccess(
                new_buckets_block=self._settings.access.new_buckets_block_public,
                new_buckets_ownership=ObjectOwnership(self._settings.access.new_buckets_ownership),
                is_blocked_for_all=self._settings.access.block_public,
            ),
            new_buckets_take_customer_keys=not self._settings.access.new_buckets_block_sse_c,
            key_watch=self._key_watch,
            copies_share=self._settings.storage.copy == CopySetting.SHARE,
            lifecycle_days=LifecycleDays(self._settings.lifecycle.day_seconds),
        )
        via_service = f"s3.{self._settings.region}.amazonaws.com"
        self._rewrapping = RewrapRunner(
            RewrapJobs(self._index, rows, integrity_event),
            kms=self._service,
            index=self._index,
            blobs=self._blobs,
            rows=rows,
            data_keys=services.data_keys,
            inline_limit_bytes=services.inline_limit_bytes,
            integrity_event=integrity_event,
            owner=self._owner,
            via_service=via_service,
        )
        self._batches = BatchRunner(
            services, StoredRoles(identities), UPDATE_OBJECT_ENCRYPTION, owner=self._owner, via_service=via_service
        )
        self._deep_scrub = DeepScrub(
            self._index,
            self._blobs,
            telling(DeepScrub.name),
            self._owner,
            rows=rows,
            data_keys=services.data_keys,
            inline_limit_bytes=services.inline_limit_bytes,
            via_service=via_service,
        )
        self._lifecycle = LifecyclePasses(
            self._index,
            rows,
            services.lifecycle_days,
            Pace(self._settings.lifecycle.every_seconds, self._settings.lifecycle.removals_per_second),
            owner=self._owner,
            integrity_event=integrity_event,
            count=metrics.count_expired,
        )
        regions = {KMS.name: self._settings.kms.other_regions}
        regions |= {service.name: (GLOBAL_REGION,) for service in (IAM, STS, ORGANIZATIONS)}
        authenticator = Authenticator(
            self._settings.region,
            identities.find_credential,
            other_regions=regions,
            accepts_version_2=self._settings.listen.signature_version_2,
            note_use=self._uses.note,
            open_session=sessions.credential,
        )
        return Unsealed(services, Door(authenticator, self._identity_stores.catch_up), identity_service)

    async def _write_uses(self, service: IdentityService) -> None:
        while True:
            await asyncio.sleep(WRITE_USES_SECONDS)
            await write_uses(service)

    async def _go_on_with_jobs(self) -> None:
        async def rewrap() -> bool:
            if self._rewrapping is not None:
                await self._rewrapping.run_active()
            return False

        await self._repeat("jobs", rewrap)

    async def _go_on_with_batches(self) -> None:
        """In a task of its own, as neither kind may wait for the other."""

        async def run_open() -> bool:
            return self._batches is not None and await self._batches.run_open()

        await self._repeat("batch jobs", run_open)

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

    async def _sweep(self, sweeper: Sweeper) -> None:
        while True:
            await asyncio.sleep(self._settings.storage.sweep_seconds)
            try:
                report = await sweeper.sweep()
            except StorageError as error:
                _log.warning("sweep: %s", error)
                continue
            metrics.count_swept("condemned", report.condemned_blobs + report.inline_blobs)
            metrics.count_swept("orphan", report.orphans + report.unfinished)

    async def _scrub(self) -> None:
        settings = self._settings.scrub
        is_asked = settings.schedule == "always" or (settings.schedule == "files" and lie_in_files(self._settings))
        shallow = ShallowScrub(self._index, self._blobs, telling(ShallowScrub.name), self._owner)
        while True:
            await asyncio.sleep(SCRUB_LOOK_SECONDS)
            if is_asked:
                await self._scrub_if_due(shallow, settings.every_days)
            if settings.deep_every_days and self._deep_scrub is not None:
                await self._scrub_if_due(self._deep_scrub, settings.deep_every_days)

    async def _let_expire(self) -> None:
        while True:
            await asyncio.sleep(min(self._settings.lifecycle.every_seconds, LIFECYCLE_LOOK_SECONDS))
            try:
                if self._lifecycle is not None:
                    await self._lifecycle.run_if_due()
            except (StorageError, SealingError) as error:
                _log.warning("lifecycle: %s", error)

    async def _scrub_if_due(self, scrub: Pass, every_days: float) -> None:
        try:
            if await scrub.is_due(every_days * DAY_SECONDS):
                await scrub.run(bytes_per_second=self._settings.scrub.bytes_per_second)
        except (StorageError, SealingError) as error:
            _log.warning("%s: %s", scrub.name, error)


async def write_uses(service: IdentityService) -> None:
    """When keys were last used is not worth a failure."""
    try:
        await service.write_uses()
    except StoreUnavailable as error:
        _log.warning("the last use of access keys was not noted: %s", error)


async def open_application(settings: Settings, instance: str, rates: RateTable) -> Application:
    """Open everything a worker needs. `instance` names the worker's slot: its temporary files are its own.

    Raises StorageUnavailable, and SelfTestFailed before any key is touched.
    """
    run_self_test()
    index = await open_index(settings)
    try:
        blobs = open_blob_store(settings, instance, partial(integrity_event, "blob"))
    except BaseException:
        await index.close()
        raise
    kms = KMSClient(settings.kms.socket, call_seconds=settings.kms.call_seconds)
    application = Application(settings, index, blobs, kms, rates)
    await application.start(instance)
    return application


def dispatcher(settings: Settings, kms_edge: KMSEdge, brakes: Brakes, unsealed: Callable[[], Unsealed]) -> Dispatcher:
    """Of every operation that is served; `unsealed` raises KMSUnavailable while none can be."""
    return Dispatcher(
        operations=OPERATIONS,
        kms_edge=kms_edge,
        brakes=brakes,
        region=settings.region,
        domains=settings.listen.domains,
        unsealed=unsealed,
        integrity_event=integrity_event,
    )


def open_provider_keys(settings: Settings) -> ProviderKeys:
    """The source of identity providers' keys. Raises ConfigError for a file that is no key set."""
    configured = {}
    for issuer in settings.issuer:
        try:
            configured[check_provider_url(issuer.url)] = parse_key_set(issuer.keys_file.read_bytes())
        except ValueError as error:
            raise ConfigError(f"issuer.url: {error}") from error
        except (OSError, NotAKeySet) as error:
            raise ConfigError(f"issuer.keys_file: {issuer.keys_file} is no JSON Web Key Set") from error
    web = settings.webidentity
    return ProviderKeys(
        configured=configured,
        fetch_seconds=web.fetch_seconds,
        keep_seconds=web.keep_seconds,
        allow_loopback=web.loopback,
        ca_file=web.ca_file,
    )


def integrity_event(kind: str, detail: str) -> None:
    """Stored bytes that are not what was written: logged, counted, never served."""
    metrics.count_integrity_event(kind)
    _log.error("integrity event: %s %s", kind, detail)


def telling(scrub: str) -> Telling:
    """What a scrub of that name finds: logged, and counted."""
    return Telling(integrity_event, partial(metrics.count_scrubbed, scrub), metrics.SCRUBBED_BYTES.inc)


def owners(identities: IdentityStore) -> Callable[[str], Owner]:
    """How accounts are named in S3's XML. A listing asks for each of its entries, so that answers are kept for a
    moment: an account's canonical id never changes, and its name decides nothing."""
    known: dict[str, tuple[float, Owner]] = {}

    def owner_of(account_id: str) -> Owner:
        if not account_id:
            return ANONYMOUS_OWNER
        now = time.monotonic()
        until, owner = known.get(account_id, (now, None))
        if owner is not None and now < until:
            return owner
        try:
            account = identities.account(account_id)
        except NoSuchAccount:
            return Owner(account_id, account_id)
        owner = Owner(account.canonical_id, account.display_name)
        known[account_id] = now + OWNER_SECONDS, owner
        return owner

    return owner_of


def could_be_principal(identities: IdentityStore) -> Callable[[str], bool]:
    """Whether a name under "AWS" could be somebody: whoever is of an account of this installation must be there."""

    def could_be(name: str) -> bool:
        found = re.fullmatch(r"(?:arn:[^:]*:[^:]*::)?([0-9]{12})(?::.*)?", name)
        if found is not None:
            try:
                identities.account(found[1])
            except NoSuchAccount:
                return True  # of another installation, whose objects and policies may move here
        return identities.principal_exists(name)

    return could_be


def owners_by_id(identities: IdentityStore) -> Callable[[str], Owner | None]:
    """The same by canonical user id; ids that are nobody's are not remembered."""
    account_ids: dict[str, str] = {}
    fixed = {ANONYMOUS_ID: ANONYMOUS_OWNER, EC2_ID: Owner(EC2_ID, "za-team")}
    owner_of = owners(identities)

    def owner_by_id(canonical_id: str) -> Owner | None:
        if canonical_id in fixed:
            return fixed[canonical_id]
        if canonical_id not in account_ids:
            with contextlib.suppress(NoSuchAccount):
                account_ids[canonical_id] = identities.account_by_canonical_id(canonical_id).account_id
        account_id = account_ids.get(canonical_id)
        return None if account_id is None else owner_of(account_id)

    return owner_by_id


ANONYMOUS_OWNER = Owner(ANONYMOUS_ID, "anonymous")

"""The wiring: every part of a worker made and joined, in code, top to bottom."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Callable
from functools import partial

from gateway.background import Background, write_uses
from gateway.blob_stores import open_blob_store
from gateway.bucket_key_store import open_bucket_keys
from gateway.change_trail import KMSChangeTrail
from gateway.config import ConfigError, Settings
from gateway.configured_identities import apply_configured, one_at_a_time, read_configured
from gateway.database_files import database_files, troubles
from gateway.identity_seals import require_identity_seals
from gateway.identity_stores import IdentityStores
from gateway.index_notes import NoteKeeper, NoteTaking
from gateway.index_stores import open_index
from gateway.integrity import integrity_event
from gateway.metered import MeteredKeyService
from gateway.operations.context import PublicAccess, Services
from gateway.operations.copy_sharing import CopySetting
from gateway.operations.key_usage import count_usage
from gateway.operations.key_watch import KeyWatch
from gateway.operations.rows import OPERATIONS
from gateway.operations.sealed_rows import SealedRows
from gateway.owners import could_be_principal, owners, owners_by_id
from gateway.protocol.lifecycle import LifecycleDays
from gateway.protocol.messages import Request, Response
from gateway.protocol.public_access import ObjectOwnership
from gateway.sealing.bucket_keys import BucketKeys
from gateway.sealing.data_keys import DataKeys
from gateway.sealing.errors import SealingError
from gateway.sealing.selftest import run_self_test
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
from gateway.storage.errors import StorageError, StorageUnavailable
from gateway.storage.index.interface import Index
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
from iam.store.interface import IdentityStore, IdentityStoreError, OutcomeUnknown, StoreUnavailable
from iam.store.sqlite import SQLiteIdentityStore
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.quotas import parse_quotas
from kms.api.types import HealthState
from kms.client import KMSClient
from kms.epoch import SharedEpoch

_log = logging.getLogger(__name__)

UNSEAL_PAUSE_SECONDS = 1.0
"""Between two attempts to open the service's own keys while the KMS is away."""


class Application:
    """One worker's services. Sealed until the KMS opened the service's own keys; then it serves, without restart."""

    def __init__(
        self, settings: Settings, index: Index, blobs: BlobStore, kms: KMSClient, rates: RateTable, *, instance: str
    ) -> None:
        self._settings = settings
        self._index = index
        self._blobs = blobs
        self._kms = kms
        self._service = MeteredKeyService(kms, KMSQuotas(rates, parse_quotas(settings.limits.kms_quotas)))
        self._deletions = UsageTellingKeyService(self._service, settings.region)
        self._database_files = database_files(settings)
        self._identity_stores = IdentityStores(settings, partial(integrity_event, "identity"))
        self._identities: IdentityStore | None = None
        self._identity_service: IdentityService | None = None
        self._uses = AccessKeyUses()
        self._provider_keys = open_provider_keys(settings)
        self._change_trail = KMSChangeTrail(self._service)
        self._untold: list[str] = []
        self._epoch = SharedEpoch.open_reader(settings.epoch_path)
        self._bucket_keys: BucketKeys | None = None
        self._background = Background(settings, index, blobs, owner=f"{instance}-{time.time_ns()}")
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

    async def start(self) -> None:
        """Try to unseal once, so that a healthy worker is ready at once; else go on trying beside."""
        self._background.start()
        if not await self._try_to_unseal():
            self._tasks.append(asyncio.create_task(self._unseal(), name="unseal"))
        self._tasks.append(asyncio.create_task(self._notes.run(), name="notes"))

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
        await self._background.close()
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
            if self._stays_sealed(reason) and isinstance(error, SealingError):
                integrity_event("key", reason)
            return False
        if not await self._try_to_seal_identities(keys) or not await self._try_to_configure(keys):
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
        sessions = Sessions(tokens, self._identities)
        self._unsealed = self._wire(keys, self._identities, self._identity_service, sessions)
        self.is_unsealed.set()
        _log.info("unsealed")
        return True

    def _stays_sealed(self, reason: str, level: int = logging.WARNING) -> bool:
        """Whether that is news, and so is in the log."""
        is_news = reason != self._sealed_because
        if is_news:
            _log.log(level, "sealed: %s", reason)
        self._sealed_because = reason
        return is_news

    async def _try_to_seal_identities(self, keys: ServiceKeys) -> bool:
        try:
            await require_identity_seals(
                self._service, partial(asyncio.to_thread, self._seal_older_identities, keys), request_id="start"
            )
        except (KMSError, IdentityStoreError, OSError) as error:
            self._stays_sealed(f"seals of identities: {error}")
            return False
        return True

    def _seal_older_identities(self, keys: ServiceKeys) -> None:
        with contextlib.closing(self._open_identities(keys)) as store:
            if count := store.seal_rows(if_unsealed=True):
                _log.info("%d rows of the identity database, of an earlier release, have seals now", count)

    async def _try_to_configure(self, keys: ServiceKeys) -> bool:
        """What the configuration says about identities must be so before anybody is let in."""
        try:
            try:
                await asyncio.to_thread(self._configure, keys)
            finally:
                await self._tell_configured()
        except (ConfigError, IdentityStoreError, PolicyError, ValueError, OSError) as error:
            self._stays_sealed(f"configured accounts: {error}", logging.ERROR)
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

    def _open_identities(self, keys: ServiceKeys) -> SQLiteIdentityStore:
        return self._identity_stores.open(IndexKeySecretSealer(keys.rows, keys.identities))

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
        self._background.start_unsealed(self._service, services, identities, identity_service)
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
    application = Application(settings, index, blobs, kms, rates, instance=instance)
    await application.start()
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

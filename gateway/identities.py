"""The identity store of a data directory for commands, while the gateway serves and while it is stopped.

What needs no secret opens the database alone. New access keys are sealed under the index key, which the KMS opens: the
key process of the serving gateway, or else the KMS in this process. The epoch's lock tells which.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Final, NoReturn

from gateway.config import Settings
from gateway.identity_seals import must_have_seals, require_identity_seals
from gateway.identity_stores import IdentityStores
from gateway.index_stores import open_index
from gateway.key_stores import open_keys
from gateway.kmsd import root_settings, trail_settings
from gateway.service_keys import IndexKeySecretSealer, ServiceKeys, open_service_keys
from gateway.storage.index.interface import Index
from iam.store.interface import IdentitySealer
from iam.store.sqlite import SQLiteIdentityStore
from kms.api.service import KeyService
from kms.audit.trail import AuditTrail
from kms.client import KMSClient
from kms.daemon.root import roots_of
from kms.epoch import EpochLocked, SharedEpoch
from kms.service.core import ServiceSettings
from kms.service.service import EmbeddedKeyService

ROOT_SECONDS: Final = 60.0
"""How long a command waits for the root to open and to answer. It asks once, where kmsd would ask again; nobody waits
in line behind it; and deriving the key of a file's root takes seconds on a busy machine."""


class _NoSecrets:
    """For commands that neither make nor open one, and change nothing: they are told rows without proof."""

    row_key = None

    def seal(self, purpose: bytes, secret: bytes) -> NoReturn:
        raise AssertionError("this command makes no access key")

    def open(self, purpose: bytes, sealed: bytes) -> NoReturn:
        raise AssertionError("this command opens no secret")


@contextlib.contextmanager
def identities_without_secrets(settings: Settings) -> Iterator[SQLiteIdentityStore]:
    """What is there, told without proof, since no key is asked for. Raises StoreUnavailable."""
    with opened_identities(settings, _NoSecrets()) as store:
        yield store


@contextlib.contextmanager
def opened_identities(settings: Settings, sealer: IdentitySealer) -> Iterator[SQLiteIdentityStore]:
    """The store, for one thing to be done. Raises StoreUnavailable."""
    with contextlib.closing(IdentityStores(settings)) as stores, contextlib.closing(stores.open(sealer)) as store:
        yield store


@contextlib.contextmanager
def identities_to_change(settings: Settings) -> Iterator[SQLiteIdentityStore]:
    """Everything, with the keys of secrets and of seals, which the root opens, or the gateway that serves.

    Raises what `open_service_keys` raises, StoreUnavailable, RootError, StoreError, OSError.
    """
    keys = asyncio.run(_identity_keys(settings))
    with opened_identities(settings, IndexKeySecretSealer(keys.rows, keys.identities)) as store:
        yield store


async def _identity_keys(settings: Settings) -> ServiceKeys:
    index = await open_index(settings)
    try:
        async with key_service(settings) as kms:
            keys = await open_service_keys(kms, index, request_id="identities")

            async def seal_older_rows() -> None:
                await asyncio.to_thread(_seal_older_rows, settings, keys)

            await require_identity_seals(kms, seal_older_rows, request_id="identities")
    finally:
        await index.close()
    return keys


async def damaged_identities(settings: Settings) -> list[str] | None:
    """The rows whose seals are wrong, up to some of each table; None before the first start of a release with seals.

    Raises what `open_service_keys` raises, StoreUnavailable, RootError, StoreError, OSError.
    """
    index = await open_index(settings)
    try:
        async with key_service(settings) as kms:
            if not await must_have_seals(kms, request_id="doctor"):
                return None
            keys = await open_service_keys(kms, index, request_id="doctor")
    finally:
        await index.close()
    return await asyncio.to_thread(_prove_rows, settings, keys)


def _prove_rows(settings: Settings, keys: ServiceKeys) -> list[str]:
    with opened_identities(settings, IndexKeySecretSealer(keys.rows, keys.identities)) as store:
        return store.prove_rows()


def _seal_older_rows(settings: Settings, keys: ServiceKeys) -> None:
    with opened_identities(settings, IndexKeySecretSealer(keys.rows, keys.identities)) as store:
        store.seal_rows(if_unsealed=True)


@contextlib.asynccontextmanager
async def opened_index(settings: Settings, purpose: str) -> AsyncIterator[tuple[Index, ServiceKeys]]:
    """The index, and the service's own keys, which open its rows. `purpose` is the request id in the audit trail.

    Raises what `open_service_keys` raises, RootError, StoreError, OSError.
    """
    index = await open_index(settings)
    try:
        async with key_service(settings) as kms:
            keys = await open_service_keys(kms, index, request_id=purpose)
        yield index, keys
    finally:
        await index.close()


@contextlib.asynccontextmanager
async def key_service(settings: Settings) -> AsyncIterator[KeyService]:
    """The KMS: the key process of the serving gateway, or else one in this process, which writes the audit trail, too.

    Raises RootError, StoreError, OSError.
    """
    try:
        epoch = SharedEpoch.open_writer(settings.epoch_path)
    except EpochLocked:
        client = KMSClient(settings.kms.socket, call_seconds=settings.kms.call_seconds)
        try:
            yield client
        finally:
            await client.close()
        return
    with contextlib.closing(epoch), contextlib.closing(open_keys(settings, on_change=epoch.advance)) as store:
        # The trail asks as well, to sign: who comes second waits until the first one has opened the root.
        root = roots_of(root_settings(settings), store, settings.keys_path.parent, wait_seconds=ROOT_SECONDS)
        service_settings = ServiceSettings(
            region=settings.region, other_regions=settings.kms.other_regions, root_deadline_seconds=ROOT_SECONDS
        )
        try:
            async with (
                AuditTrail(trail_settings(settings), root, lambda: epoch.value) as trail,
                EmbeddedKeyService(store, root, epoch, service_settings, trail=trail) as service,
            ):
                yield service
        finally:
            root.close()

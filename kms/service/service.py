"""`EmbeddedKeyService`: the `KeyService` that holds keys itself. kmsd serves it, tests use it in process."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.epoch import Epoch
from kms.hsm.interface import Root
from kms.service import aliases, crypto, keys, states
from kms.service.authorisation import Authorise, authorise_account
from kms.service.core import Core, ServiceSettings, now_us
from kms.store.interface import KeyStore, StoreUnavailable

log = logging.getLogger(__name__)

R = TypeVar("R")


class EmbeddedKeyService:
    """Implements `kms.api.service.KeyService`; belongs to one event loop, in which it must be made.

    `store`, `root` and `epoch` stay the caller's to close, after `close`. The service is sealed until `start`
    returned and the root answered; it may be used as an asynchronous context manager.
    """

    def __init__(
        self,
        store: KeyStore,
        root: Root,
        epoch: Epoch,
        settings: ServiceSettings,
        *,
        authorise: Authorise = authorise_account,
        clock_us: Callable[[], int] = now_us,
    ) -> None:
        self._core = Core(store, root, epoch, settings, authorise=authorise, clock_us=clock_us)
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Ask the root once, and begin to watch it and to destroy keys whose deletion window ends."""
        await self._core.root.probe()
        self._background = [asyncio.create_task(self._watch_root()), asyncio.create_task(self._destroy_expired())]

    async def close(self) -> None:
        """End background work and wipe all keys. Does not wait for a root that hangs."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._core.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # Keys

    async def create_key(self, caller: Caller, request: t.CreateKey) -> t.KeyMetadata:
        return await self._answer(keys.create_key(self._core, caller, request))

    async def describe_key(self, caller: Caller, key_id: str) -> t.KeyMetadata:
        return await self._answer(keys.describe_key(self._core, caller, key_id))

    async def list_keys(self, caller: Caller, *, limit: int, marker: str | None) -> t.KeyPage:
        return await self._answer(keys.list_keys(self._core, caller, limit=limit, marker=marker))

    # Aliases

    async def create_alias(self, caller: Caller, name: str, target_key_id: str) -> None:
        await self._answer(aliases.create_alias(self._core, caller, name, target_key_id))

    async def update_alias(self, caller: Caller, name: str, target_key_id: str) -> None:
        await self._answer(aliases.update_alias(self._core, caller, name, target_key_id))

    async def delete_alias(self, caller: Caller, name: str) -> None:
        await self._answer(aliases.delete_alias(self._core, caller, name))

    async def list_aliases(self, caller: Caller, *, key_id: str | None, limit: int, marker: str | None) -> t.AliasPage:
        return await self._answer(aliases.list_aliases(self._core, caller, key_id=key_id, limit=limit, marker=marker))

    # States

    async def enable_key(self, caller: Caller, key_id: str) -> None:
        await self._answer(states.enable_key(self._core, caller, key_id))

    async def disable_key(self, caller: Caller, key_id: str) -> None:
        await self._answer(states.disable_key(self._core, caller, key_id))

    async def schedule_key_deletion(self, caller: Caller, key_id: str, pending_window_days: int) -> t.KeyMetadata:
        return await self._answer(states.schedule_key_deletion(self._core, caller, key_id, pending_window_days))

    async def cancel_key_deletion(self, caller: Caller, key_id: str) -> t.KeyMetadata:
        return await self._answer(states.cancel_key_deletion(self._core, caller, key_id))

    # Cryptography

    async def encrypt(self, caller: Caller, request: t.Encrypt) -> t.Ciphertext:
        return await self._answer(crypto.encrypt(self._core, caller, request))

    async def decrypt(self, caller: Caller, request: t.Decrypt) -> t.Plaintext:
        return await self._answer(crypto.decrypt(self._core, caller, request))

    async def re_encrypt(self, caller: Caller, request: t.ReEncrypt) -> t.ReEncrypted:
        return await self._answer(crypto.re_encrypt(self._core, caller, request))

    async def generate_data_key(self, caller: Caller, request: t.GenerateDataKey) -> t.DataKey:
        return await self._answer(crypto.generate_data_key(self._core, caller, request))

    async def generate_data_key_without_plaintext(self, caller: Caller, request: t.GenerateDataKey) -> t.Ciphertext:
        return await self._answer(crypto.generate_data_key_without_plaintext(self._core, caller, request))

    async def generate_random(self, caller: Caller, number_of_bytes: int) -> SecretBytes:
        return await self._answer(crypto.generate_random(self._core, caller, number_of_bytes))

    # Health

    async def health(self) -> t.Health:
        """From memory and one short read; never touches the HSM."""
        health = self._core.root.health()
        try:
            self._core.store.meta("root")
        except StoreUnavailable as error:
            return t.Health(t.HealthState.DEGRADED, str(error), health.retry_after_seconds or 5)
        return health

    async def _answer(self, verb: Coroutine[Any, Any, R]) -> R:
        """The verb's result, and of its failures only those the interface promises."""
        try:
            self._core.require_unsealed()
        except KMSUnavailable:
            verb.close()
            raise
        try:
            return await verb
        except KMSError:
            raise
        except StoreUnavailable as error:
            log.error("%s", error)
            raise KMSUnavailable("The key store is not available.") from error
        except Exception as error:
            log.exception("a fault in the key service")
            raise KMSError("KMSInternalException", "An internal error occurred.") from error

    async def _watch_root(self) -> None:
        """Probe a root that answers every `probe_seconds`, one that does not five times as often."""
        root, pause = self._core.root, self._core.settings.probe_seconds / 5
        for turn in itertools.count(1):
            await asyncio.sleep(pause)
            if turn % 5 and root.health().state is t.HealthState.READY:
                continue
            try:
                await root.probe()
            except Exception:
                log.exception("probing the root failed")

    async def _destroy_expired(self) -> None:
        while True:
            try:
                await states.destroy_expired_keys(self._core)
            except Exception:
                log.exception("keys due for deletion were not destroyed; they stay refused, and it is tried again")
            await asyncio.sleep(self._core.settings.sweep_seconds)

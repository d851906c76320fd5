"""`EmbeddedKeyService`: the `KeyService` that holds keys itself. kmsd serves it, tests use it in process."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.audit.trail import AuditTrail, AuditUnavailable
from kms.epoch import Epoch
from kms.hsm.interface import Root
from kms.service import acts, importing, rotation, states, usage
from kms.service.authorisation import Authorise
from kms.service.call import Call
from kms.service.core import Core, ServiceSettings, now_us
from kms.service.grants import check_tokens
from kms.service.recording import RETRY_SECONDS
from kms.service.table import HANDLERS
from kms.store.interface import KeyStore, StoreUnavailable

log = logging.getLogger(__name__)

R = TypeVar("R")

_MISSED = frozenset(
    {
        "AccessDeniedException",
        "IncorrectKeyException",
        "InvalidCiphertextException",
        "InvalidGrantTokenException",
        "NotFoundException",
    }
)
"""What is said of a key, an alias, a version or a grant that does not exist: another node may just have made it.
AccessDenied is said for want of a grant, and of another account's key that does not exist."""


class EmbeddedKeyService:
    """Implements `kms.api.service.KeyService`; belongs to one event loop, in which it must be made.

    `store`, `root`, `epoch` and `trail` stay the caller's to close, after `close`. The service is sealed until `start`
    returned and the root answered; it may be used as an asynchronous context manager.
    """

    def __init__(
        self,
        store: KeyStore,
        root: Root,
        epoch: Epoch,
        settings: ServiceSettings,
        *,
        authorise: Authorise | None = None,
        clock_us: Callable[[], int] = now_us,
        trail: AuditTrail | None = None,
        give_up: Callable[[], None] | None = None,
    ) -> None:
        """`give_up` is called once the root hangs for good, and nothing can be served any more: end the process."""
        self._give_up = give_up
        self._core = Core(store, root, epoch, settings, authorise=authorise, clock_us=clock_us, trail=trail)
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Ask the root once, and begin to watch it and to destroy keys whose deletion window ends."""
        self._core.recorder.note("StartKeyService", processId=os.getpid())
        await self._core.root.probe()
        await self._core.open_seals()
        works = self._watch_root, self._sweep, self._prove_rows, self._note_usage, self._tell_acts
        self._background = [asyncio.create_task(work(), name=work.__name__) for work in works]

    async def close(self) -> None:
        """End background work and wipe all keys. Does not wait for a root that hangs."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._flush_usage()
        self._core.recorder.note("StopKeyService", processId=os.getpid())
        self._core.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def call(self, caller: Caller, request: t.Request[R], decisions: list[Decided] | None = None) -> R:
        """See `kms.api.service.KeyService.call`. Nothing is answered before its line is in the audit trail."""
        recorder = self._core.recorder
        recorder.require_writable()
        if request.is_about_trail:
            return await self._answer(caller, request, [])
        decisions = [] if decisions is None else decisions
        try:
            answer = await self._answer(caller, request, decisions)
        except KMSError as error:
            refusal = error
        except asyncio.CancelledError:
            recorder.abandoned(caller, request, decisions)
            raise
        else:
            await recorder.answered(caller, request, decisions, answer)
            return answer
        await recorder.refused(caller, request, decisions, refusal)
        refusal.decisions = tuple(decisions)
        raise refusal

    async def _answer(self, caller: Caller, request: t.Request[R], decisions: list[Decided]) -> R:
        """Do it; what is decided on the way stands in `decisions`, however it ends. Raises KMSError alone."""
        if not request.is_about_trail:
            self._core.require_unsealed()
        call = self._core.new_call(caller, request)
        call.decisions = decisions
        try:
            return await self._handled(call)
        except KMSError as error:
            if error.code not in _MISSED or not await self._core.store.catch_up():
                raise
        decisions.clear()
        return await self._handled(call)

    async def _handled(self, call: Call[t.Request[R]]) -> R:
        request = call.request
        try:
            check_tokens(self._core, getattr(request, "grant_tokens", ()))
            answer: R = await HANDLERS[type(request)](self._core, call)
            self._core.usage.note(call, self._core.clock_us())
        except KMSError:
            raise
        except StoreUnavailable as error:
            log.error("%s", error)
            raise KMSUnavailable("The key store is not available.") from error
        except Exception as error:
            log.exception("a fault in the key service")
            raise KMSError("KMSInternalException", "An internal error occurred.") from error
        return answer

    # Health

    async def health(self) -> t.Health:
        """From memory and one short read; never touches the HSM."""
        health, recorder = self._core.root.health(), self._core.recorder
        try:
            self._core.store.meta("root")
        except StoreUnavailable as error:
            return t.Health(t.HealthState.DEGRADED, str(error), health.retry_after_seconds or 5)
        if health.state is not t.HealthState.READY:
            return health
        if not self._core.store.has_open_seals:
            trouble = self._core.seal_trouble or "the seals of the key store are not open yet"
            return t.Health(t.HealthState.SEALED, trouble, health.retry_after_seconds or 5)
        if recorder.trouble is not None:
            detail = f"the audit trail cannot be written: {recorder.trouble}"
            return t.Health(t.HealthState.DEGRADED, detail, RETRY_SECONDS)
        if recorder.unsigned is not None:
            return replace(health, detail=f"{health.detail}; the audit trail is not signed: {recorder.unsigned}")
        return health

    async def _watch_root(self) -> None:
        """Probe a root that answers every `probe_seconds`, one that does not five times as often."""
        root, pause = self._core.root, self._core.settings.probe_seconds / 5
        for turn in itertools.count(1):
            await asyncio.sleep(pause)
            if self._is_lost_for_good():
                return
            is_ready = root.health().state is t.HealthState.READY and self._core.store.has_open_seals
            if turn % 5 and is_ready:
                continue
            try:
                await root.probe()
                if root.health().state is t.HealthState.READY:
                    await self._core.open_seals()
            except Exception:
                log.exception("probing the root failed")

    def _is_lost_for_good(self) -> bool:
        """Whether calls of the root hang beyond `hang_seconds`; then the process is given up, and the watch is over.

        Not while keys are on lease, which work without the root: those end by themselves.
        """
        core, seconds = self._core, self._core.root.hanging_seconds
        if self._give_up is None or seconds < core.settings.hang_seconds or core.leases.serve_without_root:
            return False
        log.error("calls of the root hang since %.0f s: it cannot come back in this process, which ends", seconds)
        core.recorder.note("AbandonRoot", hangingSeconds=int(seconds))
        self._give_up()
        return True

    async def _sweep(self) -> None:
        """What becomes due by time: the end of keys and of imported material, and rotation."""
        await self._core.unsealed.wait()
        while True:
            try:
                await states.destroy_expired_keys(self._core)
            except Exception:
                log.exception("keys due for deletion were not destroyed; they stay refused, and it is tried again")
            try:
                await importing.expire_material(self._core, is_job=True)
            except Exception:
                log.exception("expired material was not destroyed; it stays refused, and it is tried again")
            try:
                await rotation.rotate_due_keys(self._core)
            except KMSUnavailable as error:
                log.warning("keys due for rotation wait: %s", error.message)
            except Exception:
                log.exception("keys due for rotation were not rotated; it is tried again")
            await asyncio.sleep(self._core.settings.sweep_seconds)

    async def _prove_rows(self) -> None:
        """Look at every row's seal, once: what nobody asks for may be damaged as well."""
        await self._core.unsealed.wait()
        try:
            for row in await self._core.compute(self._core.store.prove_rows):
                log.error("integrity: a row of the key store is not as a key service wrote it: %s", row)
        except (StoreUnavailable, KMSError) as error:
            log.warning("the rows of the key store were not proven: %s", error)

    async def _note_usage(self) -> None:
        while True:
            await asyncio.sleep(usage.FLUSH_SECONDS)
            await self._flush_usage()

    async def _tell_acts(self) -> None:
        while True:
            try:
                await acts.tell_acts(self._core)
            except AuditUnavailable as error:
                log.warning("what commands did is not in the audit trail yet: %s", error)
            except Exception:
                log.exception("what commands did was not put into the audit trail; it is tried again")
            await asyncio.sleep(acts.TELL_SECONDS)

    async def _flush_usage(self) -> None:
        try:
            await usage.flush_usage(self._core)
        except Exception:
            log.exception("the last use of keys was not written down")

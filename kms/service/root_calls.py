"""Calls of the root from the event loop: in threads, with a deadline, and with a memory of how they went.

The memory is what health answers from, so that asking never touches the HSM: *sealed* until the first call succeeded,
*ready* while the last one did, *degraded* otherwise. A call that hangs keeps its thread; there are few, and what waits
for a thread gives up at the same deadline. Once all threads are held by calls past their deadline, nobody waits any
more: callers are refused at once, until one of those calls ends. A hang that lasts is for whoever watches
(`hanging_seconds`): threads cannot be ended, processes can.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from database.threads import started_threads
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.types import Health, HealthState
from kms.hsm.interface import (
    KeyLetGo,
    NotOffered,
    Root,
    RootError,
    RootMisconfigured,
    RootUnavailable,
    UnwrapFailed,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 8
"""Calls in the HSM at once. SoftHSM and most network HSMs gain nothing beyond; a hung one blocks no more threads."""

MAX_WAITING = 4096
RETRY_SECONDS = 5
OPERATOR_SECONDS = 60
"""Retry-After when an operator must act first."""


class RootCalls:
    """Runs functions of the root off the loop. `close` does not wait for calls that hang."""

    def __init__(
        self,
        root: Root,
        *,
        deadline_seconds: float,
        changed: Callable[..., None] = lambda name, **details: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`changed` is told when the root is unsealed, lost or back, with a name and details for the audit trail."""
        self._root = root
        self._changed = changed
        self._deadline_seconds = deadline_seconds
        self._threads = started_threads(THREADS, "root")
        self._waiting = 0
        self._clock = clock
        self._overdue: dict[Future[Any], float] = {}  # calls past their deadline that hold their thread, and since when
        self._releases: dict[object, float] = {}  # what `release` runs just now, and when it will be past a deadline
        self._succeeded_at = clock()
        self._was_ready = False
        self._failure: tuple[str, int] | None = ("the root was not asked yet", RETRY_SECONDS)

    @property
    def is_sealed(self) -> bool:
        return not self._was_ready

    def health(self) -> Health:
        if self._failure is None:
            return Health(HealthState.READY, "the root answers")
        detail, retry_after_seconds = self._failure
        state = HealthState.DEGRADED if self._was_ready else HealthState.SEALED
        return Health(state, detail, retry_after_seconds)

    @property
    def hanging_seconds(self) -> float:
        """How long a call has been past its deadline while no other succeeded; 0 if none hangs, or others do.

        A module with a call in it cannot be initialised anew: what hangs keeps the root from coming back.
        """
        hanging = self._hanging_since()
        return self._clock() - max(self._succeeded_at, min(hanging)) if hanging else 0.0

    def unavailable(self) -> KMSUnavailable:
        """The refusal while the root does not answer; operators find the cause in log and health, clients do not."""
        _, retry_after_seconds = self._failure or ("", RETRY_SECONDS)
        return KMSUnavailable("The root of the key hierarchy is not available.", retry_after_seconds)

    async def call(self, function: Callable[[Root], T], *, extra_seconds: float = 0.0) -> T:
        """`function(root)` in a thread; `extra_seconds` longer than the deadline of others.

        Raises KMSUnavailable when the root is absent, misconfigured or slower than the deadline,
        KMSInternalException for a record that the root refuses to open, UnsupportedOperationException for what the
        root does not offer, and KeyLetGo as a held key does.
        """
        if self._waiting >= MAX_WAITING or self._is_hanging():
            raise self.unavailable()
        self._waiting += 1
        deadline_seconds = self._deadline_seconds + extra_seconds
        call = self._threads.submit(function, self._root)
        try:
            async with asyncio.timeout(deadline_seconds):
                result = await asyncio.wrap_future(call)
        except TimeoutError:
            if call.running():
                self._overdue[call] = self._clock()
            self._failed(f"the root did not answer within {deadline_seconds:g} s", RETRY_SECONDS)
            raise self.unavailable() from None
        except RootMisconfigured as error:
            self._failed(str(error), OPERATOR_SECONDS)
            raise self.unavailable() from error
        except RootUnavailable as error:
            self._failed(str(error), RETRY_SECONDS)
            raise self.unavailable() from error
        except UnwrapFailed as error:
            self._succeeded()
            log.error("integrity: a key record does not open: %s", error)
            raise KMSError("KMSInternalException", "The key material cannot be opened.") from error
        except NotOffered as error:
            self._succeeded()
            raise KMSError("UnsupportedOperationException", f"{error}.") from error
        except KeyLetGo:
            raise
        except RootError as error:
            self._failed(str(error), RETRY_SECONDS)
            raise self.unavailable() from error
        finally:
            self._waiting -= 1
        self._succeeded()
        return result

    def release(self, function: Callable[[], None]) -> None:
        """Run `function`, which raises nothing, in a thread some time soon; not at all once this is closed."""

        def run() -> None:
            release = object()
            self._releases[release] = self._clock() + self._deadline_seconds
            try:
                function()
            finally:
                del self._releases[release]

        with contextlib.suppress(RuntimeError):
            self._threads.submit(run)

    async def probe(self) -> None:
        """Ask the root for its check value, so that health is true also while nobody needs the root."""
        try:
            await self.call(lambda root: root.check())
        except KMSError as error:
            log.debug("probe of the root: %s", error.message)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _is_hanging(self) -> bool:
        """Whether no thread is left for another call, and none will come free by itself soon."""
        return len(self._hanging_since()) >= THREADS

    def _hanging_since(self) -> list[float]:
        """Since when each thread is held that is held beyond a deadline."""
        for call in [call for call in self._overdue if call.done()]:
            del self._overdue[call]
        now = self._clock()
        # In one step: threads put releases in and out meanwhile.
        releases = list(self._releases.values())
        return [*self._overdue.values(), *(since for since in releases if since <= now)]

    def _failed(self, detail: str, retry_after_seconds: int) -> None:
        if self._failure != (detail, retry_after_seconds):
            log.warning("root %s: %s", "lost" if self._was_ready else "absent", detail)
            if self._failure is None:
                self._changed("LoseRoot", cause=detail)
        self._failure = (detail, retry_after_seconds)

    def _succeeded(self) -> None:
        if self._failure is not None:
            log.info("root ready")
            self._changed("RecoverRoot" if self._was_ready else "UnsealKeyService")
        self._failure = None
        self._was_ready = True
        self._succeeded_at = self._clock()

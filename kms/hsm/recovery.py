"""`RecoveringRoot`: a root that comes back by itself after its token was lost, and never makes a caller hang.

                 opened                       lost: one recovery, one retry
      sealed ───────────────▶ ready ◀───────────────────────┐
        │ ▲                     │ recovery or retry failed   │ opened
        │ └ never was ready     ▼                            │
        │                    degraded ── after a back-off ───┘   (1 s, 2 s, 4 s … 15 s between attempts)
        ▼                       ▼
      misconfigured: an operator must act; wrong PIN: for good, until this process is started again

Sealed is degraded at the start: both are an open circuit breaker, in which calls raise RootUnavailable at once; the
first call (or `probe`) after the back-off makes one attempt while others are still refused. A misconfigured root is
also tried again, at the longest back-off, since the right token may be put in; but a PIN is tried once, as HSMs lock.

Opening a root (`open_root`) does all that recovery takes: restart the module after draining its callers, log in, find
the keys, verify the check value (PKCS11Root.open, kms/hsm/module.py). This module decides only when, and for whom.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any, Generic, TypeVar

from kms.api.secrets import SecretBytes
from kms.hsm.errors import CredentialRejected, RootLost
from kms.hsm.interface import (
    KEY_SIZE,
    HeldKey,
    HeldPrivateKey,
    KeyLetGo,
    PairKind,
    PrivateKeyType,
    Protection,
    Root,
    RootError,
    RootIdentity,
    RootMisconfigured,
    RootUnavailable,
    SignatureScheme,
    WrappedPair,
)

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 15.0
WAIT_SECONDS = 2.0
"""How long calls wait for a recovery that was just begun by another; a healthy token needs a tenth of that."""


class RootState(StrEnum):
    READY = "ready"
    DEGRADED = "degraded"
    """It was ready once and is not now."""
    SEALED = "sealed"
    """It was never ready since the start of this process."""
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class RootStatus:
    """For health and doctor. `detail` is one sentence; `retry_after_seconds` is 0 when ready or when only an operator
    can help."""

    state: RootState
    detail: str
    retry_after_seconds: int = 0


class RecoveringRoot:
    """Implements `Root` over whatever `open_root` opens. Thread-safe. Nothing is opened before the first call."""

    def __init__(
        self,
        open_root: Callable[[], Root],
        *,
        clock: Callable[[], float] = time.monotonic,
        first_delay_seconds: float = FIRST_DELAY_SECONDS,
        max_delay_seconds: float = MAX_DELAY_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._open_root = open_root
        self._clock = clock
        self._first_delay = first_delay_seconds
        self._max_delay = max_delay_seconds
        self._wait_seconds = wait_seconds
        self._condition = threading.Condition()
        # All below is guarded by the condition.
        self._root: Root | None = None
        self._identity: RootIdentity | None = None
        self._opening = False
        self._closed = False
        self._failure: RootError = RootUnavailable("the root was not opened yet")
        self._failures = 0  # attempts that failed since the root was last ready
        self._retry_at = clock()
        self._wait_until = 0.0  # by time.monotonic: threads wait in real time whatever the clock

    @property
    def status(self) -> RootStatus:
        """Answers at once, also while the token hangs."""
        with self._condition:
            if self._root is not None:
                return RootStatus(RootState.READY, f"root key {self._root.identity.label!r} is in use")
            detail = str(self._failure)
            if isinstance(self._failure, CredentialRejected):
                return RootStatus(RootState.MISCONFIGURED, f"{detail}; not tried again until restarted")
            retry_after = max(1, ceil(self._retry_at - self._clock()))
            if isinstance(self._failure, RootMisconfigured):
                return RootStatus(RootState.MISCONFIGURED, detail, retry_after)
            state = RootState.SEALED if self._identity is None else RootState.DEGRADED
            return RootStatus(state, detail, retry_after)

    @property
    def known_identity(self) -> RootIdentity | None:
        """The root's if it was ever opened; opens nothing."""
        with self._condition:
            return self._identity

    @property
    def identity(self) -> RootIdentity:
        """The root's, also while it is lost; raises RootUnavailable or RootMisconfigured if it was never opened."""
        with self._condition:
            if self._identity is not None:
                return self._identity
        return self._current().identity

    @property
    def strict_identity(self) -> RootIdentity | None:
        """The open root's: opens it if need be, and raises RootUnavailable or RootMisconfigured as calls do."""
        return self._current().strict_identity

    def probe(self) -> RootStatus:
        """Open the root if it is not ready and an attempt is due; blocks as long as opening takes.

        To be called at the start and every second or so, that a root heals without anybody asking for a key.
        """
        with contextlib.suppress(RootError):
            self._current()
        return self.status

    def holding(self, root_id: bytes) -> Root:
        return self

    def generate_wrapped_key(self, protection: Protection = Protection.SOFTWARE, size: int = KEY_SIZE) -> bytes:
        return self._call(lambda root: root.generate_wrapped_key(protection, size))

    def wrap_key(self, key: SecretBytes, protection: Protection = Protection.SOFTWARE) -> bytes:
        return self._call(lambda root: root.wrap_key(key, protection))

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        return self._call(lambda root: root.unwrap_key(wrapped))

    def hold_key(self, wrapped: bytes) -> HeldKey:
        """A key that is held anew, when it is next used, by the root that comes after a loss."""
        key = _RecoveringKey(self._call, lambda root: root.hold_key(wrapped))
        self._call(key.held_in)
        return key

    def generate_wrapped_pair(self, kind: PairKind) -> WrappedPair:
        return self._call(lambda root: root.generate_wrapped_pair(kind))

    def wrap_private_key(self, pkcs8: SecretBytes, key_type: PrivateKeyType) -> bytes:
        return self._call(lambda root: root.wrap_private_key(pkcs8, key_type))

    def hold_private_key(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        """As `hold_key`."""
        key = _RecoveringPrivateKey(self._call, lambda root: root.hold_private_key(wrapped, key_type))
        self._call(key.held_in)
        return key

    def mac(self, message: bytes) -> bytes:
        return self._call(lambda root: root.mac(message))

    def sign(self, digest: bytes) -> bytes:
        return self._call(lambda root: root.sign(digest))

    def audit_public_key(self) -> bytes:
        return self._call(lambda root: root.audit_public_key())

    def random(self, length: int) -> bytes:
        return self._call(lambda root: root.random(length))

    def check(self) -> None:
        """As the root's own; a root that turns out to be foreign is not used any more."""
        root = self._current()
        try:
            self._call(lambda root: root.check())
        except RootMisconfigured as error:
            self._retire(root, error, back_off=True)
            raise

    def close(self) -> None:
        with self._condition:
            root, self._root, self._closed = self._root, None, True
            self._failure = RootUnavailable("the root was closed")
        if root is not None:
            root.close()

    def _call(self, operation: Callable[[Root], T]) -> T:
        root = self._current()
        try:
            return operation(root)
        except RootLost as loss:
            self._retire(root, loss)
        root = self._current()
        try:
            return operation(root)
        except RootLost as loss:
            self._retire(root, loss, back_off=True)
            raise RootUnavailable(str(loss)) from loss

    def _current(self) -> Root:
        """The open root; opens it if an attempt is due. Raises RootUnavailable or RootMisconfigured, soon."""
        with self._condition:
            if self._root is None and self._opening and not self._failures:
                self._condition.wait_for(lambda: not self._opening, self._wait_until - time.monotonic())
            if self._root is not None:
                return self._root
            if self._closed or self._opening or not self._is_due():
                raise _same_kind(self._failure)
            self._opening = True
            self._wait_until = time.monotonic() + self._wait_seconds
        return self._open()

    def _open(self) -> Root:
        """One attempt, by the one thread that set `_opening`."""
        failure: RootError = RootUnavailable("opening the root ended in an error of this program")
        root: Root | None = None
        try:
            root = self._open_root()
        except RootError as error:
            failure = error
        finally:
            # Also for errors nobody expects: `_opening` left behind would seal the root for good.
            failure = self._accept(root, failure)
        if root is None or root is not self._root:
            raise _same_kind(failure)
        return root

    def _accept(self, root: Root | None, failure: RootError) -> RootError:
        """End the attempt: put the root into use, or open the breaker. Returns why it is not in use, if it is not."""
        with self._condition:
            self._opening = False
            self._condition.notify_all()
            if root is not None and self._is_another(root.identity):
                failure = RootMisconfigured(f"root key {root.identity.root_id.hex()} is not the one used before")
            elif root is not None and self._closed:
                failure = self._failure
            elif root is not None:
                log.info("the root is ready: key %r, id %s", root.identity.label, root.identity.root_id.hex())
                self._root, self._identity, self._failures = root, root.identity, 0
                return failure
            else:
                log.warning("the root does not open: %s", failure)
            self._back_off(failure)
        if root is not None:
            root.close()
        return failure

    def _is_another(self, identity: RootIdentity) -> bool:
        return self._identity is not None and identity != self._identity

    def _retire(self, root: Root, failure: RootError, *, back_off: bool = False) -> None:
        """Take a root out of use, once however many callers lost it; without `back_off` the next call opens it anew."""
        with self._condition:
            if self._root is not root:
                return
            self._root = None
            self._failure = failure
            self._retry_at = self._clock()
            if back_off:
                self._back_off(failure)
        log.warning("the root is out of use: %s", failure)
        # Outside the lock: closing may wait for the module.
        root.close()

    def _is_due(self) -> bool:
        return not isinstance(self._failure, CredentialRejected) and self._clock() >= self._retry_at

    def _back_off(self, failure: RootError) -> None:
        delay = min(self._max_delay, self._first_delay * 2.0 ** min(self._failures, 30))
        if isinstance(failure, RootMisconfigured):
            delay = self._max_delay
        self._failure = failure
        self._failures += 1
        self._retry_at = self._clock() + delay


H = TypeVar("H", HeldKey, HeldPrivateKey)


class _Recovering(Generic[H]):
    """A key held by one root after another. `call` runs a function on the present root, `hold` holds the key in one."""

    def __init__(self, call: Callable[[Callable[[Root], Any]], Any], hold: Callable[[Root], H]) -> None:
        self._call = call
        self._hold: Callable[[Root], H] = hold
        self._lock = threading.Lock()
        self._root: Root | None = None
        self._held: H | None = None
        self._closed = False

    def held_in(self, root: Root) -> H:
        with self._lock:
            if self._closed:
                raise KeyLetGo("the held key was closed")
            if self._held is None or self._root is not root:
                # What an earlier root held went with its sessions.
                self._held, self._root = self._hold(root), root
            return self._held

    def close(self) -> None:
        with self._lock:
            held, self._held, self._closed = self._held, None, True
        if held is not None:
            held.close()


class _RecoveringKey(_Recovering[HeldKey]):
    """Implements `HeldKey`."""

    def mac(self, message: bytes, hash_name: str = "sha256") -> bytes:
        tag: bytes = self._call(lambda root: self.held_in(root).mac(message, hash_name))
        return tag


class _RecoveringPrivateKey(_Recovering[HeldPrivateKey]):
    """Implements `HeldPrivateKey`."""

    def sign(self, scheme: SignatureScheme, digest: bytes, hash_name: str) -> bytes:
        signature: bytes = self._call(lambda root: self.held_in(root).sign(scheme, digest, hash_name))
        return signature

    def decrypt(self, ciphertext: bytes, hash_name: str) -> bytes:
        plaintext: bytes = self._call(lambda root: self.held_in(root).decrypt(ciphertext, hash_name))
        return plaintext

    def agree(self, point: bytes) -> bytes:
        secret: bytes = self._call(lambda root: self.held_in(root).agree(point))
        return secret


def _same_kind(failure: RootError) -> RootError:
    """A fresh exception for each caller: one raised again and again would grow its traceback without end."""
    kind = RootMisconfigured if isinstance(failure, RootMisconfigured) else RootUnavailable
    return kind(str(failure))

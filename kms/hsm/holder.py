"""Keys of protection `hsm` under root-strict: wrapped, and held in a session that owns all held objects.

Objects are made and destroyed in that one session, one call at a time, and used from the pool's. It is opened with the
root, so that a pool that has all the sessions a token allows cannot keep it out.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pkcs11 import exceptions as p11

from kms.hsm.driver import Driver
from kms.hsm.held_key import Run, TokenKey, TokenPrivateKey
from kms.hsm.interface import (
    KEY_SIZE,
    HeldKey,
    HeldPrivateKey,
    NotOffered,
    PairKind,
    PrivateKeyType,
    RootError,
    RootIdentity,
    UnwrapFailed,
    WrappedPair,
)
from kms.hsm.profiles.interface import RootSession, WrappingKey
from kms.hsm.profiles.key_wrap import as_mechanism, generate_under, hold_under, wrap_under
from kms.hsm.profiles.pair_wrap import generate_pair_under, hold_private_under, padded
from kms.hsm.profiles.refusals import UNSUPPORTED
from kms.hsm.root_keys import can_hold, can_hold_private, strict_plan
from kms.hsm.uri import TokenURI

if TYPE_CHECKING:
    from pkcs11.types import Object

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_HELD_KEY_BYTES = 128
"""The longest key that HMAC does not hash first (RFC 2104 with SHA-384 and SHA-512)."""
MAX_PRIVATE_KEY_BYTES = 4088
"""PKCS#8; wrapped, what a key record holds."""

AMBIGUOUS: Final = (p11.GeneralError, p11.FunctionFailed, p11.DeviceError)
"""What tokens answer to wrapped bytes that are not theirs as well as to a fault of their own."""

_NOT_TAKEN: Final = "the token does not take private keys of this kind: their protection is software"

Guard = Callable[[str, Callable[[], Any]], Any]


class Holder:
    """`run` runs a function in a session of the pool; `guard` runs one with the module held and errors translated.

    `owner` is the session that owns what is held, None where there is none to spare; the holder closes nothing.
    """

    def __init__(
        self, owner: RootSession | None, uri: TokenURI, root_id: bytes, driver: Driver, *, run: Run, guard: Guard
    ) -> None:
        self._owner = owner
        self._mechanism = as_mechanism(driver.key_wrap_mechanism)
        self._run = run
        self._guard = guard
        self._lock = threading.Lock()
        self._label = uri.label + strict_plan(driver).suffix
        self._known_good: bytes | None = None
        self.identity: RootIdentity | None = None
        self._holds_private: set[PrivateKeyType] = set()
        if owner is None or owner.root_strict is None or not can_hold(owner.session, owner.root_strict, driver):
            return
        self.identity = RootIdentity("kw", root_id, self._label, driver.key_wrap_mechanism)
        self._known_good = generate_under(owner.session, owner.root_strict, self._mechanism)
        for key_type in PrivateKeyType:
            private = _strict_key(owner, key_type)
            if private is not None and can_hold_private(owner.session, private, driver, key_type=key_type):
                self._holds_private.add(key_type)

    def generate(self, size: int) -> bytes:
        """As `wrap`, of bytes that are made inside."""
        _require_held_size(size)
        return self._run(
            "generating a key", lambda at: generate_under(at.session, self._strict(at), self._mechanism, size)
        )

    def wrap(self, value: bytes) -> bytes:
        """Raises ValueError for a length that is not held."""
        _require_held_size(len(value))
        return self._run("wrapping a key", lambda at: wrap_under(at.session, self._strict(at), self._mechanism, value))

    def hold(self, wrapped: bytes) -> HeldKey:
        _require_size(wrapped, MAX_HELD_KEY_BYTES)
        handle, let_go = self._hold(lambda: hold_under(self._strict(self._owner), self._mechanism, wrapped))
        return TokenKey(handle, self._run, let_go)

    def generate_pair(self, kind: PairKind) -> WrappedPair:
        """Make a pair inside, and prove that the token holds it. Raises NotOffered."""

        def generate(at: RootSession) -> WrappedPair:
            wrapping_key = self._strict_private(at, kind.key_type)
            try:
                return generate_pair_under(at.session, wrapping_key, self._mechanism, kind)
            except (*UNSUPPORTED, p11.DomainParamsInvalid, p11.DataLenRange) as error:
                raise NotOffered("the token makes no pairs of this kind, or wraps none that it made") from error

        pair = self._run("generating a key pair", generate)
        self._prove_private(pair.wrapped, kind.key_type)
        return pair

    def wrap_private(self, pkcs8: bytes, key_type: PrivateKeyType) -> bytes:
        """Wrap, and prove that the token holds such a key. Raises NotOffered, ValueError for a length out of bounds."""
        if not 1 <= len(pkcs8) <= MAX_PRIVATE_KEY_BYTES:
            raise ValueError(f"a private key has 1 to {MAX_PRIVATE_KEY_BYTES} bytes, not {len(pkcs8)}")

        def wrap(at: RootSession) -> bytes:
            return wrap_under(at.session, self._strict_private(at, key_type), self._mechanism, padded(pkcs8))

        wrapped = self._run("wrapping a private key", wrap)
        self._prove_private(wrapped, key_type)
        return wrapped

    def hold_private(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        _require_size(wrapped, MAX_PRIVATE_KEY_BYTES)

        def hold() -> Object:
            try:
                return hold_private_under(
                    self._strict_private(self._owner, key_type), self._mechanism, wrapped, key_type
                )
            except (*UNSUPPORTED, p11.DomainParamsInvalid) as error:
                raise NotOffered(_NOT_TAKEN) from error

        handle, let_go = self._hold(hold)
        return TokenPrivateKey(handle, self._run, let_go)

    def _prove_private(self, wrapped: bytes, key_type: PrivateKeyType) -> None:
        try:
            self.hold_private(wrapped, key_type).close()
        except UnwrapFailed as error:
            raise NotOffered(_NOT_TAKEN) from error

    def _hold(self, hold: Callable[[], Object]) -> tuple[int, Callable[[], None]]:
        with self._lock:
            key: Object = self._guard("holding a key", lambda: self._hold_or_not(hold))
        assert key.handle is not None
        return key.handle, lambda: self._let_go(key)

    def _hold_or_not(self, hold: Callable[[], Object]) -> Object:
        """Hold; when the answer may mean a loss as well, find out by a key that is known to be good.

        As `PKCS11Root._unwrap`: said twice with a good one held in between, it is a verdict on the bytes.
        """
        with contextlib.suppress(*AMBIGUOUS):
            return hold()
        assert self._known_good is not None
        hold_under(self._strict(self._owner), self._mechanism, self._known_good).destroy()
        try:
            return hold()
        except AMBIGUOUS as error:
            raise UnwrapFailed("root-strict did not wrap these bytes, or they were changed") from error

    def _let_go(self, key: Object) -> None:
        """Destroy a held key. What cannot be destroyed goes with its session."""
        with contextlib.suppress(RootError), self._lock:
            self._guard("letting a key go", key.destroy)

    def _strict(self, at: RootSession | None) -> WrappingKey:
        if self.identity is None or at is None or at.root_strict is None:
            raise NotOffered(
                f"keys of protection hsm need a key {self._label!r} in a token that enforces CKA_UNWRAP_TEMPLATE:"
                " `sealgate hsm probe` tells"
            )
        return at.root_strict

    def _strict_private(self, at: RootSession | None, key_type: PrivateKeyType) -> WrappingKey:
        self._strict(at)
        key = None if at is None else _strict_key(at, key_type)
        if key is None or key_type not in self._holds_private:
            raise NotOffered("the token holds no private keys of this kind: their protection is software")
        return key


def _strict_key(at: RootSession, key_type: PrivateKeyType) -> WrappingKey | None:
    return at.root_strict_agreement if key_type is PrivateKeyType.EC_AGREEMENT else at.root_strict_private


def _require_held_size(size: int) -> None:
    if size % 8 or not KEY_SIZE <= size <= MAX_HELD_KEY_BYTES:
        raise ValueError(f"a key to be held has a multiple of 8 bytes, {KEY_SIZE} to {MAX_HELD_KEY_BYTES}")


def _require_size(wrapped: bytes, max_key_size: int) -> None:
    """AES key wrap gives a multiple of 8 bytes, 8 more than it was given."""
    if len(wrapped) % 8 or not KEY_SIZE < len(wrapped) <= max_key_size + 8:
        raise UnwrapFailed(f"{len(wrapped)} bytes are no wrapped key")

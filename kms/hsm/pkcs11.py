"""`PKCS11Root`: the root keys in a PKCS#11 token.

One session holds the login; a small pool of further sessions does the work, each used by one thread at a time with the
root keys' handles found once (finding takes longer than wrapping). Any error discards the session it happened in.
A loss is reported to the module, so that the next `open` initialises it anew (kms/hsm/module.py); this class itself
never recovers, `RecoveringRoot` does by opening a new one.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, cast

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from pkcs11 import Attribute, Mechanism, ObjectClass
from pkcs11 import exceptions as p11

from kms.api.secrets import SecretBytes
from kms.hsm.check_value import verify_check_value
from kms.hsm.driver import DEFAULT, Driver
from kms.hsm.errors import RootLost, translate
from kms.hsm.holder import AMBIGUOUS, Holder
from kms.hsm.interface import (
    KEY_SIZE,
    HeldKey,
    HeldPrivateKey,
    NotOffered,
    PairKind,
    PrivateKeyType,
    Protection,
    Root,
    RootError,
    RootIdentity,
    RootMisconfigured,
    RootUnavailable,
    UnwrapFailed,
    WrappedPair,
)
from kms.hsm.module import Module, load
from kms.hsm.profiles.choice import choose_profile, profiles
from kms.hsm.profiles.interface import RootSession, SigningKey, WrappingKey, WrappingProfile
from kms.hsm.public_keys import format_public_key, public_key_on
from kms.hsm.root_keys import (
    AUDIT_SIGN,
    ROOT_MAC,
    find_audit_point,
    find_key,
    find_key_or_none,
    find_root,
    find_root_id,
    make_missing_keys,
    require,
    strict_agreement_plan,
    strict_plan,
    strict_private_plan,
)
from kms.hsm.software_signing import SIGNATURE_SIZE, require_digest
from kms.hsm.templates import attribute_mapper
from kms.hsm.tokens import find_token, log_in, token_serial
from kms.hsm.uri import TokenURI

if TYPE_CHECKING:
    from pkcs11.types import Session, Token

log = logging.getLogger(__name__)

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a call waits for a free session before the token counts as hanging."""

MAX_RANDOM_BYTES = 1024


class PKCS11Root:
    """Implements `kms.hsm.interface.Root`. Made by `open`."""

    def __init__(
        self,
        module: Module,
        token: Token,
        login: Session,
        *,
        uri: TokenURI,
        root_id: bytes,
        driver: Driver,
        expected_check_value: bytes | None,
    ) -> None:
        """For `open` alone, which holds the module while calling this."""
        self._driver = driver
        self._plans = (strict_plan(driver), AUDIT_SIGN, strict_private_plan(driver), strict_agreement_plan(driver))
        self._module = module
        self._generation = module.generation
        self._token = token
        self._login = login
        self._uri = uri
        self._root_id = root_id
        self._expected_check_value = expected_check_value
        self._closed = False
        # Sessions and, beneath them, None for each that may yet be opened; last in, first out.
        self._pool: queue.LifoQueue[RootSession | None] = queue.LifoQueue()
        self._size = driver.max_sessions
        self._sizing = threading.Lock()
        for _ in range(driver.max_sessions - 1):
            self._pool.put(None)
        first = self._open_session()
        candidates = [profile for profile in profiles(driver) if _is_planned(first, profile)]
        if not candidates:
            raise RootMisconfigured(
                f"key {uri.label!r} is none for the wrapping profile {driver.wrapping} of the driver profile"
            )
        require(first.root, candidates[0].plan, uri.label)
        self._profile, self._known_wrapped = choose_profile(first, candidates)
        self._identity = RootIdentity(self._profile.name, root_id, uri.label, self._profile.mechanism)
        self._owner = self._open_owner()
        self._holder = Holder(self._owner, uri, root_id, driver, run=self._call, guard=self._guarded)
        self._audit_public_key = None if first.audit_sign is None else _audit_public_key(first.session, uri, root_id)
        self._pool.put(first)

    @classmethod
    def open(
        cls,
        uri: TokenURI,
        pin: SecretBytes,
        expected_check_value: bytes | None = None,
        *,
        driver: Driver = DEFAULT,
        makes_missing: bool = False,
    ) -> PKCS11Root:
        """Initialise the module if need be, find the token, log in, find the root keys and prove them.

        With `expected_check_value` (from provisioning) a foreign root is refused; without, only that keys of these
        names work is proved. With `makes_missing`, for the one process that owns the token, the keys that roots of an
        earlier release lack are made.

        Raises RootLost (absent token), CredentialRejected (wrong PIN, after a single attempt), RootMisconfigured.
        """
        module = load(uri.module_path, driver)
        module.ready()
        generation = module.generation
        try:
            with module.calls():
                generation = module.generation
                root = cls._open(
                    module,
                    uri,
                    pin,
                    expected_check_value=expected_check_value,
                    driver=driver,
                    makes_missing=makes_missing,
                )
        except p11.PKCS11Error as error:
            failure = translate(error, f"opening token {uri.token!r}")
            if isinstance(failure, RootLost):
                module.suspect(generation)
            raise failure from error
        except RootLost:
            # SoftHSM lists its tokens at C_Initialize: one that came later is seen only after another.
            module.suspect(generation)
            raise
        try:
            root.check()
        except BaseException:
            root.close()
            raise
        return root

    @classmethod
    def _open(
        cls,
        module: Module,
        uri: TokenURI,
        pin: SecretBytes,
        *,
        expected_check_value: bytes | None,
        driver: Driver,
        makes_missing: bool,
    ) -> PKCS11Root:
        token = find_token(module, uri)
        login = log_in(token, pin)
        try:
            root_id = find_root_id(login, uri)
            if makes_missing:
                _make_missing(token, uri, root_id, driver)
            return cls(
                module,
                token,
                login,
                uri=uri,
                root_id=root_id,
                driver=driver,
                expected_check_value=expected_check_value,
            )
        except BaseException:
            _close_quietly(login)
            raise

    @property
    def identity(self) -> RootIdentity:
        return self._identity

    @property
    def token_serial(self) -> str:
        return token_serial(self._token)

    @property
    def strict_identity(self) -> RootIdentity | None:
        return self._holder.identity

    def holding(self, root_id: bytes) -> Root:
        return self

    def generate_wrapped_key(self, protection: Protection = Protection.SOFTWARE, size: int = KEY_SIZE) -> bytes:
        if protection is Protection.HSM:
            return self._holder.generate(size)
        _require_key_size(size)
        return self._call("generating a key", self._profile.generate)

    def wrap_key(self, key: SecretBytes, protection: Protection = Protection.SOFTWARE) -> bytes:
        value = key.reveal()
        if protection is Protection.HSM:
            return self._holder.wrap(value)
        _require_key_size(len(value))
        return self._call("wrapping a key", lambda at: self._profile.wrap(at, value))

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        key = self._call("unwrapping a key", lambda at: self._unwrap(at, wrapped))
        if len(key) != KEY_SIZE:
            raise UnwrapFailed(f"a wrapped key holds {KEY_SIZE} bytes")
        return SecretBytes(key)

    def hold_key(self, wrapped: bytes) -> HeldKey:
        return self._holder.hold(wrapped)

    def generate_wrapped_pair(self, kind: PairKind) -> WrappedPair:
        return self._holder.generate_pair(kind)

    def wrap_private_key(self, pkcs8: SecretBytes, key_type: PrivateKeyType) -> bytes:
        return self._holder.wrap_private(pkcs8.reveal(), key_type)

    def hold_private_key(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        return self._holder.hold_private(wrapped, key_type)

    def mac(self, message: bytes) -> bytes:
        return self._call("authenticating a record", lambda at: at.mac(message))

    def sign(self, digest: bytes) -> bytes:
        require_digest(digest)
        signature = self._call("signing", self._signing(digest))
        if len(signature) != SIGNATURE_SIZE:
            raise RootMisconfigured(f"the token signed with {len(signature)} bytes, not {SIGNATURE_SIZE}")
        return signature

    def audit_public_key(self) -> bytes:
        if self._closed:
            raise RootLost("the root was closed")
        if self._audit_public_key is None:
            raise NotOffered(self._no_audit_key())
        return self._audit_public_key

    def random(self, length: int) -> bytes:
        if not 1 <= length <= MAX_RANDOM_BYTES:
            raise ValueError(f"1 to {MAX_RANDOM_BYTES} random bytes at a time, not {length}")
        return self._call("drawing random bytes", lambda at: at.session.generate_random(length * 8))

    def check(self) -> None:
        if self._expected_check_value is not None:
            verify_check_value(self, self._expected_check_value)
        else:
            self.unwrap_key(self._known_wrapped)

    def close(self) -> None:
        """Close idle sessions and log out; safe to call twice, and after a loss."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(RootUnavailable), self._module.calls():
            if self._generation != self._module.generation:
                return  # the sessions went with their generation; the numbers may belong to others by now
            with contextlib.suppress(queue.Empty):
                while True:
                    at = self._pool.get_nowait()
                    if at is not None:
                        _close_quietly(at.session)
            if self._owner is not None:
                _close_quietly(self._owner.session)
            _close_quietly(self._login)

    def _guarded(self, doing: str, operation: Callable[[], T]) -> T:
        """`operation` in a session that is not the pool's, and that the caller shares with nobody meanwhile."""
        if self._closed:
            raise RootLost(f"{doing}: the root was closed")
        with self._module.calls():
            if self._generation != self._module.generation:
                raise RootLost(f"{doing}: the module was initialised anew")
            try:
                return operation()
            except p11.PKCS11Error as error:
                raise self._failure(error, doing) from error

    def _call(self, doing: str, operation: Callable[[RootSession], T]) -> T:
        if self._closed:
            raise RootLost(f"{doing}: the root was closed")
        at = self._take()
        try:
            with self._module.calls():
                if self._generation != self._module.generation:
                    raise RootLost(f"{doing}: the module was initialised anew")
                try:
                    at = at or self._another_session(doing)
                    return operation(at)
                except p11.PKCS11Error as error:
                    if at is not None:
                        _close_quietly(at.session)
                        at = None
                    raise self._failure(error, doing) from error
        finally:
            self._pool.put(at)

    def _take(self) -> RootSession | None:
        try:
            return self._pool.get(timeout=BUSY_SECONDS)
        except queue.Empty:
            self._module.suspect(self._generation)
            raise RootLost(f"all {self._size} sessions of token {self._uri.token!r} hang") from None

    def _another_session(self, doing: str) -> RootSession:
        """A further session; when the token allows no more of them, the next one that comes free.

        The keys were there when the root was opened: if they are missing now, they were lost.
        """
        while True:
            try:
                return self._open_session()
            except RootMisconfigured as error:
                self._module.suspect(self._generation)
                raise RootLost(f"{doing}: {error}") from error
            except p11.SessionCount:
                if not self._shrink():
                    raise
            at = self._take()
            if at is not None:
                return at

    def _shrink(self) -> bool:
        """Make do with one session less. False when the pool is down to the one that is being opened."""
        with self._sizing:
            if self._size == 1:
                return False
            self._size -= 1
            return True

    def _failure(self, error: p11.PKCS11Error, doing: str) -> RootError:
        failure = translate(error, doing)
        if isinstance(failure, RootLost):
            self._module.suspect(self._generation)
        return failure

    def _unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        """Unwrap; when the token answers what it also answers to a loss, find out which of the two it is.

        SoftHSM says CKR_GENERAL_ERROR to a wrapped key that fails its integrity check. If the same session still
        opens a key that is known to be good, and answers the same again, the fault was in `wrapped`; said once only,
        it was a trouble of the token's that has passed, and no verdict.
        """
        with contextlib.suppress(*AMBIGUOUS):
            return self._profile.unwrap(at, wrapped)
        self._profile.unwrap(at, self._known_wrapped)
        try:
            return self._profile.unwrap(at, wrapped)
        except AMBIGUOUS as error:
            raise UnwrapFailed("the root did not wrap these bytes, or they were changed") from error

    def _signing(self, digest: bytes) -> Callable[[RootSession], bytes]:
        def sign(at: RootSession) -> bytes:
            if at.audit_sign is None:
                raise NotOffered(self._no_audit_key())
            return at.audit_sign.sign(digest, mechanism=Mechanism.ECDSA, buffer_size=SIGNATURE_SIZE)

        return sign

    def _no_audit_key(self) -> str:
        return f"the token holds no key {self._uri.label + AUDIT_SIGN.suffix!r} to sign the audit trail with"

    def _open_owner(self) -> RootSession | None:
        """The session that owns held keys; None where the token has too few to spare one."""
        try:
            return self._open_session()
        except p11.SessionCount:
            log.info("the token allows too few sessions for keys of protection hsm")
            return None

    def _open_session(self) -> RootSession:
        # Without PIN: the login counts for all sessions, and python-pkcs11 logs all out when one with a PIN is closed.
        session = self._token.open(attribute_mapper=attribute_mapper())
        try:
            root = find_root(session, self._uri, self._root_id)
            root_mac = find_key(session, ROOT_MAC, self._uri, self._root_id)
            root_strict, audit_sign, root_strict_private, root_strict_agreement = (
                find_key_or_none(session, plan, self._uri, self._root_id) for plan in self._plans
            )
            return RootSession(
                session,
                self._module.cryptoki,
                root,
                cast("SigningKey", root_mac),
                cast("WrappingKey | None", root_strict),
                cast("SigningKey | None", audit_sign),
                cast("WrappingKey | None", root_strict_private),
                cast("WrappingKey | None", root_strict_agreement),
            )
        except BaseException:
            _close_quietly(session)
            raise


def _is_planned(at: RootSession, profile: WrappingProfile) -> bool:
    """Whether root-soft is of the kind that the profile makes: told by class, and whether it wraps or encrypts."""
    root, plan = at.root, profile.plan
    if root[Attribute.CLASS] is not plan.object_class:
        return False
    if plan.object_class is ObjectClass.PRIVATE_KEY:
        return True
    return bool(root[Attribute.WRAP] or root[Attribute.UNWRAP]) is plan.required[Attribute.WRAP]


def _make_missing(token: Token, uri: TokenURI, root_id: bytes, driver: Driver) -> None:
    """What cannot be made in a token that may not be written to is lacking, and nothing worse."""
    try:
        session = token.open(rw=True, attribute_mapper=attribute_mapper())
    except (p11.TokenWriteProtected, p11.SessionReadOnly) as error:
        log.warning("the token takes no new keys: %s", type(error).__name__)
        return
    try:
        make_missing_keys(session, uri, root_id, driver)
    finally:
        _close_quietly(session)


def _audit_public_key(session: Session, uri: TokenURI, root_id: bytes) -> bytes:
    try:
        return format_public_key(public_key_on(SECP256R1(), find_audit_point(session, uri, root_id)))
    except ValueError as error:
        raise RootMisconfigured(f"the public key {uri.label + AUDIT_SIGN.suffix!r} is no point of P-256") from error


def _close_quietly(session: Session) -> None:
    """For sessions that may be gone already: there is nobody left to tell."""
    with contextlib.suppress(p11.PKCS11Error):
        session.close()


def _require_key_size(size: int) -> None:
    if size != KEY_SIZE:
        raise ValueError(f"a key to be wrapped has {KEY_SIZE} bytes, not {size}")

"""A root in memory whose behaviour tests can change: absent, hanging, counted."""

from __future__ import annotations

import hmac
import os
import threading

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from kms.api.secrets import SecretBytes
from kms.hsm import software_signing
from kms.hsm.interface import (
    KEY_SIZE,
    HeldKey,
    HeldPrivateKey,
    KeyLetGo,
    NotOffered,
    PrivateKeyType,
    Protection,
    Root,
    RootError,
    RootIdentity,
    UnwrapFailed,
)


class MemoryRoot:
    """Implements `Root` with AES key wrap and HMAC.

    `failure` is raised by every call while it is set; calls wait while `hangs` is set, until `go_on` is; `calls`
    counts by method name.
    """

    def __init__(self) -> None:
        self.identity = RootIdentity("kw", os.urandom(16), "root")
        self.strict_identity: RootIdentity | None = None
        self.failure: RootError | None = None
        self.hangs = False
        self.go_on = threading.Event()
        self.entered = threading.Event()
        self.calls: dict[str, int] = {}
        self.unwrapped: list[bytes] = []
        self._root_key = os.urandom(32)
        self._strict_key = os.urandom(32)
        self.held: list[MemoryKey] = []
        self._mac_key = os.urandom(32)
        self._audit_key = software_signing.generate_key()
        self._lock = threading.Lock()

    def holding(self, root_id: bytes) -> Root:
        return self

    def generate_wrapped_key(self, protection: Protection = Protection.SOFTWARE, size: int = KEY_SIZE) -> bytes:
        self._enter("generate_wrapped_key")
        return self._wrap(os.urandom(size), protection)

    def wrap_key(self, key: SecretBytes, protection: Protection = Protection.SOFTWARE) -> bytes:
        self._enter("wrap_key")
        return self._wrap(key.reveal(), protection)

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        self._enter("unwrap_key")
        try:
            key = aes_key_unwrap(self._root_key, wrapped)
        except InvalidUnwrap:
            raise UnwrapFailed("not wrapped by this root") from None
        self.unwrapped.append(key)
        return SecretBytes(key)

    def hold_key(self, wrapped: bytes) -> HeldKey:
        self._enter("hold_key")
        if self.strict_identity is None:
            raise NotOffered("a root in memory has no keys of protection hsm")
        try:
            key = MemoryKey(self, aes_key_unwrap(self._strict_key, wrapped))
        except InvalidUnwrap:
            raise UnwrapFailed("not wrapped by this root") from None
        self.held.append(key)
        return key

    def wrap_private_key(self, pkcs8: SecretBytes, key_type: PrivateKeyType) -> bytes:
        raise NotOffered("a root in memory holds no private keys")

    def hold_private_key(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        raise NotOffered("a root in memory holds no private keys")

    def mac(self, message: bytes) -> bytes:
        self._enter("mac")
        return hmac.digest(self._mac_key, message, "sha256")

    def sign(self, digest: bytes) -> bytes:
        self._enter("sign")
        return software_signing.sign(self._audit_key, digest)

    def audit_public_key(self) -> bytes:
        self._enter("audit_public_key")
        return software_signing.public_key(self._audit_key)

    def random(self, length: int) -> bytes:
        self._enter("random")
        return os.urandom(length)

    def check(self) -> None:
        self._enter("check")

    def close(self) -> None:
        self._enter("close")

    def _wrap(self, key: bytes, protection: Protection) -> bytes:
        if protection is Protection.SOFTWARE:
            return aes_key_wrap(self._root_key, key)
        if self.strict_identity is None:
            raise NotOffered("a root in memory has no keys of protection hsm")
        return aes_key_wrap(self._strict_key, key)

    def offer_hsm(self) -> None:
        """Have keys of protection hsm from now on."""
        self.strict_identity = RootIdentity("kw", self.identity.root_id, "root-strict")

    def _enter(self, name: str) -> None:
        with self._lock:
            self.calls[name] = self.calls.get(name, 0) + 1
        if self.hangs:
            self.entered.set()
            assert self.go_on.wait(30)
        if self.failure is not None:
            raise self.failure


class MemoryKey:
    """Implements `HeldKey`; its calls count among the root's, as "held_mac"."""

    def __init__(self, root: MemoryRoot, key: bytes) -> None:
        self._root, self._key, self.is_closed = root, key, False

    def mac(self, message: bytes, hash_name: str = "sha256") -> bytes:
        self._root._enter("held_mac")
        if self.is_closed:
            raise KeyLetGo("closed")
        return hmac.digest(self._key, message, hash_name)

    def close(self) -> None:
        self.is_closed = True

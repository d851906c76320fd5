"""`Roots`: the root that new records are made under, and the older ones that records may still be under.

After a rotation of the root (kms/service/root_rotation.py) the records move to the new one batch by batch, while
they are in use; those of protection `hsm` never can. So kmsd opens a record by the root that the record names, and
asks the key store at each call which root is the current one: a rotation needs no restart.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from kms.api.secrets import SecretBytes
from kms.hsm.interface import (
    KEY_SIZE,
    HeldKey,
    HeldPrivateKey,
    PairKind,
    PrivateKeyType,
    Protection,
    Root,
    RootIdentity,
    WrappedPair,
)
from kms.hsm.recovery import RecoveringRoot, RootStatus


class Roots:
    """Implements `Root` by the current one. Thread-safe. Nothing is opened before it is needed.

    `current_id` tells the current root's id, None before the first rotation; it may raise RootUnavailable.
    `open_root(id)` makes the root of an id, of which nothing is opened yet, or None for an id that it does not know
    or that is retired; `open_root(None)` the one of the configuration.
    """

    def __init__(
        self, current_id: Callable[[], bytes | None], open_root: Callable[[bytes | None], RecoveringRoot | None]
    ) -> None:
        self._current_id = current_id
        self._open_root = open_root
        self._lock = threading.Lock()
        self._roots: dict[bytes | None, RecoveringRoot] = {}
        self._closed = False

    def present(self) -> RecoveringRoot:
        """The current root."""
        root_id = self._current_id()
        root = self._root(root_id) or self._root(None)
        assert root is not None, "the root of the configuration is always known"
        return root

    def holding(self, root_id: bytes) -> Root:
        present = self.present()
        if _is(present, root_id):
            return present
        return self._root(root_id) or present

    @property
    def status(self) -> RootStatus:
        return self.present().status

    def probe(self) -> RootStatus:
        """Open the current root if it is not ready and an attempt is due."""
        return self.present().probe()

    @property
    def identity(self) -> RootIdentity:
        return self.present().identity

    @property
    def strict_identity(self) -> RootIdentity | None:
        return self.present().strict_identity

    def generate_wrapped_key(self, protection: Protection = Protection.SOFTWARE, size: int = KEY_SIZE) -> bytes:
        return self.present().generate_wrapped_key(protection, size)

    def wrap_key(self, key: SecretBytes, protection: Protection = Protection.SOFTWARE) -> bytes:
        return self.present().wrap_key(key, protection)

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        return self.present().unwrap_key(wrapped)

    def hold_key(self, wrapped: bytes) -> HeldKey:
        return self.present().hold_key(wrapped)

    def generate_wrapped_pair(self, kind: PairKind) -> WrappedPair:
        return self.present().generate_wrapped_pair(kind)

    def wrap_private_key(self, pkcs8: SecretBytes, key_type: PrivateKeyType) -> bytes:
        return self.present().wrap_private_key(pkcs8, key_type)

    def hold_private_key(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        return self.present().hold_private_key(wrapped, key_type)

    def mac(self, message: bytes) -> bytes:
        return self.present().mac(message)

    def sign(self, digest: bytes) -> bytes:
        return self.present().sign(digest)

    def audit_public_key(self) -> bytes:
        return self.present().audit_public_key()

    def random(self, length: int) -> bytes:
        return self.present().random(length)

    def check(self) -> None:
        self.present().check()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            roots = list(self._roots.values())
        with contextlib.ExitStack() as closing:
            for root in roots:
                closing.callback(root.close)

    def _root(self, root_id: bytes | None) -> RecoveringRoot | None:
        with self._lock:
            if root_id in self._roots:
                return self._roots[root_id]
            for root in self._roots.values():
                # The one of the configuration goes on under its id once a rotation has written that down.
                if root_id is not None and _is(root, root_id):
                    return root
            opened = self._open_root(root_id)
            if opened is None:
                return None
            if self._closed:
                opened.close()
            self._roots[root_id] = opened
            return opened


def _is(root: RecoveringRoot, root_id: bytes) -> bool:
    identity = root.known_identity
    return identity is not None and identity.root_id == root_id

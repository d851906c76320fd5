"""`TokenKey`: a key of protection `hsm` as a session object, from its lease's beginning to its end.

The object belongs to a session of its own that the root keeps open, and is used from every session of the pool: session
objects are visible to all sessions of a process (PKCS#11 v2.40 base, §2.6.7). It is destroyed when the last call that
uses it is done, never under it: a handle that is gone looks like a token that is gone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from kms.hsm.cryptoki import plain
from kms.hsm.interface import KeyLetGo
from kms.hsm.profiles.interface import RootSession

# CKM_SHA224_HMAC and so on (PKCS#11 v2.40 mechanisms, §2.21-2.24), and the size of the answer.
_MACS: Final = {"sha224": (0x256, 28), "sha256": (0x251, 32), "sha384": (0x261, 48), "sha512": (0x271, 64)}

Run = Callable[[str, Callable[[RootSession], bytes]], bytes]


class TokenKey:
    """Implements `kms.hsm.interface.HeldKey`. `run` runs a function in a session; `destroy` destroys the object."""

    def __init__(self, handle: int, run: Run, destroy: Callable[[], None]) -> None:
        self._handle = handle
        self._run = run
        self._destroy = destroy
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    def mac(self, message: bytes, hash_name: str = "sha256") -> bytes:
        mechanism, size = _MACS[hash_name]
        self._enter()
        try:
            return self._run(
                "deriving by a held key",
                lambda at: at.cryptoki.sign(at.handle, plain(mechanism), self._handle, message, size),
            )
        finally:
            self._leave()

    def close(self) -> None:
        with self._lock:
            is_last = not self._closed and not self._users
            self._closed = True
        if is_last:
            self._destroy()

    def __repr__(self) -> str:
        return "TokenKey()"

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise KeyLetGo("the held key was closed")
            self._users += 1

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = self._closed and not self._users
        if is_last:
            self._destroy()

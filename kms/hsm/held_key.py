"""Keys of protection `hsm` as session objects, from their lease's beginning to its end.

An object belongs to a session of its own that the root keeps open, and is used from every session of the pool: session
objects are visible to all sessions of a process (PKCS#11 v2.40 base, §2.6.7). It is destroyed when the last call that
uses it is done, never under it: a handle that is gone looks like a token that is gone.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

from pkcs11 import exceptions as p11

from kms.hsm.cryptoki import Cryptoki, ECDHParameters, OAEPParameters, PSSParameters, RawMechanism, plain
from kms.hsm.interface import KeyLetGo, NotOffered, SignatureScheme, UnwrapFailed
from kms.hsm.profiles.interface import RootSession
from kms.hsm.templates import shared_secret_template

# Numbers of PKCS#11 v2.40 mechanisms, §2.1 (RSA), §2.3 (EC) and §2.20-2.24 (hashes).
_MACS: Final = {"sha224": (0x256, 28), "sha256": (0x251, 32), "sha384": (0x261, 48), "sha512": (0x271, 64)}
_HASHES: Final = {"sha1": 0x220, "sha256": 0x250, "sha384": 0x260, "sha512": 0x270}
_MGFS: Final = {"sha1": 1, "sha256": 2, "sha384": 3, "sha512": 4}
_CKM_RSA_PKCS = 0x1
_CKM_RSA_PKCS_OAEP = 0x9
_CKM_RSA_PKCS_PSS = 0xD
_CKM_ECDSA = 0x1041
_CKM_ECDH1_DERIVE = 0x1050
_CKD_NULL = 1
_CKZ_DATA_SPECIFIED = 1
# DigestInfo before the digest, RFC 8017 §9.2.
_DIGEST_INFO: Final = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
_MAX_SIGNATURE = 1024
_MAX_PLAINTEXT = 1024

_NOT_OFFERED: Final = (p11.ArgumentsBad, p11.MechanismInvalid, p11.MechanismParamInvalid)
"""What tokens answer to a mechanism, or to parameters, that they do not have."""

T = TypeVar("T")


class Run(Protocol):
    """Runs a function in a session of the pool, with the module held and errors translated."""

    def __call__(self, doing: str, operation: Callable[[RootSession], T], /) -> T: ...


class _Held:
    """A handle with its users counted. `run` runs a function in a session; `destroy` destroys the object."""

    def __init__(self, handle: int, run: Run, destroy: Callable[[], None]) -> None:
        self._handle = handle
        self._run = run
        self._destroy = destroy
        self._lock = threading.Lock()
        self._users = 0
        self._closed = False

    def close(self) -> None:
        with self._lock:
            is_last = not self._closed and not self._users
            self._closed = True
        if is_last:
            self._destroy()

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        with self._lock:
            if self._closed:
                raise KeyLetGo("the held key was closed")
            self._users += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            is_last = self._closed and not self._users
        if is_last:
            self._destroy()


class TokenKey(_Held):
    """Implements `kms.hsm.interface.HeldKey`."""

    def mac(self, message: bytes, hash_name: str = "sha256") -> bytes:
        mechanism, size = _MACS[hash_name]
        with self._in_use():
            return self._run(
                "deriving by a held key",
                lambda at: at.cryptoki.sign(at.handle, plain(mechanism), self._handle, message, size),
            )


class TokenPrivateKey(_Held):
    """Implements `kms.hsm.interface.HeldPrivateKey`."""

    def sign(self, scheme: SignatureScheme, digest: bytes, hash_name: str) -> bytes:
        parameters = PSSParameters(_HASHES[hash_name], _MGFS[hash_name], len(digest))
        match scheme:
            case SignatureScheme.ECDSA:
                mechanism, data = plain(_CKM_ECDSA), digest
            case SignatureScheme.RSA_PKCS1:
                mechanism, data = plain(_CKM_RSA_PKCS), _DIGEST_INFO[hash_name] + digest
            case SignatureScheme.RSA_PSS:
                mechanism, data = _with(_CKM_RSA_PKCS_PSS, parameters), digest

        def sign(at: RootSession) -> bytes:
            try:
                return at.cryptoki.sign(at.handle, mechanism, self._handle, data, _MAX_SIGNATURE)
            except _NOT_OFFERED as error:
                raise NotOffered(f"the token has no {scheme.value} with {hash_name}") from error

        with self._in_use():
            return self._run("signing by a held key", sign)

    def decrypt(self, ciphertext: bytes, hash_name: str) -> bytes:
        parameters = OAEPParameters(_HASHES[hash_name], _MGFS[hash_name], _CKZ_DATA_SPECIFIED, None, 0)
        mechanism = _with(_CKM_RSA_PKCS_OAEP, parameters)

        def decrypt(at: RootSession) -> bytes:
            try:
                at.cryptoki.begin_decrypt(at.handle, mechanism, self._handle)
            except _NOT_OFFERED as error:
                raise NotOffered(f"the token has no OAEP with {hash_name}") from error
            try:
                return at.cryptoki.finish_decrypt(at.handle, ciphertext, _MAX_PLAINTEXT)
            except p11.PKCS11Error as error:
                # Tokens say many things to a ciphertext that is wrong. If this session still works, it was that.
                at.mac(b"")
                raise UnwrapFailed("the ciphertext does not decrypt") from error

        with self._in_use():
            return self._run("decrypting by a held key", decrypt)

    def agree(self, point: bytes) -> bytes:
        def run(at: RootSession) -> bytes:
            try:
                return agree(at.cryptoki, at.handle, self._handle, point)
            except _NOT_OFFERED as error:
                raise NotOffered("the token has no ECDH") from error

        with self._in_use():
            secret = self._run("agreeing by a held key", run)
        if 2 * len(secret) + 1 != len(point):
            raise NotOffered(f"the token's ECDH gives {len(secret)} bytes for a point of {len(point)}")
        return secret


def agree(cryptoki: Cryptoki, session: int, key: int, point: bytes) -> bytes:
    """ECDH by a private key and a point (04 ‖ x ‖ y), without key derivation. Raises PKCS11Error."""
    size = (len(point) - 1) // 2
    public_data = ctypes.create_string_buffer(point, len(point))
    parameters = ECDHParameters(_CKD_NULL, 0, None, len(point), ctypes.addressof(public_data))
    return cryptoki.derive(session, _with(_CKM_ECDH1_DERIVE, parameters), key, shared_secret_template(size), size)


def _with(mechanism: int, parameters: ctypes.Structure) -> RawMechanism:
    """The caller keeps `parameters` alive until the call is over."""
    return RawMechanism(mechanism, ctypes.addressof(parameters), ctypes.sizeof(parameters))

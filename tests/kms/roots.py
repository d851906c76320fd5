"""A root in memory whose behaviour tests can change: absent, hanging, counted."""

from __future__ import annotations

import hmac
import os
import threading

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from kms.api.secrets import SecretBytes
from kms.hsm import software_signing
from kms.hsm.interface import (
    KEY_SIZE,
    HeldKey,
    HeldPrivateKey,
    KeyLetGo,
    NotOffered,
    PairKind,
    PrivateKeyType,
    Protection,
    Root,
    RootError,
    RootIdentity,
    SignatureScheme,
    UnwrapFailed,
    WrappedPair,
)
from kms.hsm.profiles.pair_wrap import padded
from kms.hsm.public_keys import CURVES
from kms.keys.private_keys import public_key_of


class MemoryRoot:
    """Implements `Root` with AES key wrap and HMAC.

    `failure` is raised by every call while it is set; calls wait while `hangs` is set, until `go_on` is; `calls`
    counts by method name. `lacks` names what held private keys refuse: schemes, hashes of OAEP, "ecdh".
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
        self.held_private: list[MemoryPrivateKey] = []
        self.lacks: set[str] = set()
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

    def generate_wrapped_pair(self, kind: PairKind) -> WrappedPair:
        self._enter("generate_wrapped_pair")
        if self.strict_identity is None:
            raise NotOffered("a root in memory has no keys of protection hsm")
        key = MemoryPrivateKey.generate(kind)
        return WrappedPair(self._wrap(padded(der(key)), Protection.HSM), public_key_of(key))

    def wrap_private_key(self, pkcs8: SecretBytes, key_type: PrivateKeyType) -> bytes:
        self._enter("wrap_private_key")
        return self._wrap(padded(pkcs8.reveal()), Protection.HSM)

    def hold_private_key(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        self._enter("hold_private_key")
        try:
            padded_key = aes_key_unwrap(self._strict_key, wrapped)
        except InvalidUnwrap:
            raise UnwrapFailed("not wrapped by this root") from None
        key = MemoryPrivateKey(self, padded_key)
        self.held_private.append(key)
        return key

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


class MemoryPrivateKey:
    """Implements `HeldPrivateKey`; its calls count among the root's, as "held_sign" …"""

    def __init__(self, root: MemoryRoot, padded_key: bytes) -> None:
        # DER says where it ends: 30 82 and two bytes of length, or 30 81 and one.
        long = padded_key[1] == 0x82
        size = 4 + int.from_bytes(padded_key[2:4], "big") if long else 3 + padded_key[2]
        self._root, self.key, self.is_closed = root, load_der_private_key(padded_key[:size], None), False

    @staticmethod
    def generate(kind: PairKind) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
        if kind.key_type is PrivateKeyType.RSA:
            return rsa.generate_private_key(65537, kind.bits)
        return ec.generate_private_key(CURVES[kind.curve])

    def sign(self, scheme: SignatureScheme, digest: bytes, hash_name: str) -> bytes:
        self._enter("held_sign", scheme)
        hashed = HASHES[hash_name]
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            size = (self.key.key_size + 7) // 8
            r, s = decode_dss_signature(self.key.sign(digest, ec.ECDSA(Prehashed(hashed))))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")
        assert isinstance(self.key, rsa.RSAPrivateKey)
        pss = padding.PSS(padding.MGF1(hashed), len(digest))
        how = pss if scheme is SignatureScheme.RSA_PSS else padding.PKCS1v15()
        return self.key.sign(digest, how, Prehashed(hashed))

    def decrypt(self, ciphertext: bytes, hash_name: str) -> bytes:
        self._enter("held_decrypt", hash_name)
        assert isinstance(self.key, rsa.RSAPrivateKey)
        hashed = HASHES[hash_name]
        try:
            return self.key.decrypt(ciphertext, padding.OAEP(padding.MGF1(hashed), hashed, None))
        except ValueError:
            raise UnwrapFailed("the ciphertext does not decrypt") from None

    def agree(self, point: bytes) -> bytes:
        self._enter("held_agree", "ecdh")
        assert isinstance(self.key, ec.EllipticCurvePrivateKey)
        peer = ec.EllipticCurvePublicKey.from_encoded_point(self.key.curve, point)
        return self.key.exchange(ec.ECDH(), peer)

    def close(self) -> None:
        self.is_closed = True

    def _enter(self, name: str, needed: str) -> None:
        self._root._enter(name)
        if self.is_closed:
            raise KeyLetGo("closed")
        if needed in self._root.lacks:
            raise NotOffered(f"the token has no {needed}")


HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def der(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

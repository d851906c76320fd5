"""What the KMS asks of its root: wrap, unwrap, authenticate, sign, randomness. One interface for HSM and file root.

All methods block (an HSM call may take milliseconds to seconds) and are safe to call from several threads; the
key service calls them off the event loop, with a deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kms.api.secrets import SecretBytes

KEY_SIZE = 32
"""Bytes of what root-soft wraps."""


class RootError(Exception):
    """Base of everything a root raises."""


class RootUnavailable(RootError):
    """The token is absent, was lost, or does not answer; recovery was tried once already. Trying later may help."""


class RootMisconfigured(RootError):
    """Wrong PIN, wrong token, missing or foreign root key: an operator must act; trying again harms (PINs lock)."""


class UnwrapFailed(RootError):
    """The root answered, and the wrapped bytes are not its own, or were changed."""


class NotOffered(RootError):
    """This root works, and cannot do this; another one may. The message says what is missing."""


class KeyLetGo(RootError):
    """The held key was closed before the call, which says nothing about the root: hold it again if need be."""


class Protection(StrEnum):
    """Where the bytes of a KMS key may be in the clear."""

    SOFTWARE = "software"
    """In kmsd's memory, for a lease."""
    HSM = "hsm"
    """In the HSM alone: root-strict unwraps to objects that cannot be read, by whoever asks."""


@dataclass(frozen=True, slots=True)
class RootIdentity:
    """Which root wrapped a record, stored in every record so that a migration is a rewrap and not a flag day.

    `profile` says by which operations (kms/hsm/profiles.py), "file" for the file root; `root_id` is the 16-byte
    CKA_ID of the root key; `label` its CKA_LABEL; `mechanism` the CK_MECHANISM_TYPE, which may be a vendor's own.
    """

    profile: str
    root_id: bytes
    label: str
    mechanism: int = 0x2109  # CKM_AES_KEY_WRAP


class HeldKey(Protocol):
    """A key inside the HSM, to be used and never read. Safe to call from several threads; calls block."""

    def mac(self, message: bytes, hash_name: str = "sha256") -> bytes:
        """HMAC with SHA-224, -256, -384 or -512, whole. Raises KeyLetGo after `close`, other RootErrors."""
        ...

    def close(self) -> None:
        """Destroy the object once calls under way are done; may be called twice. Blocks, raises nothing."""
        ...


class PrivateKeyType(StrEnum):
    """What a private key of protection `hsm` is; its PKCS#8 says the rest."""

    EC = "ec"
    """For signatures."""
    RSA = "rsa"
    EC_AGREEMENT = "ec-agreement"
    """On a curve as well, for ECDH: held by a root key of its own, which gives other uses."""


@dataclass(frozen=True, slots=True)
class PairKind:
    """A kind of key pair: on a `curve`, by its name in SEC 2 ("secp256r1"), or with an RSA modulus of `bits`."""

    key_type: PrivateKeyType
    curve: str = ""
    bits: int = 0


@dataclass(frozen=True, slots=True)
class WrappedPair:
    """A key pair that was made in the token: the private key wrapped, the public one as SubjectPublicKeyInfo, DER."""

    wrapped: bytes
    public_key: bytes


class SignatureScheme(StrEnum):
    ECDSA = "ecdsa"
    RSA_PKCS1 = "rsa-pkcs1"
    RSA_PSS = "rsa-pss"
    """With a salt as long as the hash."""


class HeldPrivateKey(Protocol):
    """A private key inside the HSM. As `HeldKey` in all else."""

    def sign(self, scheme: SignatureScheme, digest: bytes, hash_name: str) -> bytes:
        """A signature of a digest by SHA-256, -384 or -512 ("sha256" …); ECDSA gives r ‖ s of equal lengths.

        Raises NotOffered for what the token does not have.
        """
        ...

    def decrypt(self, ciphertext: bytes, hash_name: str) -> bytes:
        """RSAES-OAEP with SHA-1 or SHA-256 for hash and MGF1, empty label.

        Raises UnwrapFailed for whatever does not decrypt, NotOffered for a hash that the token does not have.
        """
        ...

    def agree(self, point: bytes) -> bytes:
        """ECDH with a point of the key's curve (04 ‖ x ‖ y): the x coordinate, as long as the curve's field.

        Raises NotOffered for what the token does not have.
        """
        ...

    def close(self) -> None: ...


class Root(Protocol):
    """The root of the key hierarchy: wrapping keys, an HMAC key and a signing key, none of them ever readable.

    All of them share one id. What wraps keys of protection `software` is root-soft (`identity`); root-strict, which
    not every root has, wraps those of protection `hsm`, and nothing that it wrapped can ever be rewrapped by another.
    """

    @property
    def identity(self) -> RootIdentity: ...

    @property
    def strict_identity(self) -> RootIdentity | None:
        """None where keys of protection `hsm` are not offered: calls that ask for it raise NotOffered, saying why."""
        ...

    def holding(self, root_id: bytes) -> Root:
        """The root to open a record with that names `root_id`: this one, or an older one of those it succeeded.

        This one also when `root_id` is known to nobody; the record is then refused by whoever compares. What is
        returned stays the same root, whatever is rotated meanwhile. Does not reach the token.
        """
        ...

    def generate_wrapped_key(self, protection: Protection = Protection.SOFTWARE, size: int = KEY_SIZE) -> bytes:
        """Fresh bytes from the root's own random source, wrapped; they never leave the HSM in clear.

        Of `size` 32, or as `wrap_key` takes it. Raises ValueError for another.
        """
        ...

    def wrap_key(self, key: SecretBytes, protection: Protection = Protection.SOFTWARE) -> bytes:
        """Wrap a key that was made elsewhere: 32 bytes, or a multiple of 8 up to 128 for protection `hsm`.

        Raises ValueError for another length.
        """
        ...

    def unwrap_key(self, wrapped: bytes) -> SecretBytes:
        """The 32 bytes inside what root-soft wrapped. Raises UnwrapFailed for bytes that this root did not wrap."""
        ...

    def hold_key(self, wrapped: bytes) -> HeldKey:
        """What root-strict wrapped, unwrapped to an object that stays inside and cannot be read. The caller closes it.

        Raises NotOffered without root-strict, UnwrapFailed for bytes that it did not wrap.
        """
        ...

    def generate_wrapped_pair(self, kind: PairKind) -> WrappedPair:
        """Make a key pair in the token, its private key wrapped as by `wrap_private_key`; it never leaves in clear.

        May take seconds. Raises NotOffered also where the token holds such keys and wraps none that it made itself.
        """
        ...

    def wrap_private_key(self, pkcs8: SecretBytes, key_type: PrivateKeyType) -> bytes:
        """Wrap a private key (DER, unencrypted) under root-strict-private, or -agreement, and prove that it is held.

        Raises NotOffered where there is no such root key, or the token refuses such keys.
        """
        ...

    def hold_private_key(self, wrapped: bytes, key_type: PrivateKeyType) -> HeldPrivateKey:
        """As `hold_key`, for what `wrap_private_key` wrapped."""
        ...

    def mac(self, message: bytes) -> bytes:
        """HMAC-SHA256 under root-mac, 32 bytes. The caller compares in constant time."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over P-256 under audit-sign: r ‖ s, 64 bytes, of a SHA-256 digest (32 bytes; else ValueError)."""
        ...

    def audit_public_key(self) -> bytes:
        """The public half of audit-sign: SubjectPublicKeyInfo, DER. Does not change while the root is the same."""
        ...

    def random(self, length: int) -> bytes:
        """`length` (1..1024) random bytes from the root's own source."""
        ...

    def check(self) -> None:
        """Prove by a known answer that the root keys are present and are the ones expected; raises RootError."""
        ...

    def close(self) -> None: ...

"""The file root's audit-sign key: ECDSA over P-256, as a token does it, in this process."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from kms.api.secrets import SecretBytes
from kms.hsm.public_keys import format_public_key

SCALAR_SIZE = 32
DIGEST_SIZE = 32
SIGNATURE_SIZE = 2 * SCALAR_SIZE

_ECDSA = ec.ECDSA(Prehashed(SHA256()))


def generate_key() -> SecretBytes:
    """A fresh private key: its scalar, 32 bytes, big-endian."""
    scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return SecretBytes(scalar.to_bytes(SCALAR_SIZE, "big"))


def sign(key: SecretBytes, digest: bytes) -> bytes:
    """r ‖ s, 64 bytes, as CKM_ECDSA gives it (PKCS#11 v2.40 mechanisms, §2.3.1)."""
    require_digest(digest)
    r, s = decode_dss_signature(_private(key).sign(digest, _ECDSA))
    return r.to_bytes(SCALAR_SIZE, "big") + s.to_bytes(SCALAR_SIZE, "big")


def public_key(key: SecretBytes) -> bytes:
    """SubjectPublicKeyInfo, DER."""
    return format_public_key(_private(key).public_key())


def require_digest(digest: bytes) -> None:
    """Raises ValueError for what is no SHA-256 digest: a mistake of the caller."""
    if len(digest) != DIGEST_SIZE:
        raise ValueError(f"what is signed is a SHA-256 digest of {DIGEST_SIZE} bytes, not {len(digest)}")


def _private(key: SecretBytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(key.reveal(), "big"), ec.SECP256R1())

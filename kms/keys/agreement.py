"""ECDH (NIST SP 800-56A, cofactor 1): the shared secret is the x coordinate, as long as the curve's field."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms.api.errors import KMSError


def shared_secret(key: ec.EllipticCurvePrivateKey, peer: bytes) -> bytes:
    """The secret shared with the owner of `peer` (SubjectPublicKeyInfo, DER), whose point is checked.

    Raises ValidationException for what is no public key on the same curve.
    """
    try:
        public_key = load_der_public_key(peer)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _invalid() from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or public_key.curve.name != key.curve.name:
        raise _invalid()
    return key.exchange(ec.ECDH(), public_key)


def _invalid() -> KMSError:
    return KMSError("ValidationException", "The public key is not a valid point on the curve of the KMS key.")

"""ECDH (NIST SP 800-56A, cofactor 1): the shared secret is the x coordinate, as long as the curve's field."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kms.api.errors import KMSError
from kms.keys.private_keys import CURVES


def shared_secret(key: ec.EllipticCurvePrivateKey, peer: ec.EllipticCurvePublicKey) -> bytes:
    """The secret shared with the owner of `peer`, a key on the same curve."""
    return key.exchange(ec.ECDH(), peer)


def load_peer(key_spec: str, peer: bytes) -> ec.EllipticCurvePublicKey:
    """The public key in `peer` (SubjectPublicKeyInfo, DER), whose point is checked.

    Raises ValidationException for what is no public key on the curve of the spec.
    """
    try:
        public_key = load_der_public_key(peer)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _invalid() from None
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, CURVES[key_spec]):
        raise _invalid()
    return public_key


def _invalid() -> KMSError:
    return KMSError("ValidationException", "The public key is not a valid point on the curve of the KMS key.")

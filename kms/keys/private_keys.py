"""Private keys: made, read and written as PKCS#8, and their public halves as SubjectPublicKeyInfo (both DER)."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from kms.api.secrets import SecretBytes

MLDSAPrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
MLDSAPublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey | MLDSAPrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey | MLDSAPublicKey

CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
_MLDSA: dict[str, type[mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey]] = {
    "ML_DSA_44": mldsa.MLDSA44PrivateKey,
    "ML_DSA_65": mldsa.MLDSA65PrivateKey,
    "ML_DSA_87": mldsa.MLDSA87PrivateKey,
}
_PUBLIC_EXPONENT = 65537


class WrongPrivateKey(ValueError):
    """What was given is no PKCS#8 of a private key of the spec."""


def generate_private_key(key_spec: str) -> SecretBytes:
    """A fresh private key of the spec as PKCS#8. RSA takes up to some seconds: not for an event loop."""
    key: PrivateKey
    if key_spec.startswith("RSA_"):
        key = rsa.generate_private_key(_PUBLIC_EXPONENT, int(key_spec.removeprefix("RSA_")))
    elif key_spec in CURVES:
        key = ec.generate_private_key(CURVES[key_spec]())
    elif key_spec in _MLDSA:
        key = _MLDSA[key_spec].generate()
    else:
        assert key_spec == "ECC_NIST_EDWARDS25519", key_spec
        key = Ed25519PrivateKey.generate()
    return SecretBytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def load_private_key(key_spec: str, pkcs8: bytes | bytearray, *, is_ours: bool = False) -> PrivateKey:
    """The private key in `pkcs8`. Raises WrongPrivateKey unless it is one of this spec.

    `is_ours` is for what was made here, or checked when it came in, and authenticated since: whether its numbers are an
    RSA key at all is not asked again, which takes a quarter of a second for 4096 bits.
    """
    try:
        key = load_der_private_key(bytes(pkcs8), password=None, unsafe_skip_rsa_key_validation=is_ours)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WrongPrivateKey("no private key in PKCS#8") from error
    if not isinstance(key, PrivateKey) or spec_of(key) != key_spec:
        raise WrongPrivateKey(f"no private key of spec {key_spec}")
    return key


def spec_of(key: PrivateKey) -> str | None:
    """The spec that the key is of; None for one that no spec allows (a curve or a size of its own)."""
    if isinstance(key, rsa.RSAPrivateKey):
        return f"RSA_{key.key_size}" if key.key_size in {2048, 3072, 4096} else None
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return next((name for name, curve in CURVES.items() if isinstance(key.curve, curve)), None)
    if isinstance(key, Ed25519PrivateKey):
        return "ECC_NIST_EDWARDS25519"
    return next(name for name, kind in _MLDSA.items() if isinstance(key, kind))


def public_key_of(key: PrivateKey) -> bytes:
    return format_public_key(key.public_key())


def format_public_key(key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo, DER (RFC 5280 §4.1)."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

"""Public keys as tokens tell them: attributes of an object, made into SubjectPublicKeyInfo."""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute

from kms.hsm.interface import PairKind, PrivateKeyType

CURVES: Final[dict[str, ec.EllipticCurve]] = {
    curve.name: curve for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1())
}
"""Curves that pairs are made on, by their names in SEC 2."""


def read_public_key(public: Any, kind: PairKind) -> bytes:
    """SubjectPublicKeyInfo, DER, of a public key object. Raises PKCS11Error, and ValueError for a key that is none."""
    if kind.key_type is PrivateKeyType.RSA:
        return format_public_key(public_key_of_modulus(public))
    return format_public_key(public_key_on(CURVES[kind.curve], public[Attribute.EC_POINT]))


def public_key_of_modulus(public: Any) -> rsa.RSAPublicKey:
    exponent, modulus = (int.from_bytes(public[name], "big") for name in (Attribute.PUBLIC_EXPONENT, Attribute.MODULUS))
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def public_key_on(curve: ec.EllipticCurve, point: bytes) -> ec.EllipticCurvePublicKey:
    """The key of a CKA_EC_POINT: 04 ‖ x ‖ y in a DER OCTET STRING, as PKCS#11 v2.40 has it, or from some tokens bare.

    Raises ValueError for what is no point of the curve.
    """
    size = 1 + 2 * ((curve.key_size + 7) // 8)
    octet_string = b"\x04" + (bytes([size]) if size < 0x80 else bytes([0x81, size]))
    return ec.EllipticCurvePublicKey.from_encoded_point(
        curve, point.removeprefix(octet_string) if len(point) > size else point
    )


def format_public_key(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

"""Signing and verifying, by every algorithm of the API. Pure; signing by RSA and ML-DSA takes milliseconds.

ECDSA signatures are DER (ANSI X9.62, RFC 3279 §2.2.3); PSS has MGF1 with the same hash and a salt as long as it (RFC
8017 §8.1); Ed25519ph is RFC 8032 §5.1 with an empty context, from libsodium, as `cryptography` does not have it.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from nacl import bindings as sodium
from nacl.exceptions import BadSignatureError

from kms.api.errors import KMSError
from kms.keys.private_keys import PrivateKey, PublicKey
from kms.keys.specs import ED25519, ED25519_PH, ML_DSA

RAW = "RAW"
DIGEST = "DIGEST"
EXTERNAL_MU = "EXTERNAL_MU"
MU_BYTES = 64
_ED25519_BYTES = 64

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "SHA_256": hashes.SHA256,
    "SHA_384": hashes.SHA384,
    "SHA_512": hashes.SHA512,
}


class WrongSignature(Exception):
    """The signature is not one of this message by this key; why, nobody learns."""


def check_message(algorithm: str, message_type: str, length: int) -> None:
    """Raises ValidationException unless the algorithm takes messages of that type and length."""
    allowed = {ED25519: {RAW}, ED25519_PH: {DIGEST}, ML_DSA: {RAW, EXTERNAL_MU}}.get(algorithm, {RAW, DIGEST})
    if message_type not in allowed:
        raise KMSError("ValidationException", f"MessageType {message_type} is not valid for algorithm {algorithm}.")
    if message_type == DIGEST and length != digest_bytes(algorithm):
        raise KMSError("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")
    if message_type == EXTERNAL_MU and length != MU_BYTES:
        raise KMSError("ValidationException", f"Message representative is invalid length for algorithm {algorithm}.")


def digest_bytes(algorithm: str) -> int:
    """Length of the digest that the algorithm signs."""
    return _HASHES[algorithm[-len("SHA_256") :]]().digest_size


def sign(key: PrivateKey, algorithm: str, message: bytes, message_type: str) -> bytes:
    """The signature of a message that `check_message` admitted, by a key whose spec has the algorithm."""
    if isinstance(key, rsa.RSAPrivateKey):
        hashed = _hash(algorithm, message_type)
        return key.sign(message, _padding(algorithm), hashed)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(_hash(algorithm, message_type)))
    if isinstance(key, Ed25519PrivateKey):
        return _sign_prehashed(key, message) if algorithm == ED25519_PH else key.sign(message)
    return key.sign_mu(message) if message_type == EXTERNAL_MU else key.sign(message)


def verify(key: PublicKey, algorithm: str, message: bytes, message_type: str, signature: bytes) -> None:
    """Raises WrongSignature."""
    try:
        _verify(key, algorithm, message, message_type, signature)
    except (InvalidSignature, BadSignatureError, ValueError):
        raise WrongSignature from None


def _verify(key: PublicKey, algorithm: str, message: bytes, message_type: str, signature: bytes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, message, _padding(algorithm), _hash(algorithm, message_type))
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(_hash(algorithm, message_type)))
    elif isinstance(key, Ed25519PublicKey):
        if algorithm == ED25519_PH:
            _verify_prehashed(key, message, signature)
        else:
            key.verify(signature, message)
    elif message_type == EXTERNAL_MU:
        key.verify_mu(signature, message)
    else:
        key.verify(signature, message)


def _hash(algorithm: str, message_type: str) -> hashes.HashAlgorithm | Prehashed:
    hashed = _HASHES[algorithm[-len("SHA_256") :]]()
    return Prehashed(hashed) if message_type == DIGEST else hashed


def _padding(algorithm: str) -> padding.PKCS1v15 | padding.PSS:
    if algorithm.startswith("RSASSA_PKCS1_V1_5"):
        return padding.PKCS1v15()
    hashed = _HASHES[algorithm[-len("SHA_256") :]]()
    return padding.PSS(padding.MGF1(hashed), hashed.digest_size)


def _sign_prehashed(key: Ed25519PrivateKey, message: bytes) -> bytes:
    state = sodium.crypto_sign_ed25519ph_state()
    sodium.crypto_sign_ed25519ph_update(state, message)
    secret = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return bytes(sodium.crypto_sign_ed25519ph_final_create(state, secret))


def _verify_prehashed(key: Ed25519PublicKey, message: bytes, signature: bytes) -> None:
    if len(signature) != _ED25519_BYTES:
        raise ValueError("an Ed25519 signature has 64 bytes")
    state = sodium.crypto_sign_ed25519ph_state()
    sodium.crypto_sign_ed25519ph_update(state, message)
    if not sodium.crypto_sign_ed25519ph_final_verify(state, signature, key.public_bytes_raw()):
        raise ValueError("wrong signature")

"""RSAES-OAEP (RFC 8017 §7.1) with SHA-1 or SHA-256 for hash and MGF1, and no label."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from kms.api.errors import KMSError

_HASHES: dict[str, type[hashes.SHA1 | hashes.SHA256]] = {
    "RSAES_OAEP_SHA_1": hashes.SHA1,
    "RSAES_OAEP_SHA_256": hashes.SHA256,
}


def check_plaintext(key_spec: str, algorithm: str, length: int) -> None:
    """Raises ValidationException for a plaintext that is too long for one block."""
    maximum = max_plaintext_bytes(key_spec, algorithm)
    if length > maximum:
        raise KMSError(
            "ValidationException",
            f"Algorithm {algorithm} and key spec {key_spec} cannot encrypt data larger than {maximum} bytes.",
        )


def max_plaintext_bytes(key_spec: str, algorithm: str) -> int:
    return int(key_spec.removeprefix("RSA_")) // 8 - 2 * _HASHES[algorithm].digest_size - 2


def encrypt(key: rsa.RSAPublicKey, algorithm: str, plaintext: bytes) -> bytes:
    return key.encrypt(plaintext, _oaep(algorithm))


def decrypt(key: rsa.RSAPrivateKey, algorithm: str, ciphertext: bytes) -> bytes:
    """Raises InvalidCiphertextException for whatever does not decrypt; the causes cannot be told apart."""
    try:
        return key.decrypt(ciphertext, _oaep(algorithm))
    except ValueError:
        raise KMSError("InvalidCiphertextException") from None


def _oaep(algorithm: str) -> padding.OAEP:
    kind = _HASHES[algorithm]
    return padding.OAEP(padding.MGF1(kind()), kind(), None)

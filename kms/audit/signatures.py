"""Signatures of the trail: ECDSA over P-256 with SHA-256, made in the HSM, verified with the public key alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from kms.audit.lines import Checkpoint

SIGNATURE_BYTES = 64
_PEM_END = "-----END PUBLIC KEY-----"

PublicKeys = Mapping[str, ec.EllipticCurvePublicKey]
"""By key id, as checkpoints name them."""


class BadPublicKey(ValueError):
    """Not a P-256 public key."""


class Signer(Protocol):
    """What signs checkpoints (`kms.hsm.interface.Root` does). Both methods block and may raise anything."""

    def audit_public_key(self) -> bytes:
        """SubjectPublicKeyInfo, DER."""
        ...

    def sign(self, digest: bytes) -> bytes:
        """ECDSA over a SHA-256 digest (32 bytes): r ‖ s, 64 bytes."""
        ...


def key_id(public_key: bytes) -> str:
    """How checkpoints name a public key (SPKI, DER): SHA-256, hex."""
    return hashlib.sha256(public_key).hexdigest()


def is_signed(checkpoint: Checkpoint, keys: PublicKeys) -> bool:
    """Whether one of these keys, the one that the checkpoint names, made its signature."""
    key = keys.get(checkpoint.key_id)
    return key is not None and is_signature(checkpoint.signature, checkpoint.statement(), key)


def is_signature(signature: bytes, message: bytes, key: ec.EllipticCurvePublicKey) -> bool:
    """Whether `signature` (r ‖ s, 64 bytes, anything else is none) is this key's of `message`."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    r, s = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
    try:
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def load_public_keys(pems: Iterable[str]) -> dict[str, ec.EllipticCurvePublicKey]:
    """Every key in these PEM texts, of which each may hold several. Raises BadPublicKey."""
    keys = {}
    for text in pems:
        blocks = [f"{block}{_PEM_END}\n" for block in text.split(_PEM_END)[:-1]]
        if not blocks:
            raise BadPublicKey("there is no public key in PEM form")
        for block in blocks:
            try:
                key = _require_p256(load_pem_public_key(block.strip().encode()))
            except (ValueError, UnsupportedAlgorithm) as error:
                raise BadPublicKey(str(error)) from error
            keys[key_id(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))] = key
    return keys


def load_public_key(public_key: bytes) -> ec.EllipticCurvePublicKey:
    """A key in DER form. Raises BadPublicKey."""
    try:
        return _require_p256(load_der_public_key(public_key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadPublicKey(str(error)) from error


def format_pem(public_key: bytes) -> str:
    """The PEM text of a DER public key. Raises BadPublicKey."""
    return load_public_key(public_key).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _require_p256(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BadPublicKey("it is not a P-256 key")
    return key

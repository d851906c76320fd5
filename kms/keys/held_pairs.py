"""Key pairs of protection hsm: made or imported, proven to do all that their spec and usage offer, and used.

The HSM has the private key alone. The public half lies in the record, authenticated with it, so that verifying and
encrypting need no HSM:

    public half = type (1 RSA, 2 a curve for signatures, 3 one for ECDH) ‖ SubjectPublicKeyInfo, DER

ECDSA signatures are r ‖ s in the HSM and DER outside (RFC 3279 §2.2.3). What is signed is the digest, computed here.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from dataclasses import dataclass, replace
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.hsm.interface import (
    HeldPrivateKey,
    NotOffered,
    PairKind,
    PrivateKeyType,
    Root,
    SignatureScheme,
    UnwrapFailed,
    WrappedPair,
)
from kms.keys import rsa_encryption, signatures
from kms.keys.agreement import shared_secret
from kms.keys.private_keys import PublicKey, generate_private_key, load_private_key, public_key_of
from kms.keys.specs import ENCRYPT_DECRYPT, KEY_AGREEMENT, SIGN_VERIFY, algorithms_of

log = logging.getLogger(__name__)

PAIR_KINDS: Final = {
    "RSA_2048": PairKind(PrivateKeyType.RSA, bits=2048),
    "RSA_3072": PairKind(PrivateKeyType.RSA, bits=3072),
    "RSA_4096": PairKind(PrivateKeyType.RSA, bits=4096),
    "ECC_NIST_P256": PairKind(PrivateKeyType.EC, "secp256r1"),
    "ECC_NIST_P384": PairKind(PrivateKeyType.EC, "secp384r1"),
    "ECC_NIST_P521": PairKind(PrivateKeyType.EC, "secp521r1"),
    "ECC_SECG_P256K1": PairKind(PrivateKeyType.EC, "secp256k1"),
}
"""Pairs that a token may take; which of them it does take, it shows when one is made."""

_TYPES: Final = {1: PrivateKeyType.RSA, 2: PrivateKeyType.EC, 3: PrivateKeyType.EC_AGREEMENT}
_TYPE_NUMBERS: Final = {key_type: number for number, key_type in _TYPES.items()}
_TRIAL: Final = b"sealgate/v1/held-pair/trial"


@dataclass(frozen=True, slots=True)
class HeldPair:
    """A private key as root-strict-private wrapped it, and the public half as the record holds it."""

    wrapped: bytes
    public_half: bytes


def make_pair(root: Root, key_spec: str, key_usage: str, material: SecretBytes | None) -> HeldPair:
    """A pair of this spec: of `material` (PKCS#8), or made in the HSM.

    A token that holds such keys and does not wrap those that it made gets one that is made here, and forgotten.
    Every algorithm of spec and usage is tried. Raises NotOffered where the token lacks one, or does not hold the key.
    """
    kind = PAIR_KINDS.get(key_spec)
    if kind is None:
        raise NotOffered(f"no token takes keys of spec {key_spec}: their protection is software")
    if key_usage == KEY_AGREEMENT:
        kind = replace(kind, key_type=PrivateKeyType.EC_AGREEMENT)
    pair = _generate(root, key_spec, kind) if material is None else _wrap(root, key_spec, kind, material)
    held = root.hold_private_key(pair.wrapped, kind.key_type)
    try:
        _try_out(held, pair.public_key, key_spec, key_usage)
    except NotOffered as error:
        raise NotOffered(
            f"a key of spec {key_spec} for {key_usage} cannot be used inside the HSM, since {error}: its protection"
            " can only be software"
        ) from error
    finally:
        held.close()
    return HeldPair(pair.wrapped, bytes([_TYPE_NUMBERS[kind.key_type]]) + pair.public_key)


def parse_public_half(public_half: bytes) -> tuple[PrivateKeyType, bytes]:
    """The private key's type and the public key. Raises UnwrapFailed."""
    key_type = _TYPES.get(public_half[0])
    if key_type is None:
        raise UnwrapFailed("the key record holds a pair of a type that this release does not know")
    return key_type, public_half[1:]


def sign_inside(held: HeldPrivateKey, algorithm: str, message: bytes, message_type: str) -> bytes:
    """As `signatures.sign`, by a key in the HSM. Blocks; raises RootError."""
    hash_name = "sha" + algorithm[-3:]
    digest = message if message_type == signatures.DIGEST else hashlib.new(hash_name, message).digest()
    if algorithm.startswith("RSASSA_PKCS1_V1_5"):
        return held.sign(SignatureScheme.RSA_PKCS1, digest, hash_name)
    if algorithm.startswith("RSASSA_PSS"):
        return held.sign(SignatureScheme.RSA_PSS, digest, hash_name)
    signature = held.sign(SignatureScheme.ECDSA, digest, hash_name)
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def decrypt_inside(held: HeldPrivateKey, algorithm: str, ciphertext: bytes) -> bytes:
    """As `rsa_encryption.decrypt`, by a key in the HSM. Blocks; raises RootError."""
    hash_name = "sha1" if algorithm == "RSAES_OAEP_SHA_1" else "sha256"
    try:
        return held.decrypt(ciphertext, hash_name)
    except UnwrapFailed:
        raise KMSError("InvalidCiphertextException") from None


def agree_inside(held: HeldPrivateKey, peer: ec.EllipticCurvePublicKey) -> bytes:
    """As `agreement.shared_secret`, by a key in the HSM. Blocks; raises RootError."""
    return held.agree(peer.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def load_public_key(public_key: bytes) -> PublicKey:
    """Of what a record holds, which is authenticated."""
    key = load_der_public_key(public_key)
    assert isinstance(key, PublicKey)
    return key


def _generate(root: Root, key_spec: str, kind: PairKind) -> WrappedPair:
    try:
        return root.generate_wrapped_pair(kind)
    except NotOffered as refusal:
        pair = _wrap(root, key_spec, kind, generate_private_key(key_spec))
        log.info("a pair of spec %s was made in this process and wrapped at once: %s", key_spec, refusal)
        return pair


def _wrap(root: Root, key_spec: str, kind: PairKind, material: SecretBytes) -> WrappedPair:
    public_key = public_key_of(load_private_key(key_spec, material.reveal()))
    return WrappedPair(root.wrap_private_key(material, kind.key_type), public_key)


def _try_out(held: HeldPrivateKey, public_key: bytes, key_spec: str, key_usage: str) -> None:
    """Raises NotOffered for an algorithm that the token does not have, or does wrongly."""
    trial, public = _TRIALS[key_usage], load_public_key(public_key)
    for algorithm in algorithms_of(key_spec, key_usage):
        try:
            is_right = trial(held, public, algorithm)
        except (signatures.WrongSignature, KMSError):
            is_right = False
        if not is_right:
            raise NotOffered(f"the token does {algorithm} wrongly")


def _try_signing(held: HeldPrivateKey, public: PublicKey, algorithm: str) -> bool:
    signature = sign_inside(held, algorithm, _TRIAL, signatures.RAW)
    signatures.verify(public, algorithm, _TRIAL, signatures.RAW, signature)
    return True


def _try_decrypting(held: HeldPrivateKey, public: PublicKey, algorithm: str) -> bool:
    assert isinstance(public, rsa.RSAPublicKey)
    return decrypt_inside(held, algorithm, rsa_encryption.encrypt(public, algorithm, _TRIAL)) == _TRIAL


def _try_agreeing(held: HeldPrivateKey, public: PublicKey, _algorithm: str) -> bool:
    assert isinstance(public, ec.EllipticCurvePublicKey)
    peer = ec.generate_private_key(public.curve)
    return hmac.compare_digest(agree_inside(held, peer.public_key()), shared_secret(peer, public))


_TRIALS: Final = {SIGN_VERIFY: _try_signing, ENCRYPT_DECRYPT: _try_decrypting, KEY_AGREEMENT: _try_agreeing}

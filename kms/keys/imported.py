"""Key material as it is imported: the wrapping key, the ways to wrap, and how the same material is recognised.

Source: AWS KMS Developer Guide, "Importing key material step 3: encrypt the key material". RSA_AES_KEY_WRAP_SHA_* is
PKCS#11's CKM_RSA_AES_KEY_WRAP: an AES-256 key under RSA-OAEP, then the material under it by RFC 5649. The wrapping key
is made in software, since not every token unwraps by OAEP with SHA-256.
"""

from __future__ import annotations

import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from kms.api.secrets import SecretBytes
from kms.keys.private_keys import WrongPrivateKey, load_private_key
from kms.keys.specs import HMAC_KEY_BYTES, SPECS

SYMMETRIC_KEY_BYTES: Final = 32
WRAPPING_KEY_BITS: Final = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_HASHES: Final = {"SHA_1": SHA1, "SHA_256": SHA256}
_AES_KEY_SIZE: Final = 32
_CHECK_LABEL: Final = b"sealgate/v1/imported-material/check"
_SCRYPT_N: Final = 2**14
_SCRYPT_R: Final = 8


class NotUnwrapped(ValueError):
    """What was sent is not wrapped under the wrapping key, whatever the reason: it is not told."""


class WrongMaterial(ValueError):
    """What was sent is no material of the key's spec; the message tells nothing of it."""


def make_wrapping_key(spec: str) -> tuple[SecretBytes, bytes]:
    """A fresh private key (PKCS#8) and its public half (SubjectPublicKeyInfo), DER. Takes up to some seconds."""
    key = rsa.generate_private_key(65537, WRAPPING_KEY_BITS[spec])
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SecretBytes(pkcs8), key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def unwrap_material(pkcs8: SecretBytes, algorithm: str, wrapped: bytes) -> SecretBytes:
    """The material in `wrapped`. Raises NotUnwrapped. Milliseconds of computing: not for an event loop.

    `pkcs8` is a wrapping key that was made here; its numbers are not checked again.
    """
    private_key = load_der_private_key(pkcs8.reveal(), password=None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(private_key, rsa.RSAPrivateKey)
    hash_name = algorithm[algorithm.index("SHA_") :]
    padding = OAEP(MGF1(_HASHES[hash_name]()), _HASHES[hash_name](), None)
    modulus_size = private_key.key_size // 8
    is_two_steps = algorithm.startswith("RSA_AES_KEY_WRAP")
    try:
        key = private_key.decrypt(wrapped[:modulus_size] if is_two_steps else wrapped, padding)
        if not is_two_steps:
            return SecretBytes(key)
        if len(key) != _AES_KEY_SIZE:
            raise NotUnwrapped("the material is not wrapped under an AES-256 key")
        return SecretBytes(aes_key_unwrap_with_padding(key, wrapped[modulus_size:]))
    except NotUnwrapped:
        raise
    except (ValueError, InvalidUnwrap):
        raise NotUnwrapped("the material is not wrapped under this key") from None


def checked_material(key_spec: str, material: SecretBytes) -> SecretBytes:
    """`material` as it is kept: a private key in one encoding, whichever it came in. Raises WrongMaterial."""
    if SPECS[key_spec].is_private:
        try:
            key = load_private_key(key_spec, material.reveal())
        except WrongPrivateKey as error:
            raise WrongMaterial(f"The key material is {error}") from None
        return SecretBytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    size = HMAC_KEY_BYTES.get(key_spec, SYMMETRIC_KEY_BYTES)
    if len(material) != size:
        raise WrongMaterial(f"A key of spec {key_spec} has {size} bytes of key material")
    return material


def check_of_material(key_id: bytes, material: SecretBytes) -> bytes:
    """32 bytes that recognise the material of one key when it comes again, without telling it: scrypt (RFC 7914).

    Not an HMAC under the root, so that it outlives the root: material that was deleted cannot be hashed anew when the
    root is rotated. Slow, because people may import what can be guessed. Takes 16 MiB and some 50 ms.
    """
    salt = _CHECK_LABEL + key_id
    return hashlib.scrypt(material.reveal(), salt=salt, n=_SCRYPT_N, r=_SCRYPT_R, p=1, dklen=32)

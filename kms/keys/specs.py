"""Key specs: what keys of each kind are for, and by which algorithms. One table.

Source: AWS KMS Developer Guide, "Key spec reference"; botocore's KMS model for the spellings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
SIGN_VERIFY = "SIGN_VERIFY"
GENERATE_VERIFY_MAC = "GENERATE_VERIFY_MAC"
KEY_AGREEMENT = "KEY_AGREEMENT"

SYMMETRIC_DEFAULT = "SYMMETRIC_DEFAULT"
ECDH = "ECDH"
ED25519 = "ED25519_SHA_512"
ED25519_PH = "ED25519_PH_SHA_512"
ML_DSA = "ML_DSA_SHAKE_256"

_OAEP = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
_RSA_SIGNATURES = (
    "RSASSA_PKCS1_V1_5_SHA_256",
    "RSASSA_PKCS1_V1_5_SHA_384",
    "RSASSA_PKCS1_V1_5_SHA_512",
    "RSASSA_PSS_SHA_256",
    "RSASSA_PSS_SHA_384",
    "RSASSA_PSS_SHA_512",
)


@dataclass(frozen=True, slots=True)
class KeySpec:
    """`algorithms` by usage. `is_private`: the material is a private key in PKCS#8, else bytes."""

    name: str
    algorithms: Mapping[str, tuple[str, ...]]
    is_private: bool = True


def _rsa(name: str) -> KeySpec:
    return KeySpec(name, {ENCRYPT_DECRYPT: _OAEP, SIGN_VERIFY: _RSA_SIGNATURES})


def _curve(name: str, signature: str) -> KeySpec:
    return KeySpec(name, {SIGN_VERIFY: (signature,), KEY_AGREEMENT: (ECDH,)})


def _hmac(bits: int) -> KeySpec:
    return KeySpec(f"HMAC_{bits}", {GENERATE_VERIFY_MAC: (f"HMAC_SHA_{bits}",)}, is_private=False)


SPECS: Mapping[str, KeySpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            KeySpec(SYMMETRIC_DEFAULT, {ENCRYPT_DECRYPT: (SYMMETRIC_DEFAULT,)}, is_private=False),
            *(_hmac(bits) for bits in (224, 256, 384, 512)),
            *(_rsa(f"RSA_{bits}") for bits in (2048, 3072, 4096)),
            _curve("ECC_NIST_P256", "ECDSA_SHA_256"),
            _curve("ECC_NIST_P384", "ECDSA_SHA_384"),
            _curve("ECC_NIST_P521", "ECDSA_SHA_512"),
            KeySpec("ECC_SECG_P256K1", {SIGN_VERIFY: ("ECDSA_SHA_256",)}),
            KeySpec("ECC_NIST_EDWARDS25519", {SIGN_VERIFY: (ED25519, ED25519_PH)}),
            *(KeySpec(f"ML_DSA_{level}", {SIGN_VERIFY: (ML_DSA,)}) for level in (44, 65, 87)),
        )
    }
)
"""The specs that are served. SM2 exists in China's regions only, ML_KEM is not offered."""

HMAC_KEY_BYTES: Mapping[str, int] = MappingProxyType({"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64})


def algorithms_of(key_spec: str, key_usage: str) -> tuple[str, ...]:
    """The algorithms that a key of this spec and usage serves, in the order in which DescribeKey lists them."""
    return SPECS[key_spec].algorithms[key_usage]

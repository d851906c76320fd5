"""`rsa-oaep`: encrypted outside by the public key, decrypted inside by C_Decrypt, for smart cards and the like.

    wrapped = hash (1: 1 SHA-1, 2 SHA-256) ‖ RSAES-OAEP ciphertext ‖ HMAC-SHA256(root-mac, label ‖ all before)

Anybody can encrypt under a public key, so root-mac authenticates what the root wrapped. SHA-1 serves where the token
has no other hash (SoftHSM2): OAEP does not rest on the hash's resistance to collisions (RFC 8017, §B.1).
Keys pass through this process in the clear when they are made.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from pkcs11 import MGF, Attribute, Mechanism

from kms.hsm.interface import KEY_SIZE, UnwrapFailed
from kms.hsm.key_plan import decrypting_pair_plan
from kms.hsm.profiles.interface import MAC_SIZE, RootSession

MODULUS_BITS = 3072
MIN_MODULUS_BITS = 2048

_LABEL: Final = b"sealgate/v1/root-rsa-oaep"
_OUTSIDE: Final = {
    1: OAEP(MGF1(SHA1()), SHA1(), None),  # noqa: S303  # no collision resistance is needed, see above
    2: OAEP(MGF1(SHA256()), SHA256(), None),
}
_INSIDE: Final = {1: (Mechanism.SHA_1, MGF.SHA1, None), 2: (Mechanism.SHA256, MGF.SHA256, None)}
SHA_1 = 1
SHA_256 = 2


class RSAOAEPProfile:
    """`hash_number` is what new keys are encrypted with; older ones say it themselves."""

    name = "rsa-oaep"
    mechanism = int(Mechanism.RSA_PKCS_OAEP)
    plan = decrypting_pair_plan(int(Mechanism.RSA_PKCS_OAEP))

    def __init__(self, hash_number: int) -> None:
        self.hash_number = hash_number

    def generate(self, at: RootSession) -> bytes:
        return self.wrap(at, at.random(KEY_SIZE))

    def wrap(self, at: RootSession, key: bytes) -> bytes:
        encrypted = _public_key(at).encrypt(key, _OUTSIDE[self.hash_number])
        sealed = bytes([self.hash_number]) + encrypted
        return sealed + at.mac(_LABEL + sealed)

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        sealed, tag = wrapped[:-MAC_SIZE], wrapped[-MAC_SIZE:]
        if len(sealed) < 2 or not hmac.compare_digest(at.mac(_LABEL + sealed), tag):
            raise UnwrapFailed("the root did not wrap these bytes, or they were changed")
        key: bytes = at.root.decrypt(sealed[1:], mechanism=Mechanism.RSA_PKCS_OAEP, mechanism_param=_INSIDE[sealed[0]])
        return key


def _public_key(at: RootSession) -> RSAPublicKey:
    attributes = at.root.get_attributes((Attribute.MODULUS, Attribute.PUBLIC_EXPONENT))
    modulus, exponent = (
        int.from_bytes(attributes[name], "big") for name in (Attribute.MODULUS, Attribute.PUBLIC_EXPONENT)
    )
    return RSAPublicNumbers(exponent, modulus).public_key()

"""Private keys by CKM_AES_KEY_WRAP: made in the token or elsewhere (PKCS#8), and held as session objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11
from pkcs11.constants import DEFAULT
from pkcs11.types import Key
from pkcs11.util.ec import encode_named_curve_parameters

from kms.hsm.interface import PairKind, PrivateKeyType, WrappedPair
from kms.hsm.profiles.interface import WrappingKey
from kms.hsm.profiles.key_wrap import KEPT, TO_BE_READ, TO_BE_WRAPPED, wrap_and_destroy, wrap_under
from kms.hsm.profiles.refusals import UNSUPPORTED
from kms.hsm.public_keys import read_public_key

if TYPE_CHECKING:
    from pkcs11.types import Object, Session

# DEFAULT leaves out what python-pkcs11 would add, and what tokens do not know in a private key.
_KEPT_PRIVATE: Final[dict[Attribute, Any]] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.UNWRAP: False,
    Attribute.ENCRYPT: DEFAULT,
    Attribute.VERIFY: DEFAULT,
    Attribute.WRAP: DEFAULT,
}
_PAIR_TO_BE_WRAPPED: Final[dict[Attribute, Any]] = {
    **TO_BE_WRAPPED,
    Attribute.DERIVE: DEFAULT,
    Attribute.UNWRAP: DEFAULT,
}
_PRIVATE: Final = {
    PrivateKeyType.EC: (KeyType.EC, MechanismFlag.SIGN),
    PrivateKeyType.RSA: (KeyType.RSA, MechanismFlag.SIGN | MechanismFlag.DECRYPT),
    PrivateKeyType.EC_AGREEMENT: (KeyType.EC, MechanismFlag.DERIVE),
}


def generate_pair_under(
    session: Session, wrapping_key: WrappingKey, mechanism: Mechanism, kind: PairKind
) -> WrappedPair:
    """A pair made in the token, its private key wrapped under one of the token's keys.

    Which pads PKCS#8, whose length is any, to a multiple of 8 by zero bytes (PKCS#11 v2.40 mechanisms, §2.14.3); NSS
    does not, and answers DataLenRange.
    """
    how: dict[str, Any] = {
        "store": False,
        "capabilities": MechanismFlag.SIGN | MechanismFlag.VERIFY,
        "private_template": _PAIR_TO_BE_WRAPPED,
    }
    if kind.key_type is PrivateKeyType.RSA:
        public, private = session.generate_keypair(KeyType.RSA, kind.bits, **how)
    else:
        curve = {Attribute.EC_PARAMS: encode_named_curve_parameters(kind.curve)}
        public, private = session.create_domain_parameters(KeyType.EC, curve, local=True).generate_keypair(**how)
    try:
        if not isinstance(cast("object", private), Key):
            # python-pkcs11 asks what class an object is of, and takes CKR_FUNCTION_FAILED for an answer.
            private.destroy()
            raise p11.FunctionFailed
        return WrappedPair(wrap_and_destroy(wrapping_key, mechanism, private), read_public_key(public, kind))
    finally:
        public.destroy()


def hold_private_under(
    wrapping_key: WrappingKey, mechanism: Mechanism, wrapped: bytes, key_type: PrivateKeyType
) -> Object:
    """A session object of the private key, for signatures, decryption (RSA) or ECDH; good for nothing else."""
    token_type, capabilities = _PRIVATE[key_type]
    return wrapping_key.unwrap_key(
        ObjectClass.PRIVATE_KEY,
        token_type,
        wrapped,
        mechanism=mechanism,
        store=False,
        capabilities=capabilities,
        template=_kept(capabilities),
    )


def private_unwraps_only_by_template(
    session: Session, wrapping_key: WrappingKey, mechanism: Mechanism, key_type: PrivateKeyType
) -> bool:
    """As `unwraps_only_by_template`, for private keys: tried with a P-256 key that is thrown away.

    One that unwraps keys for ECDH must not unwrap them for signatures, nor the other way round.
    """
    wrapped = wrap_under(session, wrapping_key, mechanism, padded(_fresh_p256()))
    is_for_agreement = key_type is PrivateKeyType.EC_AGREEMENT
    tried = PrivateKeyType.EC_AGREEMENT if is_for_agreement else PrivateKeyType.EC
    use, misuse = MechanismFlag.SIGN, MechanismFlag.DERIVE
    if is_for_agreement:
        use, misuse = misuse, use
    if not unwraps_private(wrapping_key, mechanism, wrapped, tried):
        return False
    ways_out: tuple[tuple[ObjectClass, KeyType, MechanismFlag, dict[Attribute, Any]], ...] = (
        (ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET, MechanismFlag.SIGN, TO_BE_READ),
        (ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET, MechanismFlag.SIGN, KEPT),
        (ObjectClass.PRIVATE_KEY, KeyType.EC, use, {**_kept(use), **TO_BE_READ}),
        (ObjectClass.PRIVATE_KEY, KeyType.EC, use, {**_kept(use), **TO_BE_WRAPPED}),
        (ObjectClass.PRIVATE_KEY, KeyType.EC, misuse, _kept(misuse)),
    )
    for object_class, token_type, capabilities, template in ways_out:
        try:
            wrapping_key.unwrap_key(
                object_class,
                token_type,
                wrapped,
                mechanism=mechanism,
                store=False,
                capabilities=capabilities,
                template=template,
            ).destroy()
        except UNSUPPORTED:
            continue
        return False
    return True


def unwraps_private(wrapping_key: WrappingKey, mechanism: Mechanism, wrapped: bytes, key_type: PrivateKeyType) -> bool:
    """Whether the token holds such a private key."""
    try:
        hold_private_under(wrapping_key, mechanism, wrapped, key_type).destroy()
    except (*UNSUPPORTED, p11.DomainParamsInvalid):
        return False
    return True


def _kept(capabilities: MechanismFlag) -> dict[Attribute, Any]:
    return {**_KEPT_PRIVATE, Attribute.DERIVE: MechanismFlag.DERIVE in capabilities}


def padded(pkcs8: bytes) -> bytes:
    """AES key wrap takes multiples of 8 bytes; a DER structure knows where it ends."""
    return pkcs8 + bytes(-len(pkcs8) % 8)


def _fresh_p256() -> bytes:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

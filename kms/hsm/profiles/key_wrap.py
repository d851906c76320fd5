"""`kw`: CKM_AES_KEY_WRAP (RFC 3394) through C_WrapKey and C_UnwrapKey. The only profile that can keep keys inside.

No padding is needed, since 32 is a multiple of 8. All work is on session objects that live for the one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11
from pkcs11.constants import DEFAULT

from kms.hsm.interface import KEY_SIZE, PrivateKeyType, UnwrapFailed
from kms.hsm.key_plan import wrapping_plan
from kms.hsm.profiles.interface import RootSession, WrappingKey
from kms.hsm.profiles.refusals import UNSUPPORTED

if TYPE_CHECKING:
    from pkcs11.types import Object, SecretKey, Session

WRAPPED_SIZE = KEY_SIZE + 8

_NO_USE: Final = MechanismFlag(0)
_KEPT: Final[dict[Attribute, bool]] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,  # NSS would let a key be made extractable afterwards
}
_TO_BE_WRAPPED: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True}
_TO_BE_READ: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}


# DEFAULT leaves out what python-pkcs11 would add, and what tokens do not know in a private key.
_KEPT_PRIVATE: Final[dict[Attribute, Any]] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.DERIVE: False,
    Attribute.UNWRAP: False,
    Attribute.ENCRYPT: DEFAULT,
    Attribute.VERIFY: DEFAULT,
    Attribute.WRAP: DEFAULT,
}
_PRIVATE: Final = {
    PrivateKeyType.EC: (KeyType.EC, MechanismFlag.SIGN),
    PrivateKeyType.RSA: (KeyType.RSA, MechanismFlag.SIGN | MechanismFlag.DECRYPT),
}


class KeyWrapProfile:
    """`mechanism` may be a vendor's own number for RFC 3394 without padding (AWS CloudHSM has one)."""

    name = "kw"

    def __init__(self, mechanism: int) -> None:
        self.mechanism = mechanism
        self.plan = wrapping_plan(mechanism)
        self._mechanism = as_mechanism(mechanism)

    def generate(self, at: RootSession) -> bytes:
        return generate_under(at.session, at.root, self._mechanism)

    def wrap(self, at: RootSession, key: bytes) -> bytes:
        return wrap_under(at.session, at.root, self._mechanism, key)

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        if len(wrapped) != WRAPPED_SIZE:
            raise UnwrapFailed(f"a wrapped key has {WRAPPED_SIZE} bytes, not {len(wrapped)}")
        key = at.root.unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.GENERIC_SECRET,
            wrapped,
            mechanism=self._mechanism,
            store=False,
            capabilities=_NO_USE,
            template=_TO_BE_READ,
        )
        try:
            value: bytes = key[Attribute.VALUE]
            return value
        finally:
            key.destroy()


def as_mechanism(number: int) -> Mechanism:
    """python-pkcs11 takes members of its enum only: a vendor's number becomes one that the enum does not list."""
    try:
        return Mechanism(number)
    except ValueError:
        member = int.__new__(Mechanism, number)
        member._name_, member._value_ = f"{number:#x}", number
        return member


def generate_under(session: Session, wrapping_key: WrappingKey, mechanism: Mechanism, size: int = KEY_SIZE) -> bytes:
    """`size` bytes, a multiple of 8, made in the token and wrapped under one of its keys."""
    key = session.generate_key(
        KeyType.GENERIC_SECRET, size * 8, store=False, capabilities=_NO_USE, template=_TO_BE_WRAPPED
    )
    return _wrap_and_destroy(wrapping_key, mechanism, key)


def wrap_under(session: Session, wrapping_key: WrappingKey, mechanism: Mechanism, value: bytes) -> bytes:
    """`value`, a multiple of 8 bytes, wrapped under one of the token's keys."""
    key = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.TOKEN: False,
            Attribute.VALUE: value,
            **_TO_BE_WRAPPED,
        }
    )
    return _wrap_and_destroy(wrapping_key, mechanism, cast("SecretKey", key))


def hold_under(wrapping_key: WrappingKey, mechanism: Mechanism, wrapped: bytes) -> Object:
    """A session object of what the key wrapped, for HMAC: sensitive, not extractable, good for nothing else."""
    return wrapping_key.unwrap_key(
        ObjectClass.SECRET_KEY,
        KeyType.GENERIC_SECRET,
        wrapped,
        mechanism=mechanism,
        store=False,
        capabilities=MechanismFlag.SIGN,
        template=_KEPT,
    )


def hold_private_under(
    wrapping_key: WrappingKey, mechanism: Mechanism, wrapped: bytes, key_type: PrivateKeyType
) -> Object:
    """A session object of the private key, for signatures and, of RSA, decryption; good for nothing else."""
    token_type, capabilities = _PRIVATE[key_type]
    return wrapping_key.unwrap_key(
        ObjectClass.PRIVATE_KEY,
        token_type,
        wrapped,
        mechanism=mechanism,
        store=False,
        capabilities=capabilities,
        template=_KEPT_PRIVATE,
    )


def private_unwraps_only_by_template(session: Session, wrapping_key: WrappingKey, mechanism: Mechanism) -> bool:
    """As `unwraps_only_by_template`, for private keys: tried with a P-256 key that is thrown away."""
    wrapped = wrap_under(session, wrapping_key, mechanism, padded(_fresh_p256()))
    if not unwraps_private(wrapping_key, mechanism, wrapped, PrivateKeyType.EC):
        return False
    ways_out: tuple[tuple[ObjectClass, KeyType, MechanismFlag, dict[Attribute, Any]], ...] = (
        (ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _TO_BE_READ),
        (ObjectClass.SECRET_KEY, KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _KEPT),
        (ObjectClass.PRIVATE_KEY, KeyType.EC, MechanismFlag.SIGN, {**_KEPT_PRIVATE, **_TO_BE_READ}),
        (ObjectClass.PRIVATE_KEY, KeyType.EC, MechanismFlag.SIGN, {**_KEPT_PRIVATE, **_TO_BE_WRAPPED}),
    )
    for object_class, key_type, capabilities, template in ways_out:
        try:
            wrapping_key.unwrap_key(
                object_class,
                key_type,
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


def padded(pkcs8: bytes) -> bytes:
    """AES key wrap takes multiples of 8 bytes; a DER structure knows where it ends."""
    return pkcs8 + bytes(-len(pkcs8) % 8)


def _fresh_p256() -> bytes:
    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _wrap_and_destroy(wrapping_key: WrappingKey, mechanism: Mechanism, key: SecretKey) -> bytes:
    try:
        return wrapping_key.wrap_key(key, mechanism=mechanism)
    finally:
        key.destroy()


def unwraps_only_by_template(session: Session, wrapping_key: WrappingKey, mechanism: Mechanism) -> bool:
    """Whether a key with CKA_UNWRAP_TEMPLATE keeps what it unwraps inside, tried by each way to get it out.

    The key must unwrap what it wrapped to an HMAC key that is sensitive and not extractable, which the token then wraps
    under no other key, and refuse when it is asked for as readable, as wrappable, as AES, or as fit for derivation.
    Raises PKCS11Error for failures that say nothing about it.
    """
    if not unwraps_to_kept(session, wrapping_key, mechanism):
        return False
    wrapped = generate_under(session, wrapping_key, mechanism)
    if _wraps_unextractable(wrapping_key, mechanism, wrapped):
        return False
    return not any(_unwraps(wrapping_key, mechanism, wrapped, wanted) for wanted in _WAYS_OUT)


def unwraps_to_kept(session: Session, wrapping_key: WrappingKey, mechanism: Mechanism) -> bool:
    """Whether a key unwraps what it wrapped to an HMAC key that is sensitive and not extractable."""
    wrapped = generate_under(session, wrapping_key, mechanism)
    return _unwraps(wrapping_key, mechanism, wrapped, _AS_WANTED)


def _wraps_unextractable(wrapping_key: WrappingKey, mechanism: Mechanism, wrapped: bytes) -> bool:
    """NSS does, whatever CKA_EXTRACTABLE says."""
    key = hold_under(wrapping_key, mechanism, wrapped)
    try:
        wrapping_key.wrap_key(cast("SecretKey", key), mechanism=mechanism)
    except UNSUPPORTED:
        return False
    finally:
        key.destroy()
    return True


_Wanted = tuple[KeyType, MechanismFlag, dict[Attribute, bool]]

_AS_WANTED: Final[_Wanted] = (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _KEPT)
_WAYS_OUT: Final[tuple[_Wanted, ...]] = (
    (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _TO_BE_READ),
    (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _TO_BE_WRAPPED),
    (KeyType.AES, MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT, _KEPT),
    (KeyType.GENERIC_SECRET, MechanismFlag.DERIVE, _KEPT),
)


def _unwraps(wrapping_key: WrappingKey, mechanism: Mechanism, wrapped: bytes, wanted: _Wanted) -> bool:
    key_type, capabilities, template = wanted
    try:
        key = wrapping_key.unwrap_key(
            ObjectClass.SECRET_KEY,
            key_type,
            wrapped,
            mechanism=mechanism,
            store=False,
            capabilities=capabilities,
            template=template,
        )
    except UNSUPPORTED:
        return False
    key.destroy()
    return True

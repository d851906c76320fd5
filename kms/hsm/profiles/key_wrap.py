"""`kw`: CKM_AES_KEY_WRAP (RFC 3394) through C_WrapKey and C_UnwrapKey. The only profile that can keep keys inside.

No padding is needed, since 32 is a multiple of 8. All work is on session objects that live for the one call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from kms.hsm.interface import KEY_SIZE, UnwrapFailed
from kms.hsm.key_plan import wrapping_plan
from kms.hsm.profiles.interface import RootSession, WrappingKey
from kms.hsm.profiles.refusals import UNSUPPORTED

if TYPE_CHECKING:
    from pkcs11.types import Object, PrivateKey, SecretKey, Session

WRAPPED_SIZE = KEY_SIZE + 8

_NO_USE: Final = MechanismFlag(0)
KEPT: Final[dict[Attribute, bool]] = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,  # NSS would let a key be made extractable afterwards
}
TO_BE_WRAPPED: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True}
TO_BE_READ: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}


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
            template=TO_BE_READ,
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
        KeyType.GENERIC_SECRET, size * 8, store=False, capabilities=_NO_USE, template=TO_BE_WRAPPED
    )
    return wrap_and_destroy(wrapping_key, mechanism, key)


def wrap_under(session: Session, wrapping_key: WrappingKey, mechanism: Mechanism, value: bytes) -> bytes:
    """`value`, a multiple of 8 bytes, wrapped under one of the token's keys."""
    key = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.TOKEN: False,
            Attribute.VALUE: value,
            **TO_BE_WRAPPED,
        }
    )
    return wrap_and_destroy(wrapping_key, mechanism, cast("SecretKey", key))


def hold_under(wrapping_key: WrappingKey, mechanism: Mechanism, wrapped: bytes) -> Object:
    """A session object of what the key wrapped, for HMAC: sensitive, not extractable, good for nothing else."""
    return wrapping_key.unwrap_key(
        ObjectClass.SECRET_KEY,
        KeyType.GENERIC_SECRET,
        wrapped,
        mechanism=mechanism,
        store=False,
        capabilities=MechanismFlag.SIGN,
        template=KEPT,
    )


def wrap_and_destroy(wrapping_key: WrappingKey, mechanism: Mechanism, key: SecretKey | PrivateKey) -> bytes:
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

_AS_WANTED: Final[_Wanted] = (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, KEPT)
_WAYS_OUT: Final[tuple[_Wanted, ...]] = (
    (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, TO_BE_READ),
    (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, TO_BE_WRAPPED),
    (KeyType.AES, MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT, KEPT),
    (KeyType.GENERIC_SECRET, MechanismFlag.DERIVE, KEPT),
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

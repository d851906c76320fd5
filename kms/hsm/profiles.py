"""Wrapping profiles: by which mechanisms a root key wraps, chosen by doing it, never by a mechanism's flags.

Flags lie (SoftHSM's hold garbage; CKM_AES_KEY_WRAP_PAD means two different paddings), so `choose_profile` generates,
wraps, unwraps and compares. Only `kw` is offered so far; a profile for devices without it is one more class here.

Templates are built from constants alone: python-pkcs11 0.10 frees uninitialised pointers when packing a template value
fails, which ends in a crash or in corrupted memory.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11

from kms.hsm.interface import RootMisconfigured

if TYPE_CHECKING:
    from pkcs11.types import Object, SecretKey, Session

KEY_SIZE = 32
WRAPPED_SIZE = KEY_SIZE + 8
MAC_SIZE = 32

_NO_USE: Final = MechanismFlag(0)
_TO_BE_WRAPPED: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True}
_KEPT: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_TO_BE_READ: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
_PROBE_MESSAGE: Final = b"sealgate/v1/root-probe"


class WrappingKey(Protocol):
    """The root key as python-pkcs11 shows it: a class made at run time from what the key may do."""

    def wrap_key(self, key: SecretKey, *, mechanism: Mechanism) -> bytes: ...

    def unwrap_key(
        self,
        object_class: ObjectClass,
        key_type: KeyType,
        key_data: bytes,
        *,
        mechanism: Mechanism,
        store: bool,
        capabilities: MechanismFlag,
        template: dict[Attribute, bool],
    ) -> Object: ...


class SigningKey(Protocol):
    """The root-mac key as python-pkcs11 shows it."""

    def sign(self, data: bytes, *, mechanism: Mechanism, buffer_size: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class RootSession:
    """A session with the root keys found in it. One thread at a time."""

    session: Session
    root: WrappingKey
    root_mac: SigningKey
    root_strict: WrappingKey | None = None
    audit_sign: SigningKey | None = None

    def mac(self, message: bytes) -> bytes:
        return self.root_mac.sign(message, mechanism=Mechanism.SHA256_HMAC, buffer_size=MAC_SIZE)


class WrappingProfile(Protocol):
    """How 32 bytes go into and out of a root. `name` is stored in every record."""

    name: str

    def generate(self, at: RootSession) -> bytes:
        """Make a key inside the token and return it wrapped. Raises PKCS11Error."""
        ...

    def wrap(self, at: RootSession, key: bytes) -> bytes:
        """Wrap 32 bytes that were made elsewhere. Raises PKCS11Error."""
        ...

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        """Read the key inside `wrapped` (protection `software`). Raises PKCS11Error."""
        ...


class KeyWrapProfile:
    """`kw`: CKM_AES_KEY_WRAP (RFC 3394) through C_WrapKey and C_UnwrapKey; no padding, since 32 is a multiple of 8.

    All use session objects that live for the one call.
    """

    name = "kw"

    def generate(self, at: RootSession) -> bytes:
        return generate_under(at.session, at.root)

    def wrap(self, at: RootSession, key: bytes) -> bytes:
        return wrap_under(at.session, at.root, key)

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        key = at.root.unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.GENERIC_SECRET,
            wrapped,
            mechanism=Mechanism.AES_KEY_WRAP,
            store=False,
            capabilities=_NO_USE,
            template=_TO_BE_READ,
        )
        try:
            value: bytes = key[Attribute.VALUE]
            return value
        finally:
            key.destroy()


def generate_under(session: Session, wrapping_key: WrappingKey) -> bytes:
    """32 bytes made in the token, wrapped by CKM_AES_KEY_WRAP under one of its keys."""
    key = session.generate_key(
        KeyType.GENERIC_SECRET, KEY_SIZE * 8, store=False, capabilities=_NO_USE, template=_TO_BE_WRAPPED
    )
    return _wrap_and_destroy(wrapping_key, key)


def wrap_under(session: Session, wrapping_key: WrappingKey, value: bytes) -> bytes:
    """`value`, a multiple of 8 bytes, wrapped by CKM_AES_KEY_WRAP under one of the token's keys."""
    key = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.TOKEN: False,
            Attribute.VALUE: value,
            **_TO_BE_WRAPPED,
        }
    )
    return _wrap_and_destroy(wrapping_key, cast("SecretKey", key))


def _wrap_and_destroy(wrapping_key: WrappingKey, key: SecretKey) -> bytes:
    try:
        return wrapping_key.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)
    finally:
        key.destroy()


def unwraps_only_by_template(session: Session, wrapping_key: WrappingKey) -> bool:
    """Whether a key with CKA_UNWRAP_TEMPLATE keeps what it unwraps inside, tried by each way to get it out.

    The key must unwrap what it wrapped to an HMAC key that is sensitive and not extractable, and refuse when it is
    asked for as readable, as wrappable, as AES, or as fit for derivation. Raises PKCS11Error for failures that say
    nothing about it.
    """
    wrapped = generate_under(session, wrapping_key)
    if not _unwraps(wrapping_key, wrapped, KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _KEPT):
        return False
    return not any(
        _unwraps(wrapping_key, wrapped, key_type, capabilities, template)
        for key_type, capabilities, template in (
            (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _TO_BE_READ),
            (KeyType.GENERIC_SECRET, MechanismFlag.SIGN, _TO_BE_WRAPPED),
            (KeyType.AES, MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT, _KEPT),
            (KeyType.GENERIC_SECRET, MechanismFlag.DERIVE, _KEPT),
        )
    )


def _unwraps(
    wrapping_key: WrappingKey,
    wrapped: bytes,
    key_type: KeyType,
    capabilities: MechanismFlag,
    template: dict[Attribute, bool],
) -> bool:
    try:
        key = wrapping_key.unwrap_key(
            ObjectClass.SECRET_KEY,
            key_type,
            wrapped,
            mechanism=Mechanism.AES_KEY_WRAP,
            store=False,
            capabilities=capabilities,
            template=template,
        )
    except _UNSUPPORTED:
        return False
    key.destroy()
    return True


PROFILES: tuple[WrappingProfile, ...] = (KeyWrapProfile(),)


def choose_profile(at: RootSession) -> tuple[WrappingProfile, bytes]:
    """The first profile that works on this token, and one wrapped key as a known good one for later comparisons.

    Raises RootMisconfigured, saying for each profile what failed; PKCS11Error when root-mac does not work at all.
    """
    if len(at.mac(_PROBE_MESSAGE)) != MAC_SIZE or not hmac.compare_digest(
        at.mac(_PROBE_MESSAGE), at.mac(_PROBE_MESSAGE)
    ):
        raise RootMisconfigured("the token's CKM_SHA256_HMAC does not answer 32 bytes, the same each time")
    failures = []
    for profile in PROFILES:
        try:
            wrapped = profile.generate(at)
            key = profile.unwrap(at, wrapped)
            if len(wrapped) == WRAPPED_SIZE and len(key) == KEY_SIZE and profile.unwrap(at, wrapped) == key:
                return profile, wrapped
            failures.append(f"{profile.name}: {len(wrapped)} bytes wrapped, {len(key)} unwrapped")
        except _UNSUPPORTED as error:
            failures.append(f"{profile.name}: {type(error).__name__}")
    raise RootMisconfigured(f"the token offers no wrapping profile we know ({'; '.join(failures)})")


# What a token answers to an operation it does not offer; anything else says nothing about the profile.
_UNSUPPORTED = (
    p11.MechanismInvalid,
    p11.MechanismParamInvalid,
    p11.FunctionNotSupported,
    p11.KeyNotWrappable,
    p11.KeyUnextractable,
    p11.KeyTypeInconsistent,
    p11.KeySizeRange,
    p11.TemplateIncomplete,
    p11.TemplateInconsistent,
    p11.AttributeSensitive,
    p11.AttributeTypeInvalid,
    p11.AttributeValueInvalid,
    p11.ArgumentsBad,
    p11.WrappingKeyTypeInconsistent,
    p11.UnwrappingKeyTypeInconsistent,
)

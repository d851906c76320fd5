"""Wrapping profiles: by which mechanisms a root key wraps, chosen by doing it, never by a mechanism's flags.

Flags lie (SoftHSM's hold garbage; CKM_AES_KEY_WRAP_PAD means two different paddings), so `choose_profile` generates,
wraps, unwraps and compares. Only `kw` is offered so far; a profile for devices without it is one more class here.

Templates are built from constants alone: python-pkcs11 0.10 frees uninitialised pointers when packing a template value
fails, which ends in a crash or in corrupted memory.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11 import exceptions as p11
from pkcs11.attributes import AttributeMapper

from kms.hsm.interface import RootMisconfigured

if TYPE_CHECKING:
    from pkcs11.types import Object, SecretKey, Session

KEY_SIZE = 32
WRAPPED_SIZE = KEY_SIZE + 8
MAC_SIZE = 32

_NO_USE: Final = MechanismFlag(0)
_TO_BE_WRAPPED: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: True}
_TO_BE_READ: Final[dict[Attribute, bool]] = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
_PROBE_MESSAGE: Final = b"sealgate/v1/root-probe"


def attribute_mapper() -> AttributeMapper:
    """python-pkcs11's mapper, taught CKA_ALLOWED_MECHANISMS (an array of CK_MECHANISM_TYPE)."""
    mapper = AttributeMapper()
    mapper.register_handler(
        Attribute.ALLOWED_MECHANISMS,
        lambda mechanisms: struct.pack(f"{len(mechanisms)}L", *mechanisms),
        lambda packed: struct.unpack(f"{len(packed) // struct.calcsize('L')}L", packed),
    )
    return mapper


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
    """A session with the two root keys found in it. One thread at a time."""

    session: Session
    root: WrappingKey
    root_mac: SigningKey

    def mac(self, message: bytes) -> bytes:
        return self.root_mac.sign(message, mechanism=Mechanism.SHA256_HMAC, buffer_size=MAC_SIZE)


class WrappingProfile(Protocol):
    """How 32 bytes go into and out of a root. `name` is stored in every record."""

    name: str

    def generate(self, at: RootSession) -> bytes:
        """Make a key inside the token and return it wrapped. Raises PKCS11Error."""
        ...

    def unwrap(self, at: RootSession, wrapped: bytes) -> bytes:
        """Read the key inside `wrapped` (protection `software`). Raises PKCS11Error."""
        ...


class KeyWrapProfile:
    """`kw`: CKM_AES_KEY_WRAP (RFC 3394) through C_WrapKey and C_UnwrapKey; no padding, since 32 is a multiple of 8.

    Both use session objects that live for the one call. For protection `hsm` the unwrapped object would stay, made
    with a template that is sensitive and not extractable.
    """

    name = "kw"

    def generate(self, at: RootSession) -> bytes:
        key = at.session.generate_key(
            KeyType.GENERIC_SECRET, KEY_SIZE * 8, store=False, capabilities=_NO_USE, template=_TO_BE_WRAPPED
        )
        try:
            return at.root.wrap_key(key, mechanism=Mechanism.AES_KEY_WRAP)
        finally:
            key.destroy()

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

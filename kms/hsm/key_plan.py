"""How a key of the root is to be made, and what must hold for one that is found.

Templates are built from constants and settings that were checked: python-pkcs11 0.10 frees uninitialised pointers when
packing a template value fails, which ends in a crash or in corrupted memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pkcs11 import Attribute, KeyType, MechanismFlag, ObjectClass

Template = dict[Attribute, object]

KEPT_INSIDE: Final[Template] = {Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A root key: what its label ends in, its type, what it may do, by which templates it is made, the best first.

    `required` is what must hold for a key that is found, so that no holder of the PIN can turn the root or a wrapped
    key into bytes by it, beyond what the key is for.
    """

    suffix: str
    object_class: ObjectClass
    key_type: KeyType
    capabilities: MechanismFlag
    templates: tuple[Template, ...]
    required: dict[Attribute, bool]


def strictly(mechanism: int) -> Template:
    """One mechanism only, and not modifiable: else whoever has the PIN sets CKA_DECRYPT and decrypts wrapped keys."""
    return {**KEPT_INSIDE, Attribute.MODIFIABLE: False, Attribute.ALLOWED_MECHANISMS: (mechanism,)}


def templates(mechanism: int) -> tuple[Template, ...]:
    """The best first. Vendors may refuse the attributes that `strictly` adds; then the key is made without them."""
    return (strictly(mechanism), {**KEPT_INSIDE, Attribute.MODIFIABLE: False}, KEPT_INSIDE)


def wrapping_plan(mechanism: int, suffix: str = "") -> KeyPlan:
    """An AES key that wraps and unwraps, and does nothing else."""
    return KeyPlan(
        suffix,
        ObjectClass.SECRET_KEY,
        KeyType.AES,
        MechanismFlag.WRAP | MechanismFlag.UNWRAP,
        templates(mechanism),
        {
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.WRAP: True,
            Attribute.UNWRAP: True,
            Attribute.ENCRYPT: False,
            Attribute.DECRYPT: False,
        },
    )


def encrypting_plan(mechanism: int) -> KeyPlan:
    """An AES key that encrypts and decrypts, for tokens that do not wrap."""
    return KeyPlan(
        "",
        ObjectClass.SECRET_KEY,
        KeyType.AES,
        MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        templates(mechanism),
        {
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.ENCRYPT: True,
            Attribute.DECRYPT: True,
            Attribute.WRAP: False,
            Attribute.UNWRAP: False,
        },
    )


def decrypting_pair_plan(mechanism: int) -> KeyPlan:
    """An RSA pair: anybody encrypts, the token decrypts."""
    return KeyPlan(
        "",
        ObjectClass.PRIVATE_KEY,
        KeyType.RSA,
        MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
        templates(mechanism),
        {
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.DECRYPT: True,
            Attribute.SIGN: False,
            Attribute.UNWRAP: False,
        },
    )

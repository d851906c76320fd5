"""Attribute templates that python-pkcs11 cannot pack by itself.

CKA_UNWRAP_TEMPLATE is an array of CK_ATTRIBUTE: pointers to values that must stay where they are while a call reads
them. So such templates are made once, from constants, and kept for the life of the process.
"""

from __future__ import annotations

import ctypes
import struct
from typing import Final

from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.attributes import AttributeMapper


class CKAttribute(ctypes.Structure):
    """CK_ATTRIBUTE; no packing on Unix (PKCS#11 v2.40 base, §2.1)."""

    _fields_ = [("type", ctypes.c_ulong), ("value", ctypes.c_void_p), ("length", ctypes.c_ulong)]


def attribute_mapper() -> AttributeMapper:
    """python-pkcs11's mapper, taught arrays: CKA_ALLOWED_MECHANISMS as numbers, CKA_UNWRAP_TEMPLATE as packed bytes."""
    mapper = AttributeMapper()
    mapper.register_handler(
        Attribute.ALLOWED_MECHANISMS,
        lambda mechanisms: struct.pack(f"{len(mechanisms)}L", *mechanisms),
        lambda packed: struct.unpack(f"{len(packed) // struct.calcsize('L')}L", packed),
    )
    mapper.register_handler(Attribute.UNWRAP_TEMPLATE, bytes, bytes)
    return mapper


class PackedTemplate:
    """A template as CK_ATTRIBUTEs: `packed` points into this object, which must outlive every use of it."""

    def __init__(self, template: dict[Attribute, object]) -> None:
        mapper = attribute_mapper()
        values = [mapper.pack_attribute(attribute, value) for attribute, value in template.items()]
        self._buffers = [ctypes.create_string_buffer(value, len(value)) for value in values]
        self._array = (CKAttribute * len(values))(
            *(
                CKAttribute(int(attribute), ctypes.addressof(buffer), len(buffer))
                for attribute, buffer in zip(template, self._buffers, strict=True)
            )
        )

    @property
    def packed(self) -> bytes:
        return bytes(self._array)

    @property
    def address(self) -> int:
        return ctypes.addressof(self._array)

    @property
    def count(self) -> int:
        return len(self._array)


UNWRAPPED_PRIVATE: Final = PackedTemplate(
    {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.DERIVE: False,
        Attribute.UNWRAP: False,
    }
)
"""What root-strict-private unwraps to: a key for signatures or decryption. A root key of its own, since one that may
unwrap to either class would unwrap private keys as secrets."""

UNWRAPPED_AGREEMENT: Final = PackedTemplate(
    {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.DERIVE: True,
        Attribute.SIGN: False,
        Attribute.DECRYPT: False,
        Attribute.UNWRAP: False,
    }
)
"""What root-strict-agreement unwraps to: a key on a curve for ECDH, whose answers are the shared secrets that callers
get anyway."""

UNWRAPPED_SECRET: Final = PackedTemplate(
    {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.DERIVE: False,
        Attribute.WRAP: False,
        Attribute.ENCRYPT: False,
        Attribute.DECRYPT: False,
    }
)
"""What root-strict unwraps to: a key for HMAC. Not readable; nor usable by a mechanism from whose answers the key could
be computed, such as derivation by encryption under a key that the attacker chose (docs/threat-model.md)."""


def shared_secret_template(size: int) -> PackedTemplate:
    """What ECDH derives: a session object of `size` bytes that is read at once."""
    return PackedTemplate(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.TOKEN: False,
            Attribute.SENSITIVE: False,
            Attribute.EXTRACTABLE: True,
            Attribute.VALUE_LEN: size,
        }
    )

"""The bytes of a CMK version record: layout, numbers and bounds. Format: docs/formats/cmk-record.md.

Parses and formats; knows nothing of keys. What is parsed is not authenticated (kms/keys/wrapping.py does that).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kms.hsm.interface import Protection, RootIdentity, UnwrapFailed

# Numbers of the format: they may be added to, never changed.
FORMAT_VERSION = 2
PROFILES: Final = {"kw": 1, "file": 2, "gcm": 3, "cbc+hmac": 4, "rsa-oaep": 5}
PROTECTIONS: Final = {Protection.SOFTWARE: 1, Protection.HSM: 2}
KEY_SPECS: Final = {
    "SYMMETRIC_DEFAULT": 1,
    "HMAC_224": 2,
    "HMAC_256": 3,
    "HMAC_384": 4,
    "HMAC_512": 5,
    "RSA_2048": 6,
    "RSA_3072": 7,
    "RSA_4096": 8,
    "ECC_NIST_P256": 9,
    "ECC_NIST_P384": 10,
    "ECC_NIST_P521": 11,
    "ECC_SECG_P256K1": 12,
    "ECC_NIST_EDWARDS25519": 13,
    "ML_DSA_44": 14,
    "ML_DSA_65": 15,
    "ML_DSA_87": 16,
}
SECRET_KEY_SPECS: Final = frozenset({"SYMMETRIC_DEFAULT", "HMAC_224", "HMAC_256", "HMAC_384", "HMAC_512"})
ORIGINS: Final = {"AWS_KMS": 1, "EXTERNAL": 2}

KEY_SIZE = 32
MAX_LABEL_SIZE = 64
MAX_KEY_VERSION = 2**32 - 1
MIN_WRAPPED_SIZE = KEY_SIZE + 8
MAX_WRAPPED_SIZE = 4096
MAX_MATERIAL_SIZE = 8192
COMMITMENT_SIZE = 32
GCM_TAG_SIZE = 16
SEALED_OVERHEAD = COMMITMENT_SIZE + GCM_TAG_SIZE
MAX_SEALED_SIZE = MAX_MATERIAL_SIZE + SEALED_OVERHEAD
MAC_SIZE = 32

_FIXED_1 = struct.Struct(">BBI16s16sIBBQB")
_FIXED = struct.Struct(">BBIB16s16sIBBQB")
_SIZE_1 = struct.Struct(">H")
_SIZES = struct.Struct(">HH")
_WRAPPED_SIZE_1 = 40
MIN_RECORD_SIZE = _FIXED_1.size + 1 + _SIZE_1.size + _WRAPPED_SIZE_1 + MAC_SIZE
MAX_RECORD_SIZE = _FIXED.size + MAX_LABEL_SIZE + _SIZES.size + MAX_WRAPPED_SIZE + MAX_SEALED_SIZE + MAC_SIZE

_PROFILE_NAMES = {number: name for name, number in PROFILES.items()}
_PROTECTIONS = {number: protection for protection, number in PROTECTIONS.items()}
_KEY_SPEC_NAMES = {number: name for name, number in KEY_SPECS.items()}
_ORIGIN_NAMES = {number: name for name, number in ORIGINS.items()}


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """What a record says about itself; only `open_record` authenticates it."""

    root: RootIdentity
    key_id: UUID
    key_version: int
    key_spec: str
    origin: str
    created_us: int
    protection: Protection = Protection.SOFTWARE

    @property
    def is_direct(self) -> bool:
        """Whether the root wraps the material itself, or a record key that seals it."""
        return self.protection is Protection.HSM or self.key_spec == "SYMMETRIC_DEFAULT"

    @property
    def is_pair(self) -> bool:
        """Whether the root wraps a private key itself, so that its public half stands beside it."""
        return self.protection is Protection.HSM and self.key_spec not in SECRET_KEY_SPECS


@dataclass(frozen=True, slots=True)
class ParsedRecord:
    """A record in its parts. `header_bytes` is all before `wrapped`.

    `sealed` is empty in a direct record; in one of a pair it is the public half (kms/keys/held_pairs.py).
    """

    header: RecordHeader
    header_bytes: bytes
    wrapped: bytes
    sealed: bytes
    tag: bytes

    @property
    def authenticated(self) -> bytes:
        return self.header_bytes + self.wrapped + self.sealed


def parse_header(record: bytes) -> RecordHeader:
    """The header of a whole record, unauthenticated: which root and key it names. Raises UnwrapFailed."""
    return parse_record(record).header


def parse_record(record: bytes) -> ParsedRecord:
    """Take a whole record apart. Raises UnwrapFailed for what is no record of format 1 or 2."""
    if not MIN_RECORD_SIZE <= len(record) <= MAX_RECORD_SIZE:
        raise UnwrapFailed(f"a key record has {MIN_RECORD_SIZE} to {MAX_RECORD_SIZE} bytes, this one {len(record)}")
    if record[0] == 1:
        (_, profile, mechanism, *names, label_size) = _FIXED_1.unpack_from(record)
        protection, label_start = PROTECTIONS[Protection.SOFTWARE], _FIXED_1.size
    elif record[0] == FORMAT_VERSION:
        (_, profile, mechanism, protection, *names, label_size) = _FIXED.unpack_from(record)
        label_start = _FIXED.size
    else:
        raise UnwrapFailed(f"key record format {record[0]} is not known to this release")
    label_end = label_start + label_size
    header_bytes, wrapped, sealed = _bodies(record, label_end)
    header = _header(profile, mechanism, protection, names, record[label_start:label_end])
    if record[0] == 1 and (header.key_spec, len(wrapped)) != ("SYMMETRIC_DEFAULT", _WRAPPED_SIZE_1):
        raise UnwrapFailed("the key record names a key spec or a size that format 1 does not have")
    if (header.is_direct and not header.is_pair) is bool(sealed):
        raise UnwrapFailed("the key record has a second body that its key spec does not have, or lacks it")
    return ParsedRecord(header, header_bytes, wrapped, sealed, record[-MAC_SIZE:])


def _bodies(record: bytes, label_end: int) -> tuple[bytes, bytes, bytes]:
    """All before `wrapped`, `wrapped`, and `sealed`; their lengths and the tag's must be exactly the record's."""
    size = _SIZE_1 if record[0] == 1 else _SIZES
    start = label_end + size.size
    if start > len(record):
        raise UnwrapFailed("the key record's label length contradicts its size")
    wrapped_size, sealed_size = (*size.unpack_from(record, label_end), 0)[:2]
    wrapped_end = start + wrapped_size
    if wrapped_end + sealed_size + MAC_SIZE != len(record) or not MIN_WRAPPED_SIZE <= wrapped_size <= MAX_WRAPPED_SIZE:
        raise UnwrapFailed("the key record's lengths contradict its size")
    if sealed_size and not SEALED_OVERHEAD < sealed_size <= MAX_SEALED_SIZE:
        raise UnwrapFailed("the key record's sealed body has a size that no key has")
    return record[:start], record[start:wrapped_end], record[wrapped_end : wrapped_end + sealed_size]


def _header(profile: int, mechanism: int, protection: int, names: list[object], label: bytes) -> RecordHeader:
    root_id, key_id, key_version, key_spec, origin, created_us = names
    assert isinstance(root_id, bytes) and isinstance(key_id, bytes)
    assert isinstance(key_version, int) and isinstance(created_us, int)
    assert isinstance(key_spec, int) and isinstance(origin, int)
    if not mechanism or not key_version or not 1 <= len(label) <= MAX_LABEL_SIZE:
        raise UnwrapFailed("the key record names no mechanism, no version, or no label of 1 to 64 bytes")
    try:
        return RecordHeader(
            root=RootIdentity(_PROFILE_NAMES[profile], root_id, label.decode(), mechanism),
            key_id=UUID(bytes=key_id),
            key_version=key_version,
            key_spec=_KEY_SPEC_NAMES[key_spec],
            origin=_ORIGIN_NAMES[origin],
            created_us=created_us,
            protection=_PROTECTIONS[protection],
        )
    except (KeyError, UnicodeDecodeError):
        raise UnwrapFailed("the key record's header holds a number or a label that no format has") from None


def format_header(header: RecordHeader, wrapped_size: int, sealed_size: int) -> bytes:
    """All before `wrapped`, in format 2. Raises ValueError for a root or sizes that the format cannot hold."""
    label = header.root.label.encode()
    if not 1 <= len(label) <= MAX_LABEL_SIZE or len(header.root.root_id) != 16:
        raise ValueError("a root has a 16-byte id and a label of 1 to 64 bytes")
    if not MIN_WRAPPED_SIZE <= wrapped_size <= MAX_WRAPPED_SIZE or sealed_size > MAX_SEALED_SIZE:
        raise ValueError(f"a record cannot hold {wrapped_size} bytes wrapped and {sealed_size} sealed")
    fixed = _FIXED.pack(
        FORMAT_VERSION,
        PROFILES[header.root.profile],
        header.root.mechanism,
        PROTECTIONS[header.protection],
        header.root.root_id,
        header.key_id.bytes,
        header.key_version,
        KEY_SPECS[header.key_spec],
        ORIGINS[header.origin],
        header.created_us,
        len(label),
    )
    return fixed + label + _SIZES.pack(wrapped_size, sealed_size)

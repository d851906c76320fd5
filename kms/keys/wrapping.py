"""The CMK version record: how the bytes of a KMS key lie in the database, wrapped and authenticated by the root.

    record = header ‖ wrapped ‖ HMAC-SHA256(root-mac, "sealgate/v1/cmk-record" ‖ header ‖ wrapped)

Format: docs/formats/cmk-record.md. Pure but for the calls to the root, which block.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from uuid import UUID

from kms.api.secrets import SecretBytes
from kms.hsm.interface import Root, RootIdentity, UnwrapFailed

# Numbers of the format: they may be added to, never changed.
FORMAT_VERSION = 1
PROFILES = {"kw": 1, "file": 2}
KEY_SPECS = {"SYMMETRIC_DEFAULT": 1}
ORIGINS = {"AWS_KMS": 1, "EXTERNAL": 2}
AES_KEY_WRAP = 0x2109
"""CKM_AES_KEY_WRAP, RFC 3394 with the default initial value; the only mechanism of version 1."""

MAC_SIZE = 32
WRAPPED_SIZE = 40
MAX_LABEL_SIZE = 64
MAX_KEY_VERSION = 2**32 - 1

_FIXED = struct.Struct(">BBI16s16sIBBQB")
_WRAPPED_LENGTH = struct.Struct(">H")
_MAC_LABEL = b"sealgate/v1/cmk-record"
MIN_RECORD_SIZE = _FIXED.size + 1 + _WRAPPED_LENGTH.size + WRAPPED_SIZE + MAC_SIZE
MAX_RECORD_SIZE = MIN_RECORD_SIZE - 1 + MAX_LABEL_SIZE

_PROFILE_NAMES = {number: name for name, number in PROFILES.items()}
_KEY_SPEC_NAMES = {number: name for name, number in KEY_SPECS.items()}
_ORIGIN_NAMES = {number: name for name, number in ORIGINS.items()}


@dataclass(frozen=True, slots=True)
class RecordHeader:
    """What a record says about itself; only `open_record` authenticates it, `parse_header` does not."""

    root: RootIdentity
    key_id: UUID
    key_version: int
    key_spec: str
    origin: str
    created_us: int


def make_record(
    root: Root,
    key_id: UUID,
    key_version: int,
    *,
    created_us: int,
    key_spec: str = "SYMMETRIC_DEFAULT",
    origin: str = "AWS_KMS",
) -> bytes:
    """Make 32 fresh bytes inside the root and return the record that holds them.

    `key_version` counts from 1; `created_us` is microseconds since the epoch. Two calls of the root. Raises RootError.
    """
    if not 1 <= key_version <= MAX_KEY_VERSION:
        raise ValueError(f"key_version is 1..{MAX_KEY_VERSION}, not {key_version}")
    header = RecordHeader(root.identity, key_id, key_version, key_spec, origin, created_us)
    authenticated = _format_header(header) + root.generate_wrapped_key()
    return authenticated + root.mac(_MAC_LABEL + authenticated)


def open_record(root: Root, record: bytes, key_id: UUID, key_version: int) -> SecretBytes:
    """The 32 bytes of version `key_version` of the key `key_id`. Two calls of the root.

    The HMAC is verified first, in constant time, before anything reaches the unwrap function of the HSM.
    Raises UnwrapFailed for a record that was changed, that another root made, or that belongs to another key or
    version; other RootErrors of the root pass through.
    """
    header = parse_header(record)
    if (header.root.profile, header.root.root_id) != (root.identity.profile, root.identity.root_id):
        raise UnwrapFailed(
            f"the record was made under root {header.root.root_id.hex()} ({header.root.profile}), "
            f"this is root {root.identity.root_id.hex()} ({root.identity.profile})"
        )
    authenticated, tag = record[:-MAC_SIZE], record[-MAC_SIZE:]
    if not hmac.compare_digest(root.mac(_MAC_LABEL + authenticated), tag):
        raise UnwrapFailed("the record's authentication code is wrong")
    if (header.key_id, header.key_version) != (key_id, key_version):
        raise UnwrapFailed(
            f"the record belongs to version {header.key_version} of key {header.key_id}, "
            f"not to version {key_version} of key {key_id}"
        )
    return root.unwrap_key(authenticated[-WRAPPED_SIZE:])


def parse_header(record: bytes) -> RecordHeader:
    """Read the header of a whole record, unauthenticated: which root and key it names. Raises UnwrapFailed."""
    if not MIN_RECORD_SIZE <= len(record) <= MAX_RECORD_SIZE:
        raise UnwrapFailed(f"a key record has {MIN_RECORD_SIZE} to {MAX_RECORD_SIZE} bytes, this one {len(record)}")
    (version, profile, mechanism, root_id, key_id, key_version, key_spec, origin, created_us, label_size) = (
        _FIXED.unpack_from(record)
    )
    if version != FORMAT_VERSION:
        raise UnwrapFailed(f"key record format {version} is not known to this release")
    if not 1 <= label_size <= MAX_LABEL_SIZE or len(record) != MIN_RECORD_SIZE - 1 + label_size:
        raise UnwrapFailed("the key record's label length contradicts its size")
    label_end = _FIXED.size + label_size
    (wrapped_size,) = _WRAPPED_LENGTH.unpack_from(record, label_end)
    if wrapped_size != WRAPPED_SIZE or mechanism != AES_KEY_WRAP or key_version == 0:
        raise UnwrapFailed("the key record names a mechanism, a size or a version that format 1 does not have")
    try:
        return RecordHeader(
            root=RootIdentity(_PROFILE_NAMES[profile], root_id, record[_FIXED.size : label_end].decode()),
            key_id=UUID(bytes=key_id),
            key_version=key_version,
            key_spec=_KEY_SPEC_NAMES[key_spec],
            origin=_ORIGIN_NAMES[origin],
            created_us=created_us,
        )
    except (KeyError, UnicodeDecodeError):
        raise UnwrapFailed("the key record's header holds a number or a label that format 1 does not have") from None


def _format_header(header: RecordHeader) -> bytes:
    label = header.root.label.encode()
    if not 1 <= len(label) <= MAX_LABEL_SIZE or len(header.root.root_id) != 16:
        raise ValueError("a root has a 16-byte id and a label of 1 to 64 bytes")
    fixed = _FIXED.pack(
        FORMAT_VERSION,
        PROFILES[header.root.profile],
        AES_KEY_WRAP,
        header.root.root_id,
        header.key_id.bytes,
        header.key_version,
        KEY_SPECS[header.key_spec],
        ORIGINS[header.origin],
        header.created_us,
        len(label),
    )
    return fixed + label + _WRAPPED_LENGTH.pack(WRAPPED_SIZE)

"""The CMK version record: how the bytes of a KMS key lie in the database, wrapped and authenticated by the root.

    record = header ‖ wrapped ‖ sealed ‖ HMAC-SHA256(root-mac, "sealgate/v1/cmk-record" ‖ header ‖ wrapped ‖ sealed)

A symmetric key, and any key of protection `hsm`, is wrapped by the root itself; `sealed` is then empty, or the public
half of a pair. Other material
is sealed by a record key of its own that the root wraps: one key, one message, so that the GCM nonce is constant.
Format: docs/formats/cmk-record.md. Pure but for the calls to the root, which block.
"""

from __future__ import annotations

import hmac
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from kms.api.secrets import SecretBytes
from kms.hsm.interface import (
    HeldKey,
    HeldPrivateKey,
    NotOffered,
    PrivateKeyType,
    Protection,
    Root,
    RootIdentity,
    UnwrapFailed,
)
from kms.keys.held_pairs import make_pair, parse_public_half
from kms.keys.record_format import (
    COMMITMENT_SIZE,
    KEY_SIZE,
    MAX_KEY_VERSION,
    MAX_MATERIAL_SIZE,
    SEALED_OVERHEAD,
    SECRET_KEY_SPECS,
    ParsedRecord,
    RecordHeader,
    format_header,
    parse_record,
)
from kms.keys.specs import ENCRYPT_DECRYPT

_MAC_LABEL: Final = b"sealgate/v1/cmk-record"
_SEAL_LABEL: Final = b"sealgate/v1/cmk-record/material"
_NONCE: Final = bytes(12)

_MADE_INSIDE: Final = {"SYMMETRIC_DEFAULT": 32, "HMAC_224": 32, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
"""With how many bytes secret keys are made in the HSM: as many as AWS says, but for HMAC_224, whose 28 no AES key wrap
takes."""


def make_record(
    root: Root,
    key_id: UUID,
    key_version: int,
    *,
    created_us: int,
    key_spec: str = "SYMMETRIC_DEFAULT",
    key_usage: str = ENCRYPT_DECRYPT,
    origin: str = "AWS_KMS",
    protection: Protection = Protection.SOFTWARE,
    material: SecretBytes | None = None,
) -> bytes:
    """The record of a key version: of `material`, or of a key that is made inside the root.

    `key_version` counts from 1; `created_us` is microseconds since the epoch. `material` is 32 bytes of a symmetric
    key, 1 to 8192 of another (HMAC key, PKCS#8), and with protection `hsm` what root-strict can wrap. Only a symmetric
    key, or with protection `hsm` any, can be made inside. Two or three calls of the root, some more for a pair of
    protection `hsm`, by which all that its spec and `key_usage` offer is tried.

    Raises ValueError for what contradicts this, NotOffered where the root has no such protection, RootError.
    """
    if not 1 <= key_version <= MAX_KEY_VERSION:
        raise ValueError(f"key_version is 1..{MAX_KEY_VERSION}, not {key_version}")
    identity = _identity(root, protection)
    root = root.holding(identity.root_id)  # all calls below go to one root, also if another takes its place meanwhile
    header = RecordHeader(identity, key_id, key_version, key_spec, origin, created_us, protection)
    if header.is_pair:
        pair = make_pair(root, key_spec, key_usage, material)
        sizes = len(pair.wrapped), len(pair.public_half)
        authenticated = format_header(header, *sizes) + pair.wrapped + pair.public_half
    elif header.is_direct:
        wrapped = _generate(root, header) if material is None else _wrap(root, header, material)
        authenticated = format_header(header, len(wrapped), 0) + wrapped
    elif material is not None:
        authenticated = _seal(root, header, material)
    else:
        raise ValueError(f"a key of spec {key_spec} is not made by the root")
    return authenticated + root.mac(_MAC_LABEL + authenticated)


def open_record(root: Root, record: bytes, key_id: UUID, key_version: int) -> SecretBytes:
    """The material of version `key_version` of the key `key_id`. Two calls of the root.

    The HMAC is verified first, in constant time, before anything reaches the unwrap function of the HSM.
    Raises UnwrapFailed for a record that was changed, that another root made, or that belongs to another key or
    version; NotOffered for one of protection `hsm`, which nobody can read; other RootErrors of the root pass through.
    """
    parsed, root = _verify(root, record, key_id, key_version)
    if parsed.header.protection is not Protection.SOFTWARE:
        raise NotOffered(f"version {key_version} of key {key_id} never leaves the HSM")
    key = root.unwrap_key(parsed.wrapped)
    return key if parsed.header.is_direct else _unseal(key, parsed)


def prove_record(root: Root, record: bytes, key_id: UUID, key_version: int) -> None:
    """Prove that `root`, or one that it succeeded, made this record for this key version. One call of the root.

    The key itself is not unwrapped. Raises UnwrapFailed; other RootErrors pass through.
    """
    _verify(root, record, key_id, key_version)


def hold_record(root: Root, record: bytes, key_id: UUID, key_version: int) -> HeldKey:
    """The key of a record of protection `hsm`, held inside; the caller closes it. Two calls of the root.

    For symmetric and HMAC keys. Raises as `open_record`; ValueError for a record of another kind.
    """
    parsed, root = _verify(root, record, key_id, key_version)
    if parsed.header.protection is not Protection.HSM or parsed.header.key_spec not in SECRET_KEY_SPECS:
        raise ValueError("this is no record of a secret key of protection hsm, to be held")
    return root.hold_key(parsed.wrapped)


def hold_private_record(root: Root, record: bytes, key_id: UUID, key_version: int) -> HeldPrivateKey:
    """As `hold_record`, for RSA keys and those on elliptic curves."""
    parsed, root = _verify(root, record, key_id, key_version)
    key_type, _ = _public_half(parsed)
    return root.hold_private_key(parsed.wrapped, key_type)


def public_key_of_record(root: Root, record: bytes, key_id: UUID, key_version: int) -> bytes:
    """The public half of what `hold_private_record` holds: SubjectPublicKeyInfo, DER. One call of the root."""
    parsed, _ = _verify(root, record, key_id, key_version)
    _, public_key = _public_half(parsed)
    return public_key


def _public_half(parsed: ParsedRecord) -> tuple[PrivateKeyType, bytes]:
    if not parsed.header.is_pair:
        raise ValueError("this is no record of a private key of protection hsm, to be held")
    return parse_public_half(parsed.sealed)


def _verify(root: Root, record: bytes, key_id: UUID, key_version: int) -> tuple[ParsedRecord, Root]:
    """The parts of a record that this root, or one that it succeeded, made for this key version; and which root.

    Raises UnwrapFailed for any other.
    """
    parsed = parse_record(record)
    root = root.holding(parsed.header.root.root_id)
    header, identity = parsed.header, root.identity
    if header.protection is Protection.HSM:
        # Wrapped by root-strict, authenticated like all others: root-strict and root-mac share the root's id.
        identity = root.strict_identity or identity
    if (header.root.profile, header.root.root_id) != (identity.profile, identity.root_id):
        raise UnwrapFailed(
            f"the record was made under root {header.root.root_id.hex()} ({header.root.profile}), "
            f"this is root {identity.root_id.hex()} ({identity.profile})"
        )
    if not hmac.compare_digest(root.mac(_MAC_LABEL + parsed.authenticated), parsed.tag):
        raise UnwrapFailed("the record's authentication code is wrong")
    if (header.key_id, header.key_version) != (key_id, key_version):
        raise UnwrapFailed(
            f"the record belongs to version {header.key_version} of key {header.key_id}, "
            f"not to version {key_version} of key {key_id}"
        )
    return parsed, root


def _generate(root: Root, header: RecordHeader) -> bytes:
    return root.generate_wrapped_key(header.protection, _MADE_INSIDE[header.key_spec])


def _wrap(root: Root, header: RecordHeader, material: SecretBytes) -> bytes:
    return root.wrap_key(_as_wrapped(header, material), header.protection)


def _as_wrapped(header: RecordHeader, material: SecretBytes) -> SecretBytes:
    """AES key wrap takes multiples of 8 bytes, and HMAC pads its key by zeros itself (RFC 2104 §2): it is the same key.

    Only HMAC_224 needs it, whose 28 bytes become 32; no key is longer than its hash's block.
    """
    if header.key_spec == "HMAC_224" and header.protection is Protection.HSM:
        return SecretBytes(material.reveal().ljust(KEY_SIZE, b"\0"))
    return material


def _identity(root: Root, protection: Protection) -> RootIdentity:
    if protection is Protection.SOFTWARE:
        return root.identity
    identity = root.strict_identity
    if identity is None:
        raise NotOffered("this root has no keys of protection hsm")
    return identity


def _seal(root: Root, header: RecordHeader, material: SecretBytes) -> bytes:
    if not 1 <= len(material) <= MAX_MATERIAL_SIZE:
        raise ValueError(f"key material has 1 to {MAX_MATERIAL_SIZE} bytes, not {len(material)}")
    wrapped = root.generate_wrapped_key()
    key, commitment = _expand(root.unwrap_key(wrapped))
    associated_data = format_header(header, len(wrapped), len(material) + SEALED_OVERHEAD) + wrapped
    return associated_data + commitment + AESGCM(key).encrypt(_NONCE, material.reveal(), associated_data)


def _unseal(record_key: SecretBytes, parsed: ParsedRecord) -> SecretBytes:
    key, commitment = _expand(record_key)
    if not hmac.compare_digest(commitment, parsed.sealed[:COMMITMENT_SIZE]):
        raise UnwrapFailed("the record's key does not fit its sealed body")
    try:
        associated_data = parsed.header_bytes + parsed.wrapped
        return SecretBytes(AESGCM(key).decrypt(_NONCE, parsed.sealed[COMMITMENT_SIZE:], associated_data))
    except InvalidTag:
        raise UnwrapFailed("the record's sealed body was changed") from None


def _expand(record_key: SecretBytes) -> tuple[bytes, bytes]:
    """The sealing key (32 bytes) and the commitment (32 bytes), RFC 5869 §2.3."""
    expanded = HKDFExpand(SHA256(), KEY_SIZE + COMMITMENT_SIZE, _SEAL_LABEL).derive(record_key.reveal())
    return expanded[:KEY_SIZE], expanded[KEY_SIZE:]

"""Markers: where a listing goes on. Opaque to clients, and refused when they are not ours or of another listing."""

from __future__ import annotations

import base64
import binascii

from kms.api.errors import KMSError
from kms.service.constraints import check_range

MAX_KEYS = 1000
MAX_ALIASES = 100
MAX_GRANTS = 100
MAX_TAGS = 50
MAX_ROTATIONS = 1000
_MAX_MARKER_LENGTH = 1024
_KEYS = b"k"
_ALIASES = b"a"
_GRANTS = b"g"
_TAGS = b"t"
_ROTATIONS = b"r"


def format_key_marker(sequence: int) -> str:
    """Go on after the key with this sequence number."""
    return _encode(_KEYS + sequence.to_bytes(8, "big"))


def parse_key_marker(marker: str | None) -> int:
    """The sequence number to go on after; 0 without a marker. Raises InvalidMarkerException."""
    return _parse_sequence(marker, _KEYS)


def format_grant_marker(sequence: int) -> str:
    """Go on after the grant with this sequence number."""
    return _encode(_GRANTS + sequence.to_bytes(8, "big"))


def parse_grant_marker(marker: str | None) -> int:
    """The sequence number to go on after; 0 without a marker. Raises InvalidMarkerException."""
    return _parse_sequence(marker, _GRANTS)


def format_alias_marker(name: str) -> str:
    """Go on after the alias of this name."""
    return _encode(_ALIASES + name.encode())


def parse_alias_marker(marker: str | None) -> str:
    """The alias name to go on after; "" without a marker. Raises InvalidMarkerException."""
    if marker is None:
        return ""
    try:
        return _decode(marker, _ALIASES).decode()
    except UnicodeDecodeError:
        raise invalid_marker() from None


def format_tag_marker(tag_key: str) -> str:
    """Go on after the tag of this key."""
    return _encode(_TAGS + tag_key.encode())


def parse_tag_marker(marker: str | None) -> str | None:
    """The key of the tag to go on after; None without a marker. Raises InvalidMarkerException."""
    if marker is None:
        return None
    try:
        return _decode(marker, _TAGS).decode()
    except UnicodeDecodeError:
        raise invalid_marker() from None


def format_rotation_marker(version: int) -> str:
    """Go on after this version."""
    return _encode(_ROTATIONS + version.to_bytes(8, "big"))


def parse_rotation_marker(marker: str | None) -> int:
    """The version to go on after; 0 without a marker. Raises InvalidMarkerException."""
    return _parse_sequence(marker, _ROTATIONS)


def check_limit(limit: int, maximum: int) -> None:
    check_range("limit", limit, 1, maximum)


def _parse_sequence(marker: str | None, kind: bytes) -> int:
    if marker is None:
        return 0
    body = _decode(marker, kind)
    sequence = int.from_bytes(body, "big")
    if len(body) != 8 or sequence >= 2**63:
        raise invalid_marker()
    return sequence


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode()


def _decode(marker: str, kind: bytes) -> bytes:
    if len(marker) > _MAX_MARKER_LENGTH:
        raise invalid_marker()
    try:
        raw = base64.b64decode(marker.encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise invalid_marker() from None
    if not raw.startswith(kind):
        raise invalid_marker()
    return raw[1:]


def invalid_marker() -> KMSError:
    return KMSError("InvalidMarkerException", "The marker is not valid.")

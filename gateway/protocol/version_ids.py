"""Version ids: how they are made, and what they tell when the version itself is gone.

    version id = base64url(time of the version, BE64 microseconds ‖ 16 random bytes), 32 characters

Clients must take them as opaque. The time in front lets a listing go on after a version that was deleted since the page
before named it, as everybody does who empties a bucket page by page.
"""

from __future__ import annotations

import base64
import re

from gateway.protocol.errors import S3Error, invalid_argument

NULL_VERSION_ID = "null"
"""The one version of a key in a bucket without versioning, or written while versioning was suspended."""

RANDOM_BYTES = 16
_VERSION_ID = re.compile(r"[A-Za-z0-9_-]{32}")


def format_version_id(modified_us: int, random: bytes) -> str:
    """`random` is RANDOM_BYTES fresh random bytes."""
    assert len(random) == RANDOM_BYTES
    return base64.urlsafe_b64encode(modified_us.to_bytes(8, "big") + random).decode()


def time_of_version(version_id: str) -> int | None:
    """Microseconds since the epoch, UTC; None for the null version, which has no time in its name."""
    if not _VERSION_ID.fullmatch(version_id):
        return None
    return int.from_bytes(base64.urlsafe_b64decode(version_id)[:8], "big")


def check_version_id(version_id: str, *, argument: str = "versionId") -> str:
    """A version id that may exist: "null" or one of ours. Raises S3Error InvalidArgument."""
    if not version_id:
        raise invalid_argument(argument, "", "Version id cannot be the empty string")
    if version_id != NULL_VERSION_ID and not _VERSION_ID.fullmatch(version_id):
        raise S3Error(
            "InvalidArgument",
            "Invalid version id specified",
            fields={"ArgumentName": argument, "ArgumentValue": version_id[:1024]},
        )
    return version_id

"""Where settings say that blobs lie: `file`, `file:/DIRECTORY`, `s3://BUCKET/PREFIX`, or `mirror(…, …)` of two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

FILE = "file"
_FILE_AT = "file:"
_MIRROR = re.compile(r"mirror\(\s*(?P<first>[^,()\s]+)\s*,\s*(?P<second>[^,()\s]+)\s*\)")


def locations_of(text: str) -> Sequence[str]:
    """The one location, or the two of a mirror, of which each has every blob.

    Raises ValueError for a mirror that is not two different locations. What a location itself says is not looked at.
    """
    if not text.startswith("mirror"):
        return (text,)
    found = _MIRROR.fullmatch(text)
    if found is None:
        raise ValueError(f"must be mirror(LOCATION, LOCATION), not {text!r}")
    if found["first"] == found["second"]:
        raise ValueError("a mirror needs two different locations")
    return found["first"], found["second"]


def directory_of(location: str) -> Path | None:
    """The directory that `file:/DIRECTORY` names; None for `file`, which is in the data directory, and for others.

    Raises ValueError for one that is not absolute.
    """
    if not location.startswith(_FILE_AT):
        return None
    directory = Path(location.removeprefix(_FILE_AT))
    if not directory.is_absolute() or ".." in directory.parts:
        raise ValueError(f"must be file:/DIRECTORY, from the root on, not {location!r}")
    return directory


def is_in_files(location: str) -> bool:
    return location == FILE or location.startswith(_FILE_AT)

"""The headers of GetObjectAttributes: which attributes, and which page of the parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from gateway.protocol.errors import S3Error, invalid_argument
from gateway.protocol.query import MAX_PAGE

_ATTRIBUTES = "x-amz-object-attributes"
_MAX_PARTS = "x-amz-max-parts"
_MARKER = "x-amz-part-number-marker"
_MAX_INTEGER = 2**31 - 1
KNOWN = frozenset({"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"})


@dataclass(frozen=True, slots=True)
class ObjectAttributesParameters:
    """`wanted` is a part of KNOWN, never empty; parts with a number above `part_number_marker` are told."""

    wanted: frozenset[str]
    max_parts: int
    part_number_marker: int

    @classmethod
    def parse(cls, headers: Mapping[str, str]) -> Self:
        """Raises S3Error InvalidRequest without attributes, InvalidArgument for unknown ones and for bad numbers."""
        names = [name.strip() for name in headers.get(_ATTRIBUTES, "").split(",") if name.strip()]
        if not names:
            raise S3Error(
                "InvalidRequest",
                "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or "
                "empty",
            )
        for name in names:
            if name not in KNOWN:
                raise invalid_argument(_ATTRIBUTES, name, "Invalid attribute name specified.")
        return cls(
            wanted=frozenset(names),
            max_parts=min(_integer(headers, _MAX_PARTS, MAX_PAGE), MAX_PAGE),
            part_number_marker=_integer(headers, _MARKER, 0),
        )


def _integer(headers: Mapping[str, str], name: str, default: int) -> int:
    text = headers.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _MAX_INTEGER):
        raise invalid_argument(name, text, f"Provided {name} not an integer or within integer range")
    return int(text)

"""The shapes of the KMS model's request members: what `kms.face.model` is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    STRUCTURE = "structure"
    LIST = "list"
    MAP = "map"
    STRING = "string"
    BLOB = "blob"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of the model.

    `minimum` and `maximum` bound an integer's value, a string's characters, a blob's bytes, a list's members.
    `pattern` must match the whole string. `members` of a structure, `item` of a list and a map's `value` name other
    shapes; keys of maps are strings that the model leaves unbounded. Values of a sensitive shape are never quoted.
    """

    kind: Kind
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    is_sensitive: bool = False
    members: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    item: str | None = None
    value: str | None = None
    regex: re.Pattern[str] | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.pattern is not None:
            object.__setattr__(self, "regex", re.compile(self.pattern, re.ASCII))

"""The shapes of request members in the model of an AWS service: what the models of IAM, STS and KMS are made of."""

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
            object.__setattr__(self, "regex", _compiled(self.pattern))


_JAVA_CLASSES = {r"\p{L}": r"\w", r"\p{N}": "", r"\p{Z}": r" \xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"}
r"""Letters, numbers and separators, which Java knows by name. `\w` has an underscore as well: so has every class that
the models write with these."""


def _compiled(pattern: str) -> re.Pattern[str]:
    r"""Java's `\w` and `\d` are ASCII, its `\p{…}` is not."""
    flags = re.ASCII
    if r"\p{" in pattern:
        flags = re.NOFLAG
        for name, members in _JAVA_CLASSES.items():
            pattern = pattern.replace(name, members)
    return re.compile(pattern, flags)


@dataclass(frozen=True, slots=True)
class Model:
    """What a query service is called and can be asked.

    `name` is the service's in signatures and actions; `operations` are all of its API, `inputs` the shapes of the
    requests of those that are served here.
    """

    name: str
    version: str
    namespace: str
    operations: tuple[str, ...]
    inputs: Mapping[str, str]
    shapes: Mapping[str, Shape]

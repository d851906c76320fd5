"""What is known of a request that nobody sends: what somebody says of it, and what is so whatever it says.

What a policy asks for and nobody said is noted, by its name in lower case: with it the decision may be another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from iam.policy.global_keys import CallerContext
from iam.policy.variables import Context, Values
from iam.principals import Caller

OF_CONNECTIONS = frozenset({"aws:securetransport", "aws:sourceip", "aws:useragent"})
"""What only a request that was sent has."""


@dataclass(frozen=True, slots=True)
class Said:
    """`given` is what is said of a request, by condition keys as they are spelt; `missing` grows with what is asked for
    and was not said."""

    given: Mapping[str, Values]
    missing: set[str] = field(default_factory=set)

    @property
    def context(self) -> Context:
        return {name.lower(): values for name, values in self.given.items()}


class GivenContext(CallerContext):
    """`known` is what is known of one decision; what is said goes before it, and before what is computed."""

    __slots__ = ("_said",)

    def __init__(self, caller: Caller, now: datetime, known: Context, said: Said) -> None:
        super().__init__(caller, now, {**known, **said.context})
        self._said = said

    def get(self, name: str, default: Any = None, /) -> Any:
        values = super().get(name, ())
        if not values:
            self._said.missing.add(name)
        return values or default

    def _compute(self, name: str) -> Values:
        return () if name in OF_CONNECTIONS else super()._compute(name)


def parse_given(texts: Iterable[str]) -> dict[str, Values]:
    """`key=value` each; a key that stands twice has two values. Raises ValueError."""
    given: dict[str, Values] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or ":" not in key:
            raise ValueError(f"{text[:80]!r} is not KEY=VALUE, such as aws:SourceIp=192.0.2.1")
        given[key] = (*given.get(key, ()), value)
    return given

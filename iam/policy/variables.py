"""Policy variables: `${aws:username}`, `${aws:PrincipalTag/team, 'none'}`, and `${*}`, `${?}`, `${$}` for themselves.

Only documents of version 2012-10-17 have them; in older ones they are text. Source: IAM User Guide, "IAM policy
elements: Variables and tags".
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from iam.policy.match import Pattern, Token, joined, tokenise

Values = tuple[str, ...]
Context = Mapping[str, Values]
"""What is known about a request: condition keys in lower case, each with its values; a key without values is absent."""

NOTHING_KNOWN: Context = {}


class LazyContext(Mapping[str, Values]):
    """A context whose values are computed when they are asked for, and remembered: most policies ask for none."""

    __slots__ = ("_known",)

    def __init__(self, known: Context) -> None:
        """`known` are values that need no computing, and go before those that `_compute` would give."""
        self._known = dict(known)

    @abstractmethod
    def _compute(self, name: str) -> Values:
        """The values of a key; none for one that is absent or unknown."""

    @abstractmethod
    def _names(self) -> Iterator[str]:
        """Every key that `_compute` could give a value."""

    def get(self, name: str, default: Any = None, /) -> Any:
        """Without raising and catching, which is what `Mapping` does for absent keys."""
        try:
            return self._known[name] or default
        except KeyError:
            values = self._known[name] = self._compute(name)
            return values or default

    def __getitem__(self, name: str) -> Values:
        values: Values = self.get(name, ())
        if not values:
            raise KeyError(name)
        return values

    def __iter__(self) -> Iterator[str]:
        return (name for name in {**self._known, **dict.fromkeys(self._names())} if self.get(name, ()))

    def __len__(self) -> int:
        return sum(1 for _ in self)


_VARIABLE = re.compile(r"\$\{([*?$]|[A-Za-z0-9:/._@+=\- ]+?)(?:, *'([^'{}]*)')?\}")


@dataclass(frozen=True, slots=True)
class Variable:
    """`key` is the condition key in lower case; `default` stands in where the request has none."""

    key: str
    default: str | None

    def value(self, context: Context) -> str | None:
        """The one value of the key, else the default; None where the variable says nothing. Lists are not for text."""
        values = context.get(self.key, ())
        return values[0] if len(values) == 1 else self.default


@dataclass(frozen=True, slots=True)
class Template:
    """Text of a policy cut at its variables. Wildcards count only where the policy itself wrote them."""

    parts: tuple[Token | Variable, ...]
    keys: frozenset[str]
    """The condition keys of its variables."""

    def tokens(self, context: Context) -> Pattern | None:
        """The pattern for one request; None if a variable has no value, and then nothing matches."""
        tokens: list[Token] = []
        for part in self.parts:
            token = part.value(context) if isinstance(part, Variable) else part
            if token is None:
                return None
            tokens.append(token)
        return joined(tokens)


def parse_template(text: str, *, has_variables: bool) -> Template | Pattern:
    """Cut `text` into literals, wildcards and, if `has_variables`, variables. A pattern if there are none of these."""
    if not has_variables or "${" not in text:
        return tokenise(text)
    parts: list[Token | Variable] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        parts += tokenise(text[end : found.start()])
        name, default = found[1], found[2]
        parts.append(name if name in {"*", "?", "$"} else Variable(name.strip().lower(), default))
        end = found.end()
    parts += tokenise(text[end:])
    keys = frozenset(part.key for part in parts if isinstance(part, Variable))
    template = Template(tuple(parts), keys)
    return template if keys else joined([part for part in parts if not isinstance(part, Variable)])

"""The element Condition: operators, their IfExists and set forms, and whether one holds for a request.

A value of the request that is not of the operator's type (a number that is none) equals nothing: the operator does not
match, and its negated form does. Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and
"Condition operators that evaluate to multi-valued context keys".
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from iam.policy.dates import parse_date
from iam.policy.match import Matcher, Pattern, Wild, arn_matcher, glob_matcher, pattern_set
from iam.policy.variables import Context, Template, parse_template

V = TypeVar("V", Decimal, int)

MAX_NUMBER_LENGTH = 64
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")


class Quantifier(Enum):
    """How many of the request's values must match: all of them (none is enough), or any (none is not)."""

    ALL = "ForAllValues"
    ANY = "ForAnyValue"


@dataclass(frozen=True, slots=True)
class Operator:
    """`compile` turns the policy's values into a matcher of request values that equal one of them, or raises ValueError
    for one of wrong type."""

    compile: Callable[[Sequence[Pattern]], Matcher]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator and key with the policy's values. `key` is in lower case.

    `matcher` is of the values in which no variable stands; `templates` are the others.
    """

    operator: Operator
    key: str
    quantifier: Quantifier | None
    holds_without_key: bool
    matcher: Matcher
    templates: tuple[Template, ...] = ()

    def holds(self, context: Context) -> bool:
        """Whether the condition is met."""
        values = context.get(self.key, ())
        if not values:
            return self.holds_without_key
        matches, is_negated = self.matcher, self.operator.is_negated
        if self.templates:
            matches = _any_of([matches, *self._resolved(context)])
        if self.quantifier is not None:
            holding = (bool(matches(value)) is not is_negated for value in values)
            return all(holding) if self.quantifier is Quantifier.ALL else any(holding)
        for value in values:
            if matches(value):
                return not is_negated
        return is_negated

    def _resolved(self, context: Context) -> Sequence[Matcher]:
        """Matchers of the values with variables; one that cannot be told, or has a wrong type, matches nothing."""
        matchers = []
        for template in self.templates:
            tokens = template.tokens(context)
            if tokens is not None:
                try:
                    matchers.append(self.operator.compile([tokens]))
                except ValueError:
                    continue
        return matchers


@dataclass(frozen=True, slots=True)
class NullCondition:
    """The operator Null: whether a key is absent ("true") or present ("false") is among `wanted`."""

    key: str
    wanted: frozenset[bool] = field(default_factory=frozenset)

    def holds(self, context: Context) -> bool:
        return (not context.get(self.key, ())) in self.wanted


# What each operator makes of a policy's values


def _any_of(matchers: Sequence[Matcher]) -> Matcher:
    if len(matchers) == 1:
        return matchers[0]

    def matches(value: str) -> bool:
        return any(matcher(value) for matcher in matchers)

    return matches


def _each(compile_value: Callable[[str], Matcher]) -> Callable[[Sequence[Pattern]], Matcher]:
    """Of an operator that makes something of each value alone."""
    return lambda patterns: _any_of([compile_value(_text(pattern)) for pattern in patterns])


def _text(pattern: Pattern) -> str:
    """Operators without wildcards take stars as they stand."""
    return "".join([token.value if isinstance(token, Wild) else token for token in pattern])


def _string(patterns: Sequence[Pattern]) -> Matcher:
    return frozenset([_text(pattern) for pattern in patterns]).__contains__


def _string_ignoring_case(patterns: Sequence[Pattern]) -> Matcher:
    wanted = frozenset([_text(pattern).lower() for pattern in patterns])
    return lambda value: value.lower() in wanted


def _string_like(patterns: Sequence[Pattern]) -> Matcher:
    return pattern_set(patterns, glob_matcher).matches


def _arn_like(patterns: Sequence[Pattern]) -> Matcher:
    return _any_of([arn_matcher(pattern) for pattern in patterns])


def _bool(text: str) -> Matcher:
    wanted = text.lower()
    if wanted not in {"true", "false"}:
        raise ValueError("a Boolean value is true or false")
    return lambda value: value.lower() == wanted


def _binary(text: str) -> Matcher:
    wanted = _decoded(text)

    def matches(value: str) -> bool:
        try:
            return _decoded(value) == wanted
        except ValueError:
            return False

    return matches


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("a binary value is base64") from None


def _ip_address(text: str) -> Matcher:
    network = ipaddress.ip_network(text, strict=False)

    def matches(value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return matches


def _compared(parse: Callable[[str], V], compare: Callable[[V, V], bool]) -> Callable[[Sequence[Pattern]], Matcher]:
    def compile_value(text: str) -> Matcher:
        limit = parse(text)

        def matches(value: str) -> bool:
            try:
                return compare(parse(value), limit)
            except ValueError:
                return False

        return matches

    return _each(compile_value)


def parse_number(text: str) -> Decimal:
    """A decimal number of at most MAX_NUMBER_LENGTH characters. Raises ValueError."""
    if len(text) > MAX_NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise ValueError("a number is written in decimal digits")
    return Decimal(text)


def _family(name: str, parse: Callable[[str], V]) -> dict[str, Operator]:
    return {
        f"{name}Equals": Operator(_compared(parse, operator.eq)),
        f"{name}NotEquals": Operator(_compared(parse, operator.eq), is_negated=True),
        f"{name}LessThan": Operator(_compared(parse, operator.lt)),
        f"{name}LessThanEquals": Operator(_compared(parse, operator.le)),
        f"{name}GreaterThan": Operator(_compared(parse, operator.gt)),
        f"{name}GreaterThanEquals": Operator(_compared(parse, operator.ge)),
    }


OPERATORS = {
    "StringEquals": Operator(_string),
    "StringNotEquals": Operator(_string, is_negated=True),
    "StringEqualsIgnoreCase": Operator(_string_ignoring_case),
    "StringNotEqualsIgnoreCase": Operator(_string_ignoring_case, is_negated=True),
    "StringLike": Operator(_string_like),
    "StringNotLike": Operator(_string_like, is_negated=True),
    **_family("Numeric", parse_number),
    **_family("Date", parse_date),
    "Bool": Operator(_each(_bool)),
    "BinaryEquals": Operator(_each(_binary)),
    "IpAddress": Operator(_each(_ip_address)),
    "NotIpAddress": Operator(_each(_ip_address), is_negated=True),
    "ArnEquals": Operator(_arn_like),
    "ArnLike": Operator(_arn_like),
    "ArnNotEquals": Operator(_arn_like, is_negated=True),
    "ArnNotLike": Operator(_arn_like, is_negated=True),
}
"""By name, as policies spell them; Null is `NullCondition`."""


def is_operator(name: str) -> bool:
    """Whether `name` is an operator, in any of its forms."""
    prefix, colon, base = name.rpartition(":")
    if colon and prefix not in {each.value for each in Quantifier}:
        return False
    return (base == "Null" and not colon) or base.removesuffix("IfExists") in OPERATORS


def parse_condition(
    name: str, key: str, values: Sequence[str], *, has_variables: bool = True
) -> Condition | NullCondition:
    """The condition `name: {key: values}`. Raises ValueError for an unknown operator or a value of the wrong type."""
    prefix, colon, base = name.rpartition(":")
    quantifier = Quantifier(prefix) if colon else None
    if base == "Null" and quantifier is None:
        return NullCondition(key.lower(), frozenset(_parse_flag(value) for value in values))
    if_exists = base.endswith("IfExists")
    known = OPERATORS.get(base.removesuffix("IfExists"))
    if known is None:
        raise ValueError(f"{name[:100]} is no condition operator")
    parsed = [parse_template(value, has_variables=has_variables) for value in values]
    matcher = known.compile([each for each in parsed if not isinstance(each, Template)])
    templates = tuple([each for each in parsed if isinstance(each, Template)])
    without_key = if_exists or quantifier is Quantifier.ALL or (quantifier is None and known.is_negated)
    return Condition(known, key.lower(), quantifier, without_key, matcher, templates)


def _parse_flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("Null takes true or false")
    return text.lower() == "true"

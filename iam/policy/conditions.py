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
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from iam.policy.match import Matcher, Token, Wild, arn_matcher, glob_matcher
from iam.policy.variables import Context, Template, parse_template

V = TypeVar("V", Decimal, int)

MAX_NUMBER_LENGTH = 64
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Quantifier(Enum):
    """How many of the request's values must match: all of them (none is enough), or any (none is not)."""

    ALL = "ForAllValues"
    ANY = "ForAnyValue"


@dataclass(frozen=True, slots=True)
class Operator:
    """`compile` turns a policy's value into a matcher of request values, or raises ValueError for one of wrong type."""

    compile: Callable[[Sequence[Token]], Matcher]
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator and key with the policy's values. `key` is in lower case.

    `matchers` are compiled as far as no variable stands in a value; `templates` are the others.
    """

    operator: Operator
    key: str
    quantifier: Quantifier | None
    if_exists: bool
    matchers: tuple[Matcher, ...]
    templates: tuple[Template, ...] = ()

    def holds(self, context: Context) -> bool:
        """Whether the condition is met."""
        values = context.get(self.key, ())
        if not values:
            return self._holds_without_key()
        matchers = self.matchers + self._resolved(context) if self.templates else self.matchers
        is_negated = self.operator.is_negated
        if self.quantifier is Quantifier.ALL:
            return all(_matches(matchers, value) is not is_negated for value in values)
        if self.quantifier is Quantifier.ANY:
            return any(_matches(matchers, value) is not is_negated for value in values)
        return any(_matches(matchers, value) for value in values) is not is_negated

    def _holds_without_key(self) -> bool:
        if self.if_exists or self.quantifier is Quantifier.ALL:
            return True
        return self.quantifier is None and self.operator.is_negated

    def _resolved(self, context: Context) -> tuple[Matcher, ...]:
        """Matchers of the values with variables; one that cannot be told, or has a wrong type, matches nothing."""
        matchers = []
        for template in self.templates:
            tokens = template.tokens(context)
            if tokens is not None:
                try:
                    matchers.append(self.operator.compile(tokens))
                except ValueError:
                    continue
        return tuple(matchers)


@dataclass(frozen=True, slots=True)
class NullCondition:
    """The operator Null: whether a key is absent ("true") or present ("false") is among `wanted`."""

    key: str
    wanted: frozenset[bool] = field(default_factory=frozenset)

    def holds(self, context: Context) -> bool:
        return (not context.get(self.key, ())) in self.wanted


def _matches(matchers: Sequence[Matcher], value: str) -> bool:
    return any(matcher(value) for matcher in matchers)


# What each operator makes of a policy's value


def _text(tokens: Sequence[Token]) -> str:
    """Operators without wildcards take stars as they stand."""
    return "".join([token.value if isinstance(token, Wild) else token for token in tokens])


def _string(tokens: Sequence[Token]) -> Matcher:
    return _text(tokens).__eq__


def _string_ignoring_case(tokens: Sequence[Token]) -> Matcher:
    wanted = _text(tokens).lower()
    return lambda value: value.lower() == wanted


def _bool(tokens: Sequence[Token]) -> Matcher:
    wanted = _text(tokens).lower()
    if wanted not in {"true", "false"}:
        raise ValueError("a Boolean value is true or false")
    return lambda value: value.lower() == wanted


def _binary(tokens: Sequence[Token]) -> Matcher:
    wanted = _decoded(_text(tokens))

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


def _ip_address(tokens: Sequence[Token]) -> Matcher:
    network = ipaddress.ip_network(_text(tokens), strict=False)

    def matches(value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return matches


def _compared(parse: Callable[[str], V], compare: Callable[[V, V], bool]) -> Callable[[Sequence[Token]], Matcher]:
    def compile_value(tokens: Sequence[Token]) -> Matcher:
        limit = parse(_text(tokens))

        def matches(value: str) -> bool:
            try:
                return compare(parse(value), limit)
            except ValueError:
                return False

        return matches

    return compile_value


def parse_number(text: str) -> Decimal:
    """A decimal number of at most MAX_NUMBER_LENGTH characters. Raises ValueError."""
    if len(text) > MAX_NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        raise ValueError("a number is written in decimal digits")
    return Decimal(text)


def parse_date(text: str) -> int:
    """Microseconds since the epoch of an ISO 8601 date and time (UTC unless it says otherwise) or of epoch seconds.

    Raises ValueError.
    """
    if len(text) > MAX_NUMBER_LENGTH:
        raise ValueError("a date is in ISO 8601 form")
    if _NUMBER.fullmatch(text):
        return int(Decimal(text) * 1_000_000)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


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
    "StringLike": Operator(glob_matcher),
    "StringNotLike": Operator(glob_matcher, is_negated=True),
    **_family("Numeric", parse_number),
    **_family("Date", parse_date),
    "Bool": Operator(_bool),
    "BinaryEquals": Operator(_binary),
    "IpAddress": Operator(_ip_address),
    "NotIpAddress": Operator(_ip_address, is_negated=True),
    "ArnEquals": Operator(arn_matcher),
    "ArnLike": Operator(arn_matcher),
    "ArnNotEquals": Operator(arn_matcher, is_negated=True),
    "ArnNotLike": Operator(arn_matcher, is_negated=True),
}
"""By name, as policies spell them; Null is `NullCondition`."""


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
    templates = [parse_template(value, has_variables=has_variables) for value in values]
    matchers = tuple(known.compile(_constant(each)) for each in templates if each.is_constant)
    unresolved = tuple(each for each in templates if not each.is_constant)
    return Condition(known, key.lower(), quantifier, if_exists, matchers, unresolved)


def _constant(template: Template) -> tuple[Token, ...]:
    tokens = template.tokens({})
    assert tokens is not None, "text without variables can always be told"
    return tokens


def _parse_flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError("Null takes true or false")
    return text.lower() == "true"

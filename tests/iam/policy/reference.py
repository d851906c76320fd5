"""A second evaluator, slow and obvious: it reads the documents as JSON each time and follows the User Guide's prose.

It knows the whole language (every operator and set operator, IfExists, Null, variables, Not*, every kind of principal,
boundaries, session policies, keys and grants), and shares no code with the real one.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

Statement = Mapping[str, Any]
Context = Mapping[str, tuple[str, ...]]

WILD = "\ue000"
"""Stands before a star or question mark that is a wildcard, while variables are replaced."""


@dataclass(frozen=True)
class Who:
    """`issuer` and `issuer_id` are the ARN and unique id of the role or user that a session is of."""

    kind: str
    account: str
    arn: str
    id: str
    issuer: str | None = None
    issuer_id: str | None = None


@dataclass(frozen=True)
class Asked:
    who: Who
    action: str
    resource: str
    owner: str
    context: Context
    canonical_id: str | None = None
    provider: str | None = None


@dataclass(frozen=True)
class Document:
    version: str
    statements: Sequence[Statement]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# Patterns


def like(pattern: str, text: str) -> bool:
    """A wildcard is a star or question mark behind WILD. What is left of the one against what is left of the other."""

    @lru_cache(None)
    def rest(at: int, of: int) -> bool:
        if at == len(pattern):
            return of == len(text)
        if pattern[at] != WILD:
            return of < len(text) and pattern[at] == text[of] and rest(at + 1, of + 1)
        if pattern[at + 1] == "?":
            return of < len(text) and rest(at + 2, of + 1)
        return rest(at + 2, of) or (of < len(text) and rest(at, of + 1))

    return rest(0, 0)


def marked(text: str) -> str:
    """Its stars and question marks as wildcards."""
    return re.sub(r"([*?])", WILD + r"\1", text)


def expand(text: str, version: str, context: Context) -> str | None:
    """The pattern with variables replaced; None if one has no value."""
    if version != "2012-10-17":
        return marked(text)
    made, end = "", 0
    for found in re.finditer(r"\$\{([^{}']+?)(?:, *'([^']*)')?\}", text):
        made += marked(text[end : found.start()])
        end = found.end()
        if found[1] in ("*", "?", "$"):
            made += found[1]
            continue
        values = context.get(found[1].lower(), ())
        value = values[0] if len(values) == 1 else found[2]
        if value is None:
            return None
        made += value
    return made + marked(text[end:])


def resource_like(pattern: str, text: str) -> bool:
    """In the first five components a wildcard does not pass a colon, but for a star that ends one."""
    regex, colons, at = "", 0, 0
    while at < len(pattern):
        if pattern[at] != WILD:
            colons += pattern[at] == ":"
            regex += re.escape(pattern[at])
            at += 1
            continue
        mark, at = pattern[at + 1], at + 2
        ends = mark == "*" and pattern[at:].replace(WILD + "*", "")[:1] in ("", ":")
        character = "." if colons >= 5 or ends else "[^:]"
        regex += character + ("*" if mark == "*" else "")
    return re.fullmatch(regex, text, re.DOTALL) is not None


def arn_like(pattern: str, text: str) -> bool:
    if pattern.replace(WILD + "*", "") == "" and pattern:
        return True
    parts, of = pattern.split(":", 5), text.split(":", 5)
    return len(parts) == len(of) == 6 and all(like(part, each) for part, each in zip(parts, of, strict=True))


# Conditions


def number(text: str) -> Decimal:
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        raise ValueError(text)
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise ValueError(text) from error


def date(text: str) -> Decimal:
    """Seconds of the epoch."""
    if re.fullmatch(r"\+?[0-9]+(\.[0-9]+)?", text):
        return Decimal(text)
    if re.fullmatch(r"-[0-9]{1,9}", text):  # a year before all others
        return Decimal("-Infinity")
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"):
        try:
            return Decimal(int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()))
        except ValueError:
            continue
    raise ValueError(text)


def binary(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def plain(pattern: str) -> str:
    """What an operator without wildcards sees."""
    return pattern.replace(WILD, "")


def compare(base: str, wanted: str, value: str) -> bool:
    """Whether `value` matches by the operator, or by the one that it negates. ValueError: a value of wrong type."""
    base = base.replace("Not", "")
    if base == "StringEquals":
        return value == plain(wanted)
    if base == "StringEqualsIgnoreCase":
        return value.lower() == plain(wanted).lower()
    if base == "StringLike":
        return like(wanted, value)
    if base in ("ArnEquals", "ArnLike"):
        return arn_like(wanted, value)
    if base == "Bool":
        if plain(wanted).lower() not in ("true", "false"):
            raise ValueError(wanted)
        return value.lower() == plain(wanted).lower()
    if base == "BinaryEquals":
        return binary(value) == binary(plain(wanted))
    if base == "IpAddress":
        return ipaddress.ip_address(value) in ipaddress.ip_network(plain(wanted), strict=False)
    for family, parse in (("Numeric", number), ("Date", date)):
        if base.startswith(family):
            return _ordered(base.removeprefix(family), parse, plain(wanted), value)
    raise AssertionError(base)


def _ordered(relation: str, parse: Callable[[str], Any], wanted: str, value: str) -> bool:
    left, right = parse(value), parse(wanted)
    match relation:
        case "Equals":
            return bool(left == right)
        case "LessThan":
            return bool(left < right)
        case "LessThanEquals":
            return bool(left <= right)
        case "GreaterThan":
            return bool(left > right)
        case "GreaterThanEquals":
            return bool(left >= right)
    raise AssertionError(relation)


def matches(base: str, wanted: Sequence[str], value: str, version: str, context: Context) -> bool:
    for each in wanted:
        pattern = expand(each, version, context)
        if pattern is None:
            continue
        try:
            if compare(base, pattern, value):
                return True
        except ValueError:
            continue
    return False


def condition_holds(name: str, key: str, wanted: Sequence[str], version: str, context: Context) -> bool:
    values = context.get(key.lower(), ())
    if name == "Null":
        return ("true" in wanted and not values) or ("false" in wanted and bool(values))
    quantifier, _, operator = name.rpartition(":")
    if operator.endswith("IfExists"):
        if not values:
            return True
        operator = operator.removesuffix("IfExists")
    is_negated = "Not" in operator
    if not values:
        return quantifier == "ForAllValues" or (quantifier == "" and is_negated)
    hits = [matches(operator, wanted, value, version, context) for value in values]
    if quantifier == "ForAllValues":
        return all(hit != is_negated for hit in hits)
    if quantifier == "ForAnyValue":
        return any(hit != is_negated for hit in hits)
    return any(hits) != is_negated


# Statements


def covers(statement: Statement, version: str, asked: Asked) -> bool:
    element = "Action" if "Action" in statement else "NotAction"
    if element not in statement:
        return False
    found = any(like(marked(each.lower()), asked.action.lower()) for each in as_list(statement[element]))
    if found != (element == "Action"):
        return False
    element = "Resource" if "Resource" in statement else "NotResource"
    if element not in statement:
        return False
    patterns = [expand(each, version, asked.context) for each in as_list(statement[element])]
    found = any(each is not None and resource_like(each, asked.resource) for each in patterns)
    if found != (element == "Resource"):
        return False
    for name, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            if not condition_holds(name, key, as_list(wanted), version, asked.context):
                return False
    return True


def account_of(name: str) -> str:
    """Account ids and the ARNs of root users are the same."""
    found = re.fullmatch(r"arn:aws:iam::(\d{12}):root", name)
    return found[1] if found else name


def named(element: Any, asked: Asked) -> str | None:
    """How Principal names the caller: "direct", "issuer" (its role or user), "account", or not at all."""
    who = asked.who
    lists: Mapping[str, Any] = {"AWS": "*"} if element == "*" else element
    aws = [account_of(each) for each in as_list(lists.get("AWS", []))]
    if who.arn in aws or who.id in aws or asked.provider in as_list(lists.get("Federated", [])):
        return "direct"
    if who.kind == "service" and who.id in as_list(lists.get("Service", [])):
        return "direct"
    if "*" in aws:
        return "issuer" if who.issuer is not None else "direct"
    if who.issuer is not None and (who.issuer in aws or who.issuer_id in aws):
        return "issuer"
    if who.account in aws or asked.canonical_id in as_list(lists.get("CanonicalUser", [])):
        return "direct" if who.kind == "root" else "account"
    return None


def left_out(statement: Statement, asked: Asked, *, has_boundary: bool) -> bool:
    """Whether NotPrincipal leaves the caller out: a Deny only if every form is named, and never with a boundary."""
    element, who = statement["NotPrincipal"], asked.who
    if statement["Effect"] == "Allow":
        return named(element, asked) is not None
    if has_boundary:
        return False
    lists: Mapping[str, Any] = {"AWS": "*"} if element == "*" else element
    aws = [account_of(each) for each in as_list(lists.get("AWS", []))]
    if asked.provider in as_list(lists.get("Federated", [])):
        return True
    if asked.canonical_id in as_list(lists.get("CanonicalUser", [])) or "*" in aws:
        return True
    if who.kind == "service":
        return who.id in as_list(lists.get("Service", []))
    forms = [{who.account}]
    if who.kind != "root":
        forms.append({who.arn, who.id})
    if who.issuer is not None:
        forms.append({who.issuer, who.issuer_id or who.issuer})
    return all(any(name in aws for name in form) for form in forms)


def names(statement: Statement, asked: Asked, *, has_boundary: bool) -> str | None:
    if "Principal" in statement:
        how = named(statement["Principal"], asked)
        asks_for_arn = any(
            key.lower() == "aws:principalarn"
            and "IfExists" not in name
            and not name.startswith("ForAllValues:")
            and not ("Not" in name and ":" not in name)
            and name != "Null"
            for name, keys in statement.get("Condition", {}).items()
            for key in keys
        )
        everyone = statement["Principal"] == "*" or "*" in as_list(statement["Principal"].get("AWS", []))
        return "direct" if how == "issuer" and everyone and asks_for_arn else how
    if "NotPrincipal" in statement:
        if left_out(statement, asked, has_boundary=has_boundary):
            return None
        return "issuer" if asked.who.issuer is not None else "direct"
    return "direct"


# The decision


def decide(
    asked: Asked,
    *,
    identity: Sequence[Document],
    boundary: Document | None,
    session: Sequence[Document] | None,
    on_resource: Document | None,
    is_key: bool,
    is_granted: bool = False,
) -> str:
    """ "allow", "deny" or "none" under policies by where they stand; `is_key` asks for the rules of KMS keys."""
    everything = [
        *identity,
        *([boundary] if boundary else []),
        *(session or ()),
        *([on_resource] if on_resource else []),
    ]
    for document in everything:
        for statement in document.statements:
            is_about = covers(statement, document.version, asked) and names(
                statement, asked, has_boundary=boundary is not None
            )
            if statement["Effect"] == "Deny" and is_about:
                return "deny"

    def allowed_by(documents: Sequence[Document]) -> bool:
        return any(
            statement["Effect"] == "Allow" and covers(statement, document.version, asked)
            for document in documents
            for statement in document.statements
        )

    within_session = session is None or allowed_by(session)
    within_limits = (boundary is None or allowed_by([boundary])) and within_session
    by_identity = (asked.who.kind == "root" or allowed_by(identity)) and within_limits
    ways = set()
    if on_resource is not None:
        for statement in on_resource.statements:
            if statement["Effect"] == "Allow" and covers(statement, on_resource.version, asked):
                ways.add(names(statement, asked, has_boundary=boundary is not None))
    ways.discard(None)
    if is_key and is_granted and within_session:
        return "allow"
    if asked.who.kind in ("anonymous", "service"):
        return "allow" if ways else "none"
    if asked.who.account != asked.owner:
        return "allow" if ways and by_identity else "none"
    if "direct" in ways or ("issuer" in ways and within_limits):
        return "allow"
    if "issuer" in ways or (is_key and "account" not in ways):
        return "none"
    return "allow" if by_identity else "none"

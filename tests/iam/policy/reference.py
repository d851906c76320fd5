"""A second evaluator, slow and obvious: it reads the documents as JSON each time and follows the User Guide's prose.

It knows what the generated policies of `test_reference` use, and nothing more; it shares no code with the real one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
Context = Mapping[str, tuple[str, ...]]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def like(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    regex = "".join({"*": ".*", "?": "."}.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch(regex, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def expand(text: str, context: Context) -> str | None:
    """Variables replaced; None if one has no value. (Values in these tests hold no wildcards.)"""
    for name in re.findall(r"\$\{([^}]*)\}", text):
        values = context.get(name.lower(), ())
        if len(values) != 1:
            return None
        text = text.replace("${" + name + "}", values[0])
    return text


def one_operator(operator: str, wanted: str, value: str) -> bool:
    match operator:
        case "StringEquals" | "StringNotEquals":
            return value == wanted
        case "StringLike" | "StringNotLike":
            return like(wanted, value)
        case "NumericLessThan":
            return value.isdigit() and int(value) < int(wanted)
        case "Bool":
            return value == wanted
    raise AssertionError(operator)


def condition_holds(name: str, key: str, wanted: Sequence[str], context: Context) -> bool:
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
    hits = []
    for value in values:
        hit = False
        for each in wanted:
            expanded = expand(each, context)
            hit = hit or (expanded is not None and one_operator(operator, expanded, value))
        hits.append(hit)
    if quantifier == "ForAllValues":
        return all(hit != is_negated for hit in hits)
    if quantifier == "ForAnyValue":
        return any(hit != is_negated for hit in hits)
    return any(hits) != is_negated


def covers(statement: Document, action: str, resource: str, context: Context) -> bool:
    if "Action" in statement:
        if not any(like(each, action, ignore_case=True) for each in as_list(statement["Action"])):
            return False
    elif any(like(each, action, ignore_case=True) for each in as_list(statement["NotAction"])):
        return False
    element = "Resource" if "Resource" in statement else "NotResource"
    patterns = [expand(each, context) for each in as_list(statement[element])]
    found = any(each is not None and like(each, resource) for each in patterns)
    if found != (element == "Resource"):
        return False
    for name, keys in statement.get("Condition", {}).items():
        for key, wanted in keys.items():
            if not condition_holds(name, key, as_list(wanted), context):
                return False
    return True


def names(statement: Document, caller: Mapping[str, str]) -> str | None:
    """How the statement names the caller: "direct", "role", "account", or not at all."""
    if "Principal" not in statement and "NotPrincipal" not in statement:
        return "direct"
    is_session = "role" in caller
    everyone = "role" if is_session else "direct"
    if "NotPrincipal" in statement:
        listed = as_list(statement["NotPrincipal"]["AWS"])
        forms = [form for form in (caller["arn"], caller.get("role"), caller["account"]) if form is not None]
        if caller["kind"] == "root":
            forms = [caller["account"]]
        return None if "*" in listed or all(form in listed for form in forms) else everyone
    listed = as_list(statement["Principal"]["AWS"])
    if caller["arn"] in listed:
        return "direct"
    if "*" in listed:
        return everyone
    if is_session and caller["role"] in listed:
        return "role"
    if caller["account"] in listed:
        return "direct" if caller["kind"] == "root" else "account"
    return None


def decide(
    *,
    caller: Mapping[str, str],
    owner: str,
    action: str,
    resource: str,
    context: Context,
    identity: Sequence[Document],
    boundary: Sequence[Document] | None,
    session: Sequence[Document] | None,
    on_resource: Sequence[Document],
    is_key: bool,
) -> str:
    """ "allow", "deny" or "none" for statements by where they stand; `is_key` asks for the rules of KMS keys."""
    everything = [*identity, *(boundary or ()), *(session or ()), *on_resource]
    for statement in everything:
        if statement["Effect"] == "Deny" and names(statement, caller) and covers(statement, action, resource, context):
            return "deny"

    def allowed_by(statements: Sequence[Document] | None) -> bool:
        return any(each["Effect"] == "Allow" and covers(each, action, resource, context) for each in statements or ())

    within_limits = (boundary is None or allowed_by(boundary)) and (session is None or allowed_by(session))
    by_identity = (caller["kind"] == "root" or allowed_by(identity)) and within_limits
    ways = {
        names(each, caller)
        for each in on_resource
        if each["Effect"] == "Allow" and covers(each, action, resource, context)
    } - {None}
    if caller["account"] != owner:
        return "allow" if ways and by_identity else "none"
    if "direct" in ways or ("role" in ways and within_limits):
        return "allow"
    if "role" in ways:
        return "none"
    if is_key and "account" not in ways:
        return "none"
    return "allow" if by_identity else "none"

"""What is told of a policy that the evaluator does not keep: where its statements stand in the text, how the condition
keys are spelt that it asks for, which services it is about. For texts that `parse_policy` took.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BLANKS = re.compile(r"[ \t\n\r]*")
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9:/._@+=\- ]+?)(?:, *'[^'{}]*')?\}")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Position:
    """Both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Span:
    """`end` is behind the last character; `start` behind the `[`, the comma or the colon before the statement, as IAM's
    policy simulator tells it."""

    start: Position
    end: Position


def statement_spans(text: str) -> tuple[Span, ...]:
    """Where each statement stands, in the document's order."""
    return tuple(Span(_position(text, start), _position(text, end)) for start, end in _statements(text))


def _position(text: str, offset: int) -> Position:
    return Position(text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


def _statements(text: str) -> Iterator[tuple[int, int]]:
    """Offsets: behind the token before a statement, and behind it."""
    for name, behind_colon in _members(text):
        if name != "Statement":
            continue
        place = _skip(text, behind_colon)
        if text[place] != "[":
            yield behind_colon, _DECODER.raw_decode(text, place)[1]
            return
        behind = place + 1
        while True:
            _, end = _DECODER.raw_decode(text, _skip(text, behind))
            yield behind, end
            place = _skip(text, end)
            if text[place] == "]":
                return
            behind = place + 1


def _members(text: str) -> Iterator[tuple[str, int]]:
    """The names in the document, each with the offset behind its colon."""
    place = _skip(text, 0) + 1  # behind the brace
    while True:
        name, end = _DECODER.raw_decode(text, _skip(text, place))
        behind_colon = _skip(text, end) + 1
        yield name, behind_colon
        _, end = _DECODER.raw_decode(text, _skip(text, behind_colon))
        end = _skip(text, end)
        if text[end] == "}":
            return
        place = end + 1


def _skip(text: str, offset: int) -> int:
    found = _BLANKS.match(text, offset)
    assert found is not None
    return found.end()


def spelt_keys(text: str) -> tuple[str, ...]:
    """The condition keys of its conditions and variables, as it spells them, each once whatever its case, in the
    document's order."""
    found: dict[str, str] = {}
    document = json.loads(text)
    has_variables = document.get("Version") == "2012-10-17"
    for statement in _statements_of(document):
        for key in _keys(statement, has_variables=has_variables):
            found.setdefault(key.lower(), key)
    return tuple(found.values())


def grants_actions_of(service: str, text: str) -> bool:
    """Whether a statement allows any action of a service, on whatever and under whatever conditions."""
    prefix = f"{service.lower()}:"
    return any(
        statement["Effect"] == "Allow" and _names_actions_of(prefix, statement)
        for statement in _statements_of(json.loads(text))
    )


def _names_actions_of(prefix: str, statement: dict[str, object]) -> bool:
    """The service of a pattern has no wildcards, but for the star that means every action of all."""
    if "Action" in statement:
        return any(each == "*" or each.startswith(prefix) for each in _lowered(statement["Action"]))
    return not any(each in {"*", f"{prefix}*"} for each in _lowered(statement["NotAction"]))


def _lowered(patterns: object) -> list[str]:
    return [str(each).lower() for each in (patterns if isinstance(patterns, list) else [patterns])]


def _statements_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    statements = document["Statement"]
    return statements if isinstance(statements, list) else [statements]


def _keys(statement: dict[str, object], *, has_variables: bool) -> Iterator[str]:
    conditions = statement.get("Condition")
    for tests in conditions.values() if isinstance(conditions, dict) else ():
        for key, values in tests.items():
            yield key
            yield from _variables(values, has_variables=has_variables)
    for element in ("Resource", "NotResource"):
        yield from _variables(statement.get(element), has_variables=has_variables)


def _variables(values: object, *, has_variables: bool) -> Iterator[str]:
    if has_variables:
        for value in values if isinstance(values, list) else [values]:
            yield from (found.strip() for found in _VARIABLE.findall(str(value)))

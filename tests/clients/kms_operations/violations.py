"""Requests that break the constraints of botocore's model, one at a time, and the words in which AWS refuses each.

Nothing here is of the gateway: shapes, limits and patterns are read from botocore, the words from recorded answers.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.model import Shape

MAX_QUOTED = 4096
"""Characters of a value that the gateway repeats at most (docs/divergences.md)."""

FOREIGN = "€"
"""Matches none of the patterns."""

SAMPLES: dict[str, tuple[str, str]] = {
    r"^[a-zA-Z0-9:/_-]+$": ("alias/a", "a"),
    r"^[\w+=,.@:/-]+$": ("arn:aws:iam::111122223333:root", "a"),
    r"^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$": ("arn:aws:logs:us-east-1:111122223333:log-group:g", "g"),
    r"^([A-Za-z0-9\-]+)\.([A-Za-z0-9\-]+)(\.[A-Za-z0-9\-]+)+$": ("s3.us-east-1.amazonaws.com", "m"),
    r"[\u0009\u000A\u000D\u0020-\u00FF]+": ("{}", " "),
    r"^[a-zA-Z0-9-_.]+$": ("key", "y"),
    r"^[a-f0-9]+$": ("ab", "a"),
    r"[\u0020-\u00FF]*": ("marker", "r"),
    r"[\w]+": ("default", "t"),
    r"^[a-zA-Z0-9:/_\s.-]+$": ("material", "l"),
    r"^([a-z]+-){2,3}\d+$": ("eu-central-1", "1"),
}
"""For each pattern of a served operation a text that matches, and what may follow it as often as one likes."""

MUST = "failed to satisfy constraint: Member must"
KINDS = {"map": "Map", "list": "List", "string": "String", "blob": "Blob", "integer": "Integer", "long": "Integer"}
KINDS |= {"boolean": "Boolean", "timestamp": "Timestamp", "structure": "Structure"}
SCALARS: list[tuple[Any, str, set[str]]] = [
    # A JSON value, what AWS's parser calls it, and the types of shapes that it may be.
    ("text", "STRING_VALUE", {"string", "blob"}),
    (5, "NUMBER_VALUE", {"integer", "long", "timestamp"}),
    (5.5, "DECIMAL_VALUE", {"timestamp"}),
    (True, "TRUE_VALUE", {"boolean"}),
    (False, "FALSE_VALUE", {"boolean"}),
]


@dataclass(frozen=True)
class Broken:
    """A JSON value that must be refused, and the clauses of its refusal, in any order."""

    value: Any
    clauses: frozenset[str]


def valid(shape: Shape) -> Any:
    """A JSON value with all that is required and nothing else."""
    limits = shape.metadata
    match shape.type_name:
        case "structure":
            return {name: valid(shape.members[name]) for name in shape.required_members}
        case "list":
            return [valid(shape.member)] * limits.get("min", 1)
        case "map":
            return {}
        case "string":
            return text_of(shape, limits.get("min", 0))
        case "blob":
            return base64.b64encode(bytes(max(1, limits.get("min", 1)))).decode()
        case "integer" | "long":
            return limits.get("min", 1)
        case "boolean":
            return False
    return 0


def text_of(shape: Shape, length: int) -> str:
    """A text of at least this length that breaks nothing but, maybe, the maximum."""
    if shape.enum:
        return str(shape.enum[0])
    sample, filler = SAMPLES.get(shape.metadata.get("pattern", ""), ("text", "t"))
    return sample + filler * max(0, length - len(sample))


def broken(shape: Shape, path: str = "") -> Iterator[Broken]:
    """Every way to break one constraint of the shape or of what is in it; `path` as AWS writes it."""
    match shape.type_name:
        case "structure":
            yield from _broken_structure(shape, path)
        case "list":
            yield from _broken_list(shape, path)
        case "string":
            yield from _broken_string(shape, path)
        case "blob":
            yield from _broken_blob(shape, path)
        case "integer" | "long":
            yield from _broken_integer(shape, path)


def _broken_structure(shape: Shape, path: str) -> Iterator[Broken]:
    whole = valid(shape)
    for name, member in shape.members.items():
        inner = _inside(path, name)
        if name in shape.required_members:
            rest = {other: value for other, value in whole.items() if other != name}
            clauses = frozenset({f"Value null at '{inner}' {MUST} not be null"})
            yield Broken(rest, clauses)
            yield Broken({**rest, name: None}, clauses)
        for each in broken(member, inner):
            yield Broken({**whole, name: each.value}, each.clauses)


def _broken_list(shape: Shape, path: str) -> Iterator[Broken]:
    item, limits = shape.member, shape.metadata
    if "max" in limits:
        yield _refused([valid(item)] * (limits["max"] + 1), shape, path, _too_long(limits))
    if limits.get("min", 0) > 0:
        yield _refused([valid(item)] * (limits["min"] - 1), shape, path, _too_short(limits))
    good = valid(item)
    for each in broken(item, f"{path}.2.member"):
        if item.type_name == "structure":
            yield Broken([good, each.value], each.clauses)
        else:
            constraint = f"satisfy constraint: [{', '.join(_all_constraints(item))}]"
            yield _refused([good, each.value], shape, path, constraint)


def _broken_string(shape: Shape, path: str) -> Iterator[Broken]:
    limits, pattern = shape.metadata, shape.metadata.get("pattern")
    if shape.enum:
        yield _refused("INVALID", shape, path, _of_enumeration(shape))
    if "max" in limits:
        yield _refused(text_of(shape, limits["max"] + 1), shape, path, _too_long(limits))
    if limits.get("min", 0) > 0:
        also = [] if pattern is None or re.fullmatch(pattern, "") else [_of_pattern(pattern)]
        yield _refused("", shape, path, _too_short(limits), *also)
    if pattern is not None:
        yield _refused(FOREIGN * max(1, limits.get("min", 1)), shape, path, _of_pattern(pattern))


def _broken_blob(shape: Shape, path: str) -> Iterator[Broken]:
    limits = shape.metadata
    sizes = [(limits["max"] + 1, _too_long(limits))] if "max" in limits else []
    sizes += [(limits["min"] - 1, _too_short(limits))] if limits.get("min", 0) > 0 else []
    for size, constraint in sizes:
        text = base64.b64encode(bytes(size)).decode()
        quoted = f"java.nio.HeapByteBuffer[pos=0 lim={size} cap={size}]"
        yield Broken(text, frozenset({_clause(quoted, shape, path, constraint)}))


def _broken_integer(shape: Shape, path: str) -> Iterator[Broken]:
    limits = shape.metadata
    if "min" in limits:
        yield _refused(limits["min"] - 1, shape, path, f"have value greater than or equal to {limits['min']}")
    if "max" in limits:
        yield _refused(limits["max"] + 1, shape, path, f"have value less than or equal to {limits['max']}")


def _refused(value: Any, shape: Shape, path: str, *constraints: str) -> Broken:
    quoted = f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)
    return Broken(value, frozenset(_clause(quoted, shape, path, constraint) for constraint in constraints))


def _clause(quoted: str, shape: Shape, path: str, constraint: str) -> str:
    told = "Value" if shape.metadata.get("sensitive") else f"Value '{quoted[:MAX_QUOTED]}'"
    return f"{told} at '{path}' {MUST} {constraint}"


def _all_constraints(shape: Shape) -> list[str]:
    """What AWS lists of the elements of a list, all of it, whichever is broken."""
    limits, told = shape.metadata, []
    told += [_too_long(limits)] if "max" in limits else []
    told += [_too_short(limits)] if "min" in limits else []
    told += [_of_enumeration(shape)] if shape.enum else []
    told += [_of_pattern(limits["pattern"])] if "pattern" in limits else []
    return [f"Member must {each}" for each in told]


def _too_long(limits: dict[str, Any]) -> str:
    return f"have length less than or equal to {limits['max']}"


def _too_short(limits: dict[str, Any]) -> str:
    return f"have length greater than or equal to {limits['min']}"


def _of_enumeration(shape: Shape) -> str:
    return f"satisfy enum value set: [{', '.join(shape.enum)}]"


def _of_pattern(pattern: str) -> str:
    return f"satisfy regular expression pattern: {pattern}"


def _inside(path: str, name: str) -> str:
    own = name[0].lower() + name[1:]
    return f"{path}.{own}" if path else own


def mistyped(shape: Shape) -> Iterator[tuple[Any, str]]:
    """Every JSON type in the place of each that the shape holds at any depth, and the refusal of it."""
    for value, name, kinds in SCALARS:
        if shape.type_name not in kinds:
            yield value, f"{name} can not be converted to {KINDS[shape.type_name]}"
    if shape.type_name != "list":
        yield [], "Start of list found where not expected"
    if shape.type_name not in {"map", "structure"}:
        yield {}, "Start of structure or map found where not expected."
    yield from _mistyped_inside(shape)


def _mistyped_inside(shape: Shape) -> Iterator[tuple[Any, str]]:
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                for value, message in mistyped(member):
                    yield {**valid(shape), name: value}, message
        case "list":
            yield [None], f"NULL_VALUE can not be converted to {KINDS[shape.member.type_name]}"
            for value, message in mistyped(shape.member):
                yield [valid(shape.member), value], message
        case "map":
            yield {"name": None}, f"NULL_VALUE can not be converted to {KINDS[shape.value.type_name]}"
            for value, message in mistyped(shape.value):
                yield {"name": value}, message


def patterns(shape: Shape) -> set[str]:
    """All that are in the shape at any depth."""
    found = {shape.metadata["pattern"]} if "pattern" in shape.metadata else set()
    match shape.type_name:
        case "structure":
            return found.union(*(patterns(member) for member in shape.members.values()))
        case "list":
            return found | patterns(shape.member)
        case "map":
            return found | patterns(shape.key) | patterns(shape.value)
    return found

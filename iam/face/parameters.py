"""Parameters of the query protocol: from the text of a form to values, by the shapes of the model.

Lists are numbered from one and named after `member` (`Tags.member.1.Key`), members of structures after a dot; an empty
list is its bare name without a value. Parameters that the model does not have are ignored, as newer clients may send
them. Source: Smithy, "AWS query protocol".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import unquote_to_bytes

from iam.face.constraints import Value
from iam.face.errors import IAMError
from iam.face.shapes import Kind, Model, Shape

MAX_PARAMETERS = 1000
"""In one request; the largest of those that are served has some 110: fifty tags of two parameters each."""

_MAX_DEPTH = 8
"""Names with more parts than this belong to no shape of the models."""

_INTEGER = re.compile(r"-?[0-9]{1,9}")
_INDEX = re.compile(r"[0-9]{1,4}")


@dataclass(slots=True)
class _Node:
    text: str | None = None
    children: dict[str, _Node] = field(default_factory=dict)


def parse_form(form: str) -> dict[str, str]:
    """The parameters of `application/x-www-form-urlencoded` text. Raises IAMError(MalformedQueryString)."""
    if form.count("&") >= MAX_PARAMETERS:
        raise IAMError("MalformedQueryString", f"A request has at most {MAX_PARAMETERS} parameters.")
    parameters: dict[str, str] = {}
    for piece in form.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        name = _decode(name)
        if name in parameters:  # which one is meant cannot be told
            raise IAMError("MalformedQueryString", "A parameter stands more than once.")
        parameters[name] = _decode(value)
    return parameters


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeError:
        raise IAMError("MalformedQueryString", "A parameter is not UTF-8.") from None


def convert(parameters: Mapping[str, str], shape_name: str, model: Model) -> dict[str, Value]:
    """The members that a request's shape has, not yet held against constraints. Raises IAMError(MalformedInput)."""
    root = _Node()
    for name, value in parameters.items():
        node = root
        for part in name.split(".", _MAX_DEPTH):
            node = node.children.setdefault(part, _Node())
        node.text = value
    return _structure(root, model.shapes[shape_name], model)


def _structure(node: _Node, shape: Shape, model: Model) -> dict[str, Value]:
    return {
        name: _value(node.children[name], model.shapes[member], model, name)
        for name, member in shape.members.items()
        if name in node.children
    }


def _value(node: _Node, shape: Shape, model: Model, name: str) -> Value:
    if shape.kind is Kind.STRUCTURE:
        return _structure(node, shape, model)
    if shape.kind is Kind.LIST:
        return _list(node, shape, model, name)
    text = node.text
    if text is None or node.children:
        _malformed(name, "a value")
    match shape.kind:
        case Kind.STRING:
            return text
        case Kind.INTEGER:
            return int(text) if _INTEGER.fullmatch(text) else _malformed(name, "an integer")
        case Kind.BOOLEAN:
            return text.lower() == "true" if text.lower() in {"true", "false"} else _malformed(name, "true or false")
        case _:
            raise AssertionError(f"no request that is served has a {shape.kind}")


def _list(node: _Node, shape: Shape, model: Model, name: str) -> list[Value]:
    assert shape.item is not None
    if node.text == "" and not node.children:
        return []
    members = node.children.get("member")
    if node.text is not None or members is None or members.text is not None or len(node.children) > 1:
        _malformed(name, "a list")
    if not all(map(_INDEX.fullmatch, members.children)):
        _malformed(name, "a list with numbered members")
    numbered = {int(index): child for index, child in members.children.items()}
    if len(numbered) < len(members.children):  # 1 and 01: which of them comes first cannot be told
        _malformed(name, "a list with numbered members")
    return [_value(numbered[index], model.shapes[shape.item], model, name) for index in sorted(numbered)]


def _malformed(name: str, wanted: str) -> NoReturn:
    raise IAMError("MalformedInput", f"The parameter {name} is not {wanted}.")

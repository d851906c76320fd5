"""The AWS JSON protocol: from a request's document to parameters as the query protocol has them, whose operations,
checks and audit lines are then the same.

Source: Smithy, "AWS JSON 1.1 protocol". A JSON null stands for a member that is absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NoReturn

from iam.face.errors import IAMError
from iam.face.models.organizations import ORGANIZATIONS
from iam.face.parameters import MAX_PARAMETERS
from iam.face.query import Operation
from iam.face.shapes import Kind, Model, Shape
from iam.face.table import SERVED

TARGET_PREFIXES = {"AWSOrganizationsV20161128.": ORGANIZATIONS}
"""What X-Amz-Target begins with, by service."""

_JSON_TYPES: dict[Kind, type] = {Kind.STRING: str, Kind.BOOLEAN: bool, Kind.INTEGER: int}


def model_of_target(target: str) -> Model | None:
    """The service that a target names; None for one that is not here."""
    prefix, dot, _ = target.partition(".")
    return TARGET_PREFIXES.get(prefix + dot)


def operation_name(target: str) -> str:
    """As the target spells it."""
    return target.partition(".")[2]


def find_json_operation(model: Model, name: str) -> Operation:
    """Raises IAMError: InvalidAction, and NotImplemented for what the API has and is not served."""
    if name not in model.operations:
        raise IAMError("InvalidAction", f"There is no operation {name[:128]}.")
    handler = SERVED[model.name].get(name)
    if handler is None:
        raise IAMError("NotImplemented", f"{name} is not supported.")
    return Operation(model, name, handler)


def parse_body(body: bytes, operation: Operation) -> dict[str, str]:
    """The parameters of a document. Members that the model does not have are ignored, as newer clients may send them.

    Raises IAMError(MalformedInput).
    """
    try:
        document = json.loads(body.decode("utf-8") or "{}", object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise IAMError("MalformedInput", "The body is no JSON document.") from None
    model = operation.model
    name = model.inputs.get(operation.name)
    if name is None:
        return {}
    parameters: dict[str, str] = {}
    for path, text in _flattened(document, model.shapes[name], model, ""):
        parameters[path] = text
        if len(parameters) > MAX_PARAMETERS:
            raise IAMError("MalformedInput", f"A request has at most {MAX_PARAMETERS} values.")
    return parameters


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise ValueError("a name stands twice")
    return names


def _flattened(value: object, shape: Shape, model: Model, path: str) -> Iterator[tuple[str, str]]:
    match shape.kind:
        case Kind.STRUCTURE:
            if not isinstance(value, dict):
                _malformed(path)
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    inner = f"{path}.{name}" if path else name
                    yield from _flattened(value[name], model.shapes[member], model, inner)
        case Kind.LIST:
            if not isinstance(value, list):
                _malformed(path)
            assert shape.item is not None
            if not value:
                yield path, ""
            for number, each in enumerate(value, 1):
                yield from _flattened(each, model.shapes[shape.item], model, f"{path}.member.{number}")
        case kind:
            if type(value) is not _JSON_TYPES[kind]:
                _malformed(path)
            yield path, str(value).lower() if kind is Kind.BOOLEAN else str(value)


def _malformed(path: str) -> NoReturn:
    raise IAMError("MalformedInput", f"The member {path or 'itself'} is of another type than the model's.")

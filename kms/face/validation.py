"""From JSON to checked values, by the shapes of the model, with AWS's two kinds of refusal.

Wrong JSON types are SerializationException, found first. Then every constraint is looked at, and all that fail are
told in one ValidationException, in the form that clients know: `1 validation error detected: Value '0' at
'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1`. Unknown members are
ignored, as newer clients may send them; null is the same as absent.
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Mapping, Sequence
from typing import NoReturn

import msgspec

from kms.api.errors import KMSError
from kms.face.model import SHAPES
from kms.face.shapes import Kind, Shape

Value = str | bytes | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]
"""A checked value; blobs are bytes, timestamps seconds since the epoch."""

MAX_QUOTED = 4096
"""Characters of a refused value that an answer repeats (KMS itself repeats all of it)."""

_JSON_NAMES = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "DECIMAL_VALUE"}


def parse_document(body: bytes) -> Mapping[str, object]:
    """The JSON object of a request body; an empty body is an empty object. Raises KMSError(SerializationException)."""
    if not body:
        return {}
    try:
        document = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise KMSError("SerializationException", "The request body is not valid JSON") from None
    if not isinstance(document, dict):
        raise KMSError("SerializationException", "Start of structure or map expected")
    return document


def check(document: Mapping[str, object], shape_name: str) -> dict[str, Value]:
    """The known members of a request, converted and checked.

    Raises KMSError: SerializationException or ValidationException.
    """
    shape = SHAPES[shape_name]
    values = _convert_structure(document, shape)
    errors: list[str] = []
    _check_structure(values, shape, "", errors)
    refuse(errors)
    return values


def refuse(errors: Sequence[str]) -> None:
    """Raises ValidationException for these constraint errors; does nothing if there are none."""
    if errors:
        noun = "error" if len(errors) == 1 else "errors"
        raise KMSError("ValidationException", f"{len(errors)} validation {noun} detected: {'; '.join(errors)}")


def constraint_error(value: object, path: str, constraint: str) -> str:
    """One clause of a ValidationException, quoting the value; `path` is as in `member_path`."""
    return f"Value '{_quote(value)}' at '{path}' failed to satisfy constraint: {constraint}"


def missing(path: str) -> str:
    """The clause for a required member that is absent."""
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def member_path(parent: str, member: str) -> str:
    """Where a member stands, as AWS writes it: first letter small, parts joined with dots."""
    own = member[:1].lower() + member[1:]
    return f"{parent}.{own}" if parent else own


def _convert_structure(document: Mapping[str, object], shape: Shape) -> dict[str, Value]:
    values = {}
    for name, member in shape.members.items():
        value = document.get(name)
        if value is not None:
            values[name] = _convert(value, SHAPES[member])
    return values


def _convert(value: object, shape: Shape) -> Value:
    match shape.kind:
        case Kind.STRING:
            return value if isinstance(value, str) else _wrong_type(value, "String")
        case Kind.BLOB:
            return _decode_blob(value) if isinstance(value, str) else _wrong_type(value, "Blob")
        case Kind.INTEGER:
            return value if type(value) is int else _wrong_type(value, "Integer")
        case Kind.BOOLEAN:
            return value if isinstance(value, bool) else _wrong_type(value, "Boolean")
        case Kind.TIMESTAMP:
            return _decode_timestamp(value)
        case Kind.LIST:
            assert shape.item is not None
            item = SHAPES[shape.item]
            return [_convert(each, item) for each in value] if isinstance(value, list) else _wrong_type(value, "List")
        case Kind.MAP:
            assert shape.value is not None
            of = SHAPES[shape.value]
            return (
                {k: _convert(v, of) for k, v in value.items()} if isinstance(value, dict) else _wrong_type(value, "Map")
            )
        case Kind.STRUCTURE:
            return _convert_structure(value, shape) if isinstance(value, dict) else _wrong_type(value, "Structure")


def _wrong_type(value: object, wanted: str) -> NoReturn:
    if isinstance(value, dict):
        message = "Start of structure or map found where not expected."
    elif isinstance(value, list):
        message = "Start of list found where not expected"
    else:
        message = f"{_json_name(value)} can not be converted to {wanted}"
    raise KMSError("SerializationException", message)


def _json_name(value: object) -> str:
    """What AWS's parser calls a JSON value that holds no others."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    return _JSON_NAMES.get(type(value), "NULL_VALUE")


def _decode_blob(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        raise KMSError("SerializationException", "A blob is not valid base64") from None


def _decode_timestamp(value: object) -> float:
    if type(value) is int or (isinstance(value, float) and math.isfinite(value)):
        return value
    return _wrong_type(value, "Timestamp")


def _check_structure(values: Mapping[str, Value], shape: Shape, path: str, errors: list[str]) -> None:
    errors += [missing(member_path(path, name)) for name in shape.required if name not in values]
    for name, value in values.items():
        _check(value, SHAPES[shape.members[name]], member_path(path, name), errors)


def _check(value: Value, shape: Shape, path: str, errors: list[str]) -> None:
    for constraint in _broken_constraints(value, shape):
        if shape.is_sensitive:
            errors.append(f"Value at '{path}' failed to satisfy constraint: {constraint}")
        else:
            errors.append(constraint_error(value, path, constraint))
    if shape.kind is Kind.STRUCTURE and isinstance(value, Mapping):
        _check_structure(value, shape, path, errors)
    elif shape.kind is Kind.LIST and isinstance(value, list):
        _check_list(value, shape, path, errors)


def _check_list(values: list[Value], shape: Shape, path: str, errors: list[str]) -> None:
    """Structures in a list are named one by one; for plain values AWS quotes the list and their constraints."""
    assert shape.item is not None
    item = SHAPES[shape.item]
    if item.kind is Kind.STRUCTURE:
        for number, value in enumerate(values, start=1):
            _check(value, item, f"{path}.{number}.member", errors)
    elif any(_broken_constraints(value, item) for value in values):
        errors.append(
            constraint_error(values, path, f"Member must satisfy constraint: [{', '.join(_constraints(item))}]")
        )


def _broken_constraints(value: Value, shape: Shape) -> list[str]:
    broken = []
    if isinstance(value, int):
        if shape.minimum is not None and value < shape.minimum:
            broken.append(_bound(shape, "greater", shape.minimum))
        if shape.maximum is not None and value > shape.maximum:
            broken.append(_bound(shape, "less", shape.maximum))
    elif not isinstance(value, float):
        if shape.minimum is not None and len(value) < shape.minimum:
            broken.append(_bound(shape, "greater", shape.minimum))
        if shape.maximum is not None and len(value) > shape.maximum:
            broken.append(_bound(shape, "less", shape.maximum))
    if isinstance(value, str):
        if shape.enum and value not in shape.enum:
            broken.append(_enum(shape))
        if shape.regex is not None and not shape.regex.fullmatch(value):
            broken.append(_pattern(shape))
    return broken


def _constraints(shape: Shape) -> list[str]:
    texts = []
    if shape.maximum is not None:
        texts.append(_bound(shape, "less", shape.maximum))
    if shape.minimum is not None:
        texts.append(_bound(shape, "greater", shape.minimum))
    if shape.enum:
        texts.append(_enum(shape))
    if shape.pattern is not None:
        texts.append(_pattern(shape))
    return texts


def _bound(shape: Shape, direction: str, limit: int) -> str:
    measure = "value" if shape.kind is Kind.INTEGER else "length"
    return f"Member must have {measure} {direction} than or equal to {limit}"


def _enum(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.pattern}"


def _quote(value: object) -> str:
    """The value as AWS's Java prints it, cut to MAX_QUOTED characters."""
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, list):
        return f"[{', '.join(_quote(each) for each in value)}]"[:MAX_QUOTED]
    return str(value)[:MAX_QUOTED]

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

from iam.face.constraints import Value, broken_constraints, count_of
from iam.face.shapes import Kind, Shape
from kms.api.errors import KMSError
from kms.face.model import SHAPES

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
    refuse(broken_constraints(values, shape, SHAPES, quotes_values=True))
    return values


def refuse(errors: Sequence[str]) -> None:
    """Raises ValidationException for these constraint errors; does nothing if there are none."""
    if errors:
        raise KMSError("ValidationException", count_of(errors))


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

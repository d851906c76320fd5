"""The documents of AWS's query services (IAM, STS): results and errors.

Source: Smithy, "AWS query protocol", response serialization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.protocol.xml.writer import document, element, flag

CONTENT_TYPE = "text/xml"


def result_document(operation: str, result: Mapping[str, object] | None, namespace: str, request_id: str) -> bytes:
    """`result` has texts, integers, flags, lists and mappings of them, and tuples of pairs, which are maps; None for an
    operation that has none."""
    own = "" if result is None else f"<{operation}Result>{_members(result)}</{operation}Result>"
    metadata = f"<ResponseMetadata>{element('RequestId', request_id)}</ResponseMetadata>"
    return document(f"{operation}Response", (own, metadata), namespace=namespace)


def error_document(code: str, message: str, fault: str, namespace: str, request_id: str) -> bytes:
    """`fault` is `Sender` or `Receiver`."""
    error = element("Type", fault) + element("Code", code) + element("Message", message)
    return document("ErrorResponse", (f"<Error>{error}</Error>", element("RequestId", request_id)), namespace=namespace)


def _members(members: Mapping[str, object]) -> str:
    return "".join(_element(name, value) for name, value in members.items())


def _entry(pair: tuple[str, object]) -> str:
    """One of a map, whose names are data."""
    name, value = pair
    return f"<entry>{element('key', name)}{_element('value', value)}</entry>"


def _element(name: str, value: object) -> str:
    match value:
        case bool():
            return flag(name, value)
        case str() | int():
            return element(name, value)
        case Mapping():
            return f"<{name}>{_members(value)}</{name}>"
        case tuple():
            return f"<{name}>{''.join(map(_entry, value))}</{name}>"
        case Sequence():
            return f"<{name}>{''.join(_element('member', each) for each in value)}</{name}>"
        case _:
            raise TypeError(f"{name} is a {type(value).__name__}")

"""The constraints of a service's model, and how AWS's services say that a request breaks them.

Each clause has the form that clients know: `Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have
value greater than or equal to 1`. Which error they are told in is each service's own, and so is whether the value is
repeated: IAM and STS do not (recorded in February 2026), the KMS does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from iam.face.shapes import Kind, Shape

Value = str | bytes | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]
"""A converted value; blobs are bytes, timestamps seconds since the epoch."""

_NOT_NULL = "Member must not be null"

MAX_QUOTED = 4096
"""Characters of a refused value that an answer repeats (AWS itself repeats all of it)."""


def count_of(errors: Sequence[str]) -> str:
    """The message that tells them all."""
    noun = "error" if len(errors) == 1 else "errors"
    return f"{len(errors)} validation {noun} detected: {'; '.join(errors)}"


def broken_constraints(
    values: Mapping[str, Value], shape: Shape, shapes: Mapping[str, Shape], *, quotes_values: bool = False
) -> list[str]:
    """The clauses for all that `values`, a structure of `shape`, breaks; `shapes` are those of its model, by name."""
    errors: list[str] = []
    _Checker(shapes, errors, quotes_values=quotes_values).structure(values, shape, "")
    return errors


def constraint_error(value: object, path: str, constraint: str) -> str:
    """One clause of a ValidationException, quoting the value; `path` is as in `member_path`."""
    return f"Value '{_quote(value)}' at '{path}' failed to satisfy constraint: {constraint}"


def unquoted_error(path: str, constraint: str) -> str:
    """The clause that does not say what the value was."""
    return f"Value at '{path}' failed to satisfy constraint: {constraint}"


def missing(path: str) -> str:
    """The clause for a required member that is absent, where values are quoted."""
    return f"Value null at '{path}' failed to satisfy constraint: {_NOT_NULL}"


def member_path(parent: str, member: str) -> str:
    """Where a member stands, as AWS writes it: first letter small, parts joined with dots."""
    own = member[:1].lower() + member[1:]
    return f"{parent}.{own}" if parent else own


class _Checker:
    """Adds to `errors` what it finds."""

    def __init__(self, shapes: Mapping[str, Shape], errors: list[str], *, quotes_values: bool) -> None:
        self._shapes = shapes
        self._errors = errors
        self._quotes = quotes_values

    def structure(self, values: Mapping[str, Value], shape: Shape, path: str) -> None:
        for absent in (member_path(path, name) for name in shape.required if name not in values):
            self._errors.append(missing(absent) if self._quotes else unquoted_error(absent, _NOT_NULL))
        for name, value in values.items():
            self.value(value, self._shapes[shape.members[name]], member_path(path, name))

    def value(self, value: Value, shape: Shape, path: str) -> None:
        for constraint in _broken(value, shape):
            self._errors.append(self._error(value, path, constraint, is_secret=shape.is_sensitive))
        if shape.kind is Kind.STRUCTURE and isinstance(value, Mapping):
            self.structure(value, shape, path)
        elif shape.kind is Kind.LIST and isinstance(value, list):
            self._list(value, shape, path)

    def _list(self, values: list[Value], shape: Shape, path: str) -> None:
        """Structures in a list are named one by one; for plain values AWS quotes the list and their constraints."""
        assert shape.item is not None
        item = self._shapes[shape.item]
        if item.kind is Kind.STRUCTURE:
            for number, value in enumerate(values, start=1):
                self.value(value, item, f"{path}.{number}.member")
        elif any(_broken(value, item) for value in values):
            constraints = _constraints(item) if self._quotes else [*_constraints(item), _NOT_NULL]
            self._errors.append(
                self._error(values, path, f"Member must satisfy constraint: [{', '.join(constraints)}]")
            )

    def _error(self, value: object, path: str, constraint: str, *, is_secret: bool = False) -> str:
        if self._quotes and not is_secret:
            return constraint_error(value, path, constraint)
        return unquoted_error(path, constraint)


def _broken(value: Value, shape: Shape) -> list[str]:
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

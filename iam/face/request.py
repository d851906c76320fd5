"""One parsed request, checked against the model and read by member."""

from __future__ import annotations

import re
from collections.abc import Mapping

from iam.face.constraints import Value, broken_constraints, count_of, member_path
from iam.face.errors import IAMError
from iam.face.parameters import convert
from iam.face.shapes import Model

Tags = tuple[tuple[str, str], ...]

_IN_WORDS = {
    r"[\w+=,.@-]+": "contain only alphanumeric characters and/or the following: +=,.@_-",
    r"(\u002F)|(\u002F[\u0021-\u007E]+\u002F)": (
        "begin and end with / and contain only alphanumeric characters and/or / characters."
    ),
}
"""What IAM itself says where a name or a path breaks its pattern; of all other patterns the pattern is quoted."""


class ParsedRequest:
    """The members of a request: readers return what a client sent, or None.

    A reader is told a member of its own kind; anything else is a mistake in the table of operations.
    """

    __slots__ = ("_values",)

    def __init__(self, parameters: Mapping[str, str], operation: str, model: Model) -> None:
        """Raises IAMError: MalformedInput or ValidationError."""
        self._values: dict[str, Value] = {}
        if operation not in model.inputs:  # one that takes nothing
            return
        shape = model.shapes[model.inputs[operation]]
        self._values = convert(parameters, model.inputs[operation], model)
        for name, value in self._values.items():
            member = model.shapes[shape.members[name]]
            words = _IN_WORDS.get(member.pattern or "")
            if words is not None and isinstance(value, str) and value and not _matches(member.regex, value):
                path = member_path("", name)
                raise IAMError("ValidationError", f"The specified value for {path} is invalid. It must {words}")
        errors = broken_constraints(self._values, shape, model.shapes)
        if errors:
            raise IAMError("ValidationError", count_of(errors))

    def __repr__(self) -> str:
        return f"ParsedRequest({', '.join(self._values)})"

    def text_or_none(self, member: str) -> str | None:
        value = self._values.get(member)
        assert value is None or isinstance(value, str)
        return value

    def text(self, member: str) -> str:
        """A member that the model requires."""
        value = self._values[member]
        assert isinstance(value, str)
        return value

    def integer_or_none(self, member: str) -> int | None:
        value = self._values.get(member)
        assert value is None or isinstance(value, int)
        return value

    def flag(self, member: str) -> bool:
        """False if absent."""
        return self._values.get(member) is True

    def texts(self, member: str) -> tuple[str, ...]:
        """A list of strings, empty if absent."""
        values = self._values.get(member, [])
        assert isinstance(values, list)
        return tuple(str(each) for each in values)

    def members(self, member: str, name: str) -> tuple[str, ...]:
        """A list of structures, empty if absent: of each the string `name`, where it has one."""
        return tuple(str(each[name]) for each in self.structures(member) if name in each)

    def structures(self, member: str) -> tuple[Mapping[str, Value], ...]:
        """A list of structures, empty if absent."""
        values = self._values.get(member, [])
        assert isinstance(values, list)
        return tuple(each for each in values if isinstance(each, Mapping))

    def tags(self, member: str = "Tags") -> Tags:
        """A list of Key and Value, empty if absent."""
        return tuple((str(each["Key"]), str(each["Value"])) for each in self.structures(member))

    def refuse_members(self, *members: str) -> None:
        """Refuse what is not served, and never ignore it. Raises IAMError(NotImplemented), naming the member."""
        for member in members:
            if member in self._values:
                raise IAMError("NotImplemented", f"{member} is not supported.")


def _matches(regex: re.Pattern[str] | None, value: str) -> bool:
    return regex is None or regex.fullmatch(value) is not None

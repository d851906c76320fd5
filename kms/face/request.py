"""One parsed request, read by member; and what of it is not served yet, refused by name."""

from __future__ import annotations

from collections.abc import Mapping

from iam.face.constraints import Value, constraint_error, member_path, missing
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.api.types import Tag
from kms.face.validation import check, refuse

_NOTHING: Mapping[str, Value] = {}


class ParsedRequest:
    """The members of a request, checked against the model: readers return what a client sent, or None.

    A reader is told a member of its own kind; anything else is a mistake in the table of operations.
    """

    __slots__ = ("_values",)

    def __init__(self, document: Mapping[str, object], shape_name: str) -> None:
        """Raises KMSError: SerializationException or ValidationException."""
        self._values = check(document, shape_name)

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

    def needed_text(self, member: str) -> str:
        """A member that the model does not require, but the operation does. Raises ValidationException."""
        value = self.text_or_none(member)
        if value is None:
            refuse([missing(member_path("", member))])
        assert value is not None
        return value

    def texts(self, member: str) -> tuple[str, ...]:
        """A list of strings, empty if absent."""
        values = self._values.get(member, [])
        assert isinstance(values, list)
        return tuple(str(each) for each in values)

    def tags(self, member: str) -> tuple[Tag, ...]:
        """A list of TagKey and TagValue, empty if absent."""
        values = self._values.get(member, [])
        assert isinstance(values, list)
        return tuple(Tag(str(each["TagKey"]), str(each["TagValue"])) for each in values if isinstance(each, Mapping))

    def structure(self, member: str) -> Mapping[str, Value]:
        """The members of a structure, empty if absent."""
        value = self._values.get(member, _NOTHING)
        assert isinstance(value, Mapping)
        return value

    def integer_or_none(self, member: str) -> int | None:
        value = self._values.get(member)
        assert value is None or isinstance(value, int)
        return value

    def timestamp_us_or_none(self, member: str) -> int | None:
        """Microseconds since the epoch, within what databases hold: no limit lies beyond year 5000 or before 1970."""
        value = self._values.get(member)
        assert value is None or isinstance(value, int | float)
        return None if value is None else round(min(max(value, 0), 100_000_000_000) * 1_000_000)

    def flag(self, member: str) -> bool:
        """False if absent."""
        return self._values.get(member) is True

    def blob(self, member: str) -> bytes:
        """Raises ValidationException if absent: newer models leave to the operation when a blob is needed."""
        value = self._values.get(member)
        if value is None:
            refuse([missing(member_path("", member))])
        assert isinstance(value, bytes)
        return value

    def secret(self, member: str) -> SecretBytes:
        return SecretBytes(self.blob(member))

    def encryption_context(self, member: str = "EncryptionContext") -> dict[str, str]:
        """Empty if absent, which is the same."""
        value = self._values.get(member, _NOTHING)
        assert isinstance(value, Mapping)
        return {key: str(each) for key, each in value.items()}

    def integer_within(self, member: str, default: int, minimum: int, maximum: int) -> int:
        """An integer whose true bounds are narrower than the model's. Raises ValidationException in the same form."""
        value = self.integer_or_none(member)
        if value is None:
            return default
        path = member_path("", member)
        if value < minimum:
            refuse([constraint_error(value, path, f"Member must have value greater than or equal to {minimum}")])
        if value > maximum:
            refuse([constraint_error(value, path, f"Member must have value less than or equal to {maximum}")])
        return value

    def refuse_members(self, *members: str) -> None:
        """Refuse what is not served: never ignored, unless what it asks for is nothing (false, an empty list).

        Raises KMSError(UnsupportedOperationException), naming the member.
        """
        for member in members:
            if self._values.get(member):
                raise KMSError("UnsupportedOperationException", f"{member} is not supported.")

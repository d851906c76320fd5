"""The policy of a browser form: what its signer allows the form to say, and until when.

Amazon S3 API Reference, "Creating a POST Policy". Errors as recorded from S3.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from gateway.protocol.errors import S3Error

MAX_CONDITIONS = 256
"""A form of 20 KB has fewer fields."""

_UNCOVERED = frozenset({"awsaccesskeyid", "file", "policy", "signature", "x-amz-signature"})
_UNCOVERED_PREFIXES = ("x-amz-checksum-", "x-ignore-")
"""Fields that need no condition. A checksum asks for nothing: it can only have the file refused."""

_EXPIRATION = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z")
_LENGTH = re.compile(r"[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Condition:
    """`operator` is eq or starts-with; `field` in lower case, without "$"."""

    operator: str
    field: str
    value: str

    def holds(self, actual: str) -> bool:
        if self.operator == "eq":
            return actual == self.value
        if self.field == "content-type" and "," in actual:  # each of the types of a list
            return all(each.strip().startswith(self.value) for each in actual.split(","))
        return actual.startswith(self.value)

    def __str__(self) -> str:
        return json.dumps([self.operator, f"${self.field}", self.value], ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class FormPolicy:
    """`length` is the allowed range of the file's size in bytes, both ends included; None if any is."""

    expiration: datetime
    conditions: tuple[Condition, ...]
    length: tuple[int, int] | None

    @classmethod
    def parse(cls, text: str) -> FormPolicy:
        """`text` is the policy field: Base64 of a JSON document. Raises S3Error InvalidPolicyDocument."""
        document = _json(text)
        if not isinstance(document, dict):
            _invalid("Invalid JSON.")
        unknown = set(document) - {"expiration", "conditions"}
        if unknown:
            _invalid(f"Unexpected: '{min(unknown)[:64]}'.")
        if "expiration" not in document:
            _invalid("Policy missing expiration.")
        if not isinstance(document.get("conditions"), list):
            _invalid("Policy missing conditions.")
        conditions: list[Condition] = []
        length: tuple[int, int] | None = None
        for each in document["conditions"]:
            if isinstance(each, list) and each and _lower(each[0]) == "content-length-range":
                low, high = _length_range(each)
                length = (low, high) if length is None else (max(length[0], low), min(length[1], high))
            else:
                conditions += _conditions(each)
        if len(conditions) > MAX_CONDITIONS:
            _invalid(f"Policy has more than {MAX_CONDITIONS} conditions.")
        return cls(_expiration(document["expiration"]), tuple(conditions), length)

    def check(self, fields: Mapping[str, str], bucket: str, now: datetime) -> None:
        """Hold the form against the policy; the file's length is checked as it arrives.

        `fields` by name in lower case, with the key as it will be. Raises S3Error AccessDenied, naming the condition.
        """
        if now >= self.expiration:
            _denied("Policy expired.", "expired")
        values = {**fields, "bucket": bucket}  # whatever a field of that name says
        for condition in self.conditions:
            if not condition.holds(values.get(condition.field, "")):
                _denied(f"Policy Condition failed: {condition}", f"has a condition on {condition.field} that fails")
        covered = {condition.field for condition in self.conditions} | _UNCOVERED
        extra = sorted(name for name in fields if name not in covered and not name.startswith(_UNCOVERED_PREFIXES))
        if extra:
            _denied(f"Extra input fields: {', '.join(extra)}", "does not name every field")


def _json(text: str) -> object:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
        return json.loads(data.decode("utf-8"), object_pairs_hook=_without_twice)
    except (binascii.Error, ValueError, RecursionError):
        _invalid("Invalid JSON.")


def _without_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A member named twice could mean one thing to the signer and another to us."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a member is named twice")
    return made


def _expiration(value: object) -> datetime:
    match = _EXPIRATION.fullmatch(value) if isinstance(value, str) else None
    try:
        return datetime.strptime(match[1] if match else "", "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        _invalid(f"Invalid 'expiration' value: '{str(value)[:64]}'")


def _conditions(each: object) -> list[Condition]:
    """Of an object, one for each member; of a list, the one that it is."""
    if isinstance(each, dict):
        if not each:
            _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        return [Condition("eq", name.lower(), _text(value)) for name, value in each.items()]
    if not isinstance(each, list) or len(each) != 3:
        _invalid("Invalid Condition: expected an operation, a field and a value.")
    operator, field, value = _lower(each[0]), _text(each[1]), _text(each[2])
    if operator not in ("eq", "starts-with"):
        _invalid(f"Invalid Condition: unknown operation '{operator[:64]}'.")
    if not field.startswith("$"):
        _invalid(f"Invalid Condition: field '{field[:64]}' must begin with '$'.")
    return [Condition(operator, field[1:].lower(), value)]


def _length_range(each: list[object]) -> tuple[int, int]:
    if len(each) != 3:
        _invalid("Invalid content-length-range: expected a minimum and a maximum.")
    low, high = (_length(bound) for bound in each[1:])
    return low, high


def _length(bound: object) -> int:
    text = str(bound) if isinstance(bound, int | str) and not isinstance(bound, bool) else ""
    if not _LENGTH.fullmatch(text):
        _invalid(f"Invalid content-length-range: '{str(bound)[:64]}' is no length.")
    return int(text)


def _lower(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


def _text(value: object) -> str:
    if not isinstance(value, str):
        _invalid("Invalid Condition: values must be strings.")
    return value


def _invalid(message: str) -> NoReturn:
    raise S3Error("InvalidPolicyDocument", f"Invalid Policy: {message}") from None


def _denied(message: str, in_short: str) -> NoReturn:
    """What the message quotes of the form is for its sender alone."""
    raise S3Error(
        "AccessDenied",
        f"Invalid according to Policy: {message}",
        decided_by="policy of the browser form",
        reason=f"refused because the policy of the browser form {in_short[:256]}",
    )

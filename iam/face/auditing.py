"""Which calls of IAM and STS are lines of the audit trail, and what a line tells of them.

All that change something, and all that give out credentials, whether they were allowed, refused or failed. The trail
itself is somebody else's: `ChangeTrail` is what is asked of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from iam.face.call import Document
from iam.face.constraints import Value
from iam.face.shapes import Kind, Model, Shape
from iam.policy.decisions import Decided
from iam.principals import Caller
from iam.store.interface import StoreUnavailable

MAX_TEXT_CHARACTERS = 20_480
"""Of one value: every policy that is accepted is shorter."""

MAX_CHARACTERS = 262_144
"""Of all parameters in JSON, or of the whole answer."""

_READING = ("Describe", "Generate", "Get", "List", "Simulate")
_READING_OF_STS = frozenset({"DecodeAuthorizationMessage", "GetAccessKeyInfo", "GetCallerIdentity"})
"""STS gives out credentials by names that begin with Get, too."""

_SECRET = re.compile(r"Secret|Token|Password|PrivateKey|Assertion|AuthenticationCode")
"""Members that are never told, whatever the model says of their shapes."""

_TOLD = frozenset({"SubjectFromWebIdentityToken"})
"""Who a token is about is no secret."""


class TrailUnavailable(StoreUnavailable):
    """A line cannot be written at present: nothing is changed, or what was changed is not acknowledged."""

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class CallRecord:
    """`event_source` is a service's (`iam.amazonaws.com`); `parameters` and `answer` are JSON objects without secrets;
    `error_code` None: it did what it asked."""

    event_source: str
    event_name: str
    parameters: str = "{}"
    answer: str = "{}"
    decided: Decided | None = None
    error_code: str | None = None
    error_message: str | None = None


class ChangeTrail(Protocol):
    async def require(self, caller: Caller) -> None:
        """Before anything is changed. Raises TrailUnavailable while it could not be told."""
        ...

    async def record(self, caller: Caller, record: CallRecord) -> None:
        """Before it is answered: a change is on the disk on return. Raises TrailUnavailable."""
        ...


def is_recorded(service: str, operation: str) -> bool:
    """Whether a call of this operation is a line."""
    if service == "sts":
        return operation not in _READING_OF_STS
    return not operation.startswith(_READING)


def told_parameters(values: Mapping[str, Value], shape: Shape, model: Model) -> str:
    """The parameters of a request, in CloudTrail's spelling."""
    return _bounded(_structure(values, shape, model))


def told_answer(document: Document | None) -> str:
    """What was made, but for its secrets."""
    return _bounded(_elements(document or {}))


def _structure(values: Mapping[str, Value], shape: Shape, model: Model) -> dict[str, Any]:
    return {
        _spelt(name): _value(value, model.shapes[shape.members[name]], model)
        for name, value in values.items()
        if not _is_secret(name) and not model.shapes[shape.members[name]].is_sensitive
    }


def _value(value: Value, shape: Shape, model: Model) -> Any:
    if shape.kind is Kind.STRUCTURE and isinstance(value, Mapping):
        return _structure(value, shape, model)
    if shape.kind is Kind.LIST and isinstance(value, list) and shape.item is not None:
        return [_value(each, model.shapes[shape.item], model) for each in value]
    return value[:MAX_TEXT_CHARACTERS] if isinstance(value, str) else value


def _elements(document: Mapping[str, Any]) -> dict[str, Any]:
    return {_spelt(name): _element(value) for name, value in document.items() if name in _TOLD or not _is_secret(name)}


def _element(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _elements(value)
    return [_element(each) for each in value] if isinstance(value, list) else value


def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def _spelt(name: str) -> str:
    return name[:1].lower() + name[1:]


def _bounded(members: Mapping[str, Any]) -> str:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= MAX_CHARACTERS else '{"omitted":"too long to be told"}'

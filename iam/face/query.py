"""From the parameters of a query to the operation that they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iam.face.call import Handler
from iam.face.errors import IAMError
from iam.face.models.iam import IAM
from iam.face.models.sts import STS
from iam.face.request import ParsedRequest
from iam.face.shapes import Model
from iam.face.table import SERVED

UNSIGNED = frozenset({("sts", "AssumeRoleWithWebIdentity")})
"""Operations that need no credentials, by service and name."""

_BY_VERSION = {model.version: model for model in (IAM, STS)}


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation that is served."""

    model: Model
    name: str
    handler: Handler

    @property
    def is_unsigned(self) -> bool:
        """Whether it is asked for without credentials: a token of an identity provider stands in their place."""
        return (self.model.name, self.name) in UNSIGNED

    def request(self, parameters: Mapping[str, str]) -> ParsedRequest:
        """Raises IAMError: MalformedInput or ValidationError."""
        return ParsedRequest(parameters, self.name, self.model)


def is_unsigned(parameters: Mapping[str, str]) -> bool:
    """Whether a request asks for an operation of `UNSIGNED`."""
    model = model_of(parameters)
    return model is not None and (model.name, parameters.get("Action", "")) in UNSIGNED


def model_of(parameters: Mapping[str, str]) -> Model | None:
    """The service that the parameter Version names; None if it names none of them."""
    return _BY_VERSION.get(parameters.get("Version", ""))


def find_operation(parameters: Mapping[str, str]) -> Operation:
    """What Action and Version name.

    Raises IAMError: MissingAction, InvalidAction, and NotImplemented for what the API has and is not served.
    """
    name = parameters.get("Action")
    if not name:
        raise IAMError("MissingAction", "The request is missing an action or a required parameter.")
    model = model_of(parameters)
    if model is None or name not in model.operations:
        version = parameters.get("Version") or "NO_VERSION_SPECIFIED"
        raise IAMError("InvalidAction", f"Could not find operation {name[:128]} for version {version[:32]}")
    handler = SERVED[model.name].get(name)
    if handler is None:
        raise IAMError("NotImplemented", f"{name} is not supported.")
    return Operation(model, name, handler)

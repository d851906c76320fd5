"""What the walk is made of: requests that are ready to be sent by somebody, what they need, and what they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from tests.clients.raw import Answer

Clients = Callable[[str], Any]
"""The client of one principal for the service of this name."""

Need = tuple[str, str]
"""An action, and the resource as a policy has to name it."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A request about something that is there.

    `needs` is all that it has to be allowed; `asks_too` are actions that it asks for besides, and goes on without.
    `observe` tells what the operation could change, as the root user sees it; None if it only reads. With `is_idle`
    this request leaves it as it was, even if it is done. `otherwise` is an error that the operation answers by its
    nature once it is allowed.
    """

    ask: Callable[[Clients], Any]
    needs: Sequence[Need]
    asks_too: Sequence[str] = ()
    observe: Callable[[], object] | None = None
    is_idle: bool = False
    otherwise: str = ""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One way to ask for one operation; `variant` tells it from the others."""

    service: str
    operation: str
    prepare: Callable[[Any], Prepared]
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}" + (f", {self.variant}" if self.variant else "")


@dataclass(frozen=True)
class Outcome:
    """How a request ended: the error's code and message, both empty if it was done."""

    code: str
    message: str = field(default="", compare=False)

    @property
    def is_refused(self) -> bool:
        """AWS's refusal for want of rights: of S3, IAM and STS; of the KMS; and of a HEAD, which has no body."""
        return self.code in {"AccessDenied", "AccessDeniedException", "403"}


def outcome_of(prepared: Prepared, clients: Clients) -> Outcome:
    try:
        answer = prepared.ask(clients)
    except ClientError as error:
        told = error.response["Error"]
        return Outcome(told["Code"], told.get("Message", ""))
    if isinstance(answer, Answer):
        return Outcome(answer.code, answer.message) if answer.status >= 400 else Outcome("")
    if isinstance(answer, Mapping) and answer.get("Errors"):  # of DeleteObjects
        (told,) = answer["Errors"]
        return Outcome(told["Code"], told["Message"])
    return Outcome("")


def method_of(client: Any, operation: str) -> Any:
    """The client's method for an operation of the model."""
    methods = {name: method for method, name in client.meta.method_to_api_mapping.items()}
    return getattr(client, methods[operation])


def told(call: Callable[..., Any], **parameters: Any) -> object:
    """What a call answers, without what differs from one to the next; the error's code where it is refused."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def elsewhere(resource: str) -> str | None:
    """Another resource of the same kind; None where there is only one."""
    return None if resource == "*" else f"{resource}-other"


def statements(needs: Sequence[Need]) -> list[dict[str, Any]]:
    return [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in needs]

"""RequireTrail and RecordCall, which are not of AWS's API: lines of the audit trail about calls of other services."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from iam.policy.decisions import Decided
from kms.api.types.request import Request


@dataclass(frozen=True, slots=True)
class RequireTrail(Request[None]):
    """Refused with KMSUnavailable while a line could not be written: asked before something is done that needs one."""

    is_about_trail: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class RecordCall(Request[None]):
    """A line about a call of the caller's that another service answered; of a change it is on the disk on return.

    `event_source` is the service's (`iam.amazonaws.com`), never the KMS's own. `parameters` and `answer` are JSON
    objects, without anything that is secret. `error_code` None: it did what it asked. `is_change` False: it changed
    nothing, and its line is written as those of uses of keys are. With `uses`, pairs of a request's id and the ARN of
    its resource, there is a line for each of those instead, which is as if the caller had named them. No client can
    ask for it: the HTTP face has no such operation.
    """

    is_about_trail: ClassVar[bool] = True

    event_source: str
    event_name: str
    parameters: str = "{}"
    answer: str = "{}"
    decisions: tuple[Decided, ...] = ()
    error_code: str | None = None
    error_message: str | None = None
    is_change: bool = True
    uses: tuple[tuple[str, str], ...] = ()

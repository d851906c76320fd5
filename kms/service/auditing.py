"""RequireTrail and RecordCall: what the audit trail is asked for by services beside the KMS. Needs no root."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from kms.api import types as t
from kms.api.errors import KMSError
from kms.service.call import Call
from kms.service.core import Core

SOURCES: Final = frozenset(
    {"iam.amazonaws.com", "organizations.amazonaws.com", "s3.amazonaws.com", "sts.amazonaws.com"}
)
"""Whose calls can be told this way: lines of the KMS's own calls are made where they are answered."""


async def require_trail(_core: Core, _call: Call[t.RequireTrail]) -> None:
    """It was writable, or the call would not have come this far."""


async def record_call(core: Core, call: Call[t.RecordCall]) -> None:
    request = call.request
    if request.event_source not in SOURCES:
        raise KMSError("ValidationException", "Calls of this service are not told this way.")
    await core.recorder.told(call.caller, request, _object(request.parameters), _object(request.answer))


def _object(text: str) -> dict[str, Any]:
    try:
        value: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise KMSError("ValidationException", "Parameters of a call are told as a JSON object.") from None
    return value

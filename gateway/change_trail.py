"""Changes of identities as lines of the audit trail, which kmsd writes: the trail has one writer."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from iam.face.auditing import CallRecord, TrailUnavailable
from iam.principals import NO_POLICIES, Caller
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.service import KeyService
from kms.api.types import RecordCall, RequireTrail

RETRY_AFTER_SECONDS = 5


class KMSChangeTrail:
    """Implements `iam.face.auditing.ChangeTrail`."""

    def __init__(self, kms: KeyService) -> None:
        self._kms = kms

    async def require(self, caller: Caller) -> None:
        try:
            await self._kms.call(_teller(caller), RequireTrail())
        except KMSError as error:
            _unavailable(error)

    async def record(self, caller: Caller, record: CallRecord) -> None:
        request = RecordCall(
            record.event_source,
            record.event_name,
            record.parameters,
            record.answer,
            () if record.decided is None else (record.decided,),
            record.error_code,
            record.error_message,
        )
        try:
            await self._kms.call(_teller(caller), request)
        except KMSError as error:
            _unavailable(error)


def _teller(caller: Caller) -> Caller:
    """The caller, as a line tells it: without its policies, which may be long, and on its own behalf."""
    return replace(caller, policies=NO_POLICIES, via_service=None)


def _unavailable(error: KMSError) -> NoReturn:
    seconds = error.retry_after_seconds if isinstance(error, KMSUnavailable) else RETRY_AFTER_SECONDS
    raise TrailUnavailable("The audit trail is not available.", seconds) from error

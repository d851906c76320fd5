"""Why a request was refused, or what let it in, written into its entry of the access log.

What was decided by policies stands in the entry's decisions; here is what else refuses: signatures, the state of a KMS
key, the settings of a bucket. Nothing is told that a client may keep secret: of a request's own text only names.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TypeVar

from gateway.protocol.errors import S3Error
from gateway.server.access_log import Entry
from gateway.server.brakes import Throttled
from iam.errors import AuthenticationError, Reason
from iam.face.errors import IAMError
from iam.policy.decisions import Decided
from iam.principals import Caller
from iam.scope import parse_timestamp
from iam.sigv4 import parse_time
from kms.api.errors import KMSError
from kms.api.service import KeyService
from kms.api.types import Health, Request

R = TypeVar("R")

KEY_STATE = "key state"

_OF_STATES = frozenset({"DisabledException", "KMSInvalidStateException"})
_TOLD = _OF_STATES | {
    "InvalidKeyUsageException",
    "KMSInternalException",
    "KeyUnavailableException",
    "LimitExceededException",
    "NotFoundException",
    "ThrottlingException",
}
"""The refusals whose messages say nothing of a request but the key that it names."""

_ACCESS_KEY_ID = re.compile(r"[A-Z0-9]{16,128}")
"""What is not written this way may be a secret in the wrong place."""

_ANONYMOUS = "anonymous request"
_REFUSALS = frozenset({401, 403})


def explain_s3(entry: Entry, error: S3Error) -> None:
    """What refused a request to S3, where it was no policy."""
    if error.reason is not None:
        entry.decided_by, entry.reason = error.decided_by, error.reason
    elif error.status in _REFUSALS and not entry.is_explained:
        entry.decided_by, entry.reason = f"{error.code} of S3", f"refused: {error.code}"


def explain_iam(entry: Entry, error: IAMError) -> None:
    """What refused a call of IAM or STS. Their messages name users, policies and actions alone."""
    if error.status in _REFUSALS and not entry.is_explained:
        entry.decided_by, entry.reason = f"{error.code} of IAM", error.message


def explain_anonymous(entry: Entry) -> None:
    """Nobody signed what somebody must sign."""
    entry.decided_by, entry.reason = _ANONYMOUS, "refused because nobody signed the request"


def explain_sealed(entry: Entry) -> None:
    entry.decided_by = "sealed"
    entry.reason = "refused because the service is sealed: its root key is not available"


def explain_throttled(entry: Entry, error: Throttled) -> None:
    entry.decided_by = f"rate limit, {error.brake.value}"
    entry.reason = f"refused because too many requests came; the next may come after {error.retry_after_seconds} s"


def explain_kms(entry: Entry, error: KMSError) -> None:
    """What refused the use of a key: a policy, which stands in the error's decisions, or the key's state."""
    entry.decisions.note_decided(error.decisions)
    entry.kms_key = _key_of(error.decisions) or entry.kms_key
    if error.code in _TOLD:
        entry.decided_by = KEY_STATE if error.code in _OF_STATES else f"KMS.{error.code}"
        entry.reason = f"refused because {error.message}" if error.message else None


def explain_authentication(entry: Entry, error: AuthenticationError) -> None:
    """What exactly was wrong with a signature; never what was signed, nor by what."""
    entry.decided_by = f"authentication, {error.reason.value}"
    entry.reason = f"refused because {_what_was_wrong(error)}"


def _what_was_wrong(error: AuthenticationError) -> str:
    fields, reason = error.fields, error.reason
    named = fields.get("AWSAccessKeyId")
    access_key = "the access key" if named is None else f"access key {_shown(named)}"
    if reason is Reason.UNKNOWN_ACCESS_KEY:
        return f"{access_key} {error.detail or 'is not known'}"
    if error.detail is not None:
        return error.detail
    if reason is Reason.SIGNATURE_MISMATCH:
        return f"the signature was made by another secret than that of {access_key}, or of another request"
    if reason in (Reason.REQUEST_TIME_TOO_SKEWED, Reason.NOT_YET_VALID):
        seconds = _seconds_between(fields.get("RequestTime"), fields.get("ServerTime"))
        if seconds is not None:
            return f"the request was signed {abs(seconds)} s {'before' if seconds > 0 else 'after'} its arrival"
    if reason is Reason.EXPIRED:
        seconds = _seconds_between(fields.get("Expires"), fields.get("ServerTime"))
        if seconds is not None:
            return f"the signature expired {seconds} s before the request's arrival"
    return f"its authentication is wrong: {reason.value}"


def _shown(access_key_id: str) -> str:
    return access_key_id if _ACCESS_KEY_ID.fullmatch(access_key_id) else "(not written as one)"


def _seconds_between(earlier: str | None, later: str | None) -> int | None:
    first, second = _time(earlier), _time(later)
    return None if first is None or second is None else round((second - first).total_seconds())


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_timestamp(text.replace("-", "").replace(":", "")) or parse_time(text)


def _key_of(decisions: tuple[Decided, ...] | list[Decided]) -> str | None:
    """The key of the last decision that was about one."""
    return next((each.resource_arn for each in reversed(decisions) if ":key/" in each.resource_arn), None)


class ExplainedKeyService:
    """The key service for one request, whose entry is told what is decided."""

    def __init__(self, service: KeyService, entry: Entry) -> None:
        self._service = service
        self._entry = entry

    async def call(self, caller: Caller, request: Request[R], decisions: list[Decided] | None = None) -> R:
        told = [] if decisions is None else decisions
        try:
            answer = await self._service.call(caller, request, told)
        except KMSError as error:
            explain_kms(self._entry, error)
            raise
        self._entry.decisions.note_decided(told)
        self._entry.kms_key = _key_of(told)
        return answer

    async def health(self) -> Health:
        return await self._service.health()

"""From calls to lines of the audit trail: exactly one for each call, before it is answered.

A line tells who asked for what, what was decided about it, by which rule and key, and how it ended. Lines of changes
that took effect are on the disk before the answer, the others are written. The service's own acts are lines as well.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import uuid4

import msgspec

from iam.policy.decisions import Decided
from iam.policy.global_keys import iso
from iam.policy.principals import issuer_arn, issuer_id
from iam.principals import Caller, Principal, PrincipalKind, Session, service_caller
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.types import RecordCall, Request
from kms.audit.event import (
    API_CALL,
    EVENT_SOURCE,
    SERVICE_EVENT,
    Decision,
    Event,
    Resource,
    SessionAttributes,
    SessionContext,
    SessionIssuer,
    UserIdentity,
)
from kms.audit.trail import AuditTrail, AuditUnavailable
from kms.keys.state import CRYPTOGRAPHIC
from kms.service.request_parameters import request_parameters
from kms.store.records import StoredAct

log = logging.getLogger(__name__)

ABANDONED: Final = "RequestAbandoned"
"""The error code of a call that its caller, or the deadline of kmsd, gave up before it was answered."""

RETRY_SECONDS: Final = 5

MAX_DETAILS: Final = 4096
"""Characters of what a command says of its act, far more than any says."""

_IDENTITY_TYPES: Final = {
    PrincipalKind.ROOT: "Root",
    PrincipalKind.USER: "IAMUser",
    PrincipalKind.ROLE_SESSION: "AssumedRole",
    PrincipalKind.FEDERATED_USER: "FederatedUser",
    PrincipalKind.WEB_IDENTITY: "WebIdentityUser",
    PrincipalKind.SERVICE: "AWSService",
    PrincipalKind.ANONYMOUS: "Unknown",
}
_DATA_OPERATIONS: Final = frozenset(operation.value for operation in CRYPTOGRAPHIC) | {
    "GenerateRandom",
    "ReEncrypt",
    "UnwrapDataKey",
    "WrapDataKey",
}
_RESOURCE_TYPES: Final = {
    ("kms", "key"): "AWS::KMS::Key",
    ("kms", "alias"): "AWS::KMS::Alias",
    ("iam", "group"): "AWS::IAM::Group",
    ("iam", "oidc-provider"): "AWS::IAM::OIDCProvider",
    ("iam", "policy"): "AWS::IAM::ManagedPolicy",
    ("iam", "role"): "AWS::IAM::Role",
    ("iam", "user"): "AWS::IAM::User",
}
"""As CloudFormation names them, by service and by what stands before the slash; of others the service alone."""
_COUNTED_DIGITS: Final = 12
_READING: Final = ("Describe", "Get", "List")
_SERVICE: Final = service_caller("").principal


def is_change(operation_name: str) -> bool:
    """Whether an operation changes what the key store holds."""
    return operation_name not in _DATA_OPERATIONS and not operation_name.startswith(_READING)


class Recorder:
    """Writes to `trail`; without one nothing is recorded (a service inside `sealgate init`, or a test)."""

    def __init__(self, trail: AuditTrail | None, *, region: str, clock_us: Callable[[], int]) -> None:
        self._trail = trail
        self._region = region
        self._clock_us = clock_us
        self._events = itertools.count()
        self._announced: set[tuple[str, str]] = set()
        self._event_prefix = str(uuid4())[:-_COUNTED_DIGITS]

    @property
    def trouble(self) -> str | None:
        """Why nothing can be recorded at present."""
        return None if self._trail is None else self._trail.trouble

    @property
    def unsigned(self) -> str | None:
        """Why the trail's checkpoints are not signed at present."""
        return None if self._trail is None else self._trail.unsigned

    def require_writable(self) -> None:
        """Before anything is done. Raises KMSUnavailable while it could not be recorded."""
        if self._trail is not None:
            try:
                self._trail.require_writable()
            except AuditUnavailable as error:
                raise _unavailable() from error

    async def answered(self, caller: Caller, request: Request[Any], decisions: Sequence[Decided], answer: Any) -> None:
        """Record a call that did what it asked. Raises KMSUnavailable if that fails: then nothing is to be answered."""
        if self._trail is not None:
            event = self._event(caller, request, decisions, answer=answer)
            await self._write((event,), is_durable=is_change(event.event_name))

    async def refused(
        self, caller: Caller, request: Request[Any], decisions: Sequence[Decided], error: KMSError
    ) -> None:
        """Record a call that was refused or failed. Raises KMSUnavailable if that fails."""
        if self._trail is not None:
            await self._write((self._event(caller, request, decisions, error=error),), is_durable=False)

    async def told(
        self, caller: Caller, request: RecordCall, parameters: Mapping[str, Any], answer: Mapping[str, Any]
    ) -> None:
        """Record a call that another service answered, or each of its uses. Raises KMSUnavailable if that fails."""
        if self._trail is None:
            return
        is_durable = request.is_change and request.error_code is None
        (request_id, resource_arn), *further = request.uses or ((caller.request_id, caller.resource_arn),)
        first = Event(
            event_type=API_CALL,
            event_time=self._now(),
            event_source=request.event_source,
            event_name=request.event_name,
            event_id=self._next_id(),
            aws_region=caller.region or self._region,
            user_identity=_identity(caller.principal, caller.session),
            request_id=request_id,
            source_ip=caller.source_ip,
            user_agent=caller.user_agent,
            resource_arn=resource_arn,
            request_parameters=parameters,
            response_elements=answer,
            resources=_resources(request.decisions, None),
            decisions=_decisions(request.decisions),
            error_code=request.error_code,
            error_message=request.error_message,
        )
        others = [
            msgspec.structs.replace(first, event_id=self._next_id(), request_id=request_id, resource_arn=arn)
            for request_id, arn in further
        ]
        await self._write((first, *others), is_durable=is_durable)

    def abandoned(self, caller: Caller, request: Request[Any], decisions: Sequence[Decided]) -> None:
        """Record a call whose task was cancelled; whether it took effect is not known here."""
        if self._trail is not None:
            event = self._event(caller, request, decisions, code=ABANDONED, message="The call was given up.")
            self._trail.note(event)

    async def act(self, name: str, key_arn: str | None = None, **details: str | int) -> None:
        """Record an act of the service itself that took effect; on the disk on return. Failing is logged alone."""
        if self._trail is not None:
            try:
                await self._trail.record(self._own_event(name, key_arn, details), is_durable=True)
            except AuditUnavailable as error:
                log.error("%s is not in the audit trail yet: %s", name, error)

    async def announce(self, name: str, key_arn: str, **details: str | int) -> None:
        """Record an act of the service itself that is about to be done and cannot be undone; on the disk on return.

        Once for each key, until `done`, however often it must be tried. Raises KMSUnavailable if it cannot be recorded:
        then it is not to be done.
        """
        if self._trail is not None and (name, key_arn) not in self._announced:
            await self._write((self._own_event(name, key_arn, details),), is_durable=True)
            self._announced.add((name, key_arn))

    def done(self, name: str, key_arn: str) -> None:
        """What was announced was done."""
        self._announced.discard((name, key_arn))

    @property
    def is_recording(self) -> bool:
        return self._trail is not None

    async def tell(self, act: StoredAct) -> None:
        """Record what a command did; on the disk on return. Raises AuditUnavailable."""
        assert self._trail is not None
        event = self._own_event(act.name, None, _details(act), event_id=act.event_id, time_us=act.acted_us)
        await self._trail.record(event, is_durable=True)

    def note(self, name: str, **details: str | int) -> None:
        """Record what befell the service. Waits for nothing."""
        if self._trail is not None:
            self._trail.note(self._own_event(name, None, details))

    async def _write(self, events: Sequence[Event], *, is_durable: bool) -> None:
        assert self._trail is not None
        try:
            for written in [self._trail.record(event, is_durable=is_durable) for event in events]:
                await written
        except AuditUnavailable as error:
            raise _unavailable() from error

    def _event(
        self,
        caller: Caller,
        request: Request[Any],
        decisions: Sequence[Decided],
        *,
        answer: Any = None,
        error: KMSError | None = None,
        code: str | None = None,
        message: str | None = None,
    ) -> Event:
        used_arn, used_version = _key_used(answer)
        if error is not None:
            code, message = error.code, error.message or None
        return Event(
            event_type=API_CALL,
            event_time=self._now(),
            event_source=EVENT_SOURCE,
            event_name=request.operation_name(),
            event_id=self._next_id(),
            aws_region=caller.region or self._region,
            user_identity=_identity(caller.principal, caller.session),
            request_id=caller.request_id,
            source_ip=caller.source_ip,
            user_agent=caller.user_agent,
            via_service=caller.via_service,
            resource_arn=caller.resource_arn,
            request_parameters=request_parameters(request),
            resources=_resources(decisions, used_arn),
            decisions=_decisions(decisions),
            key_version=used_version,
            error_code=code,
            error_message=message,
        )

    def _own_event(
        self,
        name: str,
        key_arn: str | None,
        details: Mapping[str, str | int],
        *,
        event_id: str | None = None,
        time_us: int | None = None,
    ) -> Event:
        return Event(
            event_type=SERVICE_EVENT,
            event_time=self._now() if time_us is None else _time(time_us),
            event_source=EVENT_SOURCE,
            event_name=name,
            event_id=event_id or self._next_id(),
            aws_region=self._region,
            user_identity=_identity(_SERVICE),
            resources=() if key_arn is None else (_resource(key_arn),),
            details=details,
        )

    def _next_id(self) -> str:
        """Unique among all processes: a random UUID of this one, its last digits counted."""
        return f"{self._event_prefix}{next(self._events):0{_COUNTED_DIGITS}x}"

    def _now(self) -> datetime:
        return _time(self._clock_us())


def _time(us: int) -> datetime:
    return datetime.fromtimestamp(us / 1_000_000, UTC)


def _details(act: StoredAct) -> dict[str, str | int]:
    """As they were written down; whatever else lies there was put there by somebody, which is told as it is."""
    try:
        details: dict[str, str | int] = msgspec.json.decode(act.details[:MAX_DETAILS], type=dict[str, str | int])
    except (msgspec.DecodeError, UnicodeError):
        return {"unreadable": act.details[:MAX_DETAILS]}
    return details


def _unavailable() -> KMSUnavailable:
    """What clients read; the cause is for health and the log."""
    return KMSUnavailable("The audit trail is not available.", RETRY_SECONDS)


def _key_used(answer: Any) -> tuple[str | None, int | None]:
    """The key, and the version of its material, that an answer names; of ReEncrypt the destination's."""
    made_by = getattr(answer, "ciphertext", answer)
    return getattr(made_by, "key_arn", None), getattr(made_by, "key_version", None)


def _decisions(decided: Sequence[Decided]) -> tuple[Decision, ...]:
    """Each once: what had to be opened first was decided again on the same grounds."""
    unique = decided if len(decided) < 2 else tuple(dict.fromkeys(decided))
    return tuple(
        Decision(each.action, each.resource_arn, "Allow" if each.is_allowed else "Deny", each.decided_by)
        for each in unique
    )


def _resources(decided: Sequence[Decided], used_arn: str | None) -> tuple[Resource, ...]:
    """The keys and aliases that were decided about, and the key that was used or made."""
    if len(decided) == 1 and used_arn in {None, decided[0].resource_arn}:
        arn = decided[0].resource_arn
        return () if arn == "*" else (_resource(arn),)
    arns = dict.fromkeys(each.resource_arn for each in decided if each.resource_arn != "*")
    if used_arn is not None:
        arns[used_arn] = None
    return tuple(_resource(arn) for arn in arns)


@lru_cache(1024)
def _resource(arn: str) -> Resource:
    parts = arn.split(":", 5)
    service, account_id, name = (parts[2], parts[4], parts[5]) if len(parts) == 6 else ("", "", "")
    kind = name.partition("/")[0]
    return Resource(arn, account_id, _RESOURCE_TYPES.get((service, kind), f"AWS::{service.upper()}"))


@lru_cache(1024)
def _identity(principal: Principal, session: Session | None = None) -> UserIdentity:
    return UserIdentity(
        _IDENTITY_TYPES[principal.kind],
        principal.principal_id,
        principal.arn,
        principal.account_id,
        None if session is None else _session_context(principal, session),
    )


def _session_context(principal: Principal, session: Session) -> SessionContext:
    created = datetime.fromtimestamp(session.issued_us // 1_000_000, UTC)
    return SessionContext(
        SessionAttributes(iso(created)), _session_issuer(principal), session.source_identity, session.federated_provider
    )


def _session_issuer(principal: Principal) -> SessionIssuer | None:
    """None where the credentials are the user's, or the root user's, own."""
    arn, identifier = issuer_arn(principal), issuer_id(principal)
    if arn is None or identifier is None:
        return None
    kind = "Role" if principal.kind is PrincipalKind.ROLE_SESSION else "IAMUser"
    if identifier == principal.account_id:
        kind = "Root"
    return SessionIssuer(kind, identifier, arn, principal.account_id, arn.rpartition(":" if kind == "Root" else "/")[2])

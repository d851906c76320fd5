"""The condition keys that every service has: who asks, when, and over what connection.

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

from iam.policy.principals import role_arn
from iam.policy.variables import NOTHING_KNOWN, Context, LazyContext, Values
from iam.principals import Caller, PrincipalKind, Session

_PRINCIPAL_TAG = "aws:principaltag/"
_PRINCIPAL_TYPES = {
    PrincipalKind.ROOT: "Account",
    PrincipalKind.USER: "User",
    PrincipalKind.ROLE_SESSION: "AssumedRole",
    PrincipalKind.FEDERATED_USER: "FederatedUser",
    PrincipalKind.WEB_IDENTITY: "WebIdentityUser",
    PrincipalKind.ANONYMOUS: "Anonymous",
}


class CallerContext(LazyContext):
    """What is known of `caller` at `now`, an aware time. Services put what they know besides into a class of theirs."""

    __slots__ = ("caller", "now")

    def __init__(self, caller: Caller, now: datetime, known: Context = NOTHING_KNOWN) -> None:
        super().__init__(known)
        self.caller = caller
        self.now = now

    def _compute(self, name: str) -> Values:
        compute = _KEYS.get(name)
        if compute is not None:
            value = compute(self)
            return () if value is None or value == "" else (value,)
        if name.startswith(_PRINCIPAL_TAG):
            return pairs(_PRINCIPAL_TAG, dict(self.caller.principal.tags)).get(name, ())
        return session_keys(self.caller.session).get(name, ())

    def _names(self) -> Iterator[str]:
        yield from _KEYS
        yield from session_keys(self.caller.session)
        yield from pairs(_PRINCIPAL_TAG, dict(self.caller.principal.tags))


def pairs(prefix: str, found: Mapping[str, str]) -> Context:
    """The members of a family of keys: `aws:PrincipalTag/` with the tags.

    Condition keys know no case, tag keys do: two that differ by it alone are one key with two values.
    """
    members: dict[str, Values] = {}
    for key, value in found.items():
        name = prefix + key.lower()
        members[name] = (*members.get(name, ()), value)
    return members


def session_keys(session: Session | None) -> Context:
    """What can be asked about temporary credentials alone: without a session no such key is there.

    None was made with a second factor: there are no such devices.
    """
    if session is None:
        return {}
    issued = datetime.fromtimestamp(session.issued_us // 1_000_000, UTC)
    keys = {"aws:multifactorauthpresent": ("false",), "aws:tokenissuetime": (iso(issued),)}
    if session.source_identity is not None:
        keys["aws:sourceidentity"] = (session.source_identity,)
    if session.federated_provider is not None:
        keys["aws:federatedprovider"] = (session.federated_provider,)
    return {**dict(session.claims), **keys}


def iso(moment: datetime) -> str:
    """As the keys that are dates tell it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _user_name(context: CallerContext) -> str | None:
    principal = context.caller.principal
    return principal.arn.rpartition("/")[2] if principal.kind is PrincipalKind.USER else None


_KEYS: dict[str, Callable[[CallerContext], str | None]] = {
    "aws:currenttime": lambda context: iso(context.now),
    "aws:epochtime": lambda context: str(int(context.now.timestamp())),
    "aws:principalaccount": lambda context: context.caller.principal.account_id,
    "aws:principalarn": lambda context: role_arn(context.caller.principal) or context.caller.principal.arn,
    "aws:principalisawsservice": lambda _: "false",
    "aws:principaltype": lambda context: _PRINCIPAL_TYPES.get(context.caller.principal.kind),
    "aws:securetransport": lambda context: str(context.caller.is_secure_transport).lower(),
    "aws:sourceip": lambda context: context.caller.source_ip,
    "aws:useragent": lambda context: context.caller.user_agent,
    "aws:userid": lambda context: context.caller.principal.principal_id,
    "aws:username": _user_name,
    "aws:viaawsservice": lambda _: "false",
}

GLOBAL_KEYS = frozenset(_KEYS)
"""Those of one value, in lower case; with them goes the family aws:PrincipalTag."""

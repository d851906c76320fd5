"""The condition keys that every service has: who asks, when, and over what connection.

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

from datetime import UTC, datetime

from iam.policy.principals import role_arn
from iam.policy.variables import Context
from iam.principals import Caller, PrincipalKind

_PRINCIPAL_TYPES = {
    PrincipalKind.ROOT: "Account",
    PrincipalKind.USER: "User",
    PrincipalKind.ROLE_SESSION: "AssumedRole",
    PrincipalKind.ANONYMOUS: "Anonymous",
}


def global_keys(caller: Caller, now: datetime) -> Context:
    """By their names in lower case; `now` is an aware time."""
    principal = caller.principal
    values: dict[str, str | None] = {
        "aws:currenttime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(int(now.timestamp())),
        "aws:principalaccount": principal.account_id or None,
        "aws:principalisawsservice": "false",
        "aws:principalarn": role_arn(principal) or principal.arn or None,
        "aws:principaltype": _PRINCIPAL_TYPES.get(principal.kind),
        "aws:securetransport": str(caller.is_secure_transport).lower(),
        "aws:sourceip": caller.source_ip or None,
        "aws:useragent": caller.user_agent or None,
        "aws:userid": principal.principal_id,
        "aws:username": principal.arn.rpartition("/")[2] if principal.kind is PrincipalKind.USER else None,
        "aws:viaawsservice": "false",
    }
    values |= {f"aws:principaltag/{name.lower()}": value for name, value in principal.tags}
    return {name: (value,) for name, value in values.items() if value is not None}

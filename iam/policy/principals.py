"""The elements Principal and NotPrincipal: whom a statement of a resource-based policy is about.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

from iam.principals import Principal, PrincipalKind


class Reach(IntEnum):
    """How directly a statement names a caller; more is more direct. It decides what else must allow a request."""

    ACCOUNT = 1
    """It names the caller's account, which may pass the permission on by policies of its own."""
    ROLE = 2
    """It names the role or user that a session comes from, or everyone: boundary and session policies count."""
    DIRECT = 3
    """It names the user or the session itself, or the root user of the account."""


_ACCOUNT = re.compile(r"[0-9]{12}")
_ROOT_ARN = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):root")
_PRINCIPAL_ARN = re.compile(
    r"arn:aws[a-z-]*:(?:iam::[0-9]{12}:(?:user|role)/[^*?]+"
    r"|sts::[0-9]{12}:(?:assumed-role/[^/*?]+/[^/*?]+|federated-user/[^*?]+))"
)
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,124}")
_SERVICE = re.compile(r"[a-z0-9.-]+\.(?:amazonaws\.com|amazonaws\.com\.cn|amazon\.com)")
_CANONICAL_ID = re.compile(r"[0-9a-f]{64}")


class InvalidPrincipal(ValueError):
    """What can be no principal; `quoted` is how IAM repeats it: its kind and itself."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"{name[:200]!r} is no principal")
        self.quoted = f'"{kind if kind == "AWS" else kind.upper()}":"{name}"'


@dataclass(frozen=True, slots=True)
class PrincipalSet:
    """Whom an element names. `accounts` are 12 digits, of account ids and root users' ARNs alike."""

    is_anyone: bool = False
    accounts: frozenset[str] = frozenset()
    arns: frozenset[str] = frozenset()
    unique_ids: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    providers: frozenset[str] = frozenset()
    canonical_ids: frozenset[str] = frozenset()

    def reach(self, principal: Principal, canonical_id: str | None = None, provider: str | None = None) -> Reach | None:
        """How directly `principal` is named; None if it is not.

        `canonical_id` is that of its account (S3), `provider` the identity provider that vouches for it (STS).
        """
        kind = principal.kind
        if principal.arn in self.arns or principal.principal_id in self.unique_ids:
            return Reach.DIRECT
        if provider in self.providers:
            return Reach.DIRECT
        if kind is PrincipalKind.SERVICE and principal.principal_id in self.services:
            return Reach.DIRECT
        if self.is_anyone and kind is PrincipalKind.WEB_IDENTITY:
            return Reach.ACCOUNT  # everyone who has credentials: what is denied to all is, what is given to all is not
        if self.is_anyone:
            return Reach.ROLE if kind in _SESSIONS else Reach.DIRECT
        if kind in _SESSIONS and (issuer_arn(principal) in self.arns or issuer_id(principal) in self.unique_ids):
            return Reach.ROLE
        if principal.account_id in self.accounts or canonical_id in self.canonical_ids:
            return Reach.DIRECT if kind is PrincipalKind.ROOT else Reach.ACCOUNT
        return None

    def names_every_form(self, principal: Principal) -> bool:
        """Whether each form of the principal is named: what NotPrincipal needs to leave it out.

        The forms are the account and the user, or the account, the role (or user) and the session. (A provider, a
        canonical user or a service has one form.)
        """
        if self.is_anyone:
            return True
        if principal.kind is PrincipalKind.SERVICE:
            return principal.principal_id in self.services
        if principal.account_id not in self.accounts:
            return False
        if principal.kind is PrincipalKind.ROOT:
            return True
        issuer = issuer_arn(principal)
        if issuer is not None and issuer not in self.arns and issuer_id(principal) not in self.unique_ids:
            return False
        return principal.arn in self.arns or principal.principal_id in self.unique_ids


_SESSIONS = frozenset({PrincipalKind.ROLE_SESSION, PrincipalKind.FEDERATED_USER})
"""The kinds of which a principal is a session of something that policies can name as well."""


def issuer_arn(principal: Principal) -> str | None:
    """The ARN of the role or user that `principal` is a session of; None for other principals."""
    return principal.issuer_arn if principal.kind is PrincipalKind.FEDERATED_USER else role_arn(principal)


def issuer_id(principal: Principal) -> str | None:
    """The unique id of the role or user that `principal` is a session of; None for other principals."""
    if principal.kind is PrincipalKind.ROLE_SESSION:
        return principal.principal_id.partition(":")[0]
    return principal.issuer_id if principal.kind is PrincipalKind.FEDERATED_USER else None


def role_arn(principal: Principal) -> str | None:
    """The ARN of the role of which `principal` is a session; None for other principals.

    `Principal.issuer_arn` says it with the role's path; without it the path is taken to be "/".
    """
    if principal.kind is not PrincipalKind.ROLE_SESSION:
        return None
    if principal.issuer_arn is not None:
        return principal.issuer_arn
    _, _, role_and_session = principal.arn.partition(":assumed-role/")
    role = role_and_session.partition("/")[0]
    return f"arn:aws:iam::{principal.account_id}:role/{role}" if role else None


def is_principal_arn(text: str) -> bool:
    """Whether `text` is the ARN of a root user, user, role, role session or federated user."""
    return bool(_PRINCIPAL_ARN.fullmatch(text) or _ROOT_ARN.fullmatch(text))


def principal_set(arns: Iterable[str]) -> PrincipalSet:
    """The set that names these principals of AWS (ARNs or account ids). Raises InvalidPrincipal for what is none."""
    return parse_principals({"AWS": list(arns)})


def parse_principals(element: str | Mapping[str, Sequence[str]]) -> PrincipalSet:
    """The element's value: "*", or a mapping from kind to names. Raises InvalidPrincipal for what cannot be one."""
    if isinstance(element, str):
        if element != "*":
            raise InvalidPrincipal("AWS", element)
        return PrincipalSet(is_anyone=True)
    named: dict[str, set[str]] = {each.name: set() for each in fields(PrincipalSet)}
    for kind, names in element.items():
        if kind not in _KINDS:
            raise InvalidPrincipal(kind, ", ".join(names))
        for name in names:
            if kind == "AWS":
                where, what = _aws_principal(name)
            else:
                where, pattern = _KINDS[kind]
                if not pattern.fullmatch(name):
                    raise InvalidPrincipal(kind, name)
                what = name
            named[where].add(what)
    is_anyone = bool(named.pop("is_anyone"))
    return PrincipalSet(is_anyone, **{where: frozenset(names) for where, names in named.items()})


_KINDS = {
    "AWS": ("arns", _PRINCIPAL_ARN),
    "Service": ("services", _SERVICE),
    "Federated": ("providers", re.compile(r"[^*?\s]+")),
    "CanonicalUser": ("canonical_ids", _CANONICAL_ID),
}


def _aws_principal(name: str) -> tuple[str, str]:
    """(field, value) of a name under "AWS"."""
    if name == "*":
        return "is_anyone", name
    if _ACCOUNT.fullmatch(name):
        return "accounts", name
    root = _ROOT_ARN.fullmatch(name)
    if root:
        return "accounts", root[1]
    if _PRINCIPAL_ARN.fullmatch(name):
        return "arns", name
    if _UNIQUE_ID.fullmatch(name):
        return "unique_ids", name
    raise InvalidPrincipal("AWS", name)

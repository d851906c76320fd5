"""Who is asking: accounts, principals and callers, as values.

Leaves to others how a caller proved its identity (`iam.sigv4`) and what it may do (`iam.policy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class PrincipalKind(StrEnum):
    """The kinds of principal that a policy can name (IAM User Guide, "Principal")."""

    ROOT = "root"
    USER = "user"
    ROLE_SESSION = "assumed-role"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated identity.

    `account_id` is 12 digits; `arn` is the full ARN (`arn:aws:iam::123456789012:root`); `principal_id` is what AWS
    calls aws:userid (the account id for the root user). `role_arn` is, for a session of a role, the role's own ARN with
    its path, which the session's ARN leaves out; `tags` are the principal's and its session's (aws:PrincipalTag).
    """

    kind: PrincipalKind
    account_id: str
    arn: str
    principal_id: str
    role_arn: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy document as it was stored, with the name that the audit trail gives it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class IdentityPolicies:
    """The policies that go with an identity, as texts: who decides parses them and remembers them by their text.

    `session` None: the caller has no session policies; an empty tuple never occurs. Source: IAM User Guide, "Policy
    evaluation logic".
    """

    identity: tuple[PolicyText, ...] = ()
    boundary: PolicyText | None = None
    session: tuple[PolicyText, ...] | None = None


NO_POLICIES = IdentityPolicies()


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal together with what the audit trail and conditions need to know about its request.

    `via_service` is the service that acts for the principal (`s3.<region>.amazonaws.com`, the value of kms:ViaService),
    set by the gateway itself and never from a header; None for direct calls. `region` is the region whose endpoint was
    called, None for the home region. `resource_arn` names what the service acts on (the S3 object), for the audit.
    """

    principal: Principal
    request_id: str
    source_ip: str = ""
    via_service: str | None = None
    region: str | None = None
    policies: IdentityPolicies = NO_POLICIES
    resource_arn: str | None = None
    is_secure_transport: bool = False
    user_agent: str = ""


SERVICE_ACCOUNT_ID = "000000000000"
"""The account that owns the gateway's own KMS key. No access key can belong to it."""


def root_principal(account_id: str) -> Principal:
    """The root user of an account."""
    return Principal(PrincipalKind.ROOT, account_id, f"arn:aws:iam::{account_id}:root", account_id)


ANONYMOUS = Principal(PrincipalKind.ANONYMOUS, account_id="", arn="", principal_id="anonymous")
"""Whoever sent a request without signing it: of no account, and named by policies as everyone only."""


def service_caller(request_id: str) -> Caller:
    """The gateway itself, for the keys that belong to no account (index key, SSE-S3 service key)."""
    principal = Principal(
        PrincipalKind.SERVICE,
        SERVICE_ACCOUNT_ID,
        f"arn:aws:iam::{SERVICE_ACCOUNT_ID}:service/sealgate",
        "sealgate",
    )
    return Caller(principal, request_id)

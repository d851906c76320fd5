"""Who is asking: accounts, principals and callers, as values.

Leaves to others how a caller proved its identity (`iam.sigv4`) and what it may do (`iam.policy`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from iam.quickly_made import quickly_made


class PrincipalKind(StrEnum):
    """The kinds of principal that a policy can name (IAM User Guide, "Principal")."""

    ROOT = "root"
    USER = "user"
    ROLE_SESSION = "assumed-role"
    FEDERATED_USER = "federated-user"
    """A session that GetFederationToken made for a user, or for the root user."""
    WEB_IDENTITY = "web-identity"
    """Who shows a token of an identity provider, and asks for a role: without credentials of an account."""
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated identity.

    `account_id` is 12 digits; `arn` is the full ARN (`arn:aws:iam::123456789012:root`); `principal_id` is what AWS
    calls aws:userid (the account id for the root user). `issuer_arn` is the ARN of the role that a session is of, with
    its path, which the session's own ARN leaves out, or of the user that a federated user's session comes from;
    `issuer_id` is the unique id of that user. `tags` are the principal's and its session's (aws:PrincipalTag).
    """

    kind: PrincipalKind
    account_id: str
    arn: str
    principal_id: str
    issuer_arn: str | None = None
    issuer_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyText:
    """A policy document as it was stored, with the name that the audit trail gives it."""

    name: str
    text: str


@quickly_made
@dataclass(frozen=True, slots=True)
class IdentityPolicies:
    """The policies that go with an identity, as texts: who decides parses them and remembers them by their text.

    `session` None: the caller has no session policies, and needs none; empty: it has none, and nothing is allowed
    without one (a federated user's session). Source: IAM User Guide, "Policy evaluation logic".
    """

    identity: tuple[PolicyText, ...] = ()
    boundary: PolicyText | None = None
    session: tuple[PolicyText, ...] | None = None


NO_POLICIES = IdentityPolicies()


@dataclass(frozen=True, slots=True)
class Session:
    """What is known of temporary credentials besides whose they are.

    `source_identity` was set once, and stays through chains of roles; `federated_provider` is the identity provider
    that vouched for whom they were made for, and `claims` what it said, by condition keys in lower case;
    `transitive_tags` are the keys of the tags that go on to the next role.
    """

    issued_us: int
    expires_us: int
    source_identity: str | None = None
    federated_provider: str | None = None
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()
    transitive_tags: tuple[str, ...] = ()


@quickly_made
@dataclass(frozen=True, slots=True)
class Caller:
    """A principal together with what the audit trail and conditions need to know about its request.

    `via_service` is the service that acts for the principal (`s3.<region>.amazonaws.com`, the value of kms:ViaService),
    set by the gateway itself and never from a header; None for direct calls. `region` is the region whose endpoint was
    called, None for the home region. `resource_arn` names what the service acts on (the S3 object), for the audit.
    `session` None: it signed with a key of its own, or not at all.
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
    session: Session | None = None


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

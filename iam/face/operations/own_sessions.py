"""GetSessionToken and GetFederationToken: temporary credentials of the caller's own rights."""

from __future__ import annotations

from iam.face.authorisation import requested_tags
from iam.face.call import Call, Document
from iam.face.new_sessions import Whose, make_session, passed_policies, passed_tags, refuse_mfa, require_long_term
from iam.principals import PrincipalKind
from iam.session_tokens import PassedSession, SessionKind
from iam.sessions import federated_user_arn

DEFAULT_SECONDS = 12 * 3600
MOST_SECONDS_OF_ROOT = 3600
"""Sessions of the root user are never longer, whatever was asked for."""


def get_session_token(call: Call) -> Document:
    """Needs no permission: it gives nothing that the caller does not have."""
    require_long_term(call, "GetSessionToken")
    refuse_mfa(call)
    call.request.refuse_members("MinimumSessionTokenSize")
    return make_session(call, _caller(call, SessionKind.SAME), PassedSession(), _seconds(call))


def get_federation_token(call: Call) -> Document:
    """The rights are the caller's and the session policies' both: without a policy only what others give by name."""
    require_long_term(call, "GetFederationToken")
    request = call.request
    request.refuse_members("MinimumSessionTokenSize")
    name = request.text("Name")
    arn = federated_user_arn(call.account_id, name)
    tags = passed_tags(call)
    call.require("sts:GetFederationToken", arn, requested_tags(tags))
    if tags:
        call.require("sts:TagSession", arn, requested_tags(tags))
    policies = passed_policies(call, call.account_id)
    passed = PassedSession(policies.policy, policies.policy_arns, tags)
    made = make_session(call, _caller(call, SessionKind.FEDERATED_USER, name), passed, _seconds(call))
    return {"FederatedUser": {"FederatedUserId": f"{call.account_id}:{name}", "Arn": arn}, **made}


def _caller(call: Call, kind: SessionKind, name: str = "") -> Whose:
    principal = call.caller.principal
    return Whose(kind, principal.account_id, principal.principal_id, name)


def _seconds(call: Call) -> int:
    seconds = call.request.integer_or_none("DurationSeconds") or DEFAULT_SECONDS
    return min(seconds, MOST_SECONDS_OF_ROOT) if call.caller.principal.kind is PrincipalKind.ROOT else seconds

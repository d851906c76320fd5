"""AssumeRole."""

from __future__ import annotations

from iam.entities import Role
from iam.face.call import Call, Document
from iam.face.errors import IAMError
from iam.face.new_sessions import passed_tags, refuse_mfa
from iam.face.role_sessions import Asked, assume, find_role, role_keys, session_tags
from iam.policy.variables import Context
from iam.principals import PrincipalKind

ROOT_REFUSED = "Roles may not be assumed by root accounts."


def assume_role(call: Call) -> Document:
    """Whether a role exists is told to nobody who may not assume it."""
    request = call.request
    if call.caller.principal.kind is PrincipalKind.ROOT:
        raise IAMError("AccessDenied", ROOT_REFUSED)
    request.refuse_members("ProvidedContexts", "MinimumSessionTokenSize")
    refuse_mfa(call)
    asked, role = _asked(call), find_role(call)
    external_id = request.text_or_none("ExternalId")
    keys: dict[str, tuple[str, ...]] = dict(asked.keys)
    if external_id is not None:
        keys["sts:externalid"] = (external_id,)
    _require(call, "sts:AssumeRole", role, keys)
    if asked.tags:
        _require(call, "sts:TagSession", role, keys)
    if asked.source_identity is not None:
        _require(call, "sts:SetSourceIdentity", role, keys)
    assert role is not None, "nobody may assume a role that does not exist"
    return assume(call, role, asked)


def _asked(call: Call) -> Asked:
    request = call.request
    given, given_transitive = passed_tags(call), request.texts("TransitiveTagKeys")
    tags, transitive = session_tags(call, given, given_transitive)
    return Asked(request.text("RoleSessionName"), given, given_transitive, tags, transitive, _source_identity(call))


def _source_identity(call: Call) -> str | None:
    """Set once, it stays for all roles that are assumed from there. Raises IAMError(AccessDenied)."""
    session = call.caller.session
    given, inherited = call.request.text_or_none("SourceIdentity"), None if session is None else session.source_identity
    if given is not None and inherited is not None and given != inherited:
        raise IAMError("AccessDenied", "The source identity of a session cannot be changed.")
    return given or inherited


def _require(call: Call, action: str, role: Role | None, keys: Context) -> None:
    """Raises IAMError(AccessDenied), the same whether a role of another account exists or not."""
    arn = call.request.text("RoleArn")
    if role is None or not call.is_trusted(action, role, {**role_keys(role), **keys}):
        call.refuse(action, arn)

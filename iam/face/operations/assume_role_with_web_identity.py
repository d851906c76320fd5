"""AssumeRoleWithWebIdentity: a token of an OpenID Connect provider in place of credentials."""

from __future__ import annotations

from dataclasses import replace

from iam.face.call import Call, Document
from iam.face.constraints import broken_constraints, constraint_error
from iam.face.errors import IAMError
from iam.face.models.sts import STS
from iam.face.role_sessions import Asked, assume, find_role, role_keys, session_tags
from iam.face.web_identities import shown_token, token_refused
from iam.jose import NotVerified
from iam.principals import Caller, Principal, PrincipalKind
from iam.tags import Tags
from iam.web_identity import RejectedToken, WebIdentity, web_identity


def assume_role_with_web_identity(call: Call) -> Document:
    """What is asked of the role's trust policy, it is asked about who is named by the token, once that is verified."""
    request = call.request
    request.refuse_members("ProviderId", "MinimumSessionTokenSize")
    identity = _verified(call)
    role = find_role(call)
    asked = _asked(call, identity)
    caller = _caller(call, identity)
    actions = ["AssumeRoleWithWebIdentity"]
    actions += ["TagSession"] if asked.tags else []
    actions += ["SetSourceIdentity"] if asked.source_identity is not None else []
    keys = {**identity.keys, **asked.keys, **({} if role is None else role_keys(role))}
    vouching = identity.provider.arn
    for action in actions:
        if role is None or not call.is_trusted(f"sts:{action}", role, keys, caller=caller, provider=vouching):
            raise IAMError("AccessDenied", f"Not authorized to perform sts:{action}")
    assert role is not None, "nobody may assume a role that does not exist"
    return {
        "SubjectFromWebIdentityToken": identity.subject,
        "Provider": identity.provider.url,
        "Audience": identity.audiences[0],
        **assume(call, role, asked),
    }


def _verified(call: Call) -> WebIdentity:
    """Raises IAMError: InvalidIdentityToken, ExpiredTokenException, IDPRejectedClaim."""
    token, provider = shown_token(call.request, call.store)
    try:
        token.verify(call.verification_keys)
        return web_identity(token.claims, provider, call.now)
    except NotVerified:
        raise IAMError("InvalidIdentityToken", "The signature of the token is not one of its provider.") from None
    except RejectedToken as error:
        raise token_refused(error) from None


def _asked(call: Call, identity: WebIdentity) -> Asked:
    """Raises IAMError(InvalidIdentityToken) for tags, or a source identity, that none can be."""
    _check_tags(identity.tags)
    source = identity.source_identity
    if source is not None:
        errors = broken_constraints({"SourceIdentity": source}, STS.shapes[STS.inputs["AssumeRole"]], STS.shapes)
        if any("sourceIdentity" in each for each in errors):
            raise IAMError("InvalidIdentityToken", constraint_error(source, "sourceIdentity", "Member is malformed"))
    tags, transitive = session_tags(call, identity.tags, identity.transitive)
    return Asked(
        call.request.text("RoleSessionName"),
        identity.tags,
        identity.transitive,
        tags,
        transitive,
        source,
        identity.provider.arn,
        identity.kept,
    )


def _check_tags(tags: Tags) -> None:
    for key, value in tags:
        errors = broken_constraints({"Key": key, "Value": value}, STS.shapes["Tag"], STS.shapes)
        if errors or key.casefold().startswith("aws:"):
            raise IAMError("InvalidIdentityToken", f"The session tag {key[:128]} of the token is malformed.")
    if len({key.casefold() for key, _ in tags}) != len(tags):
        raise IAMError("InvalidIdentityToken", "Two session tags of the token have one key, capitals disregarded.")


def _caller(call: Call, identity: WebIdentity) -> Caller:
    """Who the token is about, of the account whose provider vouches for it."""
    provider = identity.provider
    named = f"{provider.arn}:{identity.audiences[0]}:{identity.subject}"
    return replace(call.caller, principal=Principal(PrincipalKind.WEB_IDENTITY, provider.account_id, "", named))

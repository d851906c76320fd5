"""Roles as they are assumed: who is trusted, what a session may be passed, how long it lasts.

A trust policy comes first, as a key policy does: who it does not trust assumes nothing; whom it names directly needs no
policy beside it in the role's own account; whom it names by the account needs one. Across accounts both must allow.
Sources: STS API Reference, AssumeRole; IAM User Guide, "Policy evaluation logic", "Pass session tags in AWS STS",
"Monitor and control actions taken with assumed roles".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from iam.entities import Role
from iam.face.authorisation import requested_tags, resource_tags
from iam.face.call import Call, Document, Value
from iam.face.errors import IAMError
from iam.face.new_sessions import Whose, make_session, passed_policies
from iam.policy.variables import Context
from iam.principals import PrincipalKind
from iam.session_tokens import PassedSession, SessionKind
from iam.sessions import role_session_arn
from iam.store.interface import NoSuchRole
from iam.tags import MAX_TAGS, Tags, with_tags

DEFAULT_SECONDS = 3600
MOST_SECONDS_OF_CHAINED = 3600
"""Of a session that a session of another role asked for."""

_ROLE_ARN = re.compile(r"arn:aws:iam::(?P<account>[0-9]{12}):role/(?:[!-~]+/)?(?P<name>[A-Za-z0-9_+=,.@-]{1,64})")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for besides the role: `tags` are all that the session gets, `given` those that the request names.

    `transitive` are the keys of `tags` that go on to the next role; `provider` and `claims` as of
    `iam.principals.Session`.
    """

    session_name: str
    given: Tags = ()
    given_transitive: tuple[str, ...] = ()
    tags: Tags = ()
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None
    provider: str | None = None
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def keys(self) -> Context:
        """What trust policies and the caller's own can ask about it."""
        keys = {**requested_tags(self.given), "sts:rolesessionname": (self.session_name,)}
        if self.given_transitive:
            keys["sts:transitivetagkeys"] = self.given_transitive
        if self.source_identity is not None:
            keys["sts:sourceidentity"] = (self.source_identity,)
        return keys


def account_of_role(arn: str) -> str:
    """The account id in a role's ARN. Raises IAMError(ValidationError) for what is no ARN of a role."""
    return _parsed_arn(arn)[0]


def _parsed_arn(arn: str) -> tuple[str, str]:
    """Account and name."""
    found = _ROLE_ARN.fullmatch(arn)
    if found is None:
        raise IAMError("ValidationError", f"{arn[:256]} is invalid")
    return found["account"], found["name"]


def find_role(call: Call) -> Role | None:
    """The role that the member RoleArn names; None if there is none, or its account is suspended.

    Raises IAMError(ValidationError) for what is no ARN of a role.
    """
    arn = call.request.text("RoleArn")
    account_id, name = _parsed_arn(arn)
    if not call.store.has_active_account(account_id):
        return None
    try:
        role = call.store.role(account_id, name)
    except NoSuchRole:
        return None
    return role if role.arn == arn else None


def role_keys(role: Role) -> Context:
    """What is known about a role that is to be assumed."""
    return {**resource_tags(role.tags), "aws:resourceaccount": (role.account_id,)}


def session_tags(call: Call, given: Tags, given_transitive: tuple[str, ...]) -> tuple[Tags, tuple[str, ...]]:
    """The tags of the new session, and which of them are transitive: those given, and those that a role hands on.

    Raises IAMError(InvalidParameterValue).
    """
    keys = {key.casefold() for key, _ in given}
    unknown = [key for key in given_transitive if key.casefold() not in keys]
    if unknown:
        message = f"The transitive tag key {unknown[0][:128]} is not a key of the session tags."
        raise IAMError("InvalidParameterValue", message)
    session = call.caller.session
    handed_on = () if session is None else session.transitive_tags
    names = {key.casefold() for key in handed_on}
    if keys & names:
        message = "One of the specified tags is transitive in the calling session, and cannot be changed."
        raise IAMError("InvalidParameterValue", message)
    inherited = tuple(tag for tag in call.caller.principal.tags if tag[0].casefold() in names)
    tags = with_tags(inherited, given)
    if len(tags) > MAX_TAGS:
        raise IAMError("InvalidParameterValue", f"A session has at most {MAX_TAGS} tags.")
    return tags, (*handed_on, *given_transitive)


def session_seconds(call: Call, role: Role) -> int:
    """How long the session is to last. Raises IAMError(ValidationError): longer than the role, or a chain, lets it."""
    seconds = call.request.integer_or_none("DurationSeconds") or DEFAULT_SECONDS
    if call.caller.principal.kind is PrincipalKind.ROLE_SESSION and seconds > MOST_SECONDS_OF_CHAINED:
        message = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        raise IAMError("ValidationError", message)
    if seconds > role.max_session_seconds:
        message = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        raise IAMError("ValidationError", message)
    return seconds


def assume(call: Call, role: Role, asked: Asked) -> Mapping[str, Value]:
    """The session, once it is allowed. The members of an answer that all ways to assume a role have.

    Raises IAMError: ValidationError, MalformedPolicyDocument, PackedPolicyTooLarge.
    """
    seconds = session_seconds(call, role)
    policies = passed_policies(call, role.account_id)
    passed = PassedSession(policies.policy, policies.policy_arns, asked.tags, asked.transitive)
    whose = Whose(
        SessionKind.ROLE,
        role.account_id,
        role.role_id,
        asked.session_name,
        asked.source_identity,
        asked.provider,
        asked.claims,
    )
    made = make_session(call, whose, passed, seconds)
    call.store.note_role_use(role, call.now_us, call.caller.region or "")
    user: Document = {
        "AssumedRoleId": f"{role.role_id}:{asked.session_name}",
        "Arn": role_session_arn(role, asked.session_name),
    }
    identity: Document = {} if asked.source_identity is None else {"SourceIdentity": asked.source_identity}
    return {"AssumedRoleUser": user, **made, **identity}

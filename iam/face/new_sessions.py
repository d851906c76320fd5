"""Temporary credentials as calls ask for them: what may be passed for a session, and how it is told what was made.

Sources: STS API Reference, AssumeRole, GetFederationToken, GetSessionToken; IAM User Guide, "Session policies", "Pass
session tags in AWS STS", "Compare AWS STS credentials".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from iam.credentials import new_secret, new_temporary_key_id
from iam.face.call import Call, Document, Value, timestamp
from iam.face.constraints import count_of, unquoted_error
from iam.face.errors import IAMError
from iam.face.translate import not_attachable
from iam.managed_policies import AWS_ACCOUNT_ID, account_of
from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.parse import parse_policy
from iam.principals import PrincipalKind
from iam.session_tokens import PassedSession, SessionKind, SessionToken, TooLarge, packed_percent
from iam.tags import Tags

MAX_POLICY_CHARACTERS = 2048
"""Of the session policy and the ARNs of managed ones together."""

MAX_POLICY_ARNS = 10

MFA_REFUSED = "MultiFactorAuthentication failed with invalid MFA one time pass code."
"""There are no such devices, so that no code is right."""


@dataclass(frozen=True, slots=True)
class Whose:
    """What of a `SessionToken` says whom it is for; see there."""

    kind: SessionKind
    account_id: str
    principal_id: str
    name: str = ""
    source_identity: str | None = None
    provider: str | None = None
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()


def refuse_mfa(call: Call) -> None:
    """Raises IAMError(AccessDenied) where a second factor is shown."""
    request = call.request
    if request.text_or_none("SerialNumber") is not None or request.text_or_none("TokenCode") is not None:
        raise IAMError("AccessDenied", MFA_REFUSED)


def require_long_term(call: Call, operation: str) -> None:
    """What only a user or the root user can do, with keys of its own. Raises IAMError(AccessDenied)."""
    caller = call.caller
    if caller.session is not None or caller.principal.kind not in {PrincipalKind.ROOT, PrincipalKind.USER}:
        raise IAMError("AccessDenied", f"Cannot call {operation} with session credentials")


def passed_policies(call: Call, account_id: str) -> PassedSession:
    """The policies that a request passes for a session in this account.

    Raises IAMError: MalformedPolicyDocument, ValidationError, PackedPolicyTooLarge.
    """
    request = call.request
    policy, arns = request.text_or_none("Policy"), request.members("PolicyArns", "arn")
    if len(arns) > MAX_POLICY_ARNS:
        raise _invalid("policyArns", f"Member must have length less than or equal to {MAX_POLICY_ARNS}")
    if len(policy or "") + sum(map(len, arns)) > MAX_POLICY_CHARACTERS:
        constraint = f"Member must have length less than or equal to {MAX_POLICY_CHARACTERS}"
        raise _invalid("policy", constraint)
    if policy is not None:
        try:
            parse_policy(policy, PolicyKind.IDENTITY)
        except PolicyError as error:
            raise IAMError("MalformedPolicyDocument", error.message) from error
    for arn in arns:
        if account_of(arn) not in {account_id, AWS_ACCOUNT_ID} or call.store.find_policy(account_id, arn) is None:
            raise IAMError("MalformedPolicyDocument", not_attachable(arn).message)
    return PassedSession(policy, arns)


def _invalid(member: str, constraint: str) -> IAMError:
    return IAMError("ValidationError", count_of([unquoted_error(member, constraint)]))


def passed_tags(call: Call) -> Tags:
    """The session tags of a request. Raises IAMError(InvalidParameterValue)."""
    tags = call.request.tags()
    if len({key.casefold() for key, _ in tags}) != len(tags):
        message = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise IAMError("InvalidParameterValue", message)
    if any(key.casefold().startswith("aws:") for key, _ in tags):
        raise IAMError("InvalidParameterValue", "Tag keys that begin with aws: are reserved for system use.")
    return tags


def make_session(call: Call, whose: Whose, passed: PassedSession, seconds: int) -> Mapping[str, Value]:
    """New temporary credentials, and how much of its room the token's packed part takes.

    The members Credentials and PackedPolicySize of an answer. Raises IAMError(PackedPolicyTooLarge).
    """
    access_key_id, secret = new_temporary_key_id(whose.account_id), new_secret()
    token = SessionToken(
        whose.kind,
        secret,
        call.now_us,
        call.now_us + seconds * 1_000_000,
        whose.account_id,
        whose.principal_id,
        whose.name,
        passed,
        whose.source_identity,
        whose.provider,
        whose.claims,
    )
    try:
        percent, text = packed_percent(passed), call.tokens.seal(access_key_id, token)
    except TooLarge as error:
        message = f"Packed policy consumes {error.percent}% of allotted space, please use smaller policy."
        raise IAMError("PackedPolicyTooLarge", message) from error
    credentials: Document = {
        "AccessKeyId": access_key_id,
        "SecretAccessKey": secret.reveal().decode("ascii"),
        "SessionToken": text,
        "Expiration": timestamp(token.expires_us),
    }
    return {"Credentials": credentials, **({} if percent is None else {"PackedPolicySize": percent})}

"""May this caller do this to that identity: identity-based policies, as everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from iam.entities import Role
from iam.face.errors import IAMError
from iam.policy.cache import PolicyCache
from iam.policy.decisions import Decisions
from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.evaluation import AccessRequest, Decision, Layer, NamedPolicy, Outcome, evaluate, evaluate_key
from iam.policy.global_keys import CallerContext
from iam.policy.variables import Context
from iam.principals import Caller

_OF_EVERY_CALL: Context = {"aws:requestedregion": ("us-east-1",)}
"""IAM and the global endpoint of STS are there, whichever region a client signs for."""


class Authoriser:
    """Decides by the policies that go with the caller, and remembers them parsed."""

    def __init__(self, context_of: Callable[[Caller, datetime, Context], Context] = CallerContext) -> None:
        """`context_of` makes what conditions can ask for, of the caller, the time and what is known besides."""
        self._context_of = context_of
        self._policies = PolicyCache()

    def require(
        self,
        caller: Caller,
        action: str,
        resource_arn: str,
        *,
        now: datetime,
        keys: Context,
        told_as: str | None = None,
        decisions: Decisions | None = None,
    ) -> None:
        """Raise IAMError(AccessDenied) unless the caller may do `action` (`iam:CreateUser`).

        `keys` are the condition keys beside those that every service has; `told_as` is what the refusal calls the
        resource, if not by its ARN. The decision is noted in `decisions`.
        """
        decision = self._decide(caller, action, resource_arn, now=now, keys=keys)
        if decisions is not None:
            decisions.note(action, resource_arn, decision)
        if not decision.is_allowed:
            raise not_authorised(caller, action, told_as or resource_arn, decision.because(action))

    def trusts(
        self,
        caller: Caller,
        action: str,
        role: Role,
        *,
        now: datetime,
        keys: Context,
        provider: str | None = None,
        decisions: Decisions,
    ) -> bool:
        """Whether the role trusts the caller to do `action` (`sts:AssumeRole`) with it.

        `provider` is the ARN of the identity provider that vouches for a caller without credentials. The decision is
        noted in `decisions`.
        """
        try:
            trust = self._policies.policy(role.trust_policy, PolicyKind.TRUST)
            policies = self._policies.in_force(caller.policies).beside(
                NamedPolicy(f"trust policy of {role.arn}", trust)
            )
        except PolicyError as error:
            decision = Decision(Outcome.EXPLICIT_DENY, f"a policy cannot be read: {error.message}", Layer.RESOURCE)
        else:
            context = self._context_of(caller, now, {**_OF_EVERY_CALL, **keys})
            request = AccessRequest(caller.principal, action, role.arn, role.account_id, context, provider=provider)
            decision = evaluate_key(request, policies)
        decisions.note(action, role.arn, decision)
        return decision.is_allowed

    def _decide(self, caller: Caller, action: str, resource_arn: str, *, now: datetime, keys: Context) -> Decision:
        """A policy that cannot be read might hold a Deny, and denies everything."""
        account_id = caller.principal.account_id
        try:
            policies = self._policies.in_force(caller.policies)
        except PolicyError as error:
            because = f"policy of the caller cannot be read: {error.message}"
            return Decision(Outcome.EXPLICIT_DENY, because, Layer.IDENTITY)
        context = self._context_of(caller, now, {**_OF_EVERY_CALL, "aws:resourceaccount": (account_id,), **keys})
        return evaluate(AccessRequest(caller.principal, action, resource_arn, account_id, context), policies)


def not_authorised(caller: Caller, action: str, resource: str, because: str = "") -> IAMError:
    """AWS's refusal, and why where that is told."""
    told = f"User: {caller.principal.arn} is not authorized to perform: {action} on resource: {resource} {because}"
    return IAMError("AccessDenied", told.rstrip())


def resource_tags(tags: Iterable[tuple[str, str]]) -> Context:
    """What is known about the tags of the identity that an action is about."""
    pairs = tuple(tags)
    return {
        f"{prefix}/{key.lower()}": (value,) for prefix in ("aws:resourcetag", "iam:resourcetag") for key, value in pairs
    }


def requested_tags(tags: Iterable[tuple[str, str]]) -> Context:
    """What is known about tags that a request sets."""
    pairs = tuple(tags)
    if not pairs:
        return {}
    return {**{f"aws:requesttag/{key.lower()}": (value,) for key, value in pairs}, **tag_keys(key for key, _ in pairs)}


def tag_keys(keys: Iterable[str]) -> Context:
    """What is known about tags that a request names."""
    return {"aws:tagkeys": tuple(keys)}

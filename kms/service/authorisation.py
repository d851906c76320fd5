"""May this caller do this with this key: the one place of decisions, and the refusals it answers with.

Key policy, the caller's own policies and grants, in KMS's order (`iam.policy.evaluation.evaluate_key`); what concerns
no key is for the caller's policies alone. The keys of the gateway itself serve the gateway, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from iam.policy.cache import PolicyCache
from iam.policy.decisions import decided
from iam.policy.document import Policy, PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.evaluation import (
    AccessRequest,
    Decision,
    Layer,
    NamedPolicy,
    Outcome,
    PoliciesInForce,
    delegated_reach,
    evaluate,
    evaluate_key,
)
from iam.policy.variables import Context
from iam.principals import SERVICE_ACCOUNT_ID, Caller, IdentityPolicies, PrincipalKind
from kms.api.errors import KMSError
from kms.keys.state import CRYPTOGRAPHIC, Operation
from kms.service import grant_rules
from kms.service.call import Call
from kms.service.conditions import CallContext
from kms.service.key_cache import KeyCache
from kms.service.key_names import key_arn
from kms.service.key_policies import policy_text
from kms.store.records import StoredGrant, StoredKey

KEY_POLICY = "key policy"

_ABROAD = frozenset(
    operation.action
    for operation in CRYPTOGRAPHIC
    | {
        Operation.CREATE_GRANT,
        Operation.DESCRIBE_KEY,
        Operation.GET_KEY_ROTATION_STATUS,
        Operation.LIST_GRANTS,
        Operation.RETIRE_GRANT,
        Operation.REVOKE_GRANT,
    }
)
"""What can be done with a key of another account. API Reference, "Cross-account use" of each operation."""


_FOR_THE_GATEWAY = frozenset(
    operation.action for operation in (*CRYPTOGRAPHIC, Operation.TAG_RESOURCE, Operation.LIST_RESOURCE_TAGS)
)
"""What the gateway itself does with its own keys, whose tags say what became of its data; besides, it sees the state
of all keys."""

_NOBODY = Decision(Outcome.IMPLICIT_DENY, "the KMS has nothing for nobody", Layer.IDENTITY)


class Authorise(Protocol):
    def __call__(self, call: Call[Any], action: str, key: StoredKey | None, resource_arn: str = "*") -> None:
        """Raise AccessDeniedException unless the caller may do `action` (`kms:Decrypt`) with `key`.

        `key` is None for what concerns no key, or an alias, which `resource_arn` names. Notes the decision on the call.
        """
        ...


ContextOf = Callable[[Call[Any], str, StoredKey | None], Context]
"""What conditions can ask about an action of a call, on a key if it concerns one."""


class PolicyAuthoriser:
    """Decides by policies and grants as they are now; `cache` is true to the store at every look-up."""

    def __init__(self, cache: KeyCache, clock_us: Callable[[], int], context_of: ContextOf | None = None) -> None:
        """`context_of` makes what conditions can ask for; CallContext unless it is said otherwise."""
        self._cache = cache
        self._clock_us = clock_us
        self._context_of = context_of or self._call_context
        self._policies = PolicyCache()

    def __call__(self, call: Call[Any], action: str, key: StoredKey | None, resource_arn: str = "*") -> None:
        decision = self.decide(call, action, key, resource_arn)
        self._settle(call, action, key, resource_arn if key is None else key.metadata.key_arn, decision)

    def decide(self, call: Call[Any], action: str, key: StoredKey | None, resource_arn: str = "*") -> Decision:
        """What calling this would decide. Notes nothing."""
        if key is None:
            return self._decide_without_key(call, action, resource_arn)
        return self._decide(call, action, key, lambda: self._granted(call, action, key))

    def _call_context(self, call: Call[Any], action: str, key: StoredKey | None) -> Context:
        return CallContext(call, action, key, self._cache, self._clock_us())

    def require_retiring(self, call: Call[Any], key: StoredKey, grant: StoredGrant) -> None:
        """Raise AccessDeniedException unless the caller may retire this grant.

        May: its retiring principal; its grantee, if it holds RetireGrant; the root user of the account that made it;
        and whom the key's policies allow kms:RetireGrant.
        """
        action = Operation.RETIRE_GRANT.action
        decision = self._decide(call, action, key, lambda: _may_retire(call, grant))
        self._settle(call, action, key, key.metadata.key_arn, decision)

    def keeps_control(self, call: Call[Any], account_id: str, policy: Policy) -> bool:
        """Whether `policy`, as the policy of a key of `account_id`, lets the caller put the next one."""
        action = Operation.PUT_KEY_POLICY.action
        context = self._context_of(call, action, None)
        # Statements of a key policy mean the key by "*"; which ARN it has or will get is not for them to say.
        request = AccessRequest(
            call.caller.principal, action, key_arn(call.region, account_id, "*"), account_id, context
        )
        return delegated_reach(request, NamedPolicy(KEY_POLICY, policy)) is not None

    def _decide_without_key(self, call: Call[Any], action: str, resource_arn: str) -> Decision:
        principal = call.caller.principal
        if principal.kind in {PrincipalKind.ANONYMOUS, PrincipalKind.SERVICE}:
            return _NOBODY
        policies = self._in_force(call.caller.policies)
        if isinstance(policies, Decision):
            return policies
        context = self._context_of(call, action, None)
        return evaluate(AccessRequest(principal, action, resource_arn, principal.account_id, context), policies)

    def _decide(self, call: Call[Any], action: str, key: StoredKey, grant: Callable[[], str | None]) -> Decision:
        principal, metadata = call.caller.principal, key.metadata
        if SERVICE_ACCOUNT_ID in {metadata.account_id, principal.account_id}:
            return _decide_for_service(call.caller, action, metadata.account_id)
        if principal.kind is PrincipalKind.ANONYMOUS:
            return _NOBODY
        if metadata.account_id != principal.account_id and action not in _ABROAD:
            return Decision(Outcome.IMPLICIT_DENY, f"{action} is for the key's own account", Layer.RESOURCE)
        policies = self._in_force(call.caller.policies, policy_text(key))
        if isinstance(policies, Decision):
            return policies
        context = self._context_of(call, action, key)
        request = AccessRequest(principal, action, metadata.key_arn, metadata.account_id, context)
        return evaluate_key(request, policies, grant)

    def _in_force(self, own: IdentityPolicies, key_policy: str | None = None) -> PoliciesInForce | Decision:
        """All policies, parsed. One that cannot be read might hold a Deny, and denies everything."""
        layer, name = Layer.RESOURCE, KEY_POLICY
        try:
            resource = None
            if key_policy is not None:
                resource = NamedPolicy(name, self._policies.policy(key_policy, PolicyKind.KEY))
            layer, name = Layer.IDENTITY, "policy of the caller"
            return self._policies.in_force(own).beside(resource)
        except PolicyError as error:
            return Decision(Outcome.EXPLICIT_DENY, f"{name} cannot be read: {error.message}", layer)

    def _granted(self, call: Call[Any], action: str, key: StoredKey) -> str | None:
        for grant in self._cache.grants_to(key.metadata.key_id, key.metadata.region, call.caller.principal):
            if grant_rules.allows(grant, call, action):
                return f"grant {grant.grant_id}"
        return None

    def _settle(
        self, call: Call[Any], action: str, key: StoredKey | None, resource_arn: str, decision: Decision
    ) -> None:
        call.note(decided(action, resource_arn, decision))
        if decision.is_allowed:
            return
        if key is not None and key.metadata.account_id != call.account_id:
            raise access_denied_abroad(call.caller, action)
        raise access_denied(call.caller, action, resource_arn, decision.because(action))


def _decide_for_service(caller: Caller, action: str, key_account_id: str) -> Decision:
    is_the_gateway = caller.principal.kind is PrincipalKind.SERVICE
    if is_the_gateway and action == Operation.DESCRIBE_KEY.action:
        return Decision(Outcome.ALLOWED, "the gateway sees the state of every key")
    if is_the_gateway and key_account_id == SERVICE_ACCOUNT_ID and action in _FOR_THE_GATEWAY:
        return Decision(Outcome.ALLOWED, "the gateway's own key")
    return Decision(Outcome.IMPLICIT_DENY, "the gateway's own key serves the gateway, and it no other", Layer.RESOURCE)


def _may_retire(call: Call[Any], grant: StoredGrant) -> str | None:
    principal = call.caller.principal
    if grant.retiring_principal is not None and grant_rules.names(grant.retiring_principal, principal):
        return f"retiring principal of grant {grant.grant_id}"
    if grant_rules.names(grant.grantee_principal, principal) and "RetireGrant" in grant.operations:
        return f"grantee of grant {grant.grant_id}"
    if principal.kind is PrincipalKind.ROOT and principal.account_id == grant.issuing_account_id:
        return f"issuing account of grant {grant.grant_id}"
    return None


def access_denied(caller: Caller, action: str, resource_arn: str, because: str) -> KMSError:
    """AWS's refusal for a key of the caller's own account, or for no key: then none is named."""
    on_resource = "" if resource_arn.endswith("*") else f" on resource: {resource_arn}"
    return KMSError(
        "AccessDeniedException",
        f"User: {caller.principal.arn} is not authorized to perform: {action}{on_resource} {because}",
    )


def access_denied_abroad(caller: Caller, action: str) -> KMSError:
    """AWS's refusal for another account's key; the same whether the key exists or not."""
    return KMSError(
        "AccessDeniedException",
        f"User: {caller.principal.arn} is not authorized to perform: {action} on this resource because the resource"
        " does not exist in this Region, no resource-based policies allow access, or a resource-based policy"
        " explicitly denies access",
    )

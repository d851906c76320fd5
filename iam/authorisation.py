"""May this principal do this: the question that operations ask which have no policies of their own yet.

Until identities and buckets have policies, the evaluator is asked without any: the root user of the owning account may
do everything with what the account owns, and nobody else anything.
"""

from __future__ import annotations

from dataclasses import dataclass

from iam.policy.evaluation import AccessRequest, PoliciesInForce, evaluate
from iam.principals import Principal

_NO_POLICIES = PoliciesInForce()


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is for the audit trail and for AWS's "because …" messages; it names no secret."""

    is_allowed: bool
    reason: str


def authorise(principal: Principal, action: str, resource_arn: str, resource_account_id: str) -> Decision:
    """Whether `principal` may do `action` (`s3:GetObject`) on the resource, which `resource_account_id` owns."""
    decision = evaluate(AccessRequest(principal, action, resource_arn, resource_account_id, {}), _NO_POLICIES)
    return Decision(decision.is_allowed, decision.decided_by if decision.is_allowed else decision.because(action))

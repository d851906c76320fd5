"""May this principal do this: the one question every operation asks, and its answer.

For now an account's root user may do everything with what its account owns, and nobody may do anything else. The
policy evaluator will answer the same question with the same type.
"""

from __future__ import annotations

from dataclasses import dataclass

from iam.principals import Principal, PrincipalKind


@dataclass(frozen=True, slots=True)
class Decision:
    """`reason` is for the audit trail and for AWS's "because …" messages; it names no secret."""

    is_allowed: bool
    reason: str


def authorise(principal: Principal, action: str, resource_arn: str, resource_account_id: str) -> Decision:
    """Whether `principal` may do `action` (`s3:GetObject`) on the resource, which `resource_account_id` owns."""
    if principal.kind is not PrincipalKind.ROOT:
        return Decision(
            False, f"no policy allows {action} on {resource_arn} to {principal.arn or principal.kind.value}"
        )
    if principal.account_id != resource_account_id:
        return Decision(False, f"no resource-based policy allows {action} on {resource_arn} to {principal.arn}")
    return Decision(True, "root user of the owning account")

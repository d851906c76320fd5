"""What policies would decide about a request that nobody sends, and by which of their statements.

The decision is the evaluator's own (`iam.policy.evaluation`); here it is taken apart for those who write policies.
Source: IAM API Reference, SimulateCustomPolicy, EvaluationResult, ResourceSpecificResult.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from iam.policy.document import Policy, PolicyKind, Statement
from iam.policy.evaluation import (
    AccessRequest,
    Decision,
    NamedPolicy,
    Outcome,
    PoliciesInForce,
    evaluate,
    evaluate_key,
)
from iam.policy.parse import parse_policy
from iam.policy.text import Span, spelt_keys, statement_spans

KEY_ACTIONS = "kms:"


@dataclass(frozen=True, slots=True)
class SimulatedPolicy:
    """A policy with its text; `source` is what answers call it."""

    source: str
    text: str
    policy: Policy

    @property
    def named(self) -> NamedPolicy:
        return NamedPolicy(self.source, self.policy)


def simulated_policy(source: str, text: str, kind: PolicyKind = PolicyKind.IDENTITY) -> SimulatedPolicy:
    """Raises PolicyError."""
    return SimulatedPolicy(source, text, parse_policy(text, kind))


@dataclass(frozen=True, slots=True)
class SimulatedPolicies:
    """`boundary` None: there is none, and none is needed. `resource` None: the resource has none."""

    identity: tuple[SimulatedPolicy, ...] = ()
    boundary: SimulatedPolicy | None = None
    resource: SimulatedPolicy | None = None

    @property
    def in_force(self) -> PoliciesInForce:
        return PoliciesInForce(
            tuple(each.named for each in self.identity),
            None if self.boundary is None else self.boundary.named,
            None,
            None if self.resource is None else self.resource.named,
        )

    @property
    def granting(self) -> Sequence[SimulatedPolicy]:
        """Those whose statements are told: what a boundary says is told apart."""
        return self.identity if self.resource is None else (*self.identity, self.resource)


@dataclass(frozen=True, slots=True)
class Matched:
    """A statement that decided, by the policy that it stands in."""

    source: str
    span: Span


@dataclass(frozen=True, slots=True)
class Simulation:
    """`missing_keys` are spelt as the policies spell them. `is_within_boundary` None: there is no boundary.

    `by_identity` and `by_resource` say what either kind of policy decides alone, across accounts; None within one.
    """

    outcome: Outcome
    matched: tuple[Matched, ...]
    missing_keys: tuple[str, ...]
    is_within_boundary: bool | None = None
    by_identity: Outcome | None = None
    by_resource: Outcome | None = None


def simulate(request: AccessRequest, policies: SimulatedPolicies) -> Simulation:
    """Decide about one request. What its context lacks is taken to be absent."""
    decision = _decide(request, policies)
    is_across = request.principal.account_id != request.resource_account_id
    return Simulation(
        decision.outcome,
        tuple(_matched(request, policies, decision)),
        _missing(request, policies),
        None if policies.boundary is None else _alone(request, policies.boundary) is Outcome.ALLOWED,
        _together(request, policies.identity) if is_across else None,
        _together(request, () if policies.resource is None else (policies.resource,)) if is_across else None,
    )


def _decide(request: AccessRequest, policies: SimulatedPolicies) -> Decision:
    """A key's policy comes first, where it is part of the simulation."""
    if policies.resource is not None and request.action.lower().startswith(KEY_ACTIONS):
        return evaluate_key(request, policies.in_force)
    return evaluate(request, policies.in_force)


def _matched(request: AccessRequest, policies: SimulatedPolicies, decision: Decision) -> Iterator[Matched]:
    """All that say what was decided; nothing where nothing allows."""
    if decision.outcome is Outcome.IMPLICIT_DENY:
        return
    for each in policies.granting:
        found = _holding(request, each, denying=decision.outcome is Outcome.EXPLICIT_DENY)
        numbers = [statement.number for statement in found]
        if numbers:
            spans = statement_spans(each.text)
            yield from (Matched(each.source, spans[number - 1]) for number in numbers)


def _holding(request: AccessRequest, each: SimulatedPolicy, *, denying: bool) -> list[Statement]:
    policy = each.policy
    about = policy.denies_of if denying else policy.allows_of
    return [
        statement
        for statement in about(request.action, request.resource_arn)
        if statement.names(request.principal, request.canonical_id, request.provider) is not None
        and statement.holds(request.resource_arn, request.context)
    ]


def _alone(request: AccessRequest, each: SimulatedPolicy) -> Outcome:
    return _together(request, (each,))


def _together(request: AccessRequest, policies: Sequence[SimulatedPolicy]) -> Outcome:
    """What these policies say, whatever others do."""
    if any(_holding(request, each, denying=True) for each in policies):
        return Outcome.EXPLICIT_DENY
    if any(_holding(request, each, denying=False) for each in policies):
        return Outcome.ALLOWED
    return Outcome.IMPLICIT_DENY


def _missing(request: AccessRequest, policies: SimulatedPolicies) -> tuple[str, ...]:
    """What statements about the action ask for and nobody provided."""
    missing: dict[str, None] = {}
    for each in policies.granting:
        asked = _asked_keys(request.action, each.policy)
        if any(not request.context.get(key) for key in asked):
            missing |= dict.fromkeys(
                key for key in spelt_keys(each.text) if key.lower() in asked and not request.context.get(key.lower())
            )
    return tuple(missing)


def _asked_keys(action: str, policy: Policy) -> frozenset[str]:
    lowered = action.lower()
    keys = [each.condition_keys for each in (*policy.allows, *policy.denies) if each.acts(lowered)]
    return frozenset[str]().union(*keys)

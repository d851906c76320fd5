"""The evaluator: a request, the policies in force, and AWS's rules for putting them together.

Source: IAM User Guide, "Policy evaluation logic" (same account, cross-account, boundaries, session policies), and for
keys AWS KMS Developer Guide, "Key policies in AWS KMS" and "Authorization for your AWS KMS API calls". In short:

- an explicit Deny in any policy denies;
- within an account identity *or* resource must allow, across accounts both;
- a permissions boundary and session policies must allow too, unless the resource's policy names the user or the session
  itself: what is granted to them directly is not limited by what boundary and session leave out;
- a key policy comes first: the identity's policies count only if the key policy gives the permission to the account.

The root user of an account has every permission that the account has. Nothing here knows a clock or a store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from iam.policy.document import Policy, Statement
from iam.policy.principals import Reach
from iam.policy.variables import Context
from iam.principals import Principal, PrincipalKind

MAX_NAMED = 8
"""How many policies a refusal names that were looked at, and did not allow."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """`action` is spelt as in policies (`kms:Decrypt`); `resource_account_id` is the owner's, "" if nobody owns it.

    `context` may compute its values when asked: most policies have no conditions.
    """

    principal: Principal
    action: str
    resource_arn: str
    resource_account_id: str
    context: Context
    canonical_id: str | None = None
    provider: str | None = None


class Layer(Enum):
    """What kind of policy decided, as AWS's messages name it."""

    IDENTITY = "identity-based policy"
    BOUNDARY = "permissions boundary"
    SESSION = "session policy"
    RESOURCE = "resource-based policy"

    @property
    def with_article(self) -> str:
        article = "an" if self is Layer.IDENTITY else "a"
        return f"{article} {self.value}"


@dataclass(frozen=True, slots=True)
class NamedPolicy:
    """`name` is what the audit trail calls it."""

    name: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class PoliciesInForce:
    """`boundary` and `session` None: there is none, and none is needed. `resource` None: the resource has none."""

    identity: tuple[NamedPolicy, ...] = ()
    boundary: NamedPolicy | None = None
    session: tuple[NamedPolicy, ...] | None = None
    resource: NamedPolicy | None = None

    def beside(self, resource: NamedPolicy | None) -> PoliciesInForce:
        """The same with this policy of the resource."""
        return PoliciesInForce(self.identity, self.boundary, self.session, resource)


class Outcome(Enum):
    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicit deny"
    IMPLICIT_DENY = "implicit deny"


@dataclass(frozen=True, slots=True)
class Decision:
    """`decided_by` names policy and statement, grant or rule, for the audit trail; `layer` the kind that was lacking or
    denied; `policies` those whose statements decided. It holds nothing secret."""

    outcome: Outcome
    decided_by: str
    layer: Layer | None = None
    policies: tuple[NamedPolicy, ...] = ()

    @property
    def is_allowed(self) -> bool:
        return self.outcome is Outcome.ALLOWED

    def because(self, action: str) -> str:
        """How AWS's "User: … is not authorized to perform: …" goes on. IAM User Guide, "Troubleshoot access denied"."""
        assert self.layer is not None, "a refusal has a layer"
        if self.outcome is Outcome.EXPLICIT_DENY:
            return f"with an explicit deny in {self.layer.with_article}"
        return f"because no {self.layer.value} allows the {action} action"


_ROOT_USER = Decision(Outcome.ALLOWED, "root user of the account")


def evaluate(request: AccessRequest, policies: PoliciesInForce) -> Decision:
    """Decide by the rules that hold for every service but KMS's keys."""
    denied = explicit_deny(request, policies)
    if denied is not None:
        return denied
    reach, by_resource = _granted_by_resource(request, policies.resource)
    principal = request.principal
    if principal.kind in {PrincipalKind.ANONYMOUS, PrincipalKind.SERVICE}:
        return by_resource or _not_allowed_by(Layer.RESOURCE, (policies.resource,))
    is_same_account = principal.account_id == request.resource_account_id
    if not is_same_account:
        return _both(request, policies, by_resource)
    if by_resource is not None and reach is Reach.DIRECT:
        return by_resource
    if by_resource is not None and reach is Reach.ROLE:
        return _limits(request, policies) or by_resource
    return _allowed_by_identity(request, policies)


def evaluate_key(
    request: AccessRequest, policies: PoliciesInForce, grant: Callable[[], str | None] | None = None
) -> Decision:
    """Decide about a KMS key, whose policy is `policies.resource` and comes first.

    `grant` names a grant that allows the request, or says None; it is asked only where policies leave it open. A grant
    needs no policy beside it, in the key's account or in another; only that session policies, which are all that a
    session was given, allow it too.
    """
    denied = explicit_deny(request, policies)
    if denied is not None:
        return denied
    decision = _by_key_policy(request, policies)
    if not decision.is_allowed and grant is not None:
        granted = grant()
        if granted is not None:
            return _limited_by_session(request, policies) or Decision(Outcome.ALLOWED, granted)
        return replace(decision, decided_by=f"{decision.decided_by}; no grant allows it")
    return decision


def _by_key_policy(request: AccessRequest, policies: PoliciesInForce) -> Decision:
    reach, by_key = _granted_by_resource(request, policies.resource)
    if by_key is None:
        return _not_allowed_by(Layer.RESOURCE, (policies.resource,))
    principal = request.principal
    if principal.kind in {PrincipalKind.ANONYMOUS, PrincipalKind.SERVICE}:
        return by_key
    if principal.account_id != request.resource_account_id:
        return _both(request, policies, by_key)
    if reach is Reach.DIRECT:
        return by_key
    if reach is Reach.ROLE:
        return _limits(request, policies) or by_key
    by_identity = _allowed_by_identity(request, policies)
    return _joined(by_key, by_identity) if by_identity.is_allowed else by_identity


def explicit_deny(request: AccessRequest, policies: PoliciesInForce) -> Decision | None:
    """The decision of the first Deny that is about the request; None if there is none."""
    if policies.resource is not None:
        denied = _first_deny(request, (policies.resource,), Layer.RESOURCE, has_boundary=policies.boundary is not None)
        if denied is not None:
            return denied
    denied = _first_deny(request, policies.identity, Layer.IDENTITY)
    if denied is None and policies.boundary is not None:
        denied = _first_deny(request, (policies.boundary,), Layer.BOUNDARY)
    if denied is None and policies.session is not None:
        denied = _first_deny(request, policies.session, Layer.SESSION)
    return denied


def _first_deny(
    request: AccessRequest, policies: Iterable[NamedPolicy], layer: Layer, *, has_boundary: bool = False
) -> Decision | None:
    """NotPrincipal leaves out nobody who has a permissions boundary (User Guide, "Permissions boundaries for IAM
    entities")."""
    for named in policies:
        for statement in named.policy.denies_of(request.action, request.resource_arn):
            is_about = statement.principals is None or (has_boundary and statement.is_not_principal)
            if not is_about and _reach(statement, request) is None:
                continue
            if statement.holds(request.resource_arn, request.context):
                return Decision(Outcome.EXPLICIT_DENY, _label(named, statement), layer, (named,))
    return None


def delegated_reach(request: AccessRequest, resource: NamedPolicy) -> Reach | None:
    """How directly `resource` alone allows the request; None if it does not, or denies it."""
    if explicit_deny(request, PoliciesInForce(resource=resource)) is not None:
        return None
    return _granted_by_resource(request, resource)[0]


def _granted_by_resource(request: AccessRequest, named: NamedPolicy | None) -> tuple[Reach | None, Decision | None]:
    """The most direct Allow of the resource's policy."""
    best: tuple[Reach, Statement] | None = None
    if named is None:
        return None, None
    for statement in named.policy.allows_of(request.action, request.resource_arn):
        reach = _reach(statement, request)
        if reach is None or (best is not None and reach <= best[0]):
            continue
        if statement.holds(request.resource_arn, request.context):
            best = reach, statement
            if reach is Reach.DIRECT:
                break
    if best is None:
        return None, None
    return best[0], Decision(Outcome.ALLOWED, _label(named, best[1]), policies=(named,))


def _both(request: AccessRequest, policies: PoliciesInForce, by_resource: Decision | None) -> Decision:
    """Across accounts: the resource's account must allow, and the caller's own."""
    if by_resource is None:
        return _not_allowed_by(Layer.RESOURCE, (policies.resource,))
    by_identity = _allowed_by_identity(request, policies)
    return _joined(by_resource, by_identity) if by_identity.is_allowed else by_identity


def _allowed_by_identity(request: AccessRequest, policies: PoliciesInForce) -> Decision:
    """Identity-based policies, within boundary and session policies. The root user has them all."""
    if request.principal.kind is PrincipalKind.ROOT:
        return _limits(request, policies) or _ROOT_USER
    allowed = _first_allow(request, policies.identity)
    if allowed is None:
        return _not_allowed_by(Layer.IDENTITY, policies.identity)
    return _limits(request, policies) or allowed


def _limits(request: AccessRequest, policies: PoliciesInForce) -> Decision | None:
    """The refusal of a boundary, or of session policies, that do not allow the request too."""
    if policies.boundary is not None and _first_allow(request, (policies.boundary,)) is None:
        return _not_allowed_by(Layer.BOUNDARY, (policies.boundary,))
    return _limited_by_session(request, policies)


def _limited_by_session(request: AccessRequest, policies: PoliciesInForce) -> Decision | None:
    if policies.session is not None and _first_allow(request, policies.session) is None:
        return _not_allowed_by(Layer.SESSION, policies.session)
    return None


def _first_allow(request: AccessRequest, policies: tuple[NamedPolicy, ...]) -> Decision | None:
    action, resource_arn, context = request.action, request.resource_arn, request.context
    for named in policies:
        for statement in named.policy.allows_of(action, resource_arn):
            if statement.holds(resource_arn, context):
                return Decision(Outcome.ALLOWED, _label(named, statement), policies=(named,))
    return None


def _reach(statement: Statement, request: AccessRequest) -> Reach | None:
    return statement.names(request.principal, request.canonical_id, request.provider)


def _not_allowed_by(layer: Layer, looked_at: Iterable[NamedPolicy | None]) -> Decision:
    """The refusal of a layer, whose policies it names as far as they are few."""
    names = [named.name for named in looked_at if named is not None]
    told = ", ".join(names[:MAX_NAMED]) or "there is none"
    if len(names) > MAX_NAMED:
        told += f" and {len(names) - MAX_NAMED} more"
    return Decision(Outcome.IMPLICIT_DENY, f"no {layer.value} allows it ({told})", layer)


def _joined(first: Decision, second: Decision) -> Decision:
    """Allowed by both."""
    return Decision(
        Outcome.ALLOWED, f"{first.decided_by}; {second.decided_by}", policies=first.policies + second.policies
    )


def _label(named: NamedPolicy, statement: Statement) -> str:
    return f"{named.name}, {statement.label}"

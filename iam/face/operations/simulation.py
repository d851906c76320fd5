"""SimulateCustomPolicy, SimulatePrincipalPolicy, and the condition keys that policies ask for.

What a request would be decided, without one: by policies that are given, or by those of a user, a group or a role. Of
the context the simulation knows the time and the caller; the rest is ContextEntries' to say, and missing otherwise.
Source: IAM API Reference.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from iam.entities import Entity, EntityKind, Group, Role, User, entity_arn
from iam.face.call import Call, Document, Value
from iam.face.constraints import Value as Given
from iam.face.errors import IAMError
from iam.face.identities import permitted_by_arn
from iam.face.operations.granting import default_text, sources_of
from iam.face.paging import page
from iam.policy.conditions import parse_number
from iam.policy.dates import parse_date
from iam.policy.document import PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.evaluation import AccessRequest, Outcome
from iam.policy.global_keys import CallerContext
from iam.policy.simulation import (
    Matched,
    SimulatedPolicies,
    SimulatedPolicy,
    Simulation,
    simulate,
    simulated_policy,
)
from iam.policy.text import Position, spelt_keys
from iam.policy.variables import Context, Values
from iam.principals import Caller, Principal, PrincipalKind
from iam.store.interface import NoSuchEntity

MAX_REQUESTS = 2500
"""Of one call: each action on each resource. An answer tells some hundred bytes of each."""

_ACTION = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")
_CALLER_ARN = re.compile(r"arn:aws:iam::([0-9]{12}):(user|role)/(?:[!-.0-~]+/)*([A-Za-z0-9_+=,.@-]{1,64})")
_OWNER_ARN = re.compile(r"(?:arn:aws:iam::)?([0-9]{12})(?::root)?")
_ACCOUNT_OF_RESOURCE = re.compile(r"arn:[^:]*:[^:]*:[^:]*:([0-9]{12}):")
_ALL = "*"
_SESSION = "simulation"

_DECISIONS = {
    Outcome.ALLOWED: "allowed",
    Outcome.EXPLICIT_DENY: "explicitDeny",
    Outcome.IMPLICIT_DENY: "implicitDeny",
}
_STRICTEST_FIRST = (Outcome.EXPLICIT_DENY, Outcome.IMPLICIT_DENY, Outcome.ALLOWED)
_OF_CALLER = frozenset(
    {
        "aws:currenttime",
        "aws:epochtime",
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principaltype",
        "aws:userid",
        "aws:username",
    }
)
"""Keys that the simulation knows by itself, beside the tags of the caller."""


@dataclass(frozen=True, slots=True)
class _Simulated:
    """What is the same for every action and resource of a call. `resources` None: none was named."""

    policies: SimulatedPolicies
    principal: Principal
    owner_id: str
    context: Context
    resources: tuple[str, ...] | None


def simulate_custom_policy(call: Call) -> Document:
    """The caller is whom CallerArn names, or some user of the account who has the policies and nothing else."""
    call.require("iam:SimulateCustomPolicy", _ALL)
    call.request.refuse_members("OrderedOrganizationPolicyInputList", "ResourceHandlingOption")
    named = call.request.text_or_none("CallerArn")
    if named is None and call.request.text_or_none("ResourcePolicy") is not None:
        raise IAMError("InvalidInput", "A caller ARN is needed where a resource policy is part of the simulation.")
    principal = _nobody(call) if named is None else _caller_named(call, named)
    policies = SimulatedPolicies(_given(call, "PolicyInputList"), _given_boundary(call), _resource_policy(call))
    return _answer(call, policies, principal, knows_caller=named is not None)


def simulate_principal_policy(call: Call) -> Document:
    """With the permissions boundary that the entity has, unless the request has another."""
    call.request.refuse_members("PolicyExclusionList", "ResourceHandlingOption")
    entity = permitted_by_arn(call, "PolicySourceArn", "iam:SimulatePrincipalPolicy")
    named = call.request.text_or_none("CallerArn")
    principal = _principal_of(call, entity) if named is None else _caller_named(call, named)
    boundary = _given_boundary(call)
    if boundary is None and not isinstance(entity, Group) and entity.boundary_arn is not None:
        boundary = _managed(call, entity.boundary_arn)
    identity = (*_policies_of(call, entity), *_given(call, "PolicyInputList"))
    policies = SimulatedPolicies(identity, boundary, _resource_policy(call))
    return _answer(call, policies, principal, knows_caller=named is not None or not isinstance(entity, Group))


def get_context_keys_for_custom_policy(call: Call) -> Document:
    call.require("iam:GetContextKeysForCustomPolicy", _ALL)
    return _key_names(_given(call, "PolicyInputList"))


def get_context_keys_for_principal_policy(call: Call) -> Document:
    entity = permitted_by_arn(call, "PolicySourceArn", "iam:GetContextKeysForPrincipalPolicy")
    return _key_names((*_policies_of(call, entity), *_given(call, "PolicyInputList")))


def _key_names(policies: Iterable[SimulatedPolicy]) -> Document:
    names: dict[str, str] = {}
    for policy in policies:
        for key in spelt_keys(policy.text):
            names.setdefault(key.lower(), key)
    return {"ContextKeyNames": [*names.values()]}


# Policies


def _given(call: Call, member: str) -> tuple[SimulatedPolicy, ...]:
    texts = call.request.texts(member)
    return tuple(_parsed(f"{member}.{number}", text) for number, text in enumerate(texts, 1))


def _parsed(source: str, text: str, kind: PolicyKind = PolicyKind.IDENTITY) -> SimulatedPolicy:
    try:
        return simulated_policy(source, text, kind)
    except PolicyError as error:
        raise IAMError("InvalidInput", f"{source}: {error.message}") from error


def _given_boundary(call: Call) -> SimulatedPolicy | None:
    given = _given(call, "PermissionsBoundaryPolicyInputList")
    if len(given) > 1:
        raise IAMError("InvalidInput", "A simulation has at most one permissions boundary.")
    return given[0] if given else None


def _resource_policy(call: Call) -> SimulatedPolicy | None:
    text = call.request.text_or_none("ResourcePolicy")
    if text is None:
        return None
    services = {action.lower().partition(":")[0] for action in call.request.texts("ActionNames")}
    kinds = {"kms": PolicyKind.KEY, "sts": PolicyKind.TRUST}
    kind = kinds.get(services.pop(), PolicyKind.BUCKET) if len(services) == 1 else PolicyKind.BUCKET
    return _parsed("ResourcePolicy", text, kind)


def _policies_of(call: Call, entity: Entity) -> Iterator[SimulatedPolicy]:
    """All identity-based policies in force for an entity, those of a user's groups too."""
    for each in sources_of(call.store, entity):
        is_inline = each.arn is None
        yield _parsed(f"{each.entity.kind}_{each.entity.name}_{each.name}" if is_inline else each.name, each.text)


def _managed(call: Call, arn: str) -> SimulatedPolicy:
    return _parsed(call.store.policy(call.account_id, arn).name, default_text(call.store, call.account_id, arn))


# The caller


def _nobody(call: Call) -> Principal:
    """Some user of the account."""
    arn = entity_arn(EntityKind.USER, call.account_id, "/", _SESSION)
    return Principal(PrincipalKind.USER, call.account_id, arn, _SESSION)


def _principal_of(call: Call, entity: Entity) -> Principal:
    if isinstance(entity, User):
        return entity.principal
    if isinstance(entity, Role):
        return _session(entity.account_id, entity.name, entity.entity_id, entity.arn, entity.tags)
    return _nobody(call)


def _session(
    account_id: str, name: str, role_id: str, role_arn: str, tags: tuple[tuple[str, str], ...] = ()
) -> Principal:
    return Principal(
        PrincipalKind.ROLE_SESSION,
        account_id,
        f"arn:aws:sts::{account_id}:assumed-role/{name}/{_SESSION}",
        f"{role_id}:{_SESSION}",
        issuer_arn=role_arn,
        tags=tags,
    )


def _caller_named(call: Call, arn: str) -> Principal:
    """A user or a role of any account; of those of the own account that exist the simulation knows id and tags.

    Raises IAMError(InvalidInput).
    """
    found = _CALLER_ARN.fullmatch(arn)
    if found is None:
        raise IAMError("InvalidInput", f"Invalid caller ARN: {arn[:512]}. It names a user or a role.")
    account_id, kind, name = found.groups()
    if account_id == call.account_id:
        with contextlib.suppress(NoSuchEntity):
            find = call.store.user if kind == EntityKind.USER else call.store.role
            entity = find(account_id, name)
            if entity.arn == arn:
                return _principal_of(call, entity)
    if kind == EntityKind.ROLE:
        return _session(account_id, name, _SESSION, arn)
    return Principal(PrincipalKind.USER, account_id, arn, _SESSION)


# Context


def _context(call: Call, principal: Principal, *, knows_caller: bool) -> Context:
    """By names in lower case. Raises IAMError(InvalidInput)."""
    entries = dict(map(_entry, call.request.structures("ContextEntries")))
    if len(entries) < len(call.request.structures("ContextEntries")):
        raise IAMError("InvalidInput", "A context key stands more than once.")
    caller = CallerContext(Caller(principal, call.caller.request_id), call.now)
    is_known = _OF_CALLER if knows_caller else frozenset({"aws:currenttime", "aws:epochtime"})
    provided = {
        name: values for name, values in caller.items() if name in is_known or name.startswith("aws:principaltag/")
    }
    return {**provided, **entries}


def _entry(entry: Mapping[str, Given]) -> tuple[str, Values]:
    name, kind, values = entry.get("ContextKeyName"), entry.get("ContextKeyType"), entry.get("ContextKeyValues", [])
    if not isinstance(name, str) or not isinstance(kind, str) or not isinstance(values, list):
        raise IAMError("InvalidInput", "A context entry has a name, a type and values.")
    texts = tuple(str(value) for value in values)
    is_list = kind.endswith("List")
    if not is_list and len(texts) > 1:
        raise IAMError("InvalidInput", f"The context key {name} is of type {kind} and has more than one value.")
    check = _CHECKS[kind.removesuffix("List")]
    try:
        for text in texts:
            check(text)
    except ValueError:
        raise IAMError("InvalidInput", f"A value of the context key {name} is not of type {kind}.") from None
    return name.lower(), texts


def _check_boolean(text: str) -> None:
    if text.lower() not in {"true", "false"}:
        raise ValueError


def _check_binary(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError from error


_CHECKS: Mapping[str, Callable[[str], object]] = {
    "string": str,
    "numeric": parse_number,
    "boolean": _check_boolean,
    "ip": lambda text: ipaddress.ip_network(text, strict=False),
    "binary": _check_binary,
    "date": parse_date,
}


# Answers


def _answer(call: Call, policies: SimulatedPolicies, principal: Principal, *, knows_caller: bool) -> Document:
    actions = call.request.texts("ActionNames")
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise IAMError(
                "InvalidInput", f"Invalid action name {action[:128]}: it is SERVICE:ACTION, without wildcards."
            )
    resources = call.request.texts("ResourceArns") or (_ALL,)
    if len(actions) * len(resources) > MAX_REQUESTS:
        raise IAMError("InvalidInput", f"A simulation has at most {MAX_REQUESTS} pairs of an action and a resource.")
    simulated = _Simulated(
        policies,
        principal,
        _owner_id(call, principal),
        _context(call, principal, knows_caller=knows_caller),
        None if resources == (_ALL,) else resources,
    )
    numbered = [(f"{place:04}", action) for place, action in enumerate(actions)]
    return page(
        call.request, "EvaluationResults", numbered, lambda each: each[0], lambda each: _result(simulated, each[1])
    )


def _owner_id(call: Call, principal: Principal) -> str:
    """Who owns what does not say so in its ARN. Raises IAMError(InvalidInput)."""
    owner = call.request.text_or_none("ResourceOwner")
    if owner is None:
        return principal.account_id
    found = _OWNER_ARN.fullmatch(owner)
    if found is None:
        raise IAMError("InvalidInput", f"Invalid resource owner {owner[:128]}: it is arn:aws:iam::ACCOUNT:root.")
    return found[1]


def _result(simulated: _Simulated, action: str) -> Document:
    """One for each action; of several resources the strictest decision is that of all."""
    resources = simulated.resources or (_ALL,)
    found = [(resource, _simulated(simulated, action, resource)) for resource in resources]
    simulations = [each for _, each in found]
    document: dict[str, Value] = {
        "EvalActionName": action,
        "EvalResourceName": resources[0] if len(resources) == 1 else _ALL,
        "EvalDecision": _DECISIONS[_strictest(each.outcome for each in simulations)],
    }
    document |= _told(simulations)
    if simulated.resources is not None:
        document.setdefault("EvalDecisionDetails", ())
        document["ResourceSpecificResults"] = [
            {"EvalResourceName": resource, "EvalResourceDecision": _DECISIONS[each.outcome], **_told([each])}
            for resource, each in found
        ]
    return document


def _simulated(simulated: _Simulated, action: str, resource: str) -> Simulation:
    owner = _ACCOUNT_OF_RESOURCE.match(resource)
    owner_id = simulated.owner_id if owner is None else owner[1]
    context = {**simulated.context}
    context.setdefault("aws:resourceaccount", (owner_id,))
    request = AccessRequest(simulated.principal, action, resource, owner_id, context)
    return simulate(request, simulated.policies)


def _strictest(outcomes: Iterable[Outcome]) -> Outcome:
    return min(outcomes, key=_STRICTEST_FIRST.index)


def _told(simulations: list[Simulation]) -> dict[str, Value]:
    """What is said alike of one resource and of all of them together."""
    decision = _strictest(each.outcome for each in simulations)
    matched = dict.fromkeys(match for each in simulations if each.outcome is decision for match in each.matched)
    missing = dict.fromkeys(key for each in simulations for key in each.missing_keys)
    document: dict[str, Value] = {
        "MatchedStatements": [_match(each) for each in matched],
        "MissingContextValues": [*missing],
    }
    within = [each.is_within_boundary for each in simulations if each.is_within_boundary is not None]
    if within:
        document["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(within)}
    details = tuple(
        (name, _DECISIONS[_strictest(outcomes)])
        for name, outcomes in (
            ("IAM Policy", [each.by_identity for each in simulations if each.by_identity is not None]),
            ("Resource Policy", [each.by_resource for each in simulations if each.by_resource is not None]),
        )
        if outcomes
    )
    if details:
        document["EvalDecisionDetails"] = details
    return document


def _match(matched: Matched) -> Document:
    return {
        "SourcePolicyId": matched.source,
        "SourcePolicyType": "IAM Policy",  # what IAM says, whatever the model lists
        "StartPosition": _position(matched.span.start),
        "EndPosition": _position(matched.span.end),
    }


def _position(position: Position) -> Document:
    return {"Line": position.line, "Column": position.column}

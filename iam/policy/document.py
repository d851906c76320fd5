"""A policy as the evaluator reads it: immutable, its patterns compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from iam.policy.conditions import Condition, NullCondition
from iam.policy.match import Matcher, Wild, glob_matcher, resource_matcher
from iam.policy.principals import PrincipalSet, Reach
from iam.policy.variables import Context, Template
from iam.principals import Principal


class PolicyKind(StrEnum):
    """What a document is attached to; the kinds differ in which elements they must and must not have."""

    IDENTITY = "identity"
    """Of users, groups and roles; permissions boundaries and session policies are written the same way."""
    KEY = "key"
    BUCKET = "bucket"
    TRUST = "trust"


class Effect(StrEnum):
    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True)
class ActionSet:
    """Action (or, negated, NotAction): names compared without regard to case; most are exact or end in a star."""

    exact: frozenset[str]
    prefixes: tuple[str, ...]
    matchers: tuple[Matcher, ...]
    is_negated: bool = False

    def matches(self, action: str) -> bool:
        """`action` is in lower case, `kms:decrypt`."""
        found = action in self.exact or action.startswith(self.prefixes)
        if not found and self.matchers:
            found = any(each(action) for each in self.matchers)
        return found is not self.is_negated


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """Resource (or, negated, NotResource). `is_all` is a lone star, which needs no look at the resource."""

    is_all: bool
    matchers: tuple[Matcher, ...]
    templates: tuple[Template, ...] = ()
    is_negated: bool = False

    def matches(self, arn: str, context: Context) -> bool:
        if self.is_all:
            return not self.is_negated
        found = any(each(arn) for each in self.matchers) or any(
            _matches_template(each, arn, context) for each in self.templates
        )
        return found is not self.is_negated


def _matches_template(template: Template, arn: str, context: Context) -> bool:
    tokens = template.tokens(context)
    return tokens is not None and bool(resource_matcher(tokens)(arn))


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; `number` counts from 1. Elements that are None are absent.

    Without `principals` it is about whomever the policy is attached to. Without `actions`, or without `resources`
    where the kind of policy needs them, it has no effect.
    """

    number: int
    sid: str | None
    effect: Effect
    principals: PrincipalSet | None
    is_not_principal: bool
    actions: ActionSet | None
    resources: ResourceSet | None
    conditions: tuple[Condition | NullCondition, ...]

    @property
    def condition_keys(self) -> frozenset[str]:
        """What it asks about a request: keys in lower case, of conditions and of variables."""
        templates = [] if self.resources is None else [*self.resources.templates]
        keys = {condition.key for condition in self.conditions}
        for condition in self.conditions:
            if isinstance(condition, Condition):
                templates += condition.templates
        return frozenset(keys.union(*(template.keys for template in templates)))

    @property
    def label(self) -> str:
        """What the audit trail calls it."""
        return f"statement {self.number}" if not self.sid else f'statement "{self.sid}"'

    def names(self, principal: Principal, canonical_id: str | None, provider: str | None) -> Reach | None:
        """How directly the statement is about `principal`; None if it is about others."""
        if self.principals is None:
            return Reach.DIRECT
        if not self.is_not_principal:
            return self.principals.reach(principal, canonical_id, provider)
        if self.principals.names_every_form(principal):
            return None
        if canonical_id in self.principals.canonical_ids or provider in self.principals.providers:
            return None
        return PrincipalSet(is_anyone=True).reach(principal)

    def covers(self, action: str, resource_arn: str, context: Context) -> bool:
        """Whether it is about this action (in lower case) on this resource under these circumstances."""
        actions, resources = self.actions, self.resources
        if actions is None or resources is None or not actions.matches(action):
            return False
        if not resources.matches(resource_arn, context):
            return False
        return not self.conditions or all(each.holds(context) for each in self.conditions)


@dataclass(frozen=True, slots=True)
class Policy:
    """Statements by effect, in the document's order; `id` is the element Id, which means nothing."""

    version: str
    id: str | None
    allows: tuple[Statement, ...]
    denies: tuple[Statement, ...]
    condition_keys: frozenset[str]
    """Every key, in lower case, that a condition or a variable of a statement asks for."""

    def asks_about(self, prefix: str) -> bool:
        """Whether a key that begins with `prefix` is asked for."""
        return any(key.startswith(prefix) for key in self.condition_keys)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All, in the document's order."""
        return tuple(sorted(self.allows + self.denies, key=lambda statement: statement.number))


def action_set(patterns: Sequence[tuple[str | Wild, ...]], *, is_negated: bool = False) -> ActionSet:
    """The set of these patterns, tokenised, in lower case."""
    exact, prefixes, matchers = set(), [], []
    for pattern in patterns:
        match pattern:
            case (str() as name,):
                exact.add(name)
            case (Wild.ANY,):
                prefixes.append("")
            case (str() as prefix, Wild.ANY):
                prefixes.append(prefix)
            case _:
                matchers.append(glob_matcher(pattern))
    return ActionSet(frozenset(exact), tuple(prefixes), tuple(matchers), is_negated)


ALL_RESOURCES = ResourceSet(is_all=True, matchers=())


def resource_set(templates: Sequence[Template], *, is_negated: bool = False) -> ResourceSet:
    is_all = any(each.parts == (Wild.ANY,) for each in templates)
    matchers = []
    for template in templates:
        tokens = template.tokens({}) if template.is_constant else None
        if tokens is not None:
            matchers.append(resource_matcher(tokens))
    unresolved = tuple(each for each in templates if not each.is_constant)
    return ResourceSet(is_all, tuple(matchers), unresolved, is_negated)

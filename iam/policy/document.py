"""A policy as the evaluator reads it: immutable, its patterns compiled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from iam.policy.conditions import Condition, NullCondition
from iam.policy.match import Pattern, PatternSet, glob_matcher, pattern_set, resource_matcher
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
    """Action (or, negated, NotAction): names compared without regard to case."""

    patterns: PatternSet
    is_negated: bool = False

    def matches(self, action: str) -> bool:
        """`action` is in lower case, `kms:decrypt`."""
        return self.patterns.matches(action) is not self.is_negated


@dataclass(frozen=True, slots=True)
class ResourceSet:
    """Resource (or, negated, NotResource). `templates` have variables, and mean another pattern for each request."""

    patterns: PatternSet
    templates: tuple[Template, ...] = ()
    is_negated: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether it is a list of exact ARNs and prefixes."""
        return not (self.patterns.matchers or self.templates or self.is_negated)

    def matches(self, arn: str, context: Context) -> bool:
        patterns = self.patterns
        found = arn.startswith(patterns.prefixes) or arn in patterns.exact
        if not found and patterns.matchers:
            found = patterns.matches(arn)
        if not found and self.templates:
            found = any(_matches_template(each, arn, context) for each in self.templates)
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
            reach = self.principals.reach(principal, canonical_id, provider)
            if reach is Reach.ROLE and self.principals.is_anyone and self._asks_for_principal_arn:
                return Reach.DIRECT
            return reach
        if self._leaves_out(self.principals, principal, canonical_id, provider):
            return None
        return PrincipalSet(is_anyone=True).reach(principal)

    def _leaves_out(
        self, named: PrincipalSet, principal: Principal, canonical_id: str | None, provider: str | None
    ) -> bool:
        """NotPrincipal: an Allow leaves out whom it names in any form, a Deny whom it names in every one, so that what
        is said by halves gives nothing."""
        if self.effect is Effect.ALLOW:
            return named.reach(principal, canonical_id, provider) is not None
        if canonical_id in named.canonical_ids or provider in named.providers:
            return True
        return named.names_every_form(principal)

    @property
    def _asks_for_principal_arn(self) -> bool:
        """Whether a condition names whom it is about.

        With everyone as Principal this gives to a session directly: boundary and session policies do not limit it (IAM
        User Guide, "AWS JSON policy elements: Principal", "IAM role principals").
        """
        return any(
            isinstance(each, Condition) and each.key == "aws:principalarn" and not each.holds_without_key
            for each in self.conditions
        )

    def acts(self, action: str) -> bool:
        """Whether it is about this action (in lower case) on some resource."""
        return self.actions is not None and self.resources is not None and self.actions.matches(action)

    def holds(self, resource_arn: str, context: Context) -> bool:
        """Whether it is about this resource under these circumstances, for the actions that it is about."""
        if self.resources is None or not self.resources.matches(resource_arn, context):
            return False
        for condition in self.conditions:  # noqa: SIM110  # as above
            if not condition.holds(context):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Statements:
    """Statements of one effect that are about one action.

    `plain` is what the resources of all of them are, where these are plain: most policies are about other resources
    than the request's, and found to be so at once.
    """

    statements: tuple[Statement, ...]
    plain: PatternSet | None

    def on(self, resource_arn: str) -> tuple[Statement, ...]:
        """Those that can be about the resource, in the document's order."""
        plain = self.plain
        if plain is None or resource_arn.startswith(plain.prefixes) or resource_arn in plain.exact:
            return self.statements
        return ()


def _about(action: str, statements: Iterable[Statement]) -> Statements:
    found = tuple([each for each in statements if each.acts(action)])
    resources = [each.resources for each in found if each.resources is not None]
    if not all(each.is_plain for each in resources):
        return Statements(found, None)
    exact = frozenset[str]().union(*(each.patterns.exact for each in resources))
    prefixes = {prefix for each in resources for prefix in each.patterns.prefixes}
    return Statements(found, PatternSet(exact, tuple(prefixes)))


MAX_INDEXED_ACTIONS = 256
"""Of one policy; more than a service has for one kind of resource. The names that simulations ask for are anybody's."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Statements by effect, in the document's order; `id` is the element Id, which means nothing."""

    version: str
    id: str | None
    allows: tuple[Statement, ...]
    denies: tuple[Statement, ...]
    condition_keys: frozenset[str]
    """Every key, in lower case, that a condition or a variable of a statement asks for."""
    digest: str = field(default="", compare=False)
    """Of its text: the same text is told from another by it ("" if it was not read from one)."""
    _by_action: dict[str, tuple[Statements, Statements]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What was found for an action: policies live long, and are asked for few actions."""

    def allows_of(self, action: str, resource_arn: str) -> tuple[Statement, ...]:
        """Those that allow `action`, spelt in any case, and can be about the resource."""
        return (self._by_action.get(action) or self._index(action))[0].on(resource_arn)

    def denies_of(self, action: str, resource_arn: str) -> tuple[Statement, ...]:
        """Those that deny it."""
        return (self._by_action.get(action) or self._index(action))[1].on(resource_arn) if self.denies else ()

    def _index(self, action: str) -> tuple[Statements, Statements]:
        lowered = action.lower()
        found = _about(lowered, self.allows), _about(lowered, self.denies)
        if len(self._by_action) >= MAX_INDEXED_ACTIONS:
            self._by_action.clear()
        self._by_action[action] = found
        return found

    def asks_about(self, prefix: str) -> bool:
        """Whether a key that begins with `prefix` is asked for."""
        return any(key.startswith(prefix) for key in self.condition_keys)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All, in the document's order."""
        return tuple(sorted(self.allows + self.denies, key=lambda statement: statement.number))


def action_set(patterns: Iterable[Pattern], *, is_negated: bool = False) -> ActionSet:
    """The set of these patterns in lower case."""
    return ActionSet(pattern_set(patterns, glob_matcher), is_negated)


ALL_RESOURCES = ResourceSet(PatternSet(prefixes=("",)))


def resource_set(patterns: Sequence[Pattern | Template], *, is_negated: bool = False) -> ResourceSet:
    constant = pattern_set([each for each in patterns if not isinstance(each, Template)], resource_matcher)
    return ResourceSet(constant, tuple([each for each in patterns if isinstance(each, Template)]), is_negated)

"""Parsed policies by their text: policies are immutable, so that equal text is the same policy forever."""

from __future__ import annotations

from collections import OrderedDict

from iam.policy.document import Policy, PolicyKind
from iam.policy.errors import PolicyError
from iam.policy.evaluation import NamedPolicy, PoliciesInForce
from iam.policy.parse import parse_policy
from iam.principals import IdentityPolicies, PolicyText

MAX_CHARACTERS = 8 << 20
"""Of text that is remembered; parsed, it takes some ten times as many bytes."""


class PolicyCache:
    """Remembers what `parse_policy` made, errors included, and forgets what was not used for the longest time."""

    def __init__(self, max_characters: int = MAX_CHARACTERS) -> None:
        self._max_characters = max_characters
        self._characters = 0
        self._parsed: OrderedDict[tuple[PolicyKind, str], Policy | PolicyError] = OrderedDict()

    def policy(self, text: str, kind: PolicyKind) -> Policy:
        """The policy that `text` writes. Raises PolicyError."""
        name = (kind, text)
        parsed = self._parsed.get(name)
        if parsed is None:
            parsed = self._remember(name)
        else:
            self._parsed.move_to_end(name)
        if isinstance(parsed, PolicyError):
            raise PolicyError(parsed.kind, parsed.fault)
        return parsed

    def in_force(self, own: IdentityPolicies) -> PoliciesInForce:
        """The policies that go with an identity, beside which there may be a resource's. Raises PolicyError."""
        return PoliciesInForce(
            tuple([self._named(each) for each in own.identity]),
            None if own.boundary is None else self._named(own.boundary),
            None if own.session is None else tuple([self._named(each) for each in own.session]),
        )

    def _named(self, policy: PolicyText) -> NamedPolicy:
        return NamedPolicy(policy.name, self.policy(policy.text, PolicyKind.IDENTITY))

    def _remember(self, name: tuple[PolicyKind, str]) -> Policy | PolicyError:
        kind, text = name
        try:
            parsed: Policy | PolicyError = parse_policy(text, kind)
        except PolicyError as error:
            parsed = error
        self._parsed[name] = parsed
        self._characters += len(text)
        while self._characters > self._max_characters and len(self._parsed) > 1:
            (_, forgotten), _ = self._parsed.popitem(last=False)
            self._characters -= len(forgotten)
        return parsed

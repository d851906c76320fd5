"""What was decided about one request, as it is told to whoever must explain it: the access log and the audit trail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from iam.policy.evaluation import Decision
from iam.principals import Principal
from iam.quickly_made import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class Decided:
    """A decision: `action` as policies spell it, `resource_arn` "*" for what concerns no resource.

    `decided_by` names the policy and statement, the grant or the rule, `because` the kind of refusal, as AWS's messages
    have it ("" for what is allowed), `policy_digest` the texts of the policies that decided. None holds a secret.
    """

    action: str
    resource_arn: str
    is_allowed: bool
    decided_by: str
    because: str = ""
    policy_digest: str = ""


def decided(action: str, resource_arn: str, decision: Decision) -> Decided:
    """`decision` about this action on this resource, in words."""
    return Decided(
        action,
        resource_arn,
        decision.is_allowed,
        decision.decided_by,
        "" if decision.is_allowed else decision.because(action),
        ",".join(named.policy.digest for named in decision.policies),
    )


class Decisions:
    """The decisions about one request, of which one is told: the first refusal, else what was decided first.

    Put into words only when they are asked for: most requests are allowed, and cost two references. `principal` is
    whom they were about where that is not who signed the request, but who was named by a token.
    """

    __slots__ = ("_first", "_refusal", "principal")

    def __init__(self) -> None:
        self.principal: Principal | None = None
        self._first: tuple[str, str, Decision] | Decided | None = None
        self._refusal: tuple[str, str, Decision] | Decided | None = None

    def forget(self) -> None:
        """The request is decided anew."""
        self.principal = self._first = self._refusal = None

    def note(self, action: str, resource_arn: str, decision: Decision) -> None:
        if decision.is_allowed:
            if self._first is None:
                self._first = action, resource_arn, decision
        elif self._refusal is None:
            self._refusal = action, resource_arn, decision

    def note_decided(self, those: Iterable[Decided]) -> None:
        """Decisions of another process."""
        for each in those:
            if each.is_allowed:
                self._first = self._first or each
            else:
                self._refusal = self._refusal or each

    @property
    def told(self) -> Decided | None:
        """None if nothing was decided."""
        found = self._refusal or self._first
        return decided(*found) if isinstance(found, tuple) else found

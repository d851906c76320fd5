"""One call of the key service: who asks for what, and what was decided about it on the way.

A `Call` is made for each request and handed to its handler; whoever finds a key or decides a permission notes it here,
so that the audit trail can tell one line for the whole call.
"""

from __future__ import annotations

from typing import Any, Final, Generic, TypeVar

from iam.policy.decisions import Decided
from iam.principals import Caller
from kms.api.types import Request

Q_co = TypeVar("Q_co", bound=Request[Any], covariant=True)


class Call(Generic[Q_co]):
    """`request` as `caller` sent it; `region` is the region that it was sent to."""

    __slots__ = ("caller", "decisions", "region", "request")

    def __init__(self, caller: Caller, request: Q_co, region: str) -> None:
        self.caller: Final = caller
        self.request: Final = request
        self.region: Final = region
        self.decisions: list[Decided] = []

    @property
    def account_id(self) -> str:
        return self.caller.principal.account_id

    def note(self, decided: Decided) -> None:
        """Remember a decision, once: what had to be opened first is decided again, on the same grounds or others."""
        if decided not in self.decisions:
            self.decisions.append(decided)

    def __repr__(self) -> str:
        return f"Call({type(self.request).__name__})"

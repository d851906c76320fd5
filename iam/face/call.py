"""One call of IAM or STS: who asks for what, and the store and the time that answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn, Union

from iam.entities import Role
from iam.face.authorisation import Authoriser, not_authorised
from iam.face.request import ParsedRequest
from iam.jose import VerificationKey
from iam.key_uses import AccessKeyUses
from iam.policy.decisions import Decisions
from iam.policy.variables import Context
from iam.principals import Caller
from iam.session_tokens import SessionTokens
from iam.store.interface import IdentityStore

Value = Union[str, int, bool, "Document", list["Value"], tuple[tuple[str, str | int], ...]]
Document = Mapping[str, Value]
"""What an operation answers: elements by name, in order; a list's members stand without one. A tuple of pairs is what
the model calls a map: its names are data."""

_NOTHING: Context = {}


@dataclass(frozen=True, slots=True)
class Call:
    caller: Caller
    request: ParsedRequest
    store: IdentityStore
    authoriser: Authoriser
    uses: AccessKeyUses
    tokens: SessionTokens
    now: datetime
    decisions: Decisions = field(default_factory=Decisions)
    verification_keys: tuple[VerificationKey, ...] = ()
    """Those of the identity provider whose token is shown."""

    @property
    def account_id(self) -> str:
        return self.caller.principal.account_id

    @property
    def now_us(self) -> int:
        return int(self.now.timestamp() * 1_000_000)

    def require(self, action: str, resource_arn: str, keys: Context = _NOTHING, told_as: str | None = None) -> None:
        """See `Authoriser.require`. Raises IAMError(AccessDenied)."""
        self.authoriser.require(
            self.caller,
            action,
            resource_arn,
            now=self.now,
            keys=keys,
            told_as=told_as,
            decisions=self.decisions,
        )

    def is_trusted(
        self, action: str, role: Role, keys: Context, *, caller: Caller | None = None, provider: str | None = None
    ) -> bool:
        """See `Authoriser.trusts`. `caller` is another one than the call's own."""
        if caller is not None:
            self.decisions.principal = caller.principal
        return self.authoriser.trusts(
            caller or self.caller, action, role, now=self.now, keys=keys, provider=provider, decisions=self.decisions
        )

    def refuse(self, action: str, resource_arn: str) -> NoReturn:
        """As what must not be told to exist or not. Raises IAMError(AccessDenied)."""
        raise not_authorised(self.caller, action, resource_arn)


Handler = Callable[[Call], Document | None]
"""Answers a call; None for the operations whose answer is that they were done. Runs in the thread of the store."""


def timestamp(us: int) -> str:
    """To the second, as IAM tells times."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

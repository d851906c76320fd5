"""Grants: CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kms.api.types.request import EncryptionContext, Request


@dataclass(frozen=True, slots=True)
class GrantConstraints:
    """What a request must bring for the grant to allow it; None for what does not matter."""

    encryption_context_subset: EncryptionContext | None = None
    encryption_context_equals: EncryptionContext | None = None
    source_arn: str | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A permission to use a key, given to `grantee_principal` (an ARN). `name` is empty if it has none."""

    grant_id: str
    key_arn: str
    grantee_principal: str
    retiring_principal: str | None
    issuing_account_id: str
    name: str
    operations: tuple[str, ...]
    constraints: GrantConstraints
    created_us: int


@dataclass(frozen=True, slots=True)
class GrantPage:
    grants: tuple[Grant, ...]
    next_marker: str | None


@dataclass(frozen=True, slots=True)
class NewGrant:
    grant_id: str
    grant_token: str


@dataclass(frozen=True, slots=True)
class CreateGrant(Request[NewGrant]):
    """With a name and otherwise the same, asking again gives the same grant and another token."""

    is_idempotent: ClassVar[bool] = False
    key_id: str
    grantee_principal: str
    operations: tuple[str, ...]
    retiring_principal: str | None = None
    constraints: GrantConstraints = field(default_factory=GrantConstraints)
    name: str = ""
    grant_tokens: tuple[str, ...] = ()
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ListGrants(Request[GrantPage]):
    """Grants of a key in order of creation; `limit` is 1..100."""

    key_id: str
    grant_id: str | None = None
    grantee_principal: str | None = None
    limit: int = 50
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class ListRetirableGrants(Request[GrantPage]):
    """Grants, of whichever key, that `retiring_principal` may retire."""

    retiring_principal: str
    limit: int = 50
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class RetireGrant(Request[None]):
    """Either `grant_token`, or `key_id` and `grant_id`."""

    is_idempotent: ClassVar[bool] = False
    grant_token: str | None = None
    key_id: str | None = None
    grant_id: str | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class RevokeGrant(Request[None]):
    is_idempotent: ClassVar[bool] = False
    key_id: str
    grant_id: str
    dry_run: bool = False

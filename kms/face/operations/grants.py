"""CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant."""

from __future__ import annotations

from collections.abc import Mapping

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document, grant_page
from kms.face.request import ParsedRequest

DEFAULT_PAGE = 50
MAX_PAGE = 100
"""What the documentation allows; the model's shape allows 1000."""


async def create_grant(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("GranteeServicePrincipal", "RetiringServicePrincipal")
    answer = await service.call(
        caller,
        t.CreateGrant(
            key_id=request.text("KeyId"),
            grantee_principal=request.needed_text("GranteePrincipal"),
            operations=request.texts("Operations"),
            retiring_principal=request.text_or_none("RetiringPrincipal"),
            constraints=_constraints(request.structure("Constraints")),
            name=request.text_or_none("Name") or "",
            grant_tokens=request.texts("GrantTokens"),
            dry_run=request.flag("DryRun"),
        ),
    )
    return {"GrantId": answer.grant_id, "GrantToken": answer.grant_token}


async def list_grants(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("GranteeServicePrincipal")
    page = await service.call(
        caller,
        t.ListGrants(
            key_id=request.text("KeyId"),
            grant_id=request.text_or_none("GrantId"),
            grantee_principal=request.text_or_none("GranteePrincipal"),
            limit=min(request.integer_or_none("Limit") or DEFAULT_PAGE, MAX_PAGE),
            marker=request.text_or_none("Marker"),
        ),
    )
    return grant_page(page)


async def list_retirable_grants(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    request.refuse_members("RetiringServicePrincipal")
    page = await service.call(
        caller,
        t.ListRetirableGrants(
            retiring_principal=request.needed_text("RetiringPrincipal"),
            limit=min(request.integer_or_none("Limit") or DEFAULT_PAGE, MAX_PAGE),
            marker=request.text_or_none("Marker"),
        ),
    )
    return grant_page(page)


async def retire_grant(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(
        caller,
        t.RetireGrant(
            grant_token=request.text_or_none("GrantToken"),
            key_id=request.text_or_none("KeyId"),
            grant_id=request.text_or_none("GrantId"),
            dry_run=request.flag("DryRun"),
        ),
    )


async def revoke_grant(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(
        caller, t.RevokeGrant(request.text("KeyId"), request.text("GrantId"), dry_run=request.flag("DryRun"))
    )


def _constraints(structure: Mapping[str, object]) -> t.GrantConstraints:
    return t.GrantConstraints(
        encryption_context_subset=_context(structure.get("EncryptionContextSubset")),
        encryption_context_equals=_context(structure.get("EncryptionContextEquals")),
        source_arn=_text(structure.get("SourceArn")),
    )


def _context(value: object) -> t.EncryptionContext | None:
    if value is None:
        return None
    assert isinstance(value, Mapping)
    return {name: str(each) for name, each in value.items()}


def _text(value: object) -> str | None:
    return None if value is None else str(value)

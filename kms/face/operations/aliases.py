"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases. What a name may be beyond its characters, the service says."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document, alias_page
from kms.face.request import ParsedRequest

DEFAULT_PAGE = 50
MAX_PAGE = 100
"""What the documentation allows; the model's shape, shared with ListKeys, allows 1000. Larger pages are cut to this."""


async def create_alias(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.CreateAlias(request.text("AliasName"), request.text("TargetKeyId")))


async def update_alias(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.UpdateAlias(request.text("AliasName"), request.text("TargetKeyId")))


async def delete_alias(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.DeleteAlias(request.text("AliasName")))


async def list_aliases(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    limit = min(request.integer_or_none("Limit") or DEFAULT_PAGE, MAX_PAGE)
    page = await service.call(
        caller, t.ListAliases(key_id=request.text_or_none("KeyId"), limit=limit, marker=request.text_or_none("Marker"))
    )
    return alias_page(page)

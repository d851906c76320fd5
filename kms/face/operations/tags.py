"""TagResource, UntagResource, ListResourceTags, UpdateKeyDescription."""

from __future__ import annotations

from iam.principals import Caller
from kms.api import types as t
from kms.api.service import KeyService
from kms.face.documents import Document, tag_page
from kms.face.request import ParsedRequest

MAX_PAGE = 50


async def tag_resource(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.TagResource(request.text("KeyId"), request.tags("Tags")))


async def untag_resource(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.UntagResource(request.text("KeyId"), request.texts("TagKeys")))


async def list_resource_tags(service: KeyService, caller: Caller, request: ParsedRequest) -> Document:
    limit = request.integer_within("Limit", MAX_PAGE, 1, MAX_PAGE)
    return tag_page(
        await service.call(caller, t.ListResourceTags(request.text("KeyId"), limit, request.text_or_none("Marker")))
    )


async def update_key_description(service: KeyService, caller: Caller, request: ParsedRequest) -> None:
    await service.call(caller, t.UpdateKeyDescription(request.text("KeyId"), request.text("Description")))

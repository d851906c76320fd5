"""TagResource, UntagResource, ListResourceTags, UpdateKeyDescription.

Tags decide permissions (aws:ResourceTag), so that a change of them is in effect everywhere before it is answered, like
every other visible one.
"""

from __future__ import annotations

from dataclasses import replace

from kms.api.errors import KMSError
from kms.api.types import ListResourceTags, Tag, TagPage, TagResource, UntagResource, UpdateKeyDescription
from kms.keys.state import Operation
from kms.service import paging
from kms.service.call import Call
from kms.service.constraints import check_length
from kms.service.core import Core
from kms.store.records import StoredKey

MAX_DESCRIPTION_LENGTH = 8192
MAX_TAGS = 50
MAX_TAG_KEY_LENGTH = 128
MAX_TAG_VALUE_LENGTH = 256
RESERVED_PREFIX = "aws:"


async def tag_resource(core: Core, call: Call[TagResource]) -> None:
    key = core.key_for(call, call.request.key_id, Operation.TAG_RESOURCE)
    new = call.request.tags
    check_tags(new)

    def add(stored: StoredKey) -> StoredKey:
        named = {tag.key for tag in new}
        tags = (*(tag for tag in stored.tags if tag.key not in named), *new)
        if len(tags) > MAX_TAGS:
            raise KMSError("LimitExceededException", f"A KMS key can have {MAX_TAGS} tags.")
        return replace(stored, tags=tags)

    await core.edit(key, add)


async def untag_resource(core: Core, call: Call[UntagResource]) -> None:
    key = core.key_for(call, call.request.key_id, Operation.UNTAG_RESOURCE)
    gone = set(call.request.tag_keys)
    for tag_key in gone:
        _check_key(tag_key)
    await core.edit(key, lambda stored: replace(stored, tags=tuple(tag for tag in stored.tags if tag.key not in gone)))


async def list_resource_tags(core: Core, call: Call[ListResourceTags]) -> TagPage:
    """Tags in the order of their keys."""
    request = call.request
    key = core.key_for(call, request.key_id, Operation.LIST_RESOURCE_TAGS)
    paging.check_limit(request.limit, paging.MAX_TAGS)
    after = paging.parse_tag_marker(request.marker)
    tags = sorted((tag for tag in key.tags if after is None or tag.key > after), key=lambda tag: tag.key)
    page = tuple(tags[: request.limit])
    return TagPage(page, paging.format_tag_marker(page[-1].key) if len(tags) > len(page) else None)


async def update_key_description(core: Core, call: Call[UpdateKeyDescription]) -> None:
    description = call.request.description
    key = core.key_for(call, call.request.key_id, Operation.UPDATE_KEY_DESCRIPTION)
    check_length("description", len(description), 0, MAX_DESCRIPTION_LENGTH, description)
    await core.edit(key, lambda stored: replace(stored, metadata=replace(stored.metadata, description=description)))


def check_tags(tags: tuple[Tag, ...]) -> None:
    """Raises TagException for tags that a key cannot be given at once."""
    if len(tags) > MAX_TAGS:
        raise KMSError("TagException", "Too many tags")
    if len({tag.key for tag in tags}) != len(tags):
        raise KMSError("TagException", "Duplicate tag keys")
    for tag in tags:
        _check_key(tag.key)
        if len(tag.value) > MAX_TAG_VALUE_LENGTH:
            raise KMSError("TagException", f"A tag has a value of up to {MAX_TAG_VALUE_LENGTH} characters")


def _check_key(key: str) -> None:
    if key.startswith(RESERVED_PREFIX):
        raise KMSError("TagException", "Tags beginning with aws: are reserved")
    if not 1 <= len(key) <= MAX_TAG_KEY_LENGTH:
        raise KMSError("TagException", f"A tag has a key of 1 to {MAX_TAG_KEY_LENGTH} characters")

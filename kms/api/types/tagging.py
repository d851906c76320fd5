"""Tags and descriptions: TagResource, UntagResource, ListResourceTags, UpdateKeyDescription."""

from __future__ import annotations

from dataclasses import dataclass

from kms.api.types.keys import Tag
from kms.api.types.request import Request


@dataclass(frozen=True, slots=True)
class TagPage:
    tags: tuple[Tag, ...]
    next_marker: str | None


@dataclass(frozen=True, slots=True)
class TagResource(Request[None]):
    """Adds tags; one of a key that is there already gets the new value."""

    key_id: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class UntagResource(Request[None]):
    """Keys that are not there are no error."""

    key_id: str
    tag_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListResourceTags(Request[TagPage]):
    """`limit` is 1..50."""

    key_id: str
    limit: int = 50
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class UpdateKeyDescription(Request[None]):
    key_id: str
    description: str

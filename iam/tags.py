"""Tags of identities and policies. Source: IAM User Guide, "Tags for AWS Identity and Access Management resources"."""

from __future__ import annotations

from collections.abc import Iterable

MAX_TAGS = 50
"""Of a user, a role or a policy."""

Tags = tuple[tuple[str, str], ...]
"""Keys with their values. No two keys differ by case alone."""


def with_tags(tags: Tags, further: Iterable[tuple[str, str]]) -> Tags:
    """`tags` and `further`; what is there under a key, however it is capitalised, is replaced where it stands."""
    found = {key.casefold(): (key, value) for key, value in tags}
    found |= {key.casefold(): (key, value) for key, value in further}
    return tuple(found.values())


def without_tags(tags: Tags, keys: Iterable[str]) -> Tags:
    """`tags` but for those under one of `keys`, however they are capitalised."""
    gone = {key.casefold() for key in keys}
    return tuple(tag for tag in tags if tag[0].casefold() not in gone)


def check_tags(tags: Tags) -> Tags:
    """The tags themselves if they are a set of tags. Raises ValueError."""
    if len({key.casefold() for key, _ in tags}) != len(tags):
        raise ValueError("no two tags have the same key, capitals disregarded")
    return tags

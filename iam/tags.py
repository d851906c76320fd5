"""Tags of identities and policies. Source: IAM User Guide, "Tags for AWS Identity and Access Management resources"."""

from __future__ import annotations

from collections.abc import Callable, Iterable

MAX_TAGS = 50
"""Of a user, a role or a policy."""

Tags = tuple[tuple[str, str], ...]
"""Keys with their values. No two keys are the same."""

Fold = Callable[[str], str]
"""What of a key makes it the same as another."""


def disregard_case(key: str) -> str:
    """For users, roles and sessions: `Team` and `team` are one key."""
    return key.casefold()


def regard_case(key: str) -> str:
    """For everything else in IAM that has tags."""
    return key


def with_tags(tags: Tags, further: Iterable[tuple[str, str]], fold: Fold = disregard_case) -> Tags:
    """`tags` and `further`; what is there under the same key is replaced where it stands."""
    found = {fold(key): (key, value) for key, value in tags}
    found |= {fold(key): (key, value) for key, value in further}
    return tuple(found.values())


def without_tags(tags: Tags, keys: Iterable[str], fold: Fold = disregard_case) -> Tags:
    """`tags` but for those under one of `keys`."""
    gone = {fold(key) for key in keys}
    return tuple(tag for tag in tags if fold(tag[0]) not in gone)


def check_tags(tags: Tags, fold: Fold = disregard_case) -> Tags:
    """The tags themselves if they are a set of tags. Raises ValueError."""
    if len({fold(key) for key, _ in tags}) != len(tags):
        raise ValueError("no two tags have the same key")
    return tags

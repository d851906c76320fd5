"""IAM users as values, and the shapes of what names them. Source: IAM API Reference, CreateUser and others."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from iam.principals import Principal, PrincipalKind

MAX_INLINE_CHARACTERS = 2048
"""Of all inline policies of a user together, white space not counted (IAM User Guide, "IAM and AWS STS quotas")."""

MAX_USERS = 5000
"""Of an account (the same page)."""

MAX_TAGS = 50
"""Of a user (IAM User Guide, "Tags for AWS Identity and Access Management resources")."""

Tags = tuple[tuple[str, str], ...]
"""Keys with their values. No two keys differ by case alone."""

_USER_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
_POLICY_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}")
_PATH = re.compile(r"/|/[\x21-\x7e]{1,510}/")
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class User:
    """`user_id` is what AWS calls aws:userid, and is never used again; `path` begins and ends with "/"."""

    user_id: str
    account_id: str
    name: str
    path: str
    created_us: int
    tags: Tags = ()
    boundary_arn: str | None = None
    """The managed policy that is its permissions boundary."""

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:user{self.path}{self.name}"

    @property
    def principal(self) -> Principal:
        return Principal(PrincipalKind.USER, self.account_id, self.arn, self.user_id, tags=self.tags)


def new_user_id() -> str:
    """`AIDA` and 17 characters of base32 (85 bits), the shape of AWS's."""
    return "AIDA" + "".join(secrets.choice(_BASE32) for _ in range(17))


def check_user_name(text: str) -> str:
    """The text itself if a user can have this name. Raises ValueError."""
    if not _USER_NAME.fullmatch(text):
        raise ValueError("a user's name has 1 to 64 letters, digits and characters of _+=,.@-")
    return text


def check_path(text: str) -> str:
    """The text itself if it can be a path. Raises ValueError."""
    if not _PATH.fullmatch(text):
        raise ValueError('a path begins and ends with "/", and has at most 512 printable ASCII characters')
    return text


def check_policy_name(text: str) -> str:
    """The text itself if a policy can have this name. Raises ValueError."""
    if not _POLICY_NAME.fullmatch(text):
        raise ValueError("a policy's name has 1 to 128 letters, digits and characters of _+=,.@-")
    return text


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

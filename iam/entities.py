"""What IAM calls entities, as values: users, groups and roles, and the shapes of what names them.

Source: IAM API Reference, CreateUser, CreateGroup, CreateRole; IAM User Guide, "IAM and AWS STS quotas".
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from iam.principals import Principal, PrincipalKind
from iam.tags import Tags


class EntityKind(StrEnum):
    """As ARNs name them."""

    USER = "user"
    GROUP = "group"
    ROLE = "role"


MAX_ENTITIES: Mapping[EntityKind, int] = {EntityKind.USER: 5000, EntityKind.GROUP: 300, EntityKind.ROLE: 1000}
"""Of an account."""

MAX_INLINE_CHARACTERS: Mapping[EntityKind, int] = {
    EntityKind.USER: 2048,
    EntityKind.GROUP: 5120,
    EntityKind.ROLE: 10240,
}
"""Of all inline policies of an entity together, white space not counted."""

MAX_ATTACHMENTS = 10
"""Managed policies attached to an entity, of whatever kind."""

MAX_GROUPS_OF_USER = 10
"""That one user can be in."""

MAX_TRUST_CHARACTERS = 2048
"""Of a role's trust policy, white space not counted."""

MIN_SESSION_SECONDS, MAX_SESSION_SECONDS = 3600, 43200
"""What a role's maximum session duration may be; a role that does not say has the least."""

_NAMES = {
    EntityKind.USER: re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}"),
    EntityKind.GROUP: re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}"),
    EntityKind.ROLE: re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}"),
}
_POLICY_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{1,128}")
_PATH = re.compile(r"/|/[\x21-\x7e]{1,510}/")
_ID_PREFIXES = {EntityKind.USER: "AIDA", EntityKind.GROUP: "AGPA", EntityKind.ROLE: "AROA"}
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


@dataclass(frozen=True, slots=True)
class User:
    """`user_id` is what AWS calls aws:userid, and is never used again; `path` begins and ends with "/"."""

    kind: ClassVar = EntityKind.USER

    user_id: str
    account_id: str
    name: str
    path: str
    created_us: int
    tags: Tags = ()
    boundary_arn: str | None = None
    """The managed policy that is its permissions boundary."""

    @property
    def entity_id(self) -> str:
        return self.user_id

    @property
    def arn(self) -> str:
        return entity_arn(self.kind, self.account_id, self.path, self.name)

    @property
    def principal(self) -> Principal:
        return Principal(PrincipalKind.USER, self.account_id, self.arn, self.user_id, tags=self.tags)


@dataclass(frozen=True, slots=True)
class Group:
    """Users that share policies. A group is no principal: policies cannot name it."""

    kind: ClassVar = EntityKind.GROUP

    group_id: str
    account_id: str
    name: str
    path: str
    created_us: int

    @property
    def entity_id(self) -> str:
        return self.group_id

    @property
    def arn(self) -> str:
        return entity_arn(self.kind, self.account_id, self.path, self.name)


@dataclass(frozen=True, slots=True)
class RoleUse:
    """When a role was last used, and in which region."""

    used_us: int
    region: str


@dataclass(frozen=True, slots=True)
class Role:
    """`trust_policy` says who may assume it; sessions last at most `max_session_seconds`."""

    kind: ClassVar = EntityKind.ROLE

    role_id: str
    account_id: str
    name: str
    path: str
    created_us: int
    trust_policy: str
    description: str = ""
    max_session_seconds: int = MIN_SESSION_SECONDS
    tags: Tags = ()
    boundary_arn: str | None = None
    last_use: RoleUse | None = None

    @property
    def entity_id(self) -> str:
        return self.role_id

    @property
    def arn(self) -> str:
        return entity_arn(self.kind, self.account_id, self.path, self.name)


Entity = User | Group | Role


def entity_arn(kind: EntityKind, account_id: str, path: str, name: str) -> str:
    return f"arn:aws:iam::{account_id}:{kind}{path}{name}"


def new_entity_id(kind: EntityKind) -> str:
    """Four letters that tell the kind (`AIDA` of a user) and 17 characters of base32 (85 bits), the shape of AWS's."""
    return _ID_PREFIXES[kind] + "".join(secrets.choice(_BASE32) for _ in range(17))


def check_entity_name(kind: EntityKind, text: str) -> str:
    """The text itself if an entity of this kind can have this name. Raises ValueError."""
    if not _NAMES[kind].fullmatch(text):
        most = 128 if kind is EntityKind.GROUP else 64
        raise ValueError(f"the name of a {kind} has 1 to {most} letters, digits and characters of _+=,.@-")
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


def check_session_seconds(seconds: int) -> int:
    """The number itself if it can be a role's maximum session duration. Raises ValueError."""
    if not MIN_SESSION_SECONDS <= seconds <= MAX_SESSION_SECONDS:
        raise ValueError(f"a maximum session duration has {MIN_SESSION_SECONDS} to {MAX_SESSION_SECONDS} seconds")
    return seconds

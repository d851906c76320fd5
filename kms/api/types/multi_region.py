"""Multi-Region keys: ReplicateKey, UpdatePrimaryRegion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kms.api.types.keys import KeyMetadata, Tag
from kms.api.types.request import Request


@dataclass(frozen=True, slots=True)
class Replica:
    metadata: KeyMetadata
    policy: str
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class ReplicateKey(Request[Replica]):
    """Make a replica of a primary key in another region. `policy` None means the default one."""

    is_idempotent: ClassVar[bool] = False
    key_id: str
    replica_region: str
    policy: str | None = None
    bypass_policy_lockout_safety_check: bool = False
    description: str = ""
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdatePrimaryRegion(Request[None]):
    """Make the replica in `primary_region` the primary, and the primary a replica."""

    key_id: str
    primary_region: str

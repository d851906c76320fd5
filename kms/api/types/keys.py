"""Keys: CreateKey, DescribeKey, ListKeys and the operations that change a key's state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from kms.api.types.request import PAIR_SECONDS, Request

SERVICE_KEY_ALIAS = "alias/sealgate/service"
"""Names the gateway's own key, in the account `iam.principals.SERVICE_ACCOUNT_ID`; made when a key store is made."""

S3_KEY_ALIAS = "alias/aws/s3"
"""Names the AWS-managed key of each account, made at its first use through S3 or its first description."""


OWNED_BY_SELF = "SELF"
"""Of the owners that ListKeys can ask for, the caller's account; the other is accounts that share keys through RAM."""


class KeyState(StrEnum):
    CREATING = "Creating"
    ENABLED = "Enabled"
    DISABLED = "Disabled"
    PENDING_IMPORT = "PendingImport"
    PENDING_DELETION = "PendingDeletion"
    PENDING_REPLICA_DELETION = "PendingReplicaDeletion"
    UNAVAILABLE = "Unavailable"
    UPDATING = "Updating"


class KeyManager(StrEnum):
    CUSTOMER = "CUSTOMER"
    AWS = "AWS"


@dataclass(frozen=True, slots=True)
class KeyMetadata:
    """KeyMetadata of the KMS API; `account_id`, `region` and `key_id` (a UUID, or `mrk-` and 32 hex digits) make up
    `key_arn`.

    `protection` is where the key may be used in the clear: "software" (unwrapped in kmsd for a lease) or "hsm" (only
    inside the token). `valid_to_us` is when imported material expires, None for never.
    """

    account_id: str
    region: str
    key_id: str
    key_arn: str
    created_us: int
    state: KeyState
    description: str
    manager: KeyManager
    key_spec: str = "SYMMETRIC_DEFAULT"
    key_usage: str = "ENCRYPT_DECRYPT"
    origin: str = "AWS_KMS"
    multi_region: bool = False
    deletion_us: int | None = None
    key_material_id: str | None = None
    protection: str = "software"
    pending_window_days: int | None = None
    valid_to_us: int | None = None
    primary_region: str | None = None
    """Of a multi-Region key: the region of its primary key, which may be `region` itself."""
    replica_regions: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        return self.state is KeyState.ENABLED

    @property
    def is_primary(self) -> bool:
        """Whether this is the primary of a multi-Region key."""
        return self.multi_region and self.primary_region == self.region


@dataclass(frozen=True, slots=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class CreateKey(Request[KeyMetadata]):
    """Make a key and its first version. `policy` None means AWS's default: the account's root user may do all."""

    is_idempotent: ClassVar[bool] = False
    extra_seconds: ClassVar[float] = PAIR_SECONDS
    description: str = ""
    key_spec: str = "SYMMETRIC_DEFAULT"
    key_usage: str = "ENCRYPT_DECRYPT"
    origin: str = "AWS_KMS"
    multi_region: bool = False
    policy: str | None = None
    bypass_policy_lockout_safety_check: bool = False
    tags: tuple[Tag, ...] = ()
    custom_key_store_id: str | None = None


@dataclass(frozen=True, slots=True)
class DescribeKey(Request[KeyMetadata]):
    """`alias/aws/s3` creates the account's AWS-managed key at its first description."""

    key_id: str
    grant_tokens: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyListEntry:
    key_id: str
    key_arn: str


@dataclass(frozen=True, slots=True)
class KeyPage:
    keys: tuple[KeyListEntry, ...]
    next_marker: str | None


@dataclass(frozen=True, slots=True)
class ListKeys(Request[KeyPage]):
    """Keys of the caller's account in order of creation; `limit` is 1..1000.

    `resource_owners` empty is the same as SELF alone.
    """

    limit: int = 100
    marker: str | None = None
    resource_owners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnableKey(Request[None]):
    key_id: str


@dataclass(frozen=True, slots=True)
class DisableKey(Request[None]):
    key_id: str


@dataclass(frozen=True, slots=True)
class ScheduleKeyDeletion(Request[KeyMetadata]):
    """`pending_window_days` is 7..30. `usage` is what the key opens, for the audit trail, as the gateway counted it: no
    client can say it."""

    is_idempotent: ClassVar[bool] = False
    key_id: str
    pending_window_days: int = 30
    usage: Mapping[str, int | str] | None = None


@dataclass(frozen=True, slots=True)
class CancelKeyDeletion(Request[KeyMetadata]):
    is_idempotent: ClassVar[bool] = False
    key_id: str

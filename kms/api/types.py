"""What goes into and comes out of the key service, shaped after the KMS API (2014-11-01).

Times are integer microseconds since the epoch, UTC. `key_id` in a request is whatever the caller wrote: key id, key
ARN, alias name or alias ARN; in results `key_arn` is always the full key ARN. Field limits are checked where the
request is parsed (`kms.face`), state and authorisation in the service.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from kms.api.secrets import SecretBytes

EncryptionContext = Mapping[str, str]
"""Additional authenticated data of a symmetric operation: not secret, order-free, empty is the same as absent."""


SERVICE_KEY_ALIAS = "alias/sealgate/service"
"""Names the gateway's own key, in the account `iam.principals.SERVICE_ACCOUNT_ID`; made when a key store is made."""

S3_KEY_ALIAS = "alias/aws/s3"
"""Names the AWS-managed key of each account, made at its first use through S3 or its first description."""


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
    """KeyMetadata of the KMS API; `account_id`, `region` and `key_id` (a UUID) make up `key_arn`."""

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

    @property
    def enabled(self) -> bool:
        return self.state is KeyState.ENABLED


@dataclass(frozen=True, slots=True)
class Tag:
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class CreateKey:
    description: str = ""
    key_spec: str = "SYMMETRIC_DEFAULT"
    key_usage: str = "ENCRYPT_DECRYPT"
    origin: str = "AWS_KMS"
    multi_region: bool = False
    policy: str | None = None
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyListEntry:
    key_id: str
    key_arn: str


@dataclass(frozen=True, slots=True)
class KeyPage:
    keys: tuple[KeyListEntry, ...]
    next_marker: str | None


@dataclass(frozen=True, slots=True)
class Alias:
    """`target_key_id` is None for an AWS-managed alias whose key was not made yet."""

    name: str
    arn: str
    target_key_id: str | None
    created_us: int | None
    updated_us: int | None


@dataclass(frozen=True, slots=True)
class AliasPage:
    aliases: tuple[Alias, ...]
    next_marker: str | None


@dataclass(frozen=True, slots=True)
class Encrypt:
    key_id: str
    plaintext: SecretBytes
    encryption_context: EncryptionContext = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Ciphertext:
    """A ciphertext blob, with the key (and the version of its material) that made it."""

    ciphertext_blob: bytes
    key_arn: str
    key_version: int
    key_material_id: str


@dataclass(frozen=True, slots=True)
class Decrypt:
    """`key_id` None means: the key that the blob names."""

    ciphertext_blob: bytes
    key_id: str | None = None
    encryption_context: EncryptionContext = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Plaintext:
    plaintext: SecretBytes
    key_arn: str
    key_version: int
    key_material_id: str


@dataclass(frozen=True, slots=True)
class ReEncrypt:
    ciphertext_blob: bytes
    destination_key_id: str
    source_key_id: str | None = None
    source_encryption_context: EncryptionContext = field(default_factory=dict)
    destination_encryption_context: EncryptionContext = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class ReEncrypted:
    ciphertext: Ciphertext
    source_key_arn: str
    source_key_material_id: str


@dataclass(frozen=True, slots=True)
class GenerateDataKey:
    """`number_of_bytes` is 1..1024; the face turns KeySpec AES_128/AES_256 into 16/32."""

    key_id: str
    number_of_bytes: int
    encryption_context: EncryptionContext = field(default_factory=dict)
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class DataKey:
    """A fresh data key: in the clear, and as the ciphertext blob to be stored."""

    plaintext: SecretBytes
    ciphertext: Ciphertext


class HealthState(StrEnum):
    READY = "ready"
    DEGRADED = "degraded"
    """The HSM was lost while running: keys on lease go on until their lease ends."""
    SEALED = "sealed"
    """The root was never available since start: nothing can be opened yet."""


@dataclass(frozen=True, slots=True)
class Health:
    state: HealthState
    detail: str
    retry_after_seconds: int = 0

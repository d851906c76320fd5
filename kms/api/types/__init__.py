"""What goes into and comes out of the key service, shaped after the KMS API (2014-11-01); a module for each family.

Times are integer microseconds since the epoch, UTC. `key_id` in a request is whatever the caller wrote: key id, key
ARN, alias name or alias ARN; in results `key_arn` is always the full key ARN. Field limits are checked where the
request is parsed (`kms.face`), state and authorisation in the service.
"""

from __future__ import annotations

from typing import Any

from kms.api.types.aliases import Alias, AliasPage, CreateAlias, DeleteAlias, ListAliases, UpdateAlias
from kms.api.types.asymmetric import (
    DataKeyPair,
    DeriveSharedSecret,
    GenerateDataKeyPair,
    GenerateDataKeyPairWithoutPlaintext,
    GenerateMac,
    GetPublicKey,
    Mac,
    PublicKey,
    SealedDataKeyPair,
    SharedSecret,
    Sign,
    Signature,
    Verify,
    VerifyMac,
)
from kms.api.types.auditing import RecordCall, RequireTrail
from kms.api.types.data_keys import (
    DataKey,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    GenerateRandom,
    UnwrapDataKey,
    WrapDataKey,
)
from kms.api.types.destruction import AttestDestruction, Destruction
from kms.api.types.encryption import (
    IGNORE_CIPHERTEXT,
    Ciphertext,
    Decrypt,
    Encrypt,
    Plaintext,
    ReEncrypt,
    ReEncrypted,
)
from kms.api.types.grants import (
    CreateGrant,
    Grant,
    GrantConstraints,
    GrantPage,
    ListGrants,
    ListRetirableGrants,
    NewGrant,
    RetireGrant,
    RevokeGrant,
)
from kms.api.types.health import Health, HealthState
from kms.api.types.importing import (
    DOES_NOT_EXPIRE,
    EXPIRES,
    DeleteImportedKeyMaterial,
    GetParametersForImport,
    ImportedMaterial,
    ImportKeyMaterial,
    ImportParameters,
)
from kms.api.types.keys import (
    OWNED_BY_SELF,
    S3_KEY_ALIAS,
    SERVICE_KEY_ALIAS,
    CancelKeyDeletion,
    CreateKey,
    DescribeKey,
    DisableKey,
    EnableKey,
    KeyListEntry,
    KeyManager,
    KeyMetadata,
    KeyPage,
    KeyState,
    ListKeys,
    ScheduleKeyDeletion,
    Tag,
)
from kms.api.types.multi_region import Replica, ReplicateKey, UpdatePrimaryRegion
from kms.api.types.policies import (
    DEFAULT_POLICY_NAME,
    GetKeyPolicy,
    KeyPolicy,
    ListKeyPolicies,
    PolicyNames,
    PutKeyPolicy,
)
from kms.api.types.request import PAIR_SECONDS, EncryptionContext, Request
from kms.api.types.rotation import (
    DisableKeyRotation,
    EnableKeyRotation,
    GetKeyRotationStatus,
    KeyMaterial,
    ListKeyRotations,
    MaterialPage,
    RotateKeyOnDemand,
    RotationStatus,
)
from kms.api.types.tagging import ListResourceTags, TagPage, TagResource, UntagResource, UpdateKeyDescription
from kms.api.types.usage import GetKeyLastUsage, KeyLastUsage

__all__ = [
    "DEFAULT_POLICY_NAME",
    "DOES_NOT_EXPIRE",
    "EXPIRES",
    "IGNORE_CIPHERTEXT",
    "OWNED_BY_SELF",
    "PAIR_SECONDS",
    "REQUESTS",
    "S3_KEY_ALIAS",
    "SERVICE_KEY_ALIAS",
    "Alias",
    "AliasPage",
    "AttestDestruction",
    "CancelKeyDeletion",
    "Ciphertext",
    "CreateAlias",
    "CreateGrant",
    "CreateKey",
    "DataKey",
    "DataKeyPair",
    "Decrypt",
    "DeleteAlias",
    "DeleteImportedKeyMaterial",
    "DeriveSharedSecret",
    "DescribeKey",
    "Destruction",
    "DisableKey",
    "DisableKeyRotation",
    "EnableKey",
    "EnableKeyRotation",
    "Encrypt",
    "EncryptionContext",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GenerateRandom",
    "GetKeyLastUsage",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "GetPublicKey",
    "Grant",
    "GrantConstraints",
    "GrantPage",
    "Health",
    "HealthState",
    "ImportKeyMaterial",
    "ImportParameters",
    "ImportedMaterial",
    "KeyLastUsage",
    "KeyListEntry",
    "KeyManager",
    "KeyMaterial",
    "KeyMetadata",
    "KeyPage",
    "KeyPolicy",
    "KeyState",
    "ListAliases",
    "ListGrants",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListKeys",
    "ListResourceTags",
    "ListRetirableGrants",
    "Mac",
    "MaterialPage",
    "NewGrant",
    "Plaintext",
    "PolicyNames",
    "PublicKey",
    "PutKeyPolicy",
    "ReEncrypt",
    "ReEncrypted",
    "RecordCall",
    "Replica",
    "ReplicateKey",
    "Request",
    "RequireTrail",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "RotationStatus",
    "ScheduleKeyDeletion",
    "SealedDataKeyPair",
    "SharedSecret",
    "Sign",
    "Signature",
    "Tag",
    "TagPage",
    "TagResource",
    "UntagResource",
    "UnwrapDataKey",
    "UpdateAlias",
    "UpdateKeyDescription",
    "UpdatePrimaryRegion",
    "Verify",
    "VerifyMac",
    "WrapDataKey",
]

REQUESTS: tuple[type[Request[Any]], ...] = tuple(
    sorted(
        (
            each
            for each in list(globals().values())
            if isinstance(each, type) and issubclass(each, Request) and each is not Request
        ),
        key=lambda request: request.operation_name(),
    )
)
"""Every request that the key service answers, by name: what is imported above and is a request."""

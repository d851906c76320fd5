"""Which operation a key in which state admits, and AWS's answer where it does not: one table.

Source: AWS KMS Developer Guide, "Key states of AWS KMS keys". Where AWS documents two answers for a key that is pending
deletion (DisabledException and KMSInvalidStateException), the second stands everywhere, as recorded from live services.
Rotation and import depend on the origin of the key as well; their services check that first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType

from kms.api.errors import KMSError
from kms.api.types import KeyState


class Operation(StrEnum):
    """KMS operations, spelt as in policies: of ReEncrypt there are two, one for each key."""

    CANCEL_KEY_DELETION = "CancelKeyDeletion"
    CREATE_ALIAS = "CreateAlias"
    CREATE_GRANT = "CreateGrant"
    CREATE_KEY = "CreateKey"
    DECRYPT = "Decrypt"
    DELETE_ALIAS = "DeleteAlias"
    DELETE_IMPORTED_KEY_MATERIAL = "DeleteImportedKeyMaterial"
    DERIVE_SHARED_SECRET = "DeriveSharedSecret"  # noqa: S105 - the name of an operation
    DESCRIBE_KEY = "DescribeKey"
    DISABLE_KEY = "DisableKey"
    DISABLE_KEY_ROTATION = "DisableKeyRotation"
    ENABLE_KEY = "EnableKey"
    ENABLE_KEY_ROTATION = "EnableKeyRotation"
    ENCRYPT = "Encrypt"
    GENERATE_DATA_KEY = "GenerateDataKey"
    GENERATE_DATA_KEY_PAIR = "GenerateDataKeyPair"
    GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT = "GenerateDataKeyPairWithoutPlaintext"
    GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = "GenerateDataKeyWithoutPlaintext"
    GENERATE_MAC = "GenerateMac"
    GENERATE_RANDOM = "GenerateRandom"
    GET_KEY_LAST_USAGE = "GetKeyLastUsage"
    GET_KEY_POLICY = "GetKeyPolicy"
    GET_KEY_ROTATION_STATUS = "GetKeyRotationStatus"
    GET_PARAMETERS_FOR_IMPORT = "GetParametersForImport"
    GET_PUBLIC_KEY = "GetPublicKey"
    IMPORT_KEY_MATERIAL = "ImportKeyMaterial"
    LIST_ALIASES = "ListAliases"
    LIST_GRANTS = "ListGrants"
    LIST_KEY_POLICIES = "ListKeyPolicies"
    LIST_KEY_ROTATIONS = "ListKeyRotations"
    LIST_KEYS = "ListKeys"
    LIST_RESOURCE_TAGS = "ListResourceTags"
    LIST_RETIRABLE_GRANTS = "ListRetirableGrants"
    PUT_KEY_POLICY = "PutKeyPolicy"
    RE_ENCRYPT_FROM = "ReEncryptFrom"
    RE_ENCRYPT_TO = "ReEncryptTo"
    REPLICATE_KEY = "ReplicateKey"
    RETIRE_GRANT = "RetireGrant"
    REVOKE_GRANT = "RevokeGrant"
    ROTATE_KEY_ON_DEMAND = "RotateKeyOnDemand"
    SCHEDULE_KEY_DELETION = "ScheduleKeyDeletion"
    SIGN = "Sign"
    TAG_RESOURCE = "TagResource"
    UNTAG_RESOURCE = "UntagResource"
    UPDATE_ALIAS = "UpdateAlias"
    UPDATE_KEY_DESCRIPTION = "UpdateKeyDescription"
    UPDATE_PRIMARY_REGION = "UpdatePrimaryRegion"
    VERIFY = "Verify"
    VERIFY_MAC = "VerifyMac"

    @property
    def action(self) -> str:
        return f"kms:{self.value}"


CRYPTOGRAPHIC = frozenset(
    {
        Operation.DECRYPT,
        Operation.DERIVE_SHARED_SECRET,
        Operation.ENCRYPT,
        Operation.GENERATE_DATA_KEY,
        Operation.GENERATE_DATA_KEY_PAIR,
        Operation.GENERATE_DATA_KEY_PAIR_WITHOUT_PLAINTEXT,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        Operation.GENERATE_MAC,
        Operation.GET_PUBLIC_KEY,
        Operation.RE_ENCRYPT_FROM,
        Operation.RE_ENCRYPT_TO,
        Operation.SIGN,
        Operation.VERIFY,
        Operation.VERIFY_MAC,
    }
)
"""The operations that use key material; an AWS-managed key serves them only through its service."""

ACCEPTS_ALIAS = CRYPTOGRAPHIC | {Operation.DESCRIBE_KEY}
"""The operations whose KeyId may be an alias name or alias ARN (API Reference, KeyId of each operation)."""


class Outcome(Enum):
    """What the table says: go on, or refuse with this code and this end of the sentence "<key ARN> ..."."""

    OK = ("", "")
    DISABLED = ("DisabledException", "is disabled.")
    PENDING_DELETION = ("KMSInvalidStateException", "is pending deletion.")
    NOT_PENDING_DELETION = ("KMSInvalidStateException", "is not pending deletion.")
    PENDING_IMPORT = ("KMSInvalidStateException", "is pending import.")
    UNAVAILABLE = ("KMSInvalidStateException", "is unavailable.")
    CREATING = ("KMSInvalidStateException", "is creating.")
    UPDATING = ("KMSInvalidStateException", "is updating.")


def _row(
    *,
    enabled: Outcome = Outcome.OK,
    disabled: Outcome = Outcome.OK,
    pending_deletion: Outcome = Outcome.PENDING_DELETION,
    pending_import: Outcome = Outcome.OK,
    unavailable: Outcome = Outcome.OK,
    creating: Outcome = Outcome.OK,
    updating: Outcome = Outcome.OK,
) -> Mapping[KeyState, Outcome]:
    return MappingProxyType(
        {
            KeyState.ENABLED: enabled,
            KeyState.DISABLED: disabled,
            KeyState.PENDING_DELETION: pending_deletion,
            KeyState.PENDING_REPLICA_DELETION: pending_deletion,
            KeyState.PENDING_IMPORT: pending_import,
            KeyState.UNAVAILABLE: unavailable,
            KeyState.CREATING: creating,
            KeyState.UPDATING: updating,
        }
    )


_USES_MATERIAL = _row(
    disabled=Outcome.DISABLED,
    pending_import=Outcome.PENDING_IMPORT,
    unavailable=Outcome.UNAVAILABLE,
    creating=Outcome.CREATING,
)
_SWITCHES = _row(pending_import=Outcome.PENDING_IMPORT, creating=Outcome.CREATING, updating=Outcome.UPDATING)
_MARKS = _row()
_ANY_STATE = _row(pending_deletion=Outcome.OK)
_ROTATES = _row(
    disabled=Outcome.DISABLED,
    pending_import=Outcome.PENDING_IMPORT,
    unavailable=Outcome.UNAVAILABLE,
    creating=Outcome.CREATING,
)
_REGIONS = _row(
    disabled=Outcome.DISABLED,
    pending_import=Outcome.PENDING_IMPORT,
    unavailable=Outcome.UNAVAILABLE,
    creating=Outcome.CREATING,
    updating=Outcome.UPDATING,
)

OUTCOMES: Mapping[Operation, Mapping[KeyState, Outcome]] = MappingProxyType(
    {
        **dict.fromkeys(CRYPTOGRAPHIC, _USES_MATERIAL),
        Operation.CANCEL_KEY_DELETION: _row(
            enabled=Outcome.NOT_PENDING_DELETION,
            disabled=Outcome.NOT_PENDING_DELETION,
            pending_deletion=Outcome.OK,
            pending_import=Outcome.NOT_PENDING_DELETION,
            unavailable=Outcome.NOT_PENDING_DELETION,
            creating=Outcome.NOT_PENDING_DELETION,
            updating=Outcome.NOT_PENDING_DELETION,
        ),
        Operation.SCHEDULE_KEY_DELETION: _row(updating=Outcome.UPDATING),
        Operation.ENABLE_KEY: _SWITCHES,
        Operation.DISABLE_KEY: _SWITCHES,
        **dict.fromkeys(
            (
                Operation.CREATE_ALIAS,
                # The state that counts is the new target's; the old target may be in any.
                Operation.UPDATE_ALIAS,
                Operation.TAG_RESOURCE,
                Operation.UNTAG_RESOURCE,
                Operation.UPDATE_KEY_DESCRIPTION,
            ),
            _MARKS,
        ),
        **dict.fromkeys(
            (
                Operation.DELETE_ALIAS,
                Operation.DESCRIBE_KEY,
                Operation.GET_KEY_LAST_USAGE,
                Operation.GET_KEY_POLICY,
                Operation.GET_KEY_ROTATION_STATUS,
                Operation.LIST_ALIASES,
                Operation.LIST_GRANTS,
                Operation.LIST_KEY_POLICIES,
                Operation.LIST_KEY_ROTATIONS,
                Operation.LIST_RESOURCE_TAGS,
                Operation.PUT_KEY_POLICY,
                Operation.RETIRE_GRANT,
                Operation.REVOKE_GRANT,
            ),
            _ANY_STATE,
        ),
        Operation.CREATE_GRANT: _row(
            disabled=Outcome.DISABLED, pending_import=Outcome.PENDING_IMPORT, creating=Outcome.CREATING
        ),
        **dict.fromkeys(
            (Operation.ENABLE_KEY_ROTATION, Operation.DISABLE_KEY_ROTATION, Operation.ROTATE_KEY_ON_DEMAND), _ROTATES
        ),
        Operation.GET_PARAMETERS_FOR_IMPORT: _row(creating=Outcome.CREATING, updating=Outcome.UPDATING),
        Operation.IMPORT_KEY_MATERIAL: _row(creating=Outcome.CREATING),
        Operation.DELETE_IMPORTED_KEY_MATERIAL: _row(
            pending_deletion=Outcome.OK, creating=Outcome.CREATING, updating=Outcome.UPDATING
        ),
        Operation.REPLICATE_KEY: _REGIONS,
        Operation.UPDATE_PRIMARY_REGION: _row(
            disabled=Outcome.DISABLED,
            pending_import=Outcome.PENDING_IMPORT,
            unavailable=Outcome.UNAVAILABLE,
            creating=Outcome.CREATING,
        ),
    }
)
"""Operation, then state, to outcome. Operations that concern no existing key have no row: CreateKey, ListKeys,
ListRetirableGrants, GenerateRandom."""


def check_state(operation: Operation, state: KeyState, key_arn: str) -> None:
    """Raise AWS's refusal if a key in `state` does not admit `operation`."""
    outcome = OUTCOMES[operation][state]
    if outcome is not Outcome.OK:
        code, ending = outcome.value
        raise KMSError(code, f"{key_arn} {ending}")

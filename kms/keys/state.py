"""Which operation a key in which state admits, and AWS's answer where it does not: one table.

Source: AWS KMS Developer Guide, "Key states of AWS KMS keys". Where AWS documents two answers for a key that is pending
deletion (DisabledException and KMSInvalidStateException), the second stands everywhere, as recorded from live services.
Rotation and import, whose rows depend on the origin of the key, have no rows yet: they are not served.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from types import MappingProxyType

from kms.api.errors import KMSError
from kms.api.types import KeyState


class Operation(StrEnum):
    """KMS operations on one key, spelt as in the API; `action` is the name in policies."""

    CANCEL_KEY_DELETION = "CancelKeyDeletion"
    CREATE_ALIAS = "CreateAlias"
    CREATE_KEY = "CreateKey"
    DECRYPT = "Decrypt"
    DELETE_ALIAS = "DeleteAlias"
    DESCRIBE_KEY = "DescribeKey"
    DISABLE_KEY = "DisableKey"
    ENABLE_KEY = "EnableKey"
    ENCRYPT = "Encrypt"
    GENERATE_DATA_KEY = "GenerateDataKey"
    GENERATE_DATA_KEY_WITHOUT_PLAINTEXT = "GenerateDataKeyWithoutPlaintext"
    GENERATE_RANDOM = "GenerateRandom"
    LIST_ALIASES = "ListAliases"
    LIST_KEYS = "ListKeys"
    RE_ENCRYPT_FROM = "ReEncryptFrom"
    RE_ENCRYPT_TO = "ReEncryptTo"
    SCHEDULE_KEY_DELETION = "ScheduleKeyDeletion"
    UPDATE_ALIAS = "UpdateAlias"

    @property
    def action(self) -> str:
        return f"kms:{self.value}"


CRYPTOGRAPHIC = frozenset(
    {
        Operation.DECRYPT,
        Operation.ENCRYPT,
        Operation.GENERATE_DATA_KEY,
        Operation.GENERATE_DATA_KEY_WITHOUT_PLAINTEXT,
        Operation.RE_ENCRYPT_FROM,
        Operation.RE_ENCRYPT_TO,
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
_ANY_STATE = _row(pending_deletion=Outcome.OK)

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
        Operation.CREATE_ALIAS: _row(),
        # The state that counts is the new target's; the old target may be in any.
        Operation.UPDATE_ALIAS: _row(),
        Operation.DELETE_ALIAS: _ANY_STATE,
        Operation.DESCRIBE_KEY: _ANY_STATE,
        Operation.LIST_ALIASES: _ANY_STATE,
    }
)
"""Operation, then state, to outcome. CreateKey, ListKeys and GenerateRandom concern no existing key and have no row."""


def check_state(operation: Operation, state: KeyState, key_arn: str) -> None:
    """Raise AWS's refusal if a key in `state` does not admit `operation`."""
    outcome = OUTCOMES[operation][state]
    if outcome is not Outcome.OK:
        code, ending = outcome.value
        raise KMSError(code, f"{key_arn} {ending}")

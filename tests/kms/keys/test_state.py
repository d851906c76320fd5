"""The whole cross product of operations and states, against AWS's table copied out by hand."""

from __future__ import annotations

import itertools

import pytest

from kms.api.errors import STATUS, KMSError
from kms.api.types import KeyState
from kms.keys.state import ACCEPTS_ALIAS, CRYPTOGRAPHIC, OUTCOMES, Operation, Outcome, check_state

ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

# Columns as in the Developer Guide: Enabled, Disabled, Pending(Replica)Deletion, PendingImport, Unavailable, Creating,
# Updating. "." is success, numbers are the guide's footnotes.
TABLE = {
    "Encrypt Decrypt ReEncryptFrom ReEncryptTo GenerateDataKey GenerateDataKeyWithoutPlaintext": ". 1 3 5 11 14 .",
    "GenerateDataKeyPair GenerateDataKeyPairWithoutPlaintext DeriveSharedSecret": ". 1 3 5 11 14 .",
    "GenerateMac VerifyMac Sign Verify GetPublicKey": ". 1 3 5 11 14 .",
    "CreateGrant": ". 1 3 5 . 14 .",
    "CancelKeyDeletion": "4 4 . 4 4 4 4",
    "ScheduleKeyDeletion": ". . 3 . . . 15",
    "EnableKey DisableKey": ". . 3 5 . 14 15",
    "CreateAlias UpdateAlias TagResource UntagResource UpdateKeyDescription": ". . 3 . . . .",
    "DeleteAlias DescribeKey ListAliases GetKeyPolicy PutKeyPolicy ListKeyPolicies": ". . . . . . .",
    "ListGrants RetireGrant RevokeGrant ListResourceTags GetKeyLastUsage": ". . . . . . .",
    "GetKeyRotationStatus ListKeyRotations": ". . . . . . .",
    # Imported keys are refused for their origin before their state is looked at.
    "EnableKeyRotation DisableKeyRotation RotateKeyOnDemand": ". 1 3 5 11 14 .",
    "GetParametersForImport": ". . 3 . . 14 15",
    "ImportKeyMaterial": ". . 3 . . 14 .",
    "DeleteImportedKeyMaterial": ". . . . . 14 15",
    "ReplicateKey": ". 1 3 5 11 14 15",
    "UpdatePrimaryRegion": ". 1 3 5 11 14 .",
}
FOOTNOTES = {
    "1": ("DisabledException", f"{ARN} is disabled."),
    "3": ("KMSInvalidStateException", f"{ARN} is pending deletion."),
    "4": ("KMSInvalidStateException", f"{ARN} is not pending deletion."),
    "5": ("KMSInvalidStateException", f"{ARN} is pending import."),
    "11": ("KMSInvalidStateException", f"{ARN} is unavailable."),
    "14": ("KMSInvalidStateException", f"{ARN} is creating."),
    "15": ("KMSInvalidStateException", f"{ARN} is updating."),
}
COLUMNS = [
    [KeyState.ENABLED],
    [KeyState.DISABLED],
    [KeyState.PENDING_DELETION, KeyState.PENDING_REPLICA_DELETION],
    [KeyState.PENDING_IMPORT],
    [KeyState.UNAVAILABLE],
    [KeyState.CREATING],
    [KeyState.UPDATING],
]
EXPECTED = {
    (Operation(operation), state): cell
    for operations, row in TABLE.items()
    for operation in operations.split()
    for cell, states in zip(row.split(), COLUMNS, strict=True)
    for state in states
}


@pytest.mark.parametrize(("operation", "state"), list(itertools.product(OUTCOMES, KeyState)), ids=str)
def test_cross_product(operation: Operation, state: KeyState) -> None:
    cell = EXPECTED[operation, state]
    if cell == ".":
        check_state(operation, state, ARN)
        return
    with pytest.raises(KMSError) as caught:
        check_state(operation, state, ARN)
    assert (caught.value.code, caught.value.message) == FOOTNOTES[cell]


def test_every_operation_on_a_key_has_a_row_for_every_state() -> None:
    without_a_key = {
        Operation.CREATE_KEY,
        Operation.GENERATE_RANDOM,
        Operation.LIST_KEYS,
        Operation.LIST_RETIRABLE_GRANTS,
    }
    assert set(OUTCOMES) == set(Operation) - without_a_key
    assert all(set(row) == set(KeyState) for row in OUTCOMES.values())


def test_every_code_is_in_the_catalogue() -> None:
    assert {outcome.value[0] for outcome in Outcome if outcome is not Outcome.OK} <= set(STATUS)


def test_material_and_aliases() -> None:
    assert CRYPTOGRAPHIC | {Operation.DESCRIBE_KEY} == ACCEPTS_ALIAS
    assert Operation.RE_ENCRYPT_TO.action == "kms:ReEncryptTo"

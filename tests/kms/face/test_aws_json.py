"""Requests as botocore sends them, answers as botocore reads them, and every refusal of the face."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import validate_parameters

from iam.principals import Caller, root_principal
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.api.service import KeyService
from kms.face.aws_json import answer
from kms.face.response import FaceResponse
from kms.face.table import OPERATIONS
from tests.kms.face import access_cases, import_cases
from tests.kms.face.fake_service import (
    ALIAS_ARN,
    CIPHERTEXT,
    KEY_ARN,
    KEY_ID,
    MATERIAL,
    OTHER_ARN,
    FakeKeyService,
)

MODEL = botocore.session.get_session().get_service_model("kms")
SERIALIZER = create_serializer("json", include_validation=False)
PARSER = create_parser("json")
CALLER = Caller(root_principal("123456789012"), "11112222-3333-4444-5555-666677778888")

Parameters = Mapping[str, Any]


async def ask(operation: str, parameters: Parameters, service: FakeKeyService | None = None) -> FaceResponse:
    """The answer to a request that botocore made."""
    serialized = SERIALIZER.serialize_to_request(dict(parameters), MODEL.operation_model(operation))
    key_service: KeyService = service or FakeKeyService()
    return await answer(key_service, CALLER, serialized["headers"]["X-Amz-Target"], serialized["body"])


def read(operation: str, response: FaceResponse) -> dict[str, Any]:
    """The answer as botocore reads it; all that is in the document is in botocore's model, with its types."""
    assert response.status == 200
    shape = MODEL.operation_model(operation).output_shape
    wire = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
    parsed: dict[str, Any] = PARSER.parse(wire, shape)
    told = parsed.pop("ResponseMetadata")
    assert told["RequestId"] == CALLER.request_id
    if shape is None:
        assert response.body == b""
        assert parsed == {}
        return {}
    validate_parameters(parsed, shape)
    assert set(json.loads(response.body)) == set(parsed)
    return parsed


async def check_refused(operation: str, parameters: Parameters, code: str, message: str) -> None:
    service = FakeKeyService()
    check_error(await ask(operation, parameters, service), code, message)
    assert service.calls == []


def check_error(response: FaceResponse, code: str, message: str, status: int = 400) -> None:
    assert response.status == status
    assert response.headers["x-amzn-ErrorType"] == code
    assert response.headers["x-amzn-RequestId"] == CALLER.request_id
    assert response.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert json.loads(response.body) == {"__type": code, "message": message}
    wire = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": response.body}
    assert PARSER.parse(wire, None)["Error"] == {"Code": code, "Message": message}


CREATED = datetime.fromtimestamp(1_700_000_000.123, tz=UTC)
KEY_METADATA = {
    "AWSAccountId": "123456789012",
    "Arn": KEY_ARN,
    "CreationDate": CREATED,
    "CurrentKeyMaterialId": MATERIAL,
    "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
    "Description": "a key",
    "Enabled": True,
    "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
    "KeyId": KEY_ID,
    "KeyManager": "CUSTOMER",
    "KeySpec": "SYMMETRIC_DEFAULT",
    "KeyState": "Enabled",
    "KeyUsage": "ENCRYPT_DECRYPT",
    "MultiRegion": False,
    "Origin": "AWS_KMS",
}
DELETION = datetime.fromtimestamp(1_702_592_000.999, tz=UTC)
CONTEXT = {"aws:s3:arn": "arn:aws:s3:::b/ä", "": ""}
BLOB = CIPHERTEXT.ciphertext_blob

DECRYPTED = {
    "Plaintext": b"plain",
    "KeyId": KEY_ARN,
    "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    "KeyMaterialId": MATERIAL,
}
RE_ENCRYPTED = {
    "CiphertextBlob": BLOB,
    "SourceKeyId": OTHER_ARN,
    "KeyId": KEY_ARN,
    "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    "SourceKeyMaterialId": "cd" * 32,
    "DestinationKeyMaterialId": MATERIAL,
}
SIGNED = {"KeyId": "k", "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256", "GrantTokens": ["g"], "DryRun": True}
MACED = {"KeyId": "k", "Message": b"m", "MacAlgorithm": "HMAC_SHA_256", "GrantTokens": ["g"], "DryRun": True}
PEER = {
    "KeyId": "k",
    "KeyAgreementAlgorithm": "ECDH",
    "PublicKey": b"p",
    "GrantTokens": ["g"],
    "DryRun": True,
}
PAIR = {
    "KeyId": "k",
    "KeyPairSpec": "RSA_2048",
    "EncryptionContext": CONTEXT,
    "GrantTokens": ["g"],
    "DryRun": True,
}
SEALED_PAIR = {
    "KeyId": KEY_ARN,
    "KeyMaterialId": MATERIAL,
    "KeyPairSpec": "RSA_2048",
    "PrivateKeyCiphertextBlob": BLOB,
    "PublicKey": b"public",
}

SUCCESSES: list[tuple[str, Parameters, t.Request[Any], Parameters]] = [
    ("CreateKey", {}, t.CreateKey(), {"KeyMetadata": KEY_METADATA}),
    (
        "CreateKey",
        {
            "Description": "d",
            "KeySpec": "SYMMETRIC_DEFAULT",
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "Origin": "AWS_KMS",
            "MultiRegion": False,
            "BypassPolicyLockoutSafetyCheck": True,
            "CustomKeyStoreId": "hsm",
            "Policy": "{}",
            "Tags": [],
        },
        t.CreateKey(description="d", policy="{}", bypass_policy_lockout_safety_check=True, custom_key_store_id="hsm"),
        {"KeyMetadata": KEY_METADATA},
    ),
    (
        "DescribeKey",
        {"KeyId": "alias/a", "GrantTokens": ["t"]},
        t.DescribeKey("alias/a", ("t",)),
        {
            "KeyMetadata": {
                **KEY_METADATA,
                "KeyState": "PendingDeletion",
                "Enabled": False,
                "DeletionDate": DELETION,
            }
        },
    ),
    ("ListKeys", {}, t.ListKeys(100, None), {"Keys": [{"KeyId": KEY_ID, "KeyArn": KEY_ARN}], "Truncated": False}),
    (
        "ListKeys",
        {"Limit": 1000, "Marker": "m", "ResourceOwners": ["SELF", "OTHER_ACCOUNTS_VIA_RAM"]},
        t.ListKeys(1000, "m", ("SELF", "OTHER_ACCOUNTS_VIA_RAM")),
        {"Keys": [{"KeyId": KEY_ID, "KeyArn": KEY_ARN}], "Truncated": False},
    ),
    ("CreateAlias", {"AliasName": "alias/a", "TargetKeyId": KEY_ID}, t.CreateAlias("alias/a", KEY_ID), {}),
    ("UpdateAlias", {"AliasName": "alias/a", "TargetKeyId": KEY_ID}, t.UpdateAlias("alias/a", KEY_ID), {}),
    ("DeleteAlias", {"AliasName": "alias/a"}, t.DeleteAlias("alias/a"), {}),
    (
        "ListAliases",
        {"KeyId": KEY_ID, "Limit": 1000, "Marker": "m"},
        t.ListAliases(KEY_ID, 100, "m"),
        {
            "Aliases": [
                {
                    "AliasName": "alias/a",
                    "AliasArn": ALIAS_ARN,
                    "TargetKeyId": KEY_ID,
                    "CreationDate": CREATED,
                    "LastUpdatedDate": datetime.fromtimestamp(1_700_000_001.123, tz=UTC),
                },
                {"AliasName": "alias/aws/s3", "AliasArn": ALIAS_ARN + "ws/s3"},
            ],
            "Truncated": False,
        },
    ),
    ("EnableKey", {"KeyId": KEY_ID}, t.EnableKey(KEY_ID), {}),
    ("DisableKey", {"KeyId": KEY_ID}, t.DisableKey(KEY_ID), {}),
    (
        "ScheduleKeyDeletion",
        {"KeyId": KEY_ID},
        t.ScheduleKeyDeletion(KEY_ID, 30),
        {"KeyId": KEY_ARN, "DeletionDate": DELETION, "KeyState": "PendingDeletion", "PendingWindowInDays": 30},
    ),
    (
        "ScheduleKeyDeletion",
        {"KeyId": KEY_ID, "PendingWindowInDays": 7},
        t.ScheduleKeyDeletion(KEY_ID, 7),
        {"KeyId": KEY_ARN, "DeletionDate": DELETION, "KeyState": "PendingDeletion", "PendingWindowInDays": 7},
    ),
    ("CancelKeyDeletion", {"KeyId": KEY_ID}, t.CancelKeyDeletion(KEY_ID), {"KeyId": KEY_ARN}),
    (
        "Encrypt",
        {"KeyId": "k", "Plaintext": b"p\x00", "EncryptionContext": CONTEXT, "DryRun": True, "GrantTokens": ["t"]},
        t.Encrypt("k", SecretBytes(b"p\x00"), CONTEXT, grant_tokens=("t",), dry_run=True),
        {"CiphertextBlob": BLOB, "KeyId": KEY_ARN, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"},
    ),
    (
        "Decrypt",
        {"CiphertextBlob": b"c", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT", "GrantTokens": ["t"]},
        t.Decrypt(b"c", grant_tokens=("t",)),
        DECRYPTED,
    ),
    (
        "Decrypt",
        {"CiphertextBlob": b"c", "KeyId": "k", "EncryptionContext": CONTEXT, "DryRun": True, "DryRunModifiers": []},
        t.Decrypt(b"c", "k", CONTEXT, dry_run=True),
        DECRYPTED,
    ),
    (
        "Decrypt",
        {"KeyId": "k", "CiphertextBlob": b"c", "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
        t.Decrypt(b"", "k", dry_run=True, dry_run_modifiers=("IGNORE_CIPHERTEXT",)),
        DECRYPTED,
    ),
    (
        "Decrypt",
        {"CiphertextBlob": b"c", "DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
        t.Decrypt(b"c", dry_run_modifiers=("IGNORE_CIPHERTEXT",)),
        DECRYPTED,
    ),
    (
        "ReEncrypt",
        {"SourceKeyId": "s", "DestinationKeyId": "d", "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
        t.ReEncrypt(b"", "d", "s", dry_run=True, dry_run_modifiers=("IGNORE_CIPHERTEXT",)),
        RE_ENCRYPTED,
    ),
    (
        "ReEncrypt",
        {
            "CiphertextBlob": b"c",
            "SourceKeyId": "s",
            "SourceEncryptionContext": CONTEXT,
            "DestinationKeyId": "d",
            "DestinationEncryptionContext": {"x": "y"},
            "DryRun": True,
            "GrantTokens": ["t"],
        },
        t.ReEncrypt(b"c", "d", "s", CONTEXT, {"x": "y"}, grant_tokens=("t",), dry_run=True),
        RE_ENCRYPTED,
    ),
    (
        "GenerateDataKey",
        {"KeyId": "k", "KeySpec": "AES_256", "EncryptionContext": CONTEXT},
        t.GenerateDataKey("k", 32, CONTEXT),
        {"CiphertextBlob": BLOB, "Plaintext": bytes(32), "KeyId": KEY_ARN, "KeyMaterialId": MATERIAL},
    ),
    (
        "GenerateDataKey",
        {"KeyId": "k", "NumberOfBytes": 1024, "DryRun": True, "GrantTokens": ["t"]},
        t.GenerateDataKey("k", 1024, grant_tokens=("t",), dry_run=True),
        {"CiphertextBlob": BLOB, "Plaintext": bytes(1024), "KeyId": KEY_ARN, "KeyMaterialId": MATERIAL},
    ),
    (
        "GenerateDataKeyWithoutPlaintext",
        {"KeyId": "k", "KeySpec": "AES_128", "GrantTokens": ["t"]},
        t.GenerateDataKeyWithoutPlaintext("k", 16, grant_tokens=("t",)),
        {"CiphertextBlob": BLOB, "KeyId": KEY_ARN, "KeyMaterialId": MATERIAL},
    ),
    (
        "GenerateDataKeyWithoutPlaintext",
        {"KeyId": "k", "NumberOfBytes": 5, "EncryptionContext": CONTEXT, "DryRun": True},
        t.GenerateDataKeyWithoutPlaintext("k", 5, CONTEXT, dry_run=True),
        {"CiphertextBlob": BLOB, "KeyId": KEY_ARN, "KeyMaterialId": MATERIAL},
    ),
    (
        "CreateKey",
        {"Tags": [{"TagKey": "a", "TagValue": ""}]},
        t.CreateKey(tags=(t.Tag("a", ""),)),
        {"KeyMetadata": KEY_METADATA},
    ),
    (
        "CreateKey",
        {"CustomerMasterKeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
        t.CreateKey(key_spec="HMAC_256", key_usage="GENERATE_VERIFY_MAC"),
        {"KeyMetadata": KEY_METADATA},
    ),
    (
        "Sign",
        {**SIGNED, "MessageType": "DIGEST"},
        t.Sign("k", SecretBytes(b"m"), "ECDSA_SHA_256", "DIGEST", ("g",), dry_run=True),
        {"KeyId": KEY_ARN, "Signature": b"signature", "SigningAlgorithm": "ECDSA_SHA_256"},
    ),
    (
        "Verify",
        {**SIGNED, "Signature": b"s", "MessageType": "RAW"},
        t.Verify("k", SecretBytes(b"m"), b"s", "ECDSA_SHA_256", "RAW", ("g",), dry_run=True),
        {"KeyId": KEY_ARN, "SignatureValid": True, "SigningAlgorithm": "ECDSA_SHA_256"},
    ),
    (
        "GetPublicKey",
        {"KeyId": "k", "GrantTokens": ["g"]},
        t.GetPublicKey("k", ("g",)),
        {
            "KeyId": KEY_ARN,
            "PublicKey": b"public",
            "KeySpec": "RSA_2048",
            "CustomerMasterKeySpec": "RSA_2048",
            "KeyUsage": "ENCRYPT_DECRYPT",
            "EncryptionAlgorithms": ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"],
        },
    ),
    (
        "GenerateMac",
        MACED,
        t.GenerateMac("k", SecretBytes(b"m"), "HMAC_SHA_256", ("g",), dry_run=True),
        {"KeyId": KEY_ARN, "Mac": b"mac", "MacAlgorithm": "HMAC_SHA_256"},
    ),
    (
        "VerifyMac",
        {**MACED, "Mac": b"x"},
        t.VerifyMac("k", SecretBytes(b"m"), b"x", "HMAC_SHA_256", ("g",), dry_run=True),
        {"KeyId": KEY_ARN, "MacValid": True, "MacAlgorithm": "HMAC_SHA_256"},
    ),
    (
        "DeriveSharedSecret",
        PEER,
        t.DeriveSharedSecret("k", "ECDH", b"p", ("g",), dry_run=True),
        {"KeyId": KEY_ARN, "SharedSecret": b"secret", "KeyAgreementAlgorithm": "ECDH", "KeyOrigin": "AWS_KMS"},
    ),
    (
        "GenerateDataKeyPair",
        PAIR,
        t.GenerateDataKeyPair("k", "RSA_2048", CONTEXT, ("g",), dry_run=True),
        {**SEALED_PAIR, "PrivateKeyPlaintext": b"private"},
    ),
    (
        "GenerateDataKeyPairWithoutPlaintext",
        PAIR,
        t.GenerateDataKeyPairWithoutPlaintext("k", "RSA_2048", CONTEXT, ("g",), dry_run=True),
        SEALED_PAIR,
    ),
    (
        "Decrypt",
        {"CiphertextBlob": b"c", "KeyId": "k", "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"},
        t.Decrypt(b"c", "k", encryption_algorithm="RSAES_OAEP_SHA_1"),
        {"Plaintext": b"plain", "KeyId": KEY_ARN, "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"},
    ),
    (
        "CreateKey",
        {"MultiRegion": True},
        t.CreateKey(multi_region=True),
        {"KeyMetadata": KEY_METADATA},
    ),
    (
        "ReplicateKey",
        {
            "KeyId": KEY_ID,
            "ReplicaRegion": "eu-central-1",
            "Policy": "{}",
            "BypassPolicyLockoutSafetyCheck": True,
            "Description": "d",
            "Tags": [{"TagKey": "a", "TagValue": "b"}],
        },
        t.ReplicateKey(
            KEY_ID,
            "eu-central-1",
            "{}",
            bypass_policy_lockout_safety_check=True,
            description="d",
            tags=(t.Tag("a", "b"),),
        ),
        {
            "ReplicaKeyMetadata": {
                **KEY_METADATA,
                "MultiRegion": True,
                "MultiRegionConfiguration": {
                    "MultiRegionKeyType": "REPLICA",
                    "PrimaryKey": {"Arn": KEY_ARN.replace("us-east-1", "eu-west-1"), "Region": "eu-west-1"},
                    "ReplicaKeys": [{"Arn": KEY_ARN, "Region": "us-east-1"}],
                },
            },
            "ReplicaPolicy": "{}",
            "ReplicaTags": [{"TagKey": "a", "TagValue": "b"}],
        },
    ),
    (
        "UpdatePrimaryRegion",
        {"KeyId": KEY_ID, "PrimaryRegion": "eu-central-1"},
        t.UpdatePrimaryRegion(KEY_ID, "eu-central-1"),
        {},
    ),
    (
        "TagResource",
        {"KeyId": KEY_ID, "Tags": [{"TagKey": "a", "TagValue": "b"}, {"TagKey": "c", "TagValue": ""}]},
        t.TagResource(KEY_ID, (t.Tag("a", "b"), t.Tag("c", ""))),
        {},
    ),
    ("UntagResource", {"KeyId": KEY_ID, "TagKeys": ["a"]}, t.UntagResource(KEY_ID, ("a",)), {}),
    (
        "ListResourceTags",
        {"KeyId": KEY_ID, "Limit": 7, "Marker": "m"},
        t.ListResourceTags(KEY_ID, 7, "m"),
        {"Tags": [{"TagKey": "a", "TagValue": "b"}], "Truncated": True, "NextMarker": "next"},
    ),
    (
        "UpdateKeyDescription",
        {"KeyId": KEY_ID, "Description": ""},
        t.UpdateKeyDescription(KEY_ID, ""),
        {},
    ),
    ("EnableKeyRotation", {"KeyId": KEY_ID}, t.EnableKeyRotation(KEY_ID, 365), {}),
    ("EnableKeyRotation", {"KeyId": KEY_ID, "RotationPeriodInDays": 90}, t.EnableKeyRotation(KEY_ID, 90), {}),
    ("DisableKeyRotation", {"KeyId": KEY_ID}, t.DisableKeyRotation(KEY_ID), {}),
    (
        "GetKeyRotationStatus",
        {"KeyId": KEY_ID},
        t.GetKeyRotationStatus(KEY_ID),
        {"KeyId": KEY_ARN, "KeyRotationEnabled": True, "RotationPeriodInDays": 100, "NextRotationDate": DELETION},
    ),
    ("RotateKeyOnDemand", {"KeyId": KEY_ID}, t.RotateKeyOnDemand(KEY_ID), {"KeyId": KEY_ARN}),
    (
        "ListKeyRotations",
        {"KeyId": KEY_ID, "IncludeKeyMaterial": "ALL_KEY_MATERIAL", "Limit": 7, "Marker": "m"},
        t.ListKeyRotations(KEY_ID, all_material=True, limit=7, marker="m"),
        {
            "Rotations": [
                {"KeyId": KEY_ID, "KeyMaterialId": MATERIAL, "KeyMaterialState": "NON_CURRENT"},
                {
                    "KeyId": KEY_ID,
                    "KeyMaterialId": MATERIAL,
                    "KeyMaterialState": "CURRENT",
                    "RotationDate": DELETION,
                    "RotationType": "ON_DEMAND",
                    "ImportState": "IMPORTED",
                    "ExpirationModel": "KEY_MATERIAL_EXPIRES",
                    "ValidTo": DELETION,
                    "KeyMaterialDescription": "mine",
                },
            ],
            "Truncated": False,
        },
    ),
    (
        "GetKeyLastUsage",
        {"KeyId": KEY_ID},
        t.GetKeyLastUsage(KEY_ID),
        {
            "KeyId": KEY_ID,
            "KeyCreationDate": CREATED,
            "TrackingStartDate": CREATED,
            "KeyLastUsage": {"Operation": "Decrypt", "Timestamp": DELETION, "KmsRequestId": "R"},
        },
    ),
    ("GenerateRandom", {"NumberOfBytes": 7}, t.GenerateRandom(7), {"Plaintext": bytes(7)}),
    (
        "GenerateRandom",
        {"NumberOfBytes": 7, "CustomKeyStoreId": "c"},
        t.GenerateRandom(7, "c"),
        {"Plaintext": bytes(7)},
    ),
    *import_cases.SUCCESSES,
    *access_cases.SUCCESSES,
]


@pytest.mark.parametrize(("operation", "parameters", "call", "expected"), SUCCESSES)
async def test_served(operation: str, parameters: Parameters, call: t.Request[Any], expected: Parameters) -> None:
    service = FakeKeyService()
    assert read(operation, await ask(operation, parameters, service)) == expected
    assert service.calls == [call]


def test_every_served_operation_is_tested() -> None:
    assert {name for name, handler in OPERATIONS.items() if handler} == {operation for operation, *_ in SUCCESSES}


@pytest.mark.parametrize("operation", ["ListKeys", "ListAliases"])
async def test_a_page_with_more_to_come(operation: str) -> None:
    service = FakeKeyService()
    service.next_marker = "next"
    document = read(operation, await ask(operation, {}, service))
    assert document["Truncated"] is True
    assert document["NextMarker"] == "next"


@pytest.mark.parametrize("operation", [name for name, handler in OPERATIONS.items() if handler is None])
async def test_known_but_not_served(operation: str) -> None:
    response = await answer(FakeKeyService(), CALLER, f"TrentService.{operation}", b"{}")
    check_error(response, "UnsupportedOperationException", f"{operation} is not supported.")


@pytest.mark.parametrize(
    "target", ["", "TrentService", "TrentService.", "TrentService.encrypt", "DynamoDB.Encrypt", "Encrypt", "\udcff"]
)
async def test_unknown_targets(target: str) -> None:
    check_error(await answer(FakeKeyService(), CALLER, target, b"{}"), "UnknownOperationException", "")


UNSUPPORTED: list[tuple[str, Parameters, str]] = [
    *access_cases.UNSUPPORTED,
    ("CreateKey", {"XksKeyId": "x"}, "XksKeyId"),
    ("DeriveSharedSecret", {**PEER, "Recipient": {"AttestationDocument": b"d"}}, "Recipient"),
    ("GenerateDataKeyPair", {**PAIR, "Recipient": {"AttestationDocument": b"d"}}, "Recipient"),
    ("Decrypt", {"CiphertextBlob": b"c", "Recipient": {"AttestationDocument": b"d"}}, "Recipient"),
    (
        "GenerateDataKey",
        {"KeyId": "k", "KeySpec": "AES_256", "Recipient": {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}},
        "Recipient",
    ),
    ("GenerateRandom", {"NumberOfBytes": 1, "Recipient": {"AttestationDocument": b"d"}}, "Recipient"),
]


@pytest.mark.parametrize(("operation", "parameters", "what"), UNSUPPORTED)
async def test_what_is_not_served_is_refused_and_never_ignored(
    operation: str, parameters: Parameters, what: str
) -> None:
    await check_refused(operation, parameters, "UnsupportedOperationException", f"{what} is not supported.")


def test_every_member_of_a_served_operation_is_read_or_refused() -> None:
    """Each appears in a request above, either as something that reached the service or as something refused."""
    told: dict[str, set[str]] = {}
    requests = [(case[0], case[1]) for case in SUCCESSES] + [(case[0], case[1]) for case in UNSUPPORTED]
    for operation, parameters in requests:
        told.setdefault(operation, set()).update(parameters)
    for operation, members in told.items():
        algorithms = {
            name for name in MODEL.operation_model(operation).input_shape.members if name.endswith("Algorithm")
        }
        assert members | algorithms == set(MODEL.operation_model(operation).input_shape.members), operation


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "message"),
    [
        (
            "CreateKey",
            {"KeySpec": "RSA_2048"},
            "ValidationException",
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ),
        (
            "CreateKey",
            {"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_4096"},
            "ValidationException",
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
            "CustomerMasterKeySpec is deprecated.",
        ),
        (
            "ScheduleKeyDeletion",
            {"KeyId": "k", "PendingWindowInDays": 6},
            "ValidationException",
            "1 validation error detected: Value '6' at 'pendingWindowInDays' failed to satisfy constraint: "
            "Member must have value greater than or equal to 7",
        ),
        (
            "ScheduleKeyDeletion",
            {"KeyId": "k", "PendingWindowInDays": 31},
            "ValidationException",
            "1 validation error detected: Value '31' at 'pendingWindowInDays' failed to satisfy constraint: "
            "Member must have value less than or equal to 30",
        ),
        (
            "GenerateDataKey",
            {"KeyId": "k"},
            "ValidationException",
            "Please specify either number of bytes or key spec.",
        ),
        (
            "GenerateDataKeyWithoutPlaintext",
            {"KeyId": "k", "KeySpec": "AES_256", "NumberOfBytes": 32},
            "ValidationException",
            "Please specify either number of bytes or key spec.",
        ),
        ("GenerateRandom", {}, "ValidationException", "NumberOfBytes is required."),
        (
            "Decrypt",
            {"DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
            "ValidationException",
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
        ),
        (
            "ReEncrypt",
            {"DestinationKeyId": "d", "DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
            "ValidationException",
            "1 validation error detected: Value null at 'sourceKeyId' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            "Decrypt",
            {"DryRunModifiers": ["IGNORE_CIPHERTEXT"]},
            "ValidationException",
            "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            "Decrypt",
            {},
            "ValidationException",
            "1 validation error detected: Value null at 'ciphertextBlob' failed to satisfy constraint: "
            "Member must not be null",
        ),
    ],
)
async def test_refused(operation: str, parameters: Parameters, code: str, message: str) -> None:
    await check_refused(operation, parameters, code, message)


async def test_bad_json() -> None:
    response = await answer(FakeKeyService(), CALLER, "TrentService.Encrypt", b"{")
    check_error(response, "SerializationException", "The request body is not valid JSON")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KMSError("NotFoundException", f"Key '{KEY_ARN}' does not exist"), 400),
        (KMSError("InvalidCiphertextException"), 400),
        (KMSError("KMSInternalException", "oh"), 500),
    ],
)
async def test_errors_of_the_service_are_told(error: KMSError, status: int) -> None:
    service = FakeKeyService()
    service.error = error
    response = await ask("Decrypt", {"CiphertextBlob": b"c"}, service)
    check_error(response, error.code, error.message, status)
    assert "Retry-After" not in response.headers


async def test_an_absent_kms_says_when_to_come_again() -> None:
    service = FakeKeyService()
    service.error = KMSUnavailable("the HSM is away", retry_after_seconds=7)
    response = await ask("EnableKey", {"KeyId": "k"}, service)
    check_error(response, "KeyUnavailableException", "the HSM is away", 500)
    assert response.headers["Retry-After"] == "7"


async def test_faults_pass_through() -> None:
    service = FakeKeyService()
    service.error = RuntimeError("a bug")
    with pytest.raises(RuntimeError):
        await ask("EnableKey", {"KeyId": "k"}, service)


async def test_plaintext_does_not_show() -> None:
    service = FakeKeyService()
    response = await ask("Encrypt", {"KeyId": "k", "Plaintext": b"top secret"}, service)
    shown = await ask("Decrypt", {"CiphertextBlob": b"c"})
    assert "top secret" not in repr(service.calls)
    assert "cGxhaW4=" in shown.body.decode()
    assert "cGxhaW4=" not in f"{shown!r} {shown} {response!r}"

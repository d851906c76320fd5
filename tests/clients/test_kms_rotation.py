"""Rotation and last use of KMS keys through boto3, and what rotation does to objects: nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.harness import Gateway


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def test_rotation_is_switched_on_and_off(kms: Any, key: str) -> None:
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyId"], status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (key, True, 365)
    assert abs(status["NextRotationDate"] - datetime.now(UTC) - timedelta(days=365)) < timedelta(minutes=5)
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=key)["RotationPeriodInDays"] == 90
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_objects_and_blobs_of_before_open_after_a_rotation(
    gateway: Gateway, s3: Any, kms: Any, bucket: str, key: str
) -> None:
    under = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket=bucket, Key="before", Body=b"before", **under)
    blob = kms.encrypt(KeyId=key, Plaintext=b"before")["CiphertextBlob"]
    old = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == key
    new = kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"]
    assert old != new
    opened = kms.decrypt(CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyMaterialId"]) == (b"before", old)
    assert kms.generate_data_key(KeyId=key, KeySpec="AES_256")["KeyMaterialId"] == new
    moved = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=key)
    assert (moved["SourceKeyMaterialId"], moved["DestinationKeyMaterialId"]) == (old, new)
    s3.put_object(Bucket=bucket, Key="after", Body=b"after", **under)
    for name in ("before", "after"):
        assert s3.get_object(Bucket=bucket, Key=name)["Body"].read() == name.encode()
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/before", **under)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"before"
    [rotated] = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert (rotated["KeyMaterialId"], rotated["RotationType"]) == (new, "ON_DEMAND")
    every = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [each["KeyMaterialState"] for each in every] == ["NON_CURRENT", "CURRENT"]


def test_what_is_refused(kms: Any, key: str) -> None:
    got = refusal(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=2561)  # boto3 itself refuses 89
    assert got == (400, "ValidationException")
    rotating = (
        (kms.enable_key_rotation, {}),
        (kms.disable_key_rotation, {}),
        (kms.rotate_key_on_demand, {}),
    )
    kms.disable_key(KeyId=key)
    for call, parameters in rotating:
        error = error_of(call, KeyId=key, **parameters)["Error"]
        assert (error["Code"], error["Message"]) == ("DisabledException", f"{key} is disabled.")
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    for call, parameters in rotating:
        assert refusal(call, KeyId=key, **parameters) == (400, "KMSInvalidStateException")
    missing = key[:-12] + "0" * 12
    for call, parameters in (*rotating, (kms.get_key_rotation_status, {}), (kms.list_key_rotations, {})):
        assert refusal(call, KeyId=missing, **parameters) == (400, "NotFoundException")
        assert refusal(call, KeyId="alias/a", **parameters) == (400, "InvalidArnException")
    assert refusal(kms.list_key_rotations, KeyId=key, Marker="nonsense") == (400, "InvalidMarkerException")


def test_last_use(s3: Any, kms: Any, bucket: str, key: str) -> None:
    unused = kms.get_key_last_usage(KeyId=key)
    assert unused["KeyLastUsage"] == {}
    assert unused["TrackingStartDate"] <= unused["KeyCreationDate"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]["Operation"] == "GenerateDataKey"
    answer = s3.get_object(Bucket=bucket, Key="k")
    assert answer["Body"].read() == b"x"
    last = kms.get_key_last_usage(KeyId=key)["KeyLastUsage"]
    assert (last["Operation"], last["KmsRequestId"]) == ("Decrypt", answer["ResponseMetadata"]["RequestId"])
    assert abs(last["Timestamp"] - datetime.now(UTC)) < timedelta(minutes=1)
    assert refusal(kms.get_key_last_usage, KeyId=key[:-12] + "0" * 12) == (400, "NotFoundException")

"""Key policies through boto3, and what they do to S3."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from tests.clients.checks import error_of, refusal
from tests.harness import Gateway

DENIED = (403, "AccessDenied")
LOCKOUT = "The new key policy will not allow you to update the key policy in the future."


@pytest.fixture(scope="module")
def account(kms_key: str) -> str:
    return kms_key.split(":")[4]


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def policy(account: str, *more: Mapping[str, object]) -> str:
    """The account may do everything; and then `more`."""
    everything = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [everything, *more]})


def deny(*actions: str, **more: object) -> dict[str, object]:
    return {"Effect": "Deny", "Principal": "*", "Action": list(actions), "Resource": "*", **more}


def test_the_default_policy(kms: Any, key: str, account: str) -> None:
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    got = kms.get_key_policy(KeyId=key, PolicyName="default")
    assert got["PolicyName"] == "default"
    (statement,) = json.loads(got["Policy"])["Statement"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{account}:root"}
    assert statement["Sid"] == "Enable IAM User Permissions"
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Id"] == "key-default-1"


def test_a_policy_is_put_and_read(kms: Any, key: str, account: str) -> None:
    text = policy(account, deny("kms:GenerateMac"))
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=text)
    assert kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"] == text
    made = kms.create_key(Policy=text)["KeyMetadata"]["KeyId"]
    assert kms.get_key_policy(KeyId=made)["Policy"] == text


def test_policies_that_are_refused(kms: Any, key: str, account: str) -> None:
    stranger = "arn:aws:iam::444455556666:user/somebody"
    only_stranger = {"Effect": "Allow", "Principal": {"AWS": stranger}, "Action": "kms:*", "Resource": "*"}
    cases = [
        ("{", "The policy is not valid JSON."),
        (policy(account, deny("Decrypt")), "Policy contains a statement with one or more invalid actions."),
        (
            policy(account, deny("kms:*") | {"Principal": {"AWS": "nobody"}}),
            "Policy contains a statement with one or more invalid principals.",
        ),
        (policy(account, deny("kms:PutKeyPolicy")), LOCKOUT),
        (json.dumps({"Version": "2012-10-17", "Statement": only_stranger}), LOCKOUT),
    ]
    for text, message in cases:
        for call, parameters in ((kms.put_key_policy, {"KeyId": key}), (kms.create_key, {})):
            error = error_of(call, Policy=text, **parameters)["Error"]
            assert error == {"Code": "MalformedPolicyDocumentException", "Message": message}


def test_a_deny_is_told_with_action_and_resource(kms: Any, key: str, account: str) -> None:
    kms.put_key_policy(KeyId=key, Policy=policy(account, deny("kms:Encrypt")))
    assert error_of(kms.encrypt, KeyId=key, Plaintext=b"x")["Error"] == {
        "Code": "AccessDeniedException",
        "Message": (
            f"User: arn:aws:iam::{account}:root is not authorized to perform: kms:Encrypt on resource: {key}"
            " with an explicit deny in a resource-based policy"
        ),
    }
    assert kms.generate_data_key(KeyId=key, KeySpec="AES_256")["KeyId"] == key


def test_a_condition_on_the_encryption_context(kms: Any, key: str, account: str) -> None:
    condition = {"StringNotEquals": {"kms:EncryptionContext:team": "red"}}
    kms.put_key_policy(KeyId=key, Policy=policy(account, deny("kms:Encrypt", Condition=condition)))
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == (400, "AccessDeniedException")
    assert kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"Team": "red"})["KeyId"] == key


def test_the_policy_of_the_managed_key_cannot_be_changed(kms: Any, account: str) -> None:
    key = kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyId"]
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Id"] == "auto-s3-2"
    assert refusal(kms.put_key_policy, KeyId=key, Policy=policy(account)) == (400, "AccessDeniedException")
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"x") == (400, "AccessDeniedException")


def test_s3_uses_the_key_as_its_caller(kms: Any, s3: Any, bucket: str, key: str, account: str) -> None:
    sse = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket=bucket, Key="k", Body=b"sealed", **sse)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"sealed"
    kms.put_key_policy(KeyId=key, Policy=policy(account, deny("kms:Decrypt")))
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    s3.put_object(Bucket=bucket, Key="l", Body=b"more", **sse)
    kms.put_key_policy(KeyId=key, Policy=policy(account, deny("kms:GenerateDataKey")))
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"sealed"
    assert refusal(s3.put_object, Bucket=bucket, Key="m", Body=b"x", **sse) == DENIED


def test_a_policy_tells_s3_from_direct_use(kms: Any, s3: Any, bucket: str, key: str, account: str) -> None:
    only_s3 = {"StringNotEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    kms.put_key_policy(KeyId=key, Policy=policy(account, deny("kms:GenerateDataKey", "kms:Decrypt", Condition=only_s3)))
    s3.put_object(Bucket=bucket, Key="k", Body=b"sealed", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"sealed"
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == (400, "AccessDeniedException")


def test_a_change_is_in_effect_in_every_worker_before_it_is_answered(
    gateway: Gateway, kms: Any, s3: Any, bucket: str, key: str, account: str
) -> None:
    """Readers go on all the time; a GET that begins after the answer to PutKeyPolicy never succeeds."""
    s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    denied, stop = threading.Event(), threading.Event()
    after: list[str] = []

    def read() -> None:
        client = gateway.client("s3")
        while not stop.is_set():
            was_denied = denied.is_set()
            try:
                client.get_object(Bucket=bucket, Key="k")["Body"].read()
                outcome = "ok"
            except client.exceptions.ClientError as error:
                outcome = error.response["Error"]["Code"]
            if was_denied:
                after.append(outcome)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        kms.put_key_policy(KeyId=key, Policy=policy(account, deny("kms:Decrypt")))
        denied.set()
        for _ in range(20):
            assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert set(after) <= {"AccessDenied"}
    assert after

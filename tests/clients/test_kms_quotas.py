"""Request quotas of accounts on the KMS, as clients of the KMS and of S3 meet them."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import faults, headers_of, refusal, stored_files
from tests.clients.conftest import make_bucket
from tests.clients.users import make_account
from tests.harness import Gateway, running_gateway

MESSAGE = "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."
SYMMETRIC = 3
"""A second; so few that no machine is too slow to meet it."""

SETTINGS = {"SEALGATE_LIMITS_KMS_QUOTAS": f"aws, CreateKey=0.5, symmetric={SYMMETRIC}"}


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("limited"), environment=SETTINGS) as made:
        yield made
    assert faults(made) == []


@pytest.fixture
def key(limited: Gateway) -> str:
    """The quota is of the account: whoever needs a key waits, as SDKs do."""
    return str(patient(limited, "kms").create_key()["KeyMetadata"]["Arn"])


def patient(gateway: Gateway, service: str) -> Any:
    return gateway.client(service, retries={"mode": "standard", "max_attempts": 12})


def failure_of(call: Callable[..., Any], **parameters: Any) -> Any:
    """The error response that a call gets, if it does."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response
    return None


def exhaust(kms: Any) -> Any:
    """Use the quota up, and the error that tells so."""
    for _ in range(100 * SYMMETRIC):
        if error := failure_of(kms.generate_random, NumberOfBytes=8):
            return error
    raise AssertionError("there is no quota")


def test_quota_of_an_operation(limited: Gateway, key: str) -> None:
    kms = limited.client("kms")
    refused = [error for _ in range(3) if (error := failure_of(kms.create_key))]
    assert refused
    assert {(each["Error"]["Code"], each["Error"]["Message"]) for each in refused} == {("ThrottlingException", MESSAGE)}
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    theirs = make_account(limited).client("kms")
    assert theirs.create_key()["KeyMetadata"]["Enabled"]


def test_sdk_waits_and_repeats(limited: Gateway) -> None:
    kms = patient(limited, "kms")
    attempts = [kms.create_key()["ResponseMetadata"]["RetryAttempts"] for _ in range(3)]
    assert sum(attempts) > 0


def test_cryptographic_operations_share_a_quota(limited: Gateway, key: str) -> None:
    kms = limited.client("kms")
    error = exhaust(kms)
    assert error["Error"] == {"Code": "ThrottlingException", "Message": MESSAGE}
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    refused = [failure_of(kms.encrypt, KeyId=key, Plaintext=b"x") for _ in range(2 * SYMMETRIC + 2)]
    assert "ThrottlingException" in {each["Error"]["Code"] for each in refused if each}


def test_s3_uses_the_quota_of_its_caller_and_tells_to_slow_down(limited: Gateway, key: str) -> None:
    s3, kms = limited.client("s3"), limited.client("kms")
    bucket = make_bucket(s3)
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    for number in range(20):
        exhaust(kms)
        files = stored_files(limited)
        refused = failure_of(s3.put_object, Bucket=bucket, Key=f"{number}", Body=bytes(100_000), **sealed)
        if refused:
            break
    assert (refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"]) == (503, "SlowDown")
    assert headers_of(refused)["retry-after"] == "1"
    assert refusal(s3.head_object, Bucket=bucket, Key=f"{number}") == (404, "404")
    assert stored_files(limited) == files
    # What needs no KMS key of the account goes on.
    s3.put_object(Bucket=bucket, Key="other", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="other")["Body"].read() == b"x"
    patient(limited, "s3").put_object(Bucket=bucket, Key="k", Body=b"y", **sealed)


def test_metrics_tell_of_calls_by_operation(limited: Gateway) -> None:
    exhaust(limited.client("kms"))
    with urllib.request.urlopen(f"{limited.admin_url}/metrics", timeout=60) as reply:
        text = reply.read().decode()
    assert 'sealgate_kms_calls_total{operation="GenerateRandom",outcome="ThrottlingException"}' in text
    assert 'sealgate_kms_calls_total{operation="GenerateRandom",outcome="ok"}' in text
    assert 'sealgate_throttled_requests_total{limit="quota",service="kms"}' in text

"""The audit trail of a real gateway, as S3 and KMS clients fill it: one line for each use of a key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.observe import readiness
from tests.clients.checks import error_of
from tests.clients.users import TestUser, allow, deny, make_user
from tests.harness import REGION, Gateway, running_gateway, wait_until

BODY = b"a body that no line may hold" * 1000

Tail = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def tail(gateway: Gateway) -> Tail:
    """`sealgate audit tail --json` with these options."""

    def run(*options: str) -> list[dict[str, Any]]:
        output = gateway.sealgate("audit", "tail", "--json", *options, str(gateway.data)).stdout
        return [json.loads(line) for line in output.split("\n") if line]  # a string in JSON may hold other line ends

    return run


@pytest.fixture
def key(kms: Any) -> str:
    """A key of the test's own."""
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def request_id(response: Any) -> str:
    return str(response["ResponseMetadata"]["RequestId"])


def sse_kms(key: str) -> dict[str, str]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}


def test_a_get_is_exactly_one_line_with_request_principal_key_and_object(
    gateway: Gateway, s3: Any, bucket: str, key: str, tail: Tail
) -> None:
    s3.put_object(Bucket=bucket, Key="a/key", Body=BODY, **sse_kms(key))
    got = s3.get_object(Bucket=bucket, Key="a/key")
    assert got["Body"].read() == BODY
    [event] = tail("--object", f"{bucket}/a/key", "--event", "Decrypt")
    assert event["requestID"] == request_id(got)
    assert event["userIdentity"]["arn"].endswith(":root")
    assert [resource["ARN"] for resource in event["resources"]] == [key]
    assert event["resourceArn"] == f"arn:aws:s3:::{bucket}/a/key"
    assert event["viaService"] == f"s3.{REGION}.amazonaws.com"
    assert event["userAgent"].startswith("Boto3/")
    assert event["sourceIPAddress"] == "127.0.0.1"
    assert event["requestParameters"]["encryptionContext"] == {"aws:s3:arn": f"arn:aws:s3:::{bucket}/a/key"}
    assert [decision["decision"] for decision in event["decisions"]] == ["Allow"]
    assert [found["requestID"] for found in tail("--key", key, "--event", "Decrypt")] == [request_id(got)]
    assert tail("--request", request_id(got)) == [event]


def test_a_put_is_one_line(s3: Any, bucket: str, key: str, tail: Tail) -> None:
    put = s3.put_object(Bucket=bucket, Key="put", Body=BODY, **sse_kms(key))
    events = tail("--object", f"{bucket}/put")
    assert [(event["eventName"], event["requestID"]) for event in events] == [("GenerateDataKey", request_id(put))]


def test_head_and_list_use_no_key_and_are_no_line(s3: Any, bucket: str, key: str, tail: Tail) -> None:
    s3.put_object(Bucket=bucket, Key="seen", Body=BODY, **sse_kms(key))
    before = tail("--key", key)
    s3.head_object(Bucket=bucket, Key="seen")
    s3.list_objects_v2(Bucket=bucket)
    assert tail("--key", key) == before


def test_every_part_of_a_multipart_upload_is_told_with_its_object(s3: Any, bucket: str, key: str, tail: Tail) -> None:
    made = s3.create_multipart_upload(Bucket=bucket, Key="big", **sse_kms(key))
    upload = {"Bucket": bucket, "Key": "big", "UploadId": made["UploadId"]}
    parts = [s3.upload_part(**upload, PartNumber=number, Body=b"x" * 5_242_880) for number in (1, 2)]
    etags = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in enumerate(parts, start=1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": etags})
    got = s3.get_object(Bucket=bucket, Key="big", Range="bytes=0-9")
    events = tail("--object", f"{bucket}/big")
    assert events[0]["eventName"] == "GenerateDataKey"
    told = [event["requestID"] for event in events]
    assert told.count(request_id(made)) == 1
    assert [told.count(request_id(part)) for part in parts] == [1, 1]
    assert told.count(request_id(got)) == 1
    assert {resource["ARN"] for event in events for resource in event["resources"]} == {key}


def test_a_copy_tells_its_source_and_its_target(s3: Any, bucket: str, key: str, kms: Any, tail: Tail) -> None:
    other = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=bucket, Key="from", Body=BODY, **sse_kms(key))
    copied = s3.copy_object(Bucket=bucket, Key="to", CopySource=f"{bucket}/from", **sse_kms(other))
    events = [event for event in tail("--since", "1h") if event.get("requestID") == request_id(copied)]
    assert [
        (
            event["eventName"],
            event["resourceArn"],
            [(each["action"], each["resource"], each["decision"]) for each in event["decisions"]],
        )
        for event in events
    ] == [
        ("Decrypt", f"arn:aws:s3:::{bucket}/from", [("kms:Decrypt", key, "Allow")]),
        ("WrapDataKey", f"arn:aws:s3:::{bucket}/to", [("kms:GenerateDataKey", other, "Allow")]),
    ]


def test_a_refused_get_is_one_line_with_its_error(s3: Any, bucket: str, key: str, kms: Any, tail: Tail) -> None:
    s3.put_object(Bucket=bucket, Key="shut", Body=BODY, **sse_kms(key))
    kms.disable_key(KeyId=key)
    refused = error_of(s3.get_object, Bucket=bucket, Key="shut")
    [event] = tail("--object", f"{bucket}/shut", "--errors")
    assert (event["eventName"], event["errorCode"]) == ("Decrypt", "DisabledException")
    assert event["requestID"] == request_id(refused)
    assert [resource["ARN"] for resource in event["resources"]] == [key]


def test_direct_calls_of_the_kms_are_told_without_service_or_object(kms: Any, key: str, tail: Tail) -> None:
    answered = kms.encrypt(KeyId=key, Plaintext=BODY[:100], EncryptionContext={"a": "b"})
    refused = error_of(kms.decrypt, KeyId=key, CiphertextBlob=b"x" * 100)
    encrypted, failed = tail("--key", key)[-2:]
    assert encrypted["requestID"] == request_id(answered)
    assert "viaService" not in encrypted
    assert "resourceArn" not in encrypted
    assert encrypted["requestParameters"]["encryptionContext"] == {"a": "b"}
    assert (failed["requestID"], failed["errorCode"]) == (request_id(refused), "InvalidCiphertextException")


@pytest.fixture(scope="module")
def user(gateway: Gateway) -> TestUser:
    return make_user(gateway, allow("s3:*"))


def decided(event: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["action"], each["decision"], each["decidedBy"]) for each in event["decisions"]]


def refused_by(tail: Tail, key: str, refused: Any) -> list[tuple[str, str, str]]:
    """How the one line of a refused call says it was decided."""
    [event] = [event for event in tail("--key", key, "--errors") if event["requestID"] == request_id(refused)]
    assert event["errorCode"] == "AccessDeniedException"
    return decided(event)


def put_key_policy(kms: Any, key: str, *statements: dict[str, Any]) -> None:
    """These statements before the one that leaves the key to its account."""
    own = {"Effect": "Allow", "Principal": {"AWS": key.split(":")[4]}, "Action": "kms:*", "Resource": "*"}
    kms.put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": [*statements, own]}))


NEVER = {"Effect": "Deny", "Principal": "*", "Action": ["kms:Encrypt", "kms:GenerateDataKey"], "Resource": "*"}


def test_a_deny_of_the_key_policy_is_told_with_its_statement(kms: Any, key: str, tail: Tail) -> None:
    harmless = {"Effect": "Deny", "Principal": "*", "Action": "kms:Sign", "Resource": "*"}
    for sid, label in (({"Sid": "Never"}, '"Never"'), ({}, "2")):
        put_key_policy(kms, key, harmless, NEVER | sid)
        refused = error_of(kms.encrypt, KeyId=key, Plaintext=b"p")
        assert refused_by(tail, key, refused) == [("kms:Encrypt", "Deny", f"key policy, statement {label}")]


def test_a_deny_that_stops_a_put_is_told_with_its_statement_and_object(
    s3: Any, bucket: str, kms: Any, key: str, tail: Tail
) -> None:
    put_key_policy(kms, key, NEVER | {"Sid": "Never"})
    refused = error_of(s3.put_object, Bucket=bucket, Key="denied", Body=BODY, **sse_kms(key))
    [event] = tail("--object", f"{bucket}/denied")
    assert event["requestID"] == request_id(refused)
    assert decided(event) == [("kms:GenerateDataKey", "Deny", 'key policy, statement "Never"')]


def test_a_deny_of_a_users_policy_is_told_with_its_name_and_statement(
    user: TestUser, kms: Any, key: str, tail: Tail
) -> None:
    user.put_policy(allow("kms:*"), deny("kms:Encrypt") | {"Sid": "NotThis"}, name="limits")
    refused = error_of(user.client("kms").encrypt, KeyId=key, Plaintext=b"p")
    denied_by = f'user {user.name} policy limits, statement "NotThis"'
    assert refused_by(tail, key, refused) == [("kms:Encrypt", "Deny", denied_by)]
    user.delete_policy("limits")


def test_a_refusal_that_nothing_allows_is_told_with_what_was_lacking(
    user: TestUser, kms: Any, key: str, tail: Tail
) -> None:
    """The account may, its user may not; then the account may not either, and a grant is for another operation."""
    client = user.client("kms")
    refused = error_of(client.encrypt, KeyId=key, Plaintext=b"p")
    assert refused_by(tail, key, refused) == [
        ("kms:Encrypt", "Deny", f"no identity-based policy allows it (user {user.name} policy p); no grant allows it")
    ]
    root = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    only_root = root | {"Condition": {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{user.account_id}:root"}}}
    kms.put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": [only_root]}))
    kms.create_grant(KeyId=key, GranteePrincipal=user.arn, Operations=["Decrypt"])
    refused = error_of(client.encrypt, KeyId=key, Plaintext=b"p")
    because = "no resource-based policy allows it (key policy); no grant allows it"
    assert refused_by(tail, key, refused) == [("kms:Encrypt", "Deny", because)]


def test_the_gateways_own_keys_are_opened_by_the_service(gateway: Gateway, s3: Any, tail: Tail) -> None:
    events = tail("--principal", "service/sealgate")
    assert {"StartKeyService", "UnsealKeyService", "Decrypt"} <= {event["eventName"] for event in events}
    assert all(event["userIdentity"]["type"] == "AWSService" for event in events)


def test_sse_s3_uses_no_kms_key_and_is_no_line(s3: Any, bucket: str, tail: Tail) -> None:
    s3.put_object(Bucket=bucket, Key="plain", Body=BODY)
    assert tail("--object", f"{bucket}/plain") == []


def wait_for_public_key(trail: Path) -> None:
    """It lies beside the trail once the root signed for the first time."""
    wait_until((trail / "audit.pem").exists, "the first checkpoint is signed")


def test_a_running_trail_is_whole_and_holds_no_plaintext(gateway: Gateway, s3: Any, kms: Any) -> None:
    wait_for_public_key(gateway.data / "audit")
    verified = gateway.sealgate("audit", "verify", str(gateway.data))
    assert "The trail is whole." in verified.stdout
    assert BODY[:28] not in b"".join(path.read_bytes() for path in (gateway.data / "audit").iterdir())


@pytest.mark.slow
def test_a_trail_over_stops_kills_and_tampering(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        kms = gateway.client("kms")
        key = kms.create_key()["KeyMetadata"]["Arn"]
        wait_for_public_key(gateway.data / "audit")
        pem = gateway.sealgate("audit", "public-key", str(gateway.data)).stdout
        (tmp_path / "kept.pem").write_text(pem)
        gateway.kill_all()
        gateway.start()
        gateway.client("kms").generate_data_key(KeyId=key, KeySpec="AES_256")
        gateway.stop()

        def verify(*options: str) -> subprocess.CompletedProcess[str]:
            options = ("--expect-final", "--public-key", str(tmp_path / "kept.pem"), *options)
            return gateway.sealgate("audit", "verify", *options, str(gateway.data), check=False)

        verified = verify()
        assert verified.returncode == 0, verified.stdout
        [path] = (gateway.data / "audit").glob("audit-*.jsonl")
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b'"GenerateDataKey"', b'"GenerateRandom"', 1))
        assert verify().returncode == 1
        path.write_bytes(b"".join(line for line in whole.splitlines(True) if b'"GenerateDataKey"' not in line))
        assert verify().returncode == 1
        path.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
        assert verify().returncode == 1
        path.write_bytes(whole)
        assert verify().returncode == 0


@pytest.mark.slow
def test_a_trail_that_cannot_be_written_stops_the_use_of_keys_until_it_can(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("a file is in the way")
    gateway = Gateway(tmp_path / "data", environment={"SEALGATE_AUDIT_DIRECTORY": str(elsewhere)}).init()
    try:
        gateway.start()
        is_ready, reasons = readiness(gateway)
        assert not is_ready
        assert any("audit trail" in reason for reason in reasons)
        elsewhere.unlink()
        wait_until(lambda: readiness(gateway)[0], "the gateway heals without a restart")
        wait_for_public_key(elsewhere)
        s3, kms = gateway.client("s3"), gateway.client("kms")
        s3.create_bucket(Bucket="healed")
        s3.put_object(Bucket="healed", Key="k", Body=b"x", **sse_kms(kms.create_key()["KeyMetadata"]["Arn"]))
        assert "The trail is whole." in gateway.sealgate("audit", "verify", str(gateway.data)).stdout
    finally:
        gateway.stop()

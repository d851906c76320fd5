"""`sealgate why` beside what the kinds of refusal show of it: where it looks, what changed since, what is not found."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.access import policy_text, put_policy, statement
from tests.clients.checks import error_of
from tests.clients.conftest import make_bucket
from tests.clients.users import allow, deny, make_user
from tests.harness import Gateway, clean_environment, running_gateway, wait_until


@pytest.fixture(scope="module")
def logging_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One whose access log is a file of its own."""
    directory = tmp_path_factory.mktemp("why")
    environment = {"SEALGATE_LOG_ACCESS_LOG": str(directory / "access.log")}
    with running_gateway(directory, environment=environment) as gateway:
        yield gateway


def log_of(gateway: Gateway) -> Path:
    return Path(gateway.environment["SEALGATE_LOG_ACCESS_LOG"])


def refused_id(gateway: Gateway, response: Any) -> str:
    request_id = str(response["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])
    log = log_of(gateway)  # which another test may have rotated: it is there again with the next line
    wait_until(lambda: log.exists() and request_id in log.read_text(), "its line is written")
    return request_id


def why(gateway: Gateway, request_id: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return gateway.sealgate("why", request_id, str(gateway.data), *options, check=check)


def test_a_policy_that_was_changed_or_deleted_since(logging_gateway: Gateway) -> None:
    gateway = logging_gateway
    s3, user = gateway.client("s3"), make_user(gateway, allow("s3:*"))
    bucket = make_bucket(s3)
    put_policy(s3, bucket, statement("Deny", {"AWS": user.arn}, "s3:GetObject", on=f"{bucket}/*"))
    by_bucket = refused_id(gateway, error_of(user.client("s3").get_object, Bucket=bucket, Key="k"))
    user.put_policy(deny("s3:PutObject"))
    by_user = refused_id(gateway, error_of(user.client("s3").put_object, Bucket=bucket, Key="k"))

    def remark(request_id: str) -> tuple[bool, str | None]:
        [found] = json.loads(why(gateway, request_id, "--json").stdout)["statements"]
        return found["text"] is not None, found["remark"]

    assert (remark(by_bucket), remark(by_user)) == ((True, None), (True, None))
    put_policy(s3, bucket, statement("Deny", {"AWS": user.arn}, "s3:PutObject", on=f"{bucket}/*"))
    user.put_policy(deny("s3:PutObject"), deny("s3:GetObject"))
    assert (remark(by_bucket), remark(by_user)) == ((True, "the policy was changed since"),) * 2
    s3.delete_bucket_policy(Bucket=bucket)
    user.delete_policy()
    assert (remark(by_bucket), remark(by_user)) == ((False, "the policy was deleted since"),) * 2
    assert "(the policy was deleted since)" in why(gateway, by_user).stdout
    s3.delete_bucket(Bucket=bucket)
    _, told = remark(by_bucket)
    assert told is not None
    assert told.startswith("it is not there any more")


def test_another_version_of_a_managed_policy_is_in_force_now(logging_gateway: Gateway) -> None:
    gateway = logging_gateway
    iam, user = gateway.client("iam"), make_user(gateway)
    arn = iam.create_policy(PolicyName="denies", PolicyDocument=policy_text(deny("s3:*")))["Policy"]["Arn"]
    iam.attach_user_policy(UserName=user.name, PolicyArn=arn)
    request_id = refused_id(gateway, error_of(user.client("s3").list_buckets))
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy_text(allow("s3:*")), SetAsDefault=True)
    [found] = json.loads(why(gateway, request_id, "--json").stdout)["statements"]
    assert (found["text"], found["remark"]) == (deny("s3:*"), "version v2 is in force now")
    iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    [found] = json.loads(why(gateway, request_id, "--json").stdout)["statements"]
    assert (found["text"], found["remark"]) == (None, "the version was deleted since; v2 is in force now")


def test_rotated_and_compressed_logs_and_standard_input(logging_gateway: Gateway, tmp_path: Path) -> None:
    gateway = logging_gateway
    request_id = refused_id(
        gateway, error_of(gateway.client("s3").get_object, Bucket=make_bucket(gateway.client("s3")), Key="k")
    )
    log = log_of(gateway)
    rotated = log.with_name("access.log.1")
    log.rename(rotated)
    assert "404 NoSuchKey" in why(gateway, request_id).stdout
    packed = log.with_name("access.log.2.gz")
    packed.write_bytes(gzip.compress(rotated.read_bytes()))
    rotated.unlink()
    assert str(packed) in why(gateway, request_id, "--json").stdout
    elsewhere = tmp_path / "elsewhere"
    packed.rename(elsewhere)
    assert why(gateway, request_id, check=False).returncode == 1
    assert "404 NoSuchKey" in why(gateway, request_id.lower(), "--log", str(elsewhere)).stdout
    with elsewhere.open("rb") as file:
        command = [sys.executable, "-m", "gateway", "why", request_id, str(gateway.data), "--log", "-"]
        piped = subprocess.run(command, stdin=file, capture_output=True, text=True, env=clean_environment(), check=True)
    assert "404 NoSuchKey" in piped.stdout


def test_a_key_that_is_disabled_is_told_from_the_audit_trail_alone(logging_gateway: Gateway, tmp_path: Path) -> None:
    """The line of the access log is lost."""
    gateway = logging_gateway
    kms = gateway.client("kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.disable_key(KeyId=key)
    response = error_of(kms.encrypt, KeyId=key, Plaintext=b"p")
    request_id = str(response["ResponseMetadata"]["RequestId"])
    empty = tmp_path / "empty"
    empty.touch()
    told = why(gateway, request_id, "--log", str(empty)).stdout
    assert "(not in the access log)" in told
    assert "kms.amazonaws.com Encrypt: DisabledException" in told
    assert f"{key} is Disabled now" in told
    assert 'key policy, statement "Enable IAM User Permissions"' in told


def test_a_changed_trail_is_told(logging_gateway: Gateway, tmp_path: Path) -> None:
    gateway = logging_gateway
    kms = gateway.client("kms")
    response = kms.list_keys()
    kms.encrypt(KeyId=kms.create_key()["KeyMetadata"]["KeyId"], Plaintext=b"p")
    request_id = str(response["ResponseMetadata"]["RequestId"])
    trail = tmp_path / "audit"
    subprocess.run(["cp", "-r", str(gateway.data / "audit"), str(trail)], check=True)
    [path] = trail.glob("audit-*.jsonl")
    path.write_bytes(path.read_bytes().replace(b'"eventName":"ListKeys"', b'"eventName":"Decrypt"', 1))
    environment = {**gateway.environment, "SEALGATE_AUDIT_DIRECTORY": str(trail)}
    command = [sys.executable, "-m", "gateway", "why", request_id, str(gateway.data)]
    told = subprocess.run(command, capture_output=True, text=True, env=clean_environment(**environment), check=True)
    assert "NOT whole where these lines are" in told.stdout
    whole = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, env=clean_environment(**environment), check=True
    )
    assert json.loads(whole.stdout)["auditTrailIsSound"] is False
    assert json.loads(why(gateway, request_id, "--json", "--no-verify").stdout)["verification"] == "not verified"


def test_what_is_not_found_or_no_request_id(logging_gateway: Gateway) -> None:
    refused_id(logging_gateway, error_of(logging_gateway.client("s3").head_bucket, Bucket="is-not-there"))
    missing = why(logging_gateway, "0" * 16, check=False)
    assert missing.returncode == 1
    assert "is neither in the access log nor in the audit trail; looked in:" in missing.stderr
    assert str(log_of(logging_gateway)) in missing.stderr
    assert why(logging_gateway, "not-an-id", check=False).returncode == 2


def test_while_nobody_serves_and_the_log_goes_to_standard_error(tmp_path: Path) -> None:
    with running_gateway(tmp_path) as gateway:
        s3, user = gateway.client("s3"), make_user(gateway, allow("s3:*"))
        bucket = make_bucket(s3)
        put_policy(
            s3, bucket, {"Sid": "Never", **statement("Deny", {"AWS": user.arn}, "s3:GetObject", on=f"{bucket}/*")}
        )
        response = error_of(user.client("s3").get_object, Bucket=bucket, Key="k")
    request_id = str(response["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])
    told = why(gateway, request_id, "--log", str(gateway.log_path)).stdout
    assert '"Sid": "Never"' in told
    hint = why(gateway, request_id, check=False)
    assert hint.returncode == 1
    assert "it goes to standard error" in hint.stderr
    (gateway.data / "pin").rename(gateway.data / "away")
    away = why(gateway, request_id, "--log", str(gateway.log_path)).stdout
    assert "it cannot be read now" in away
    assert 'decided by  bucket policy, statement "Never"' in away

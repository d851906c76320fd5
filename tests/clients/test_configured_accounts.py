"""Accounts and keys of the configuration: there from the first request on, and gone with it."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.clients.checks import refusal
from tests.clients.users import client_of
from tests.harness import Gateway, wait_until

ID = "123456789012"
POLICY = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}}'
CONFIGURATION = f"""
[[account]]
id = "{ID}"
canonical_id = "{"c" * 64}"
name = "configured"
email = "configured@example.com"
access_keys_file = "root-keys"

[[account.user]]
name = "ann"
access_keys_file = "ann-keys"
policy_file = "ann.json"
"""


@pytest.fixture
def gateway(tmp_path: Path) -> Any:
    made = Gateway(tmp_path / "data", workers=2).init()
    yield made
    made.stop()


def write_keys(path: Path, *keys: tuple[str, str]) -> None:
    path.write_text("".join(f"{key} {secret}\n" for key, secret in keys))
    path.chmod(0o600)


ROOT = ("AKIAROOTROOTROOT1234", "the-root-users-secret")
ANN = ("AKIAANNANNANNANN1234", "the-secret-of-user-ann")
FIRST = ("AKIAFIRSTFIRST123456", "of-the-first-accounts")


def test_from_configuration_to_requests_and_back(gateway: Gateway) -> None:
    data = gateway.data
    settings = (data / "sealgate.toml").read_text()
    (data / "sealgate.toml").write_text(settings + CONFIGURATION)
    write_keys(data / "root-keys", ROOT)
    write_keys(data / "ann-keys", ANN)
    (data / "ann.json").write_text(POLICY)
    write_keys(data / "first", FIRST)
    gateway.environment["SEALGATE_ACCESS_ROOT_ACCESS_KEYS_FILE"] = str(data / "first")
    gateway.start()
    root, ann = client_of(gateway, "s3", *ROOT), client_of(gateway, "s3", *ANN)
    assert root.list_buckets()["Owner"] == {"ID": "c" * 64, "DisplayName": "configured"}
    root.create_bucket(Bucket="configured")
    assert [each["Name"] for each in ann.list_buckets()["Buckets"]] == ["configured"]
    assert refusal(ann.list_objects_v2, Bucket="configured") == (403, "AccessDenied")
    sts = client_of(gateway, "sts", *ANN)
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ID}:user/ann"
    first = gateway.client("sts").get_caller_identity()
    assert client_of(gateway, "sts", *FIRST).get_caller_identity()["Arn"] == first["Arn"]
    for name in ("store", "iam", "index"):
        for path in (data / name).rglob("*"):
            assert not path.is_file() or ROOT[1].encode() not in path.read_bytes()
    assert ROOT[1] not in gateway.log_path.read_text()
    gateway.stop()

    write_keys(data / "root-keys", ("AKIANEWNEWNEWNEW1234", "another-secret-of-root"))
    gateway.start()
    assert refusal(client_of(gateway, "s3", *ROOT).list_buckets) == (403, "InvalidAccessKeyId")
    again = client_of(gateway, "s3", "AKIANEWNEWNEWNEW1234", "another-secret-of-root")
    assert [each["Name"] for each in again.list_buckets()["Buckets"]] == ["configured"]
    client_of(gateway, "s3", *ANN).list_buckets()


def test_what_contradicts_the_store_keeps_the_gateway_sealed(gateway: Gateway) -> None:
    data = gateway.data
    key = gateway.credentials["AWS_ACCESS_KEY_ID"]
    write_keys(data / "root-keys", (key, "another-secret-than-its-own"))
    with (data / "sealgate.toml").open("a") as settings:
        settings.write(f'\n[[account]]\nid = "{ID}"\nname = "thief"\naccess_keys_file = "root-keys"\n')
    gateway.start()
    assert refusal(gateway.client("s3").list_buckets)[0] == 503
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{gateway.admin_url}/healthz/ready", timeout=10)
    reasons = caught.value.read().decode()
    assert f"root-keys, line 1: access key {key} exists, and was not made by the configuration" in reasons
    write_keys(data / "root-keys")
    s3 = gateway.client("s3")
    wait_until(lambda: _is_served(s3), "healed without restart")


def _is_served(s3: Any) -> bool:
    try:
        s3.list_buckets()
    except s3.exceptions.ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        return False
    return True


def test_files_that_cannot_be_read_are_told_before_the_start(gateway: Gateway) -> None:
    with (gateway.data / "sealgate.toml").open("a") as settings:
        settings.write(CONFIGURATION)
    served = gateway.sealgate("serve", str(gateway.data), check=False)
    assert served.returncode == 3
    assert "root-keys: No such file" in served.stderr
    doctor = gateway.sealgate("doctor", str(gateway.data), check=False)
    assert doctor.returncode == 1
    assert "accounts: " in doctor.stdout

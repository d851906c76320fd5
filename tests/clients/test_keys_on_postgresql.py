"""Two gateways with one root, whose index, identities and KMS keys are in one database."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import faults
from tests.clients.conftest import make_bucket
from tests.harness import Gateway, wait_until
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

LEASE_SECONDS = 5
"""database.shared.replica.STALE_SECONDS."""


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Gateway]]:
    """The second one has the configuration and the root of the first, and nothing else of it."""
    directory, url = tmp_path_factory.mktemp("nodes"), shared_postgresql().url
    one = Gateway(directory / "one", root="file", workers=2, index=url, is_first_of_several=True).init()
    other = Gateway(directory / "other", root="file")
    for part in ("sealgate.toml", "pin", "dev.env", "kms/root"):
        (other.data / part).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copy(one.data / part, other.data / part)
    for part in ("iam", "index", "run", "store"):
        (other.data / part).mkdir(mode=0o700)
    try:
        one.start()
        other.start()
        yield one, other
    finally:
        one.stop()
        other.stop()
    assert faults(one) == faults(other) == []
    for gateway in (one, other):
        assert not (gateway.data / "kms" / "keys.sqlite").exists()


def read(s3: Any, bucket: str, key: str) -> str:
    """ "" for the object, or the code of the error."""
    try:
        s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_a_key_that_one_gateway_disables_opens_nothing_on_the_other(gateways: tuple[Gateway, Gateway]) -> None:
    one, other = gateways
    kms, s3, elsewhere = one.client("kms"), one.client("s3"), other.client("s3", retries={"max_attempts": 1})
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    bucket, sealing = make_bucket(s3), {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key_id}
    keys = {"direct": False, "bucket-key": True}
    for key, has_bucket_key in keys.items():
        s3.put_object(Bucket=bucket, Key=key, Body=b"content", BucketKeyEnabled=has_bucket_key, **sealing)
        assert read(elsewhere, bucket, key) == "", "the other gateway reads it at once"
    kms.disable_key(KeyId=key_id)
    disabled = last_use = time.monotonic()
    assert {read(s3, bucket, key) for key in keys} == {"KMS.DisabledException"}
    while time.monotonic() < disabled + LEASE_SECONDS + 2:
        for key in keys:
            began = time.monotonic()
            if read(elsewhere, bucket, key) == "":
                last_use = began
        time.sleep(0.02)
    assert last_use < disabled + LEASE_SECONDS + 1
    assert other.client("kms").describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"


def test_policies_and_aliases_are_one(gateways: tuple[Gateway, Gateway]) -> None:
    one, other = (gateway.client("kms") for gateway in gateways)
    key_id = one.create_key()["KeyMetadata"]["KeyId"]
    one.create_alias(AliasName="alias/shared", TargetKeyId=key_id)
    assert other.describe_key(KeyId="alias/shared")["KeyMetadata"]["KeyId"] == key_id
    sealed = one.encrypt(KeyId="alias/shared", Plaintext=b"p")["CiphertextBlob"]
    assert other.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"p"
    other.rotate_key_on_demand(KeyId=key_id)
    sealed = other.encrypt(KeyId=key_id, Plaintext=b"q")["CiphertextBlob"]
    assert one.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"q"


def test_commands_and_doctor_look_at_the_database(gateways: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    one, other = gateways
    for gateway in gateways:
        found = gateway.sealgate("doctor", str(gateway.data), check=False).stdout
        problems = [line for line in found.splitlines() if line.startswith("PROBLEM") and "keys: " in line]
        assert len(problems) == 1, found
        assert "fsync or full_page_writes is off" in problems[0]  # as it is, for tests
        assert "ok       root: " in found
    one.sealgate("kms", "backup", str(one.data), str(tmp_path / "keys.sgkb"))
    told = wait_until(
        lambda: [
            gateway.data.name
            for gateway in gateways
            for file in (gateway.data / "audit").glob("audit-*.jsonl")
            for line in file.read_text().splitlines()
            if '"BackUpKeyStore"' in line
        ],
        "the backup is in a trail",
    )
    assert len(told) == 1, "and in one only"
    assert other.sealgate("audit", "verify", str(one.data), str(other.data)).returncode == 0

"""`sealgate keys usage`: what a KMS key opens, counted against what was written; and deletion that is guarded by it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.checks import random_bytes
from tests.clients.conftest import make_bucket
from tests.clients.users import make_account
from tests.harness import Gateway, running_gateway, wait_until

NONE = {"number": 0, "bytes": 0}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("usage"), root="file") as made:
        yield made


@pytest.fixture(scope="module")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


@pytest.fixture(scope="module")
def kms(gateway: Gateway) -> Any:
    return gateway.client("kms")


@pytest.fixture
def key(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["Arn"])


def usage(gateway: Gateway, key: str, *more: str) -> Any:
    return json.loads(gateway.sealgate("keys", "usage", str(gateway.data), key, "--json", *more).stdout)


def asked(key: str, algorithm: str = "aws:kms", **more: Any) -> dict[str, Any]:
    return {"ServerSideEncryption": algorithm, "SSEKMSKeyId": key, **more}


def test_a_key_that_opens_nothing(gateway: Gateway, key: str) -> None:
    told = usage(gateway, key)
    nothing = {"versions": NONE, "only": NONE, "uploads": NONE, "parts": 0, "bucket_keys": 0}
    assert told == {
        "keyArn": key,
        "keyState": "Enabled",
        "total": nothing,
        "buckets": {},
        "keyVersions": {},
        "damagedRows": 0,
    }


def test_every_kind_of_thing_by_bucket_and_version(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    one, two = make_bucket(s3), make_bucket(s3)
    s3.put_bucket_versioning(Bucket=two, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=one, Key="a", Body=bytes(100), **asked(key))
    s3.put_object(Bucket=one, Key="twice", Body=bytes(30_000), **asked(key, "aws:kms:dsse"))
    s3.put_object(Bucket=one, Key="other", Body=b"not by it", ServerSideEncryption="AES256")
    kms.rotate_key_on_demand(KeyId=key)
    for size in (10, 20):
        s3.put_object(Bucket=two, Key="v", Body=bytes(size), **asked(key))
    s3.delete_object(Bucket=two, Key="v")
    s3.put_object(Bucket=two, Key="bucket key", Body=bytes(5), **asked(key, BucketKeyEnabled=True))
    upload = {"Bucket": two, "Key": "u"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **asked(key))["UploadId"]
    for number in (1, 2):
        s3.upload_part(**upload, PartNumber=number, Body=bytes(1000))
    done = {"Bucket": one, "Key": "done"}
    done["UploadId"] = s3.create_multipart_upload(**done, **asked(key))["UploadId"]
    part = s3.upload_part(**done, PartNumber=1, Body=bytes(4000))
    s3.complete_multipart_upload(**done, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    told = usage(gateway, key)
    first = {"number": 3, "bytes": 34_100}
    second = {"number": 3, "bytes": 35}
    assert told["buckets"] == {
        one: {"versions": first, "only": first, "uploads": NONE, "parts": 0, "bucket_keys": 0},
        two: {
            "versions": second,
            "only": second,
            "uploads": {"number": 1, "bytes": 2000},
            "parts": 2,
            "bucket_keys": 1,
        },
    }
    assert {name: each["versions"] for name, each in told["keyVersions"].items()} == {
        "1": {"number": 2, "bytes": 30_100},
        "2": {"number": 4, "bytes": 4035},
    }
    assert told["total"]["versions"] == told["total"]["only"] == {"number": 6, "bytes": 34_135}
    shown = gateway.sealgate("keys", "usage", str(gateway.data), key).stdout
    assert "opens 6 object versions (33.3 KiB) in 2 buckets, 6 of them (33.3 KiB) only through it" in shown
    assert one in shown
    assert two in shown


def test_what_another_key_opens_too_is_not_only_this_ones(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    """Copies share data keys; and an object whose key was changed is still opened by the first one, in its blobs."""
    other = kms.create_key()["KeyMetadata"]["Arn"]
    bucket = make_bucket(s3)
    for name in ("alone", "copied", "copied within", "moved in", "copied by SSE-S3"):
        s3.put_object(Bucket=bucket, Key=name, Body=bytes(50_000), **asked(other if name == "moved in" else key))
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "copied"}, **asked(other))
    within = {"Bucket": bucket, "Key": "copied within"}
    s3.copy_object(Bucket=bucket, Key="copy within", CopySource=within, **asked(key, BucketKeyEnabled=True))
    by_service = {"Bucket": bucket, "Key": "copied by SSE-S3"}
    s3.copy_object(Bucket=bucket, Key="by SSE-S3", CopySource=by_service, ServerSideEncryption="AES256")
    change = {"SSEKMS": {"KMSKeyArn": key}}
    s3.update_object_encryption(Bucket=bucket, Key="moved in", ObjectEncryption=change)
    total = usage(gateway, key)["total"]
    assert total["versions"] == {"number": 6, "bytes": 300_000}
    assert total["only"] == {"number": 3, "bytes": 150_000}  # alone, copied within, and its copy
    # What shares with them goes; what the blobs themselves say stays.
    for name in ("copy", "by SSE-S3"):
        s3.delete_object(Bucket=bucket, Key=name)
    assert usage(gateway, key)["total"]["only"] == {"number": 5, "bytes": 250_000}
    assert usage(gateway, other)["total"]["versions"] == NONE
    # A copy of a copy goes on to say whose key its blobs are under.
    s3.copy_object(Bucket=bucket, Key="last", CopySource={"Bucket": bucket, "Key": "alone"}, **asked(other))
    s3.delete_object(Bucket=bucket, Key="alone")
    told = usage(gateway, other)["total"]
    assert (told["versions"]["number"], told["only"]["number"]) == (1, 0)


def test_keys_are_named_by_id_alias_and_arn(gateway: Gateway, kms: Any, key: str) -> None:
    kms.create_alias(AliasName="alias/counted", TargetKeyId=key)
    assert usage(gateway, key)["keyArn"] == key
    account = ("--account", key.split(":")[4])
    for name in (key.rpartition("/")[2], "alias/counted"):
        assert usage(gateway, name, *account)["keyArn"] == key
    missing = gateway.sealgate("keys", "usage", str(gateway.data), "alias/none", *account, check=False)
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "alias/none" in missing.stderr


def test_buckets_of_other_accounts_count(gateway: Gateway, kms: Any) -> None:
    account = make_account(gateway)
    statement = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
    policy = [{**statement, "Principal": {"AWS": each}} for each in (account.account_id, kms_account(kms))]
    key = kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": policy}))["KeyMetadata"]["Arn"]
    client = account.client("s3")
    bucket = make_bucket(client)
    client.put_object(Bucket=bucket, Key="k", Body=bytes(7), **asked(key))
    assert usage(gateway, key)["buckets"][bucket]["only"] == {"number": 1, "bytes": 7}


def kms_account(kms: Any) -> str:
    return str(kms.create_key()["KeyMetadata"]["AWSAccountId"])


def test_deletion_by_the_command_line_is_guarded(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    s3.put_object(Bucket=make_bucket(s3), Key="k", Body=bytes(7), **asked(key))
    command = ("keys", "schedule-deletion", str(gateway.data), key)
    refused = gateway.sealgate(*command, check=False)
    assert refused.returncode == 1
    assert "opens 1 object versions (7 B) in 1 buckets" in refused.stderr
    assert "--yes" in refused.stderr
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    told = json.loads(gateway.sealgate(*command, "--days", "9", "--yes", "--json").stdout)
    assert (told["KeyState"], told["PendingWindowInDays"], told["usage"]["versions"]) == ("PendingDeletion", 9, 1)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    assert deletions(gateway, key)[-1]["usage"]["bytes"] == 7
    unused = str(kms.create_key()["KeyMetadata"]["Arn"])
    gateway.sealgate("keys", "schedule-deletion", str(gateway.data), unused)
    assert kms.describe_key(KeyId=unused)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_deletion_by_the_api_tells_the_audit_trail(gateway: Gateway, s3: Any, kms: Any, key: str) -> None:
    s3.put_object(Bucket=make_bucket(s3), Key="k", Body=random_bytes(20_000), **asked(key))
    kms.schedule_key_deletion(KeyId=key.rpartition("/")[2], PendingWindowInDays=7)
    (told,) = deletions(gateway, key)
    assert told["usage"] == {
        "buckets": 1,
        "versions": 1,
        "bytes": 20_000,
        "versionsOfNoOtherKey": 1,
        "bytesOfNoOtherKey": 20_000,
        "uploads": 0,
        "bucketKeys": 0,
        "damagedRows": 0,
    }


def deletions(gateway: Gateway, key: str) -> list[Any]:
    def lines() -> list[Any]:
        asked_for = ("audit", "tail", str(gateway.data), "--key", key, "--event", "ScheduleKeyDeletion", "--json")
        told = gateway.sealgate(*asked_for).stdout
        return [json.loads(line)["requestParameters"] for line in told.splitlines()]

    return list(wait_until(lines, "the line is in the trail"))


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("1234abcd-12ab-34cd-56ef-1234567890ab", "NotFoundException"),
        ("alias/none", "InvalidArnException"),
        ("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "AccessDeniedException"),
        (None, "KMSInvalidStateException"),
    ],
)
def test_no_statement_about_what_is_no_destroyed_key(
    gateway: Gateway, kms: Any, tmp_path: Path, name: str | None, code: str
) -> None:
    account, output = ("--account", kms_account(kms)), tmp_path / "statement"
    named = name or kms.create_key()["KeyMetadata"]["KeyId"]
    command = ("keys", "destruction-statement", str(gateway.data), named, *account, "-o", str(output))
    refused = gateway.sealgate(*command, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert code in refused.stderr
    assert not output.exists()


def test_while_it_is_stopped(gateway: Gateway, s3: Any, key: str) -> None:
    bucket = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=bytes(7), **asked(key))
    serving = usage(gateway, key)
    gateway.stop()
    try:
        assert usage(gateway, key) == serving
    finally:
        gateway.environment["SEALGATE_LISTEN_ADDRESS"] = gateway.endpoint_url.removeprefix("http://")
        gateway.start()

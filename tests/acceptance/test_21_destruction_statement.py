"""After a key's destruction: a signed statement of what became unreadable, true to the byte, and worth nothing once
anything of it, or of its evidence, is changed."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from gateway.commands.verify_statement import verify_statement
from kms.audit.signatures import format_pem
from tests.acceptance.clock import KeyProcessClock
from tests.acceptance.conftest import StartGateway
from tests.acceptance.test_14_key_deletion import deletions
from tests.harness import Gateway, wait_until
from tests.kms.audit.trails import SoftSigner, small_trail

pytestmark = pytest.mark.slow

SHARED_BYTES = 50_000
"""Large enough for a blob of its own: what lies in the index itself is copied, not shared."""


def put(s3: Any, bucket: str, name: str, size: int, key: str, algorithm: str = "aws:kms", **more: Any) -> None:
    asked = {"ServerSideEncryption": algorithm, "SSEKMSKeyId": key, **more}
    s3.put_object(Bucket=bucket, Key=name, Body=bytes(size), **asked)


def fill(gateway: Gateway, key: str, other: str) -> dict[str, tuple[int, int, int, int]]:
    """Write in every mode; by bucket: versions and bytes that only `key` opens, and those that `other` opens, too."""
    s3, kms = gateway.client("s3"), gateway.client("kms")
    for bucket in ("first", "second"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="second", VersioningConfiguration={"Status": "Enabled"})
    put(s3, "first", "plain", 100, key)
    put(s3, "first", "double", 2000, key, "aws:kms:dsse")
    put(s3, "first", "not by it", 10, other)
    kms.rotate_key_on_demand(KeyId=key)
    for size in (10, 20):
        put(s3, "second", "twice", size, key)
    s3.delete_object(Bucket="second", Key="twice")
    put(s3, "second", "bucket key", 5, key, BucketKeyEnabled=True)
    for name in ("shared", "within"):
        put(s3, "second", name, SHARED_BYTES, key)
    by_other = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other}
    s3.copy_object(Bucket="first", Key="copy", CopySource={"Bucket": "second", "Key": "shared"}, **by_other)
    by_key = {**by_other, "SSEKMSKeyId": key}
    s3.copy_object(Bucket="first", Key="copy within", CopySource={"Bucket": "second", "Key": "within"}, **by_key)
    upload = {"Bucket": "second", "Key": "upload"}
    upload["UploadId"] = s3.create_multipart_upload(**upload, **by_key)["UploadId"]
    s3.upload_part(**upload, PartNumber=1, Body=bytes(1000))
    return {
        "first": (3, 2100 + SHARED_BYTES, 0, 0),
        "second": (4, 35 + SHARED_BYTES, 1, SHARED_BYTES),
    }


def state(gateway: Gateway, key: str, *more: str, check: bool = True) -> Any:
    return gateway.sealgate("keys", "destruction-statement", str(gateway.data), key, *more, check=check)


def verify(statement: Path, *more: str) -> Result:
    """In this process: it needs nothing but files."""
    return CliRunner().invoke(verify_statement, [str(statement), *more])


def destroyed(gateway: Gateway, clock: KeyProcessClock, key: str) -> None:
    gateway.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    refused = state(gateway, key, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "PendingDeletion" in refused.stderr
    gateway.stop()
    clock.set_ahead(7.5)
    gateway.start()
    wait_until(lambda: deletions(gateway), "the key's deletion is in the audit trail")
    wait_until(lambda: "destroyed at the end" in gateway.log_path.read_text(), "the key is destroyed")


def test_a_statement_of_what_became_unreadable(make_gateway: StartGateway, tmp_path: Path) -> None:
    gateway = make_gateway()
    clock = KeyProcessClock(gateway, tmp_path / "clock")
    gateway.start()
    kms = gateway.client("kms")
    key, other = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    expected = fill(gateway, key, other)
    refused = state(gateway, key, check=False)
    assert refused.returncode == 1
    assert "Enabled" in refused.stderr
    public_key = tmp_path / "audit-key.pem"
    public_key.write_text(gateway.sealgate("audit", "public-key", str(gateway.data)).stdout)
    backup = json.loads(gateway.sealgate("kms", "backup", "--json", str(gateway.data), str(tmp_path / "keys")).stdout)
    destroyed(gateway, clock, key)

    path, listed = tmp_path / "statement", tmp_path / "versions.jsonl"
    told = state(gateway, key, "-o", str(path), "--list", str(listed)).stdout
    assert f"{key}, with 2 versions of its material, was destroyed" in told
    text, _, rest = path.read_bytes().split(b"\n")
    assert rest == b""
    document = json.loads(text)
    assert {name: counts(told) for name, told in document["buckets"].items()} == expected
    assert document["buckets"]["second"]["unreadable"]["uploads"] == {"number": 1, "bytes": 1000}
    assert document["total"]["unreadable"]["bucketKeys"] == 1
    assert {version: counts(told)[0] for version, told in document["keyVersions"].items()} == {"1": 2, "2": 5}
    assert (document["damagedRows"], document["key"]["arn"], document["key"]["versions"]) == (0, key, 2)
    audit = document["audit"]
    assert audit["scheduled"]["usage"]["versionsOfNoOtherKey"] == 7
    assert audit["backups"]["number"] == 1
    assert audit["backups"]["listed"][0]["archiveSha256"] == backup["sha256"]
    assert any("Backups" in limit for limit in document["limits"])
    assert_list_is_true(gateway, listed, expected)

    whole = ("--public-key", str(public_key), "--trail", str(gateway.data), "--list", str(listed))
    valid = verify(path, *whole)
    assert (valid.exit_code, valid.stderr) == (0, "")
    assert "The statement is valid." in valid.stdout
    assert json.loads(verify(path, *whole, "--json").stdout) == document
    assert "exists already" in state(gateway, key, "-o", str(path), check=False).stderr
    named = json.loads(gateway.sealgate("audit", "tail", str(gateway.data), "--event", "AttestDestruction", "--json",
                                        "--key", key).stdout.splitlines()[-1])  # fmt: skip
    assert named["requestParameters"]["statementSha256"] == hashlib.sha256(text).hexdigest()

    assert_changes_are_refused(gateway, tmp_path, path, listed, public_key)
    # Stopped, the same is stated, with no process but the command's.
    gateway.stop()
    again = json.loads(state(gateway, key.rpartition("/")[2]).stdout.splitlines()[0])
    assert (again["buckets"], again["list"], again["key"]) == (document["buckets"], document["list"], document["key"])
    assert again["audit"]["deleted"] == audit["deleted"]


def counts(opened: Any) -> tuple[int, int, int, int]:
    only, others = opened["unreadable"]["versions"], opened["otherWraps"]["versions"]
    return only["number"], only["bytes"], others["number"], others["bytes"]


def assert_list_is_true(gateway: Gateway, path: Path, expected: dict[str, tuple[int, int, int, int]]) -> None:
    """It has every version once, and what it calls unreadable is not read, by whoever asks."""
    s3 = gateway.client("s3")
    versions = [json.loads(line) for line in path.read_text().splitlines()]
    assert [each["rowId"] for each in versions] == sorted({each["rowId"] for each in versions})
    for bucket, (number, size, others, others_size) in expected.items():
        for fate, *plain in (("unreadable", number, size), ("otherWraps", others, others_size)):
            found = [each["bytes"] for each in versions if (each["bucket"], each["fate"]) == (bucket, fate)]
            assert [len(found), sum(found)] == plain
    assert len(versions) == sum(number + others for number, _, others, _ in expected.values())
    for each in versions:
        with pytest.raises(ClientError) as caught:
            s3.get_object(Bucket=each["bucket"], Key=each["key"], VersionId=each["versionId"])
        assert caught.value.response["Error"]["Code"] == "KMS.NotFoundException"
    shared = s3.get_object(Bucket="first", Key="copy")["Body"].read()
    assert shared == bytes(SHARED_BYTES)


def assert_changes_are_refused(gateway: Gateway, tmp_path: Path, path: Path, listed: Path, public_key: Path) -> None:
    trusted = ("--public-key", str(public_key))
    content = path.read_bytes()
    changed = tmp_path / "changed"
    for old, new in ((b'"number":3', b'"number":2'), (b'"destroyed":"2', b'"destroyed":"1'), (b"Backups", b"backups")):
        assert old in content
        changed.write_bytes(content.replace(old, new, 1))
        refused = verify(changed, *trusted)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert "its signature is wrong" in refused.stderr
    listed_changed = tmp_path / "changed.jsonl"
    listed_changed.write_bytes(b"".join(listed.read_bytes().splitlines(keepends=True)[1:]))
    assert verify(path, *trusted, "--list", str(listed_changed)).exit_code == 1
    strange, signer = tmp_path / "strange", SoftSigner()
    small_trail(strange, signer)
    (strange / "audit.pem").write_text(format_pem(signer.audit_public_key()))
    assert "signed by another key" in verify(path, "--public-key", str(strange / "audit.pem")).stderr
    assert "another audit trail" in verify(path, "--trail", str(strange)).stderr
    assert verify(path).exit_code == 2
    trail = tmp_path / "trail"
    shutil.copytree(gateway.data / "audit", trail)
    (damaged,) = [each for each in trail.glob("audit-*.jsonl") if b'"DeleteKey"' in each.read_bytes()]
    damaged.write_bytes(damaged.read_bytes().replace(b'"DeleteKey"', b'"deleteKey"'))
    assert "is not whole" in verify(path, *trusted, "--trail", str(trail)).stderr

"""`sealgate bucket`: whether copies share ciphertext, set while the gateway serves, and seen in the blob store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.commands.main import main
from tests.clients.checks import md5_hex, random_bytes, stored_files
from tests.clients.conftest import make_bucket
from tests.harness import Gateway, running_gateway, wait_until

BODY = random_bytes(100_000)
"""Large enough for a blob of its own; what else a copy writes lies in the index."""

SEALS_ANEW = ("SEALGATE_STORAGE_COPY", "reencrypt")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("copies"), root="file", workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


def shares(gateway: Gateway, s3: Any, source: str, target: str) -> bool:
    """Copy an object from one bucket to the other; whether that took no new blob but for a manifest."""
    s3.put_object(Bucket=source, Key="source", Body=BODY)
    before = stored_files(gateway)
    answer = s3.copy_object(Bucket=target, Key="copy", CopySource=f"{source}/source")
    assert answer["CopyObjectResult"]["ETag"] == f'"{md5_hex(BODY)}"'
    assert s3.get_object(Bucket=target, Key="copy")["Body"].read() == BODY
    new = stored_files(gateway) - before
    assert len(new) <= 1
    return all(path.stat().st_size < len(BODY) for path in new)


def command(gateway: Gateway, name: str, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["bucket", name, str(gateway.data), *arguments], catch_exceptions=False)


def update(gateway: Gateway, bucket: str, copy: str) -> None:
    ended = command(gateway, "update", bucket, "--copy", copy)
    assert ended.exit_code == 0, ended.output


def shown(gateway: Gateway, bucket: str) -> dict[str, str]:
    told: dict[str, str] = json.loads(command(gateway, "show", bucket, "--json").stdout)
    return told


def test_either_bucket_has_copies_sealed_anew(gateway: Gateway, s3: Any) -> None:
    one, other = make_bucket(s3), make_bucket(s3)
    assert shares(gateway, s3, one, other)
    update(gateway, one, "reencrypt")
    assert not shares(gateway, s3, one, other)
    assert not shares(gateway, s3, other, one)
    assert not shares(gateway, s3, one, one)
    assert shares(gateway, s3, other, other)
    update(gateway, one, "default")
    assert shares(gateway, s3, one, other)


def test_a_copy_onto_itself_parts_what_shares(gateway: Gateway, s3: Any) -> None:
    bucket = make_bucket(s3)
    assert shares(gateway, s3, bucket, bucket)
    update(gateway, bucket, "reencrypt")
    before = stored_files(gateway)
    named = {"Bucket": bucket, "Key": "copy"}
    s3.copy_object(**named, CopySource=f"{bucket}/copy", MetadataDirective="REPLACE")
    assert len(stored_files(gateway) - before) == 1
    assert s3.get_object(**named)["Body"].read() == BODY


def test_what_a_bucket_says_is_told_and_stays(gateway: Gateway, s3: Any) -> None:
    bucket = make_bucket(s3)
    assert shown(gateway, bucket)["Copy"] == "share (default)"
    update(gateway, bucket, "reencrypt")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    told = shown(gateway, bucket)
    assert (told["Bucket"], told["Copy"]) == (bucket, "reencrypt")
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_the_audit_trail_tells_it(gateway: Gateway, s3: Any) -> None:
    bucket = make_bucket(s3)
    update(gateway, bucket, "reencrypt")

    def told() -> list[dict[str, Any]]:
        command = ("audit", "tail", str(gateway.data), "--event", "UpdateBucket", "--json")
        lines = [json.loads(line) for line in gateway.sealgate(*command).stdout.splitlines()]
        return [each["serviceEventDetails"] for each in lines if each["serviceEventDetails"]["bucketName"] == bucket]

    (details,) = wait_until(told, "kmsd took the act up")
    assert details["copy"] == "reencrypt"


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("update", "never-created", "--copy", "share"), 1, "there is no bucket never-created"),
        (("show", "never-created"), 1, "there is no bucket never-created"),
        (("update", "never-created", "--copy", "sometimes"), 2, "'sometimes' is not one of"),
        (("update", "never-created"), 2, "Missing option '--copy'"),
    ],
)
def test_what_cannot_be_set(gateway: Gateway, arguments: tuple[str, ...], status: int, message: str) -> None:
    ended = command(gateway, *arguments)
    assert ended.exit_code == status
    assert message in ended.output


def test_the_installation_may_seal_all_copies_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*SEALS_ANEW)
    with running_gateway(tmp_path, root="file", environment=dict([SEALS_ANEW])) as strict:
        s3 = strict.client("s3")
        bucket = make_bucket(s3)
        assert not shares(strict, s3, bucket, bucket)
        assert shown(strict, bucket)["Copy"] == "reencrypt (default)"
        update(strict, bucket, "share")
        assert shares(strict, s3, bucket, bucket)
    update(strict, bucket, "default")  # while nobody serves it
    assert shown(strict, bucket)["Copy"] == "reencrypt (default)"

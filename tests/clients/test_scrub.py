"""`sealgate scrub` beside a gateway that serves and without one, and the passes that a gateway makes by itself."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import random_bytes
from tests.clients.conftest import make_bucket
from tests.harness import Gateway, running_gateway, wait_until

BODY = random_bytes(300_000)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("scrub"), root="file", workers=2) as made:
        yield made


@pytest.fixture(scope="module")
def stock(gateway: Gateway) -> str:
    """The name of a bucket with three objects, two of which are files."""
    s3 = gateway.client("s3")
    bucket = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="small", Body=b"small")
    s3.put_object(Bucket=bucket, Key="managed", Body=BODY)
    s3.put_object(Bucket=bucket, Key="kms", Body=BODY, ServerSideEncryption="aws:kms")
    return bucket


def scrub(gateway: Gateway, *arguments: str, status: int = 0) -> Any:
    ran = gateway.sealgate("scrub", str(gateway.data), *arguments, "--json", check=False)
    assert ran.returncode == status, ran.stderr
    return json.loads(ran.stdout)


def files(gateway: Gateway) -> list[Path]:
    return sorted(path for path in (gateway.data / "store" / "blobs").rglob("*") if path.is_file())


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_the_index_is_verified(gateway: Gateway, stock: str) -> None:
    ran = gateway.sealgate("index", "verify", str(gateway.data), "--json")
    report = json.loads(ran.stdout)
    assert (report["versions"], report["blobs"], report["problems"]) == (3, 3, {})
    first = files(gateway)[0]
    away = first.rename(first.with_name("away"))
    told = gateway.sealgate("index", "verify", str(gateway.data), check=False)
    away.rename(first)
    assert told.returncode == 1
    assert told.stdout.endswith(f"1 MissingBlob\n  MissingBlob  blob {first.name}\n")


def test_a_bad_blob_is_found_listed_and_still_not_served(gateway: Gateway, stock: str) -> None:
    assert scrub(gateway)["well"] == 3
    assert scrub(gateway, "--deep")["well"] == 3
    assert scrub(gateway, "--list-bad") == []
    first, second = files(gateway)
    flip(first, 290_000)
    found = scrub(gateway, status=1)
    assert (found["seen"], found["well"], found["bad"]) == (3, 2, 1)
    assert scrub(gateway, "--status", status=1) == found
    assert [(each["blobId"], each["problem"]) for each in scrub(gateway, "--list-bad", status=1)] == [
        (first.name, "damaged")
    ]
    told = gateway.sealgate("scrub", str(gateway.data), "--deep", check=False)
    assert told.returncode == 1
    assert "1 are bad: `sealgate scrub --list-bad` names them." in told.stdout
    assert f"integrity event: blob {first.name}: inauthentic" in told.stderr
    s3 = gateway.client("s3")
    with pytest.raises(ClientError, match="InternalError"):
        s3.get_object(Bucket=stock, Key="managed", Range="bytes=280000-")
    assert s3.get_object(Bucket=stock, Key="managed", Range="bytes=0-9")["Body"].read() == BODY[:10]
    assert files(gateway) == [first, second]
    flip(first, 290_000)
    assert scrub(gateway, "--deep")["bad"] == 0
    assert scrub(gateway, "--list-bad") == []


def test_a_gateway_scrubs_by_itself_and_a_command_without_gateway_and_keys(tmp_path: Path) -> None:
    environment = {"SEALGATE_SCRUB_SCHEDULE": "files", "SEALGATE_SCRUB_DEEP_EVERY_DAYS": "30"}
    with running_gateway(tmp_path, root="file", environment=environment) as gateway:
        s3 = gateway.client("s3")
        bucket = make_bucket(s3)
        s3.put_object(Bucket=bucket, Key="key", Body=BODY)
        (path,) = files(gateway)
        flip(path, 1000)

        def metric(scrub: str, outcome: str) -> bool:
            with urllib.request.urlopen(f"{gateway.admin_url}/metrics", timeout=10) as answer:
                text = answer.read().decode()
            return f'sealgate_scrubbed_blobs_total{{outcome="{outcome}",scrub="{scrub}"}} 1.0' in text

        wait_until(lambda: metric("scrub", "bad") and metric("scrub-deep", "bad"), "both passes found it")
        assert [each["blobId"] for each in scrub(gateway, "--list-bad", status=1)] == [path.name]
        assert f"integrity event: blob {path.name}: damaged, met by scrub" in gateway.log_path.read_text()
        gateway.stop()
        for each in (gateway.data / "kms").iterdir():
            each.unlink()
        path.unlink()
        assert scrub(gateway, status=1)["bad"] == 1
        told = gateway.sealgate("scrub", str(gateway.data), "--list-bad", check=False)
        assert re.fullmatch(rf"{path.name}  \d{{4}}-\S+Z  missing\n", told.stdout)


def test_a_mirror_outlives_either_store(tmp_path: Path) -> None:
    second = tmp_path / "second"
    environment = {"SEALGATE_STORAGE_BLOBS": f"mirror(file, file:{second})"}
    made = Gateway(tmp_path / "data", root="file", environment=environment).init()
    with pytest.raises(AssertionError, match=f"there is no directory {second}"):
        made.start()
    second.mkdir()
    gateway = made.start()
    try:
        s3 = gateway.client("s3")
        bucket = make_bucket(s3)
        s3.put_object(Bucket=bucket, Key="key", Body=BODY)
        (first,) = files(gateway)
        copy = second / first.relative_to(gateway.data / "store")
        assert copy.read_bytes() == first.read_bytes()
        first.unlink()
        assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == BODY
        flip(copy, 290_000)
        with pytest.raises(ClientError, match="InternalError"):
            s3.get_object(Bucket=bucket, Key="key", Range="bytes=280000-")
        flip(copy, 290_000)
        assert scrub(gateway)["repaired"] == 1
        assert copy.read_bytes() == first.read_bytes()
        s3.delete_object(Bucket=bucket, Key="key")
    finally:
        gateway.stop()
    assert "copy 1 is missing, read from the other" in gateway.log_path.read_text()
    assert [path for path in (second / "tmp").rglob("*") if path.is_file()] == []

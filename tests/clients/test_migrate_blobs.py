"""`sealgate migrate blobs`: from files to an S3 and back, while a gateway serves."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.checks import faults, random_bytes
from tests.clients.conftest import make_bucket
from tests.harness import Gateway
from tests.moto_server import ACCESS, moto_bucket

LARGE = random_bytes(9 << 20)
BUCKET = "s3://backing/cipher"


@pytest.fixture
def backing(tmp_path: Path) -> Iterator[Any]:
    """A client of moto's server, which has the bucket."""
    with moto_bucket(tmp_path / "moto.log") as client:
        yield client


def stored_at(gateway: Gateway, blobs: str) -> None:
    """What storage.blobs says, for who reads it from now on: a gateway that serves has read it before."""
    gateway.environment["SEALGATE_STORAGE_BLOBS"] = blobs


def restart(gateway: Gateway) -> Any:
    gateway.stop()
    return gateway.start().client("s3")


def migrate(gateway: Gateway, to: str, status: int = 0) -> str:
    done = gateway.sealgate("migrate", "blobs", str(gateway.data), "--to", to, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def fill(s3: Any, bucket: str, name: str) -> dict[str, bytes]:
    """Objects of one body, of parts, in the index, and a copy; what they hold."""
    s3.put_object(Bucket=bucket, Key=f"{name}/small", Body=b"small")
    s3.put_object(Bucket=bucket, Key=f"{name}/large", Body=LARGE, ServerSideEncryption="aws:kms")
    upload = {"Bucket": bucket, "Key": f"{name}/parts"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = [LARGE[: 5 << 20], b"end"]
    etags = [s3.upload_part(**upload, PartNumber=n, Body=part)["ETag"] for n, part in enumerate(parts, 1)]
    done = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    s3.copy_object(Bucket=bucket, Key=f"{name}/copy", CopySource={"Bucket": bucket, "Key": f"{name}/large"})
    return {
        f"{name}/small": b"small",
        f"{name}/large": LARGE,
        f"{name}/parts": b"".join(parts),
        f"{name}/copy": LARGE,
    }


def check(s3: Any, bucket: str, expected: dict[str, bytes]) -> None:
    for key, body in expected.items():
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == body, key


@contextmanager
def being_read(s3: Any, bucket: str, expected: dict[str, bytes]) -> Iterator[None]:
    """All the while, by another thread."""
    is_over, problems = threading.Event(), []

    def read() -> None:
        while not is_over.is_set():
            try:
                check(s3, bucket, expected)
            except Exception as error:
                problems.append(error)
                return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    assert problems == []


def test_to_an_s3_and_back(tmp_path: Path, backing: Any) -> None:
    environment = {
        **ACCESS,
        "SEALGATE_BACKING_ENDPOINT": backing.meta.endpoint_url,
        "SEALGATE_MIRROR_ENDPOINT": backing.meta.endpoint_url,
    }
    gateway = Gateway(tmp_path / "data", root="file", environment=environment).init()
    s3 = gateway.start().client("s3")
    try:
        bucket = make_bucket(s3)
        expected = fill(s3, bucket, "files")
        assert f'blobs = "mirror(file, {BUCKET})"' in migrate(gateway, BUCKET, status=1)

        stored_at(gateway, f"mirror(file, {BUCKET})")
        s3 = restart(gateway)
        expected |= fill(s3, bucket, "both")
        with being_read(s3, bucket, expected):
            told = migrate(gateway, BUCKET)
        assert f'set `blobs = "{BUCKET}"`' in told

        stored_at(gateway, BUCKET)
        s3 = restart(gateway)
        shutil.rmtree(gateway.data / "store" / "blobs")
        expected |= fill(s3, bucket, "s3")
        check(s3, bucket, expected)
        assert "is s3://backing/cipher already" in migrate(gateway, BUCKET, status=1)

        stored_at(gateway, f"mirror({BUCKET}, file)")
        s3 = restart(gateway)
        with being_read(s3, bucket, expected):
            migrate(gateway, "file")
        stored_at(gateway, "file")
        s3 = restart(gateway)
        for each in backing.list_objects_v2(Bucket="backing")["Contents"]:
            backing.delete_object(Bucket="backing", Key=each["Key"])
        check(s3, bucket, expected)
    finally:
        gateway.stop()
    assert faults(gateway) == []


def test_a_gateway_that_does_not_know_of_the_move_is_found(tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    gateway = Gateway(tmp_path / "data", root="file").init().start()
    try:
        s3 = gateway.client("s3")
        bucket = make_bucket(s3)
        s3.put_object(Bucket=bucket, Key="before", Body=LARGE)
        stored_at(gateway, f"mirror(file, file:{second})")
        is_over = threading.Event()

        def write() -> None:
            number = 0
            while not is_over.is_set():
                s3.put_object(Bucket=bucket, Key=f"during-{number}", Body=LARGE[:100_000])
                number += 1

        thread = threading.Thread(target=write)
        thread.start()
        try:
            told = migrate(gateway, f"file:{second}", status=1)
        finally:
            is_over.set()
            thread.join()
        assert "were written to file alone since this began" in told
        restart(gateway)
        migrate(gateway, f"file:{second}")
    finally:
        gateway.stop()

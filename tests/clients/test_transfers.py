"""What people run: boto3's managed transfers and the stock aws-cli."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig

from tests.clients.checks import random_bytes
from tests.harness import Gateway

MIB = 1 << 20
CONFIG = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
SIZES = [0, 1, 6 * MIB - 1, 6 * MIB, 11 * MIB + 1]


class NotSeekable(io.RawIOBase):
    """A body whose end nobody can look up."""

    def __init__(self, data: bytes) -> None:
        self._rest = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: Any) -> int:
        return self._rest.readinto(buffer)


@pytest.fixture(scope="module")
def encrypted(kms_key: str) -> dict[str, str]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}


@pytest.mark.parametrize("size", SIZES)
def test_files_go_up_and_come_down(s3: Any, shared_bucket: str, tmp_path: Path, encrypted: Any, size: int) -> None:
    up, down = tmp_path / "up", tmp_path / "down"
    up.write_bytes(random_bytes(size))
    s3.upload_file(str(up), shared_bucket, "file", ExtraArgs=encrypted, Config=CONFIG)
    s3.download_file(shared_bucket, "file", str(down), Config=CONFIG)
    assert down.read_bytes() == up.read_bytes()
    assert s3.head_object(Bucket=shared_bucket, Key="file")["SSEKMSKeyId"] == encrypted["SSEKMSKeyId"]


@pytest.mark.parametrize("size", SIZES)
def test_a_stream_that_cannot_seek_goes_up(s3: Any, shared_bucket: str, encrypted: Any, size: int) -> None:
    body = random_bytes(size)
    s3.upload_fileobj(NotSeekable(body), shared_bucket, "stream", ExtraArgs=encrypted, Config=CONFIG)
    down = io.BytesIO()
    s3.download_fileobj(shared_bucket, "stream", down, Config=CONFIG)
    assert down.getvalue() == body


@pytest.mark.parametrize("calculation", ["when_supported", "when_required"])
@pytest.mark.parametrize("size", [100, 7 * MIB])
def test_clients_with_and_without_default_checksums(
    gateway: Gateway, shared_bucket: str, calculation: str, size: int
) -> None:
    client = gateway.client("s3", request_checksum_calculation=calculation, response_checksum_validation=calculation)
    body = random_bytes(size)
    client.upload_fileobj(io.BytesIO(body), shared_bucket, calculation, Config=CONFIG)
    assert client.get_object(Bucket=shared_bucket, Key=calculation)["Body"].read() == body


@pytest.mark.parametrize("signs", [True, False])
def test_clients_with_and_without_signed_payloads(gateway: Gateway, shared_bucket: str, signs: bool) -> None:
    client = gateway.client("s3", s3={"addressing_style": "path", "payload_signing_enabled": signs})
    body = random_bytes(100_000)
    client.put_object(Bucket=shared_bucket, Key=f"signed-{signs}", Body=body)
    assert client.get_object(Bucket=shared_bucket, Key=f"signed-{signs}")["Body"].read() == body


def test_managed_copies(s3: Any, shared_bucket: str, encrypted: Any) -> None:
    s3.put_object(Bucket=shared_bucket, Key="source", Body=b"managed", Metadata={"a": "b"})
    s3.copy({"Bucket": shared_bucket, "Key": "source"}, shared_bucket, "copy", ExtraArgs=encrypted)
    got = s3.get_object(Bucket=shared_bucket, Key="copy")
    assert (got["Body"].read(), got["Metadata"], got["ServerSideEncryption"]) == (b"managed", {"a": "b"}, "aws:kms")


def test_the_aws_cli_from_the_first_bucket_to_the_last_object(gateway: Gateway, tmp_path: Path) -> None:
    def aws(*arguments: str) -> str:
        return gateway.aws(*arguments).stdout

    tree = tmp_path / "tree"
    for name, size in (("a.txt", 10), ("empty", 0), ("sub/b c+d.bin", 20_000), ("sub/é/large.bin", 9 * MIB)):
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random_bytes(size))
    key_id = json.loads(aws("kms", "create-key"))["KeyMetadata"]["KeyId"]
    aws("kms", "create-alias", "--alias-name", "alias/cli", "--target-key-id", key_id)
    aws("s3", "mb", "s3://cli-bucket")
    aws("s3", "sync", str(tree), "s3://cli-bucket/tree", "--sse", "aws:kms", "--sse-kms-key-id", "alias/cli")
    assert aws("s3", "sync", str(tree), "s3://cli-bucket/tree") == "", "nothing changed, nothing to do"
    listing = aws("s3", "ls", "--recursive", "s3://cli-bucket")
    assert [line.split(None, 3)[3] for line in listing.splitlines()] == [
        "tree/a.txt",
        "tree/empty",
        "tree/sub/b c+d.bin",
        "tree/sub/é/large.bin",
    ]
    aws("s3", "cp", "--recursive", "s3://cli-bucket/tree", str(tmp_path / "back"))
    assert digests(tmp_path / "back") == digests(tree)
    found = json.loads(aws("s3api", "head-object", "--bucket", "cli-bucket", "--key", "tree/a.txt"))
    assert found["SSEKMSKeyId"].endswith(key_id)
    aws("s3", "mv", "s3://cli-bucket/tree/a.txt", "s3://cli-bucket/moved.txt")
    assert "moved.txt" in aws("s3", "ls", "s3://cli-bucket/")
    aws("s3", "rm", "--recursive", "s3://cli-bucket")
    aws("s3", "rb", "s3://cli-bucket")
    assert "cli-bucket" not in aws("s3", "ls")


def digests(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_aws_cli_tells_errors_as_aws_does(gateway: Gateway) -> None:
    failed = gateway.aws("s3api", "get-object", "--bucket", "never-created", "--key", "a", "out", check=False)
    assert failed.returncode in (254, 255)
    assert "(NoSuchBucket) when calling the GetObject operation: The specified bucket does not exist" in failed.stderr
    failed = gateway.aws("kms", "describe-key", "--key-id", "alias/absent", check=False)
    assert failed.returncode in (254, 255)
    assert "(NotFoundException) when calling the DescribeKey operation: Alias arn:aws:kms:" in failed.stderr

"""Downloads and uploads under way when their KMS key is disabled end, or are cut, as `kms.on_key_disabled` says."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.raw import begin_put, presign
from tests.clients.checks import random_bytes
from tests.clients.conftest import make_bucket
from tests.harness import Gateway, running_gateway, wait_until

SIZE = 64 << 20
"""Far more than the buffers of both ends of a connection hold."""

HALF = 1 << 20
"""Of the body of an upload: more than would lie in the index."""

CUT_SECONDS = 30.0
"""A second is promised; the machine may be busy."""

MODES: dict[str, dict[str, Any]] = {
    "SSE-KMS": {"ServerSideEncryption": "aws:kms"},
    "bucket key": {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True},
    "DSSE-KMS": {"ServerSideEncryption": "aws:kms:dsse"},
}


@pytest.fixture(scope="module")
def cutting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = {"SEALGATE_KMS_ON_KEY_DISABLED": "abort"}
    with running_gateway(tmp_path_factory.mktemp("cutting"), root="file", workers=2, environment=environment) as made:
        yield made


class Download:
    """A GET whose body is read only when it is asked for."""

    def __init__(self, gateway: Gateway, bucket: str, key: str) -> None:
        s3 = gateway.client("s3", signature_version="s3v4")
        url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})
        parts = urlsplit(url)
        self._socket = socket.create_connection((str(parts.hostname), parts.port or 80), timeout=30)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        self._socket.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self._socket.recv(1)
        assert head.startswith(b"HTTP/1.1 200"), head

    def rest(self) -> int:
        """Bytes until the end; raises ConnectionError where the connection was reset."""
        count = 0
        while count < SIZE and (piece := self._socket.recv(1 << 20)):
            count += len(piece)
        return count

    def is_cut(self) -> bool:
        try:
            return self.rest() < SIZE
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._socket.close()


def put(gateway: Gateway, bucket: str, mode: str = "SSE-KMS", key: str | None = None) -> str:
    """A large object under a key, a new one unless it is given; the key's ARN."""
    arn = key or str(gateway.client("kms").create_key()["KeyMetadata"]["Arn"])
    gateway.client("s3").put_object(
        Bucket=bucket, Key=arn, Body=random_bytes(1 << 20) * (SIZE >> 20), **MODES[mode], SSEKMSKeyId=arn
    )
    return arn


def test_by_default_they_end(gateway: Gateway, s3: Any, kms: Any, bucket: str) -> None:
    key = put(gateway, bucket)
    with closing(Download(gateway, bucket, key)) as download:
        kms.disable_key(KeyId=key)
        time.sleep(1.0)  # longer than a cut would take
        assert download.rest() == SIZE
    kms.enable_key(KeyId=key)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", ["disable_key", "schedule_key_deletion"])
def test_they_are_cut_though_nobody_reads(cutting: Gateway, mode: str, change: str) -> None:
    bucket, kms = make_bucket(cutting.client("s3")), cutting.client("kms")
    key, other = put(cutting, bucket, mode), put(cutting, bucket)
    with closing(Download(cutting, bucket, key)) as cut, closing(Download(cutting, bucket, other)) as kept:
        getattr(kms, change)(KeyId=key)
        line = f"it was broken off: {key} is "
        wait_until(lambda: line in cutting.log_path.read_text(), "the download is cut", CUT_SECONDS)
        assert cut.is_cut()
        assert kept.rest() == SIZE
    reason = f'"decided_by":"broken off","reason":"broken off because {key} is '
    wait_until(lambda: told(cutting, reason), "its line is in the access log")
    assert all('"aborted":true' in line for line in told(cutting, reason))


def told(gateway: Gateway, text: str) -> list[str]:
    return [line for line in gateway.log_path.read_text().splitlines() if text in line]


def test_other_changes_of_the_kms_cut_nothing(cutting: Gateway) -> None:
    bucket, kms = make_bucket(cutting.client("s3")), cutting.client("kms")
    key = put(cutting, bucket)
    with closing(Download(cutting, bucket, key)) as download:
        other = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.disable_key(KeyId=other)
        kms.rotate_key_on_demand(KeyId=key)
        time.sleep(1.0)  # longer than a cut would take
        assert download.rest() == SIZE


def test_what_no_kms_key_opens_is_not_watched(cutting: Gateway) -> None:
    s3 = cutting.client("s3")
    bucket = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=bytes(SIZE))
    with closing(Download(cutting, bucket, "k")) as download:
        cutting.client("kms").disable_key(KeyId=cutting.client("kms").create_key()["KeyMetadata"]["KeyId"])
        time.sleep(1.0)  # longer than a cut would take
        assert download.rest() == SIZE


def by_default(gateway: Gateway, mode: str) -> tuple[str, str]:
    """A bucket in which all is written so, under a key of its own; its name, and the key's ARN."""
    s3, key = gateway.client("s3"), str(gateway.client("kms").create_key()["KeyMetadata"]["Arn"])
    bucket = make_bucket(s3)
    how = {"SSEAlgorithm": MODES[mode]["ServerSideEncryption"], "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": how, "BucketKeyEnabled": mode == "bucket key"}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return bucket, key


def begun(gateway: Gateway, bucket: str, operation: str) -> socket.socket:
    """An upload that has sent half of its body."""
    named = {"Bucket": bucket, "Key": "k"}
    if operation == "upload_part":
        upload = gateway.client("s3").create_multipart_upload(**named)["UploadId"]
        named = {**named, "UploadId": upload, "PartNumber": 1}
    sock = begin_put(presign(gateway, operation, **named), 2 * HALF)
    sock.sendall(bytes(HALF))
    return sock


def is_cut(sock: socket.socket) -> bool:
    """An answer would be another thing."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def ended(sock: socket.socket) -> bytes:
    sock.sendall(bytes(HALF))
    return sock.recv(1 << 16).partition(b"\r\n")[0]


@pytest.mark.parametrize("operation", ["put_object", "upload_part"])
@pytest.mark.parametrize("mode", MODES)
def test_uploads_are_cut_though_nothing_comes(cutting: Gateway, mode: str, operation: str) -> None:
    s3, kms = cutting.client("s3"), cutting.client("kms")
    (bucket, key), (other, _) = by_default(cutting, mode), by_default(cutting, mode)
    with closing(begun(cutting, bucket, operation)) as cut, closing(begun(cutting, other, operation)) as kept:
        wait_until(lambda: len(receiving(cutting)) == 2, "both are being received")
        kms.disable_key(KeyId=key)
        line = f"it was broken off: {key} is Disabled"
        wait_until(lambda: line in cutting.log_path.read_text(), "the upload is cut", CUT_SECONDS)
        assert is_cut(cut)
        assert ended(kept) == b"HTTP/1.1 200 OK"
    wait_until(lambda: told(cutting, f'"reason":"broken off because {key} is Disabled'), "it is in the access log")
    assert receiving(cutting) == []
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def receiving(gateway: Gateway) -> list[Path]:
    """Files of bodies that are on their way."""
    return list((gateway.data / "store" / "tmp").glob("*/*"))


def is_used(gateway: Gateway, key: str) -> bool:
    """Whether the audit trail tells of a data key, wherever the body lies that it is for."""
    lines = (line for path in (gateway.data / "audit").glob("*.jsonl") for line in path.read_text().splitlines())
    return any('"eventName":"GenerateDataKey"' in line and key in line for line in lines)


def test_by_default_uploads_end(gateway: Gateway, kms: Any) -> None:
    bucket, key = by_default(gateway, "SSE-KMS")
    with closing(begun(gateway, bucket, "put_object")) as upload:
        wait_until(lambda: is_used(gateway, key), "its data key was made")
        kms.disable_key(KeyId=key)
        time.sleep(1.0)  # longer than a cut would take
        assert ended(upload) == b"HTTP/1.1 200 OK"

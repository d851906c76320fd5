"""A gateway whose ciphertext lies in another S3: here a Sealgate of its own.

It verifies every signature, checksum and condition that the first one sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import faults, random_bytes
from tests.clients.conftest import make_bucket
from tests.harness import Gateway, backing_environment, running_gateway, wait_until

MIB = 1 << 20
CHANGED = "changed-ciphertext"
"""The one object that may be answered with 500."""

SIZES = (20_000, 100_000, 8 * MIB + 1, 17 * MIB)


@pytest.fixture(scope="module")
def backing_bucket(s3: Any) -> str:
    return make_bucket(s3)


@pytest.fixture(scope="module")
def front(gateway: Gateway, backing_bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    environment = backing_environment(gateway.endpoint_url, backing_bucket, **gateway.credentials)
    with running_gateway(tmp_path_factory.mktemp("front"), environment=environment) as made:
        yield made
    assert [line for line in faults(made) if CHANGED not in line] == []


@pytest.fixture(scope="module")
def front_s3(front: Gateway) -> Any:
    return front.client("s3")


def stored(s3: Any, bucket: str) -> list[dict[str, Any]]:
    found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return [each for each in found if "/ping/" not in each["Key"]]


@pytest.mark.parametrize("encryption", [{}, {"ServerSideEncryption": "aws:kms"}])
@pytest.mark.parametrize("size", SIZES)
def test_objects_come_back(front_s3: Any, s3: Any, backing_bucket: str, size: int, encryption: dict[str, str]) -> None:
    bucket, body = make_bucket(front_s3), random_bytes(size)
    before = {each["Key"] for each in stored(s3, backing_bucket)}
    front_s3.put_object(Bucket=bucket, Key="secret name", Body=body, Metadata={"a": "b"}, **encryption)
    assert front_s3.get_object(Bucket=bucket, Key="secret name")["Body"].read() == body
    for first, last in ((0, 0), (size // 2, size // 2 + 5000), (size - 7, size - 1)):
        answer = front_s3.get_object(Bucket=bucket, Key="secret name", Range=f"bytes={first}-{last}")
        assert answer["Body"].read() == body[first : last + 1]
    (made,) = [each for each in stored(s3, backing_bucket) if each["Key"] not in before]
    assert re.fullmatch(r"cipher/[0-9a-f]/[0-9a-f]{32}", made["Key"])
    assert size < made["Size"] < size * 1.01 + 4000
    inside = s3.get_object(Bucket=backing_bucket, Key=made["Key"])
    assert inside["Metadata"] == {}
    assert body[:64] not in inside["Body"].read()


def test_multipart_copy_and_delete(front_s3: Any) -> None:
    bucket, parts = make_bucket(front_s3), [random_bytes(6 * MIB), random_bytes(5 * MIB), random_bytes(10)]
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = front_s3.create_multipart_upload(**upload, ServerSideEncryption="aws:kms")["UploadId"]
    etags = [
        front_s3.upload_part(**upload, PartNumber=number, Body=part)["ETag"] for number, part in enumerate(parts, 1)
    ]
    done = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    front_s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    front_s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    front_s3.delete_object(Bucket=bucket, Key="k")
    assert front_s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"".join(parts)
    middle = front_s3.get_object(Bucket=bucket, Key="copy", Range=f"bytes={6 * MIB - 3}-{11 * MIB + 2}")
    assert middle["Body"].read() == b"".join(parts)[6 * MIB - 3 : 11 * MIB + 3]


def test_changed_ciphertext_is_never_served(front: Gateway, front_s3: Any, s3: Any, backing_bucket: str) -> None:
    bucket, body = make_bucket(front_s3), random_bytes(100_000)
    before = {each["Key"] for each in stored(s3, backing_bucket)}
    front_s3.put_object(Bucket=bucket, Key=CHANGED, Body=body)
    (made,) = [each["Key"] for each in stored(s3, backing_bucket) if each["Key"] not in before]
    blob = bytearray(s3.get_object(Bucket=backing_bucket, Key=made)["Body"].read())
    blob[5000] ^= 1
    s3.put_object(Bucket=backing_bucket, Key=made, Body=bytes(blob))
    with pytest.raises(ClientError) as refused:
        front_s3.get_object(Bucket=bucket, Key=CHANGED)
    assert refused.value.response["Error"]["Code"] == "InternalError"
    wait_until(lambda: "integrity event: blob" in front.log_path.read_text(), "the event is logged")


def test_backing_store_away(s3: Any, tmp_path: Path, gateway: Gateway) -> None:
    """What needs its bytes answers 503 and may be repeated; what does not goes on; and all of it heals."""
    with running_gateway(tmp_path) as backing:
        name = make_bucket(backing.client("s3"))
        environment = backing_environment(backing.endpoint_url, name, **backing.credentials)
        environment |= {"SEALGATE_BACKING_IDLE_SECONDS": "0.5", "SEALGATE_BACKING_CONNECT_SECONDS": "0.5"}
        address = backing.endpoint_url.removeprefix("http://")
        with running_gateway(tmp_path / "front", environment=environment) as front:
            client = front.client("s3")
            bucket, body = make_bucket(client), random_bytes(100_000)
            client.put_object(Bucket=bucket, Key="large", Body=body)
            client.put_object(Bucket=bucket, Key="small", Body=b"inline")
            backing.stop()
            for call in (
                lambda: client.get_object(Bucket=bucket, Key="large"),
                lambda: client.put_object(Bucket=bucket, Key="new", Body=body),
            ):
                with pytest.raises(ClientError) as refused:
                    call()
                answer = refused.value.response
                assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]) == (
                    503,
                    "ServiceUnavailable",
                )
                assert "retry-after" in answer["ResponseMetadata"]["HTTPHeaders"]
            assert client.get_object(Bucket=bucket, Key="small")["Body"].read() == b"inline"
            assert client.head_object(Bucket=bucket, Key="large")["ContentLength"] == len(body)
            assert [each["Key"] for each in client.list_objects_v2(Bucket=bucket)["Contents"]] == ["large", "small"]
            client.put_object(Bucket=bucket, Key="other", Body=b"inline, too")
            backing.environment["SEALGATE_LISTEN_ADDRESS"] = address
            backing.start()
            assert client.get_object(Bucket=bucket, Key="large")["Body"].read() == body
            client.put_object(Bucket=bucket, Key="new", Body=body)
            assert client.get_object(Bucket=bucket, Key="new")["Body"].read() == body


def test_doctor_asks_the_backing_store(front: Gateway, tmp_path: Path) -> None:
    said = front.sealgate("doctor", str(front.data), check=False).stdout
    assert re.search(r"backing store.*takes blobs", said), said
    front_there = dict(front.environment)
    front.environment["SEALGATE_STORAGE_BLOBS"] = "s3://no-such-bucket-here/x"
    try:
        found = front.sealgate("doctor", str(front.data), check=False)
    finally:
        front.environment.clear()
        front.environment.update(front_there)
    assert found.returncode != 0
    assert "NoSuchBucket" in found.stdout

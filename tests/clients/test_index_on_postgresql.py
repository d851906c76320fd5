"""A gateway whose index is on PostgreSQL. The whole suite over it: `pytest tests/clients --index=postgresql`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.clients.checks import faults
from tests.clients.conftest import make_bucket
from tests.harness import Gateway, running_gateway, wait_until
from tests.postgresql import MISSING, PostgreSQLServer, find_postgresql, start_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

MIB = 1 << 20


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    """Of this module alone, which stops it."""
    made = start_postgresql()
    yield made
    made.stop(signal.SIGQUIT)


@pytest.fixture(scope="module")
def front(server: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("front"), index=server.url, workers=2) as made:
        yield made
    assert faults(made) == []
    assert not (made.data / "index" / "index.sqlite").exists()


@pytest.fixture(scope="module")
def front_s3(front: Gateway) -> Any:
    return front.client("s3")


@pytest.mark.parametrize("encryption", [{}, {"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": True}])
@pytest.mark.parametrize("size", [0, 1024, 3 * MIB])
def test_objects_come_back(front_s3: Any, size: int, encryption: dict[str, Any]) -> None:
    bucket, body = make_bucket(front_s3), bytes(range(256)) * (size // 256)
    front_s3.put_object(Bucket=bucket, Key="a/ÿ", Body=body, Metadata={"a": "b"}, **encryption)
    found = front_s3.get_object(Bucket=bucket, Key="a/ÿ")
    assert (found["Body"].read(), found["Metadata"]) == (body, {"a": "b"})
    front_s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a/ÿ"})
    listed = front_s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [each["Prefix"] for each in listed["CommonPrefixes"]] == ["a/"]
    front_s3.delete_object(Bucket=bucket, Key="a/ÿ")
    assert front_s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    listed = front_s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [each["Key"] for each in listed["Contents"]] == ["copy"]


def test_versions_and_parts(front_s3: Any) -> None:
    bucket = make_bucket(front_s3)
    front_s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = front_s3.create_multipart_upload(**upload)["UploadId"]
    parts = [bytes(5 * MIB), b"end"]
    etags = [
        front_s3.upload_part(**upload, PartNumber=number, Body=part)["ETag"] for number, part in enumerate(parts, 1)
    ]
    done = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    front_s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
    front_s3.put_object(Bucket=bucket, Key="k", Body=b"newer")
    front_s3.delete_object(Bucket=bucket, Key="k")
    found = front_s3.list_object_versions(Bucket=bucket)
    assert [each["IsLatest"] for each in found["DeleteMarkers"]] == [True]
    newer, older = [each["VersionId"] for each in found["Versions"]]
    assert front_s3.get_object(Bucket=bucket, Key="k", VersionId=newer)["Body"].read() == b"newer"
    assert front_s3.get_object(Bucket=bucket, Key="k", VersionId=older)["Body"].read() == b"".join(parts)


def test_of_sixteen_conditional_writers_one_wins(front: Gateway, front_s3: Any) -> None:
    bucket = make_bucket(front_s3)
    clients = [front.client("s3") for _ in range(16)]

    def write(number: int, key: str) -> int:
        try:
            clients[number].put_object(Bucket=bucket, Key=key, Body=b"%d" % number, IfNoneMatch="*")
        except ClientError as error:
            return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
        return 200

    with ThreadPoolExecutor(16) as threads:
        for key in ("a", "b", "c"):
            statuses = list(threads.map(write, range(16), [key] * 16))
            assert statuses.count(200) == 1
            assert set(statuses) <= {200, 409, 412}
            body = front_s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            assert body == b"%d" % statuses.index(200)


def test_a_second_data_directory_may_not_take_its_schema(
    front: Gateway, server: PostgreSQLServer, tmp_path: Path
) -> None:
    text = (front.data / "sealgate.toml").read_text()
    (schema,) = [line.split('"')[1] for line in text.splitlines() if line.startswith("schema")]
    options = ("--root", "file", "--index", server.url, "--index-schema", schema)
    refused = front.sealgate("init", *options, str(tmp_path / "other"), check=False)
    assert refused.returncode != 0
    assert "another data directory" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_doctor_looks_at_the_database(front: Gateway) -> None:
    """The tests' server does not sync."""
    found = front.sealgate("doctor", str(front.data), check=False)
    assert found.returncode != 0
    assert "fsync or full_page_writes is off" in found.stdout + found.stderr


def test_a_server_that_restarts_is_503_in_between_and_loses_nothing(tmp_path: Path) -> None:
    """With a gateway of its own and one worker: another one might not have seen yet that the server is back."""
    server = start_postgresql()
    try:
        with running_gateway(tmp_path, index=server.url, workers=1) as gateway:
            _restart(server, gateway.client("s3"))
    finally:
        server.stop(signal.SIGQUIT)


def _restart(server: PostgreSQLServer, s3: Any) -> None:
    bucket = make_bucket(s3)
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    server.stop(signal.SIGQUIT)
    try:
        for call in (
            lambda: s3.get_object(Bucket=bucket, Key="k"),
            lambda: s3.put_object(Bucket=bucket, Key="lost", Body=bytes(100_000)),
        ):
            with pytest.raises(ClientError) as caught:
                call()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    finally:
        server.start()

    def is_back() -> bool:
        """Identities are asked for every second."""
        try:
            return bool(s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"before")
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        return False

    wait_until(is_back, "it is back")
    s3.put_object(Bucket=bucket, Key="k", Body=b"after")

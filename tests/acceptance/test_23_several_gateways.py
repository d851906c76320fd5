"""Several gateways on one PostgreSQL and one S3: what one does, all have done; what one revokes, nobody may do."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.clients.checks import faults, random_bytes, refusal
from tests.clients.users import client_of, make_user
from tests.harness import Gateway, backing_environment, wait_until
from tests.moto_server import ACCESS, moto_bucket
from tests.moto_server import BUCKET as BUCKET_OF_BLOBS
from tests.postgresql import MISSING, PostgreSQLServer, find_postgresql, start_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

NODES = 3
LEASE_SECONDS = 5.0
"""In which a node may not have heard of what another one did."""

BUCKET = "shared"
LARGE = random_bytes(9 << 20)
KMS = {"ServerSideEncryption": "aws:kms"}


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    made = start_postgresql()
    yield made
    made.stop(signal.SIGQUIT)


@pytest.fixture(scope="module")
def backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with moto_bucket(tmp_path_factory.mktemp("backing") / "log") as client:
        environment = backing_environment(client.meta.endpoint_url, BUCKET_OF_BLOBS, **ACCESS)
        yield {**environment, "SEALGATE_DATABASE_OPERATION_SECONDS": "10"}


@pytest.fixture(scope="module")
def nodes(
    server: PostgreSQLServer, backing: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Gateway]]:
    directory = tmp_path_factory.mktemp("nodes")
    first = Gateway(
        directory / "1", root="file", index=server.url, is_first_of_several=True, environment=backing
    ).init()
    made = [first, *(first.another(directory / str(number)) for number in range(2, NODES + 1))]
    try:
        for node in made:
            node.start()
        first.client("s3").create_bucket(Bucket=BUCKET)
        yield made
    finally:
        for node in made:
            node.stop()


def refused_within(call: Callable[[], Any], seconds: float) -> None:
    """The call is refused from some moment within so many seconds on; one that began before may yet be done."""
    deadline = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        try:
            call()
        except ClientError as error:
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403}
            return
        assert began < deadline, "it is still done"


def is_allowed(call: Callable[[], Any]) -> bool:
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] == "AccessDenied"
        return False
    return True


@pytest.mark.parametrize("more", [{}, KMS, {**KMS, "BucketKeyEnabled": True}], ids=["s3", "kms", "bucket key"])
@pytest.mark.parametrize("body", [b"small", LARGE], ids=["inline", "large"])
def test_what_one_wrote_all_read(nodes: list[Gateway], more: dict[str, Any], body: bytes) -> None:
    clients = [node.client("s3") for node in nodes]
    for number, writer in enumerate(clients):
        writer.put_object(Bucket=BUCKET, Key=f"k{number}", Body=body, **more)
        for reader in clients:
            assert reader.get_object(Bucket=BUCKET, Key=f"k{number}")["Body"].read() == body
    assert len({str(each.list_objects_v2(Bucket=BUCKET)["Contents"]) for each in clients}) == 1
    clients[0].delete_object(Bucket=BUCKET, Key="k1")
    assert refusal(clients[1].head_object, Bucket=BUCKET, Key="k1")[0] == 404


def test_an_upload_goes_on_at_another_one(nodes: list[Gateway]) -> None:
    begins, sends, ends = [node.client("s3") for node in nodes]
    upload = {"Bucket": BUCKET, "Key": "parts"}
    upload["UploadId"] = begins.create_multipart_upload(**upload, **KMS)["UploadId"]
    etag = sends.upload_part(**upload, PartNumber=1, Body=LARGE)["ETag"]
    ends.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    assert begins.get_object(Bucket=BUCKET, Key="parts")["Body"].read() == LARGE


def test_of_all_that_would_be_first_one_is(nodes: list[Gateway]) -> None:
    clients = cycle([node.client("s3") for node in nodes])

    def put(key: str, client: Any, body: bytes) -> bytes | None:
        try:
            client.put_object(Bucket=BUCKET, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            assert error.response["Error"]["Code"] in {"PreconditionFailed", "ConditionalRequestConflict"}
            return None
        return body

    with ThreadPoolExecutor(9) as pool:
        for number in range(10):
            tries = [(f"first-{number}", next(clients), str(each).encode()) for each in range(9)]
            won = [each for each in pool.map(lambda each: put(*each), tries) if each is not None]
            assert len(won) == 1
            assert next(clients).get_object(Bucket=BUCKET, Key=f"first-{number}")["Body"].read() == won[0]


def test_a_disabled_key_is_used_by_nobody(nodes: list[Gateway]) -> None:
    """After the lease there is not one use of it, of bucket keys and of data keys by the KMS's own face either."""
    kms = [node.client("kms") for node in nodes]
    s3 = [node.client("s3") for node in nodes]
    key = kms[0].create_key()["KeyMetadata"]["Arn"]
    wrapped = kms[0].generate_data_key(KeyId=key, KeySpec="AES_256")["CiphertextBlob"]
    sse = {**KMS, "SSEKMSKeyId": key}
    for node in kms[1:]:
        assert node.describe_key(KeyId=key)["KeyMetadata"]["Enabled"]
    for name, more in (("direct", {}), ("cached", {"BucketKeyEnabled": True})):
        s3[0].put_object(Bucket=BUCKET, Key=name, Body=b"x", **sse, **more)
        for client in s3:
            client.get_object(Bucket=BUCKET, Key=name)
    kms[0].disable_key(KeyId=key)
    assert refusal(s3[0].get_object, Bucket=BUCKET, Key="direct") == (400, "KMS.DisabledException")
    assert refusal(s3[0].get_object, Bucket=BUCKET, Key="cached") == (400, "KMS.DisabledException")
    for node_s3, node_kms in zip(s3[1:], kms[1:], strict=True):
        for name in ("direct", "cached"):
            refused_within(lambda at=node_s3, key=name: at.get_object(Bucket=BUCKET, Key=key), LEASE_SECONDS + 1)
        refused_within(lambda at=node_kms: at.decrypt(CiphertextBlob=wrapped), LEASE_SECONDS + 1)
        assert refusal(node_s3.put_object, Bucket=BUCKET, Key="new", **sse) == (400, "KMS.DisabledException")
    kms[1].enable_key(KeyId=key)
    kms[1].decrypt(CiphertextBlob=wrapped)


def test_a_user_that_is_gone_is_gone_everywhere(nodes: list[Gateway]) -> None:
    user = make_user(nodes[0], {"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    iam = nodes[0].client("iam")
    clients = [client_of(node, "s3", user.access_key_id, user.secret_access_key) for node in nodes]
    clients[0].list_buckets()
    for client in clients[1:]:  # which may have been told of the user before the policy was there
        wait_until(partial(is_allowed, client.list_buckets), "it knows of the policy", LEASE_SECONDS + 1)
    iam.delete_access_key(UserName=user.name, AccessKeyId=user.access_key_id)
    assert refusal(clients[0].list_buckets) == (403, "InvalidAccessKeyId")
    for client in clients[1:]:
        refused_within(client.list_buckets, LEASE_SECONDS + 1)


def test_what_was_acknowledged_is_there_whoever_dies(nodes: list[Gateway], server: PostgreSQLServer) -> None:
    """Gateways are killed and started again, the database restarts; clients go to whoever answers."""
    urls = [node.endpoint_url for node in nodes]
    written: dict[str, bytes] = {}
    is_over = threading.Event()

    def write(name: int) -> None:
        turn = cycle(range(NODES))
        number = 0
        while not is_over.is_set():
            key, body = f"lives/{name}-{number:05}", random_bytes(200_000 if number % 5 == 0 else 100)
            node = nodes[next(turn)]
            try:
                client = node.client("s3", endpoint_url=urls[nodes.index(node)], read_timeout=10, connect_timeout=2)
                client.put_object(Bucket=BUCKET, Key=key, Body=body, **(KMS if number % 2 else {}))
            except (ClientError, BotoCoreError):
                time.sleep(0.05)
                continue
            written[key] = body
            number += 1

    writers = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for each in writers:
        each.start()
    try:
        for victim in nodes[1:]:
            time.sleep(1.0)
            victim.kill_all()
            time.sleep(1.0)
            victim.start()
            urls[nodes.index(victim)] = victim.endpoint_url
        server.stop()
        server.start()
        before = len(written)
        wait_until(lambda: len(written) > before + 20, "writes are acknowledged again", 60)
    finally:
        is_over.set()
        for each in writers:
            each.join()
    clients = cycle([node.client("s3") for node in nodes])
    for key, body in written.items():
        assert next(clients).get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    listed = nodes[2].client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="lives/")
    names = {each["Key"] for page in listed for each in page["Contents"]}
    assert names >= set(written)
    assert [fault for node in nodes for fault in faults(node)] == []

"""The root taken away while the gateway runs, or before it starts: SSE-KMS answers 503, never hangs, and heals.

A file root is read once and then held by kmsd, so it can only be missing at the start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.acceptance.conftest import StartGateway
from tests.acceptance.observe import readiness
from tests.acceptance.raw import ask, presign
from tests.harness import Gateway, wait_until

BUCKET = "rooted"
ANSWER_SECONDS = 15.0
"""kms.call_seconds is 5: a call that waits for the root ends before, though the machine be busy with other things."""

pytestmark = pytest.mark.slow


class Root:
    """Where the root's keys lie, and where they are while they are away."""

    def __init__(self, gateway: Gateway) -> None:
        self._home = gateway.data / ("softhsm/tokens" if gateway.root == "softhsm" else "kms/root")
        self._away = Path(f"{gateway.data}.away")

    def take_away(self) -> None:
        self._home.rename(self._away)

    def put_back(self) -> None:
        self._away.rename(self._home)


@pytest.fixture
def gateway(request: pytest.FixtureRequest, make_gateway: StartGateway) -> Gateway:
    """With leases of a second: the shortest that can be set."""
    made = make_gateway(root=request.param, environment={"SEALGATE_KMS_LEASE_SECONDS": "1"}).start()
    s3 = made.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    key_id = made.client("kms").create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket=BUCKET, Key="kms", Body=b"by a key", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    dsse = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": key_id}
    s3.put_object(Bucket=BUCKET, Key="layers", Body=b"by both", **dsse)
    s3.put_object(Bucket=BUCKET, Key="s3", Body=b"by the service")
    s3.put_object(
        Bucket=BUCKET,
        Key="shared",
        Body=b"by a bucket key",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key_id,
        BucketKeyEnabled=True,
    )
    return made


def unavailable(request: Callable[..., Any], status: int = 503, **parameters: Any) -> bool:
    """True for `status` and word of when to try again, False for an answer; both within ANSWER_SECONDS."""
    began = time.monotonic()
    try:
        request(**parameters)
    except ClientError as error:
        answer = error.response["ResponseMetadata"]
        assert answer["HTTPStatusCode"] == status, error
        assert int(answer["HTTPHeaders"]["retry-after"]) >= 1
        return True
    finally:
        assert time.monotonic() - began < ANSWER_SECONDS
    return False


def processes(gateway: Gateway) -> list[int]:
    return gateway.children("gateway.worker") + gateway.children("kms.daemon")


@pytest.mark.parametrize("gateway", ["softhsm"], indirect=True)
def test_a_root_lost_while_running_closes_sse_kms_alone_and_heals(gateway: Gateway) -> None:
    s3, kms, root = gateway.client("s3"), gateway.client("kms"), Root(gateway)
    key_id = s3.head_object(Bucket=BUCKET, Key="kms")["SSEKMSKeyId"]
    before = processes(gateway)

    def get() -> bool:
        return unavailable(s3.get_object, Bucket=BUCKET, Key="kms")

    def put() -> bool:
        return unavailable(s3.put_object, Bucket=BUCKET, Key="new", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)

    def get_shared() -> bytes:
        return bytes(s3.get_object(Bucket=BUCKET, Key="shared")["Body"].read())

    assert not get()
    assert get_shared() == b"by a bucket key"
    root.take_away()
    wait_until(get, "the lease has ended")
    assert put()
    # The KMS's own face says it as AWS does: KeyUnavailableException is a 500.
    assert unavailable(kms.encrypt, 500, KeyId=key_id, Plaintext=b"text")
    assert unavailable(kms.create_key, 500)

    assert s3.head_object(Bucket=BUCKET, Key="kms")["SSEKMSKeyId"] == key_id
    # Of two layers the service's opens, and that is not enough.
    assert unavailable(s3.get_object, Bucket=BUCKET, Key="layers")
    dsse = {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": key_id}
    assert unavailable(s3.put_object, Bucket=BUCKET, Key="new", **dsse)
    assert s3.head_object(Bucket=BUCKET, Key="layers")["ContentLength"] == len(b"by both")
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["kms", "layers", "s3", "shared"]
    assert s3.get_object(Bucket=BUCKET, Key="s3")["Body"].read() == b"by the service"
    s3.put_object(Bucket=BUCKET, Key="s3", Body=b"by the service, again")
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/s3")
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Enabled"
    # A bucket key that is open goes on, for its caller alone, and writes as well; it stays so until its time is over.
    assert get_shared() == b"by a bucket key"
    named = key_id.rpartition("/")[2]  # as before: by another name the KMS is asked
    shared = {"Bucket": BUCKET, "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": named, "BucketKeyEnabled": True}
    s3.put_object(Key="shared", Body=b"by a bucket key, again", **shared)
    assert get_shared() == b"by a bucket key, again"
    other = gateway.client("s3", user_agent_extra="another-agent")
    assert unavailable(other.get_object, Bucket=BUCKET, Key="shared")
    assert unavailable(other.put_object, Key="other", **shared)

    def told() -> bool:
        is_ready, reasons = readiness(gateway)
        return not is_ready and any(reason.startswith("kms degraded: ") for reason in reasons)

    wait_until(told, "health says so")

    # Many at once are refused as quickly as one: nobody queues behind a root that is not there.
    url = presign(gateway, "get_object", Bucket=BUCKET, Key="kms")
    with ThreadPoolExecutor(16) as clients:
        answers = list(clients.map(lambda _: ask("GET", url), range(160)))
    assert {(answer.status, answer.code) for answer in answers} == {(503, "ServiceUnavailable")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert max(answer.ended - answer.began for answer in answers) < ANSWER_SECONDS

    root.put_back()
    wait_until(lambda: not get(), "it heals")
    assert s3.get_object(Bucket=BUCKET, Key="layers")["Body"].read() == b"by both"
    assert not put()
    wait_until(lambda: readiness(gateway)[0], "health says so again")
    assert processes(gateway) == before


@pytest.mark.parametrize("gateway", ["softhsm", "file"], indirect=True)
def test_started_without_its_root_everything_waits_sealed(gateway: Gateway) -> None:
    root = Root(gateway)
    gateway.stop()
    root.take_away()
    gateway.start()
    s3, kms = gateway.client("s3"), gateway.client("kms")
    before = processes(gateway)
    requests: list[tuple[Callable[..., Any], dict[str, str]]] = [
        (s3.list_buckets, {}),
        (s3.list_objects_v2, {"Bucket": BUCKET}),
        (s3.head_object, {"Bucket": BUCKET, "Key": "s3"}),
        (s3.get_object, {"Bucket": BUCKET, "Key": "s3"}),
        (s3.get_object, {"Bucket": BUCKET, "Key": "kms"}),
        (s3.put_object, {"Bucket": BUCKET, "Key": "new"}),
        (s3.create_bucket, {"Bucket": "another"}),
        (kms.list_keys, {}),
        (kms.create_key, {}),
    ]
    assert all(unavailable(request, **parameters) for request, parameters in requests)
    is_ready, reasons = readiness(gateway)
    assert not is_ready
    assert any(reason.startswith("sealed: ") for reason in reasons)
    found = gateway.sealgate("doctor", str(gateway.data), check=False)
    assert found.returncode == 1
    assert "PROBLEM  root: " in found.stdout

    root.put_back()
    wait_until(lambda: not unavailable(s3.list_buckets), "it unseals")
    assert s3.get_object(Bucket=BUCKET, Key="kms")["Body"].read() == b"by a key"
    assert s3.get_object(Bucket=BUCKET, Key="s3")["Body"].read() == b"by the service"
    assert s3.get_object(Bucket=BUCKET, Key="layers")["Body"].read() == b"by both"
    wait_until(lambda: readiness(gateway)[0], "health says so")
    assert processes(gateway) == before
    found = gateway.sealgate("doctor", str(gateway.data), check=False)  # 1 on a disk that is slow just now
    assert "ok       root: " in found.stdout

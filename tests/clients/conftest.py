from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.checks import faults, unexplained
from tests.clients.raw import RawClient, Session
from tests.harness import Gateway, running_gateway


@pytest.fixture(scope="session")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, index_url: str | None, backing: dict[str, str]
) -> Iterator[Gateway]:
    """One gateway for all tests of a session that do not stop it. None of them may make it answer 500, and
    every refusal says in the log what refused it."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), index=index_url, environment=backing) as made:
        yield made
        assert made.process is not None and made.process.poll() is None
    assert faults(made) == []
    assert unexplained(made) == []


@pytest.fixture(scope="session")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


@pytest.fixture(scope="session")
def kms(gateway: Gateway) -> Any:
    return gateway.client("kms")


@pytest.fixture(scope="session")
def raw(gateway: Gateway) -> RawClient:
    return RawClient(gateway)


@pytest.fixture
def session(raw: RawClient) -> Iterator[Session]:
    made = Session(raw)
    yield made
    made.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket of the test's own; the gateway goes with the session."""
    return make_bucket(s3)


@pytest.fixture(scope="module")
def shared_bucket(s3: Any) -> str:
    """A bucket for the tests of one module, which must not mind each other's keys."""
    return make_bucket(s3)


@pytest.fixture(scope="session")
def kms_key(kms: Any) -> str:
    """The ARN of a KMS key that stays enabled."""
    return str(kms.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def kms_bucket(s3: Any, bucket: str, kms_key: str) -> str:
    """A bucket whose objects are encrypted by a KMS key unless somebody says otherwise."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": kms_key}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    return bucket


def make_bucket(s3: Any) -> str:
    name = f"test-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    return name

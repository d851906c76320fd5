from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import Gateway, running_gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests of a session that do not stop it."""
    with running_gateway(tmp_path_factory.mktemp("gateway")) as made:
        yield made


@pytest.fixture(scope="session")
def s3(gateway: Gateway) -> Any:
    return gateway.client("s3")


@pytest.fixture(scope="session")
def kms(gateway: Gateway) -> Any:
    return gateway.client("kms")


@pytest.fixture
def bucket(s3: Any) -> str:
    """A bucket of the test's own; the gateway goes with the session."""
    name = f"test-{uuid.uuid4()}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture(scope="session")
def kms_key(kms: Any) -> str:
    """The ARN of a KMS key."""
    return str(kms.create_key()["KeyMetadata"]["Arn"])

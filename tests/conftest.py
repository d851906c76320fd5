from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from tests.harness import REGION, backing_environment
from tests.moto_server import moto_server
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytest_plugins = ["tests.nonce_ledger"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--index",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="what holds the index of the gateway that tests/clients share",
    )
    parser.addoption(
        "--blobs",
        choices=["file", "s3"],
        default="file",
        help="where that gateway keeps ciphertext; s3: moto's server",
    )
    parser.addoption(
        "--every-fault",
        action="store_true",
        help="let every step of every call of an HSM fail with every code, not with some of them in turn: 10 minutes",
    )


@pytest.fixture(scope="session")
def backing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a gateway whose ciphertext lies where --blobs says."""
    if request.config.getoption("--blobs") == "file":
        yield {}
        return
    access = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00", "AWS_SECRET_ACCESS_KEY": "moto-looks-at-no-signature"}
    with moto_server(tmp_path_factory.mktemp("backing") / "log") as url:
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id=access["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=access["AWS_SECRET_ACCESS_KEY"],
        )
        client.create_bucket(Bucket="backing")
        yield backing_environment(url, "backing", **access)


@pytest.fixture(scope="session")
def index_url(request: pytest.FixtureRequest) -> str | None:
    """Of the PostgreSQL that --index asks for; None: SQLite."""
    if request.config.getoption("--index") == "sqlite":
        return None
    if find_postgresql() is None:
        pytest.fail(MISSING)
    return shared_postgresql().url

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.harness import backing_environment
from tests.moto_server import ACCESS, BUCKET, moto_bucket
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytest_plugins = ["tests.nonce_ledger"]

# Else each of some thousand processes compiles all that it imports, which takes a third of a worker's start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


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


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that have long tests come first, then those of many: what begins last is what everybody waits for.

    Modules of one kind and length stay in the order that pytest-randomly gave them.
    """
    long = {item.path for item in items if item.get_closest_marker("slow")}
    lengths = Counter(item.path for item in items)
    places = {path: place for place, path in enumerate(lengths)}
    items.sort(key=lambda item: (item.path not in long, -lengths[item.path], places[item.path]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """No test leaves logs off for those that come after it in the same process, who may look for a line."""
    yield
    if level := logging.root.manager.disable:
        logging.disable(logging.NOTSET)
        pytest.fail(f"{item.nodeid} left logs disabled up to level {level}")


@pytest.fixture(scope="session")
def backing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a gateway whose ciphertext lies where --blobs says."""
    if request.config.getoption("--blobs") == "file":
        yield {}
        return
    with moto_bucket(tmp_path_factory.mktemp("backing") / "log") as client:
        yield backing_environment(client.meta.endpoint_url, BUCKET, **ACCESS)


@pytest.fixture(scope="session")
def index_url(request: pytest.FixtureRequest) -> str | None:
    """Of the PostgreSQL that --index asks for; None: SQLite."""
    if request.config.getoption("--index") == "sqlite":
        return None
    if find_postgresql() is None:
        pytest.fail(MISSING)
    return shared_postgresql().url

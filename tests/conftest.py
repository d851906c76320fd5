from __future__ import annotations

import pytest

from tests.postgresql import MISSING, find_postgresql, shared_postgresql


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--index",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="what holds the index of the gateway that tests/clients share",
    )


@pytest.fixture(scope="session")
def index_url(request: pytest.FixtureRequest) -> str | None:
    """Of the PostgreSQL that --index asks for; None: SQLite."""
    if request.config.getoption("--index") == "sqlite":
        return None
    if find_postgresql() is None:
        pytest.fail(MISSING)
    return shared_postgresql().url

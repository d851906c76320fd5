from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.properties.in_process import Store, running_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One gateway for the examples of a module, each of which has a bucket of its own."""
    with running_store(tmp_path_factory.mktemp("store")) as made:
        yield made

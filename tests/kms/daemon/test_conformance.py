from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kms.client import KMSClient
from tests.conformance.key_service import KeyServiceSuite
from tests.kms.daemon.conftest import Kmsd


class TestKMSClient(KeyServiceSuite):
    """The suite against a kmsd process over its socket, keys rooted in SoftHSM2 where it is installed."""

    @pytest.fixture
    async def service(self, shared_kmsd: Kmsd) -> AsyncIterator[KMSClient]:
        client = KMSClient(shared_kmsd.socket_path)
        yield client
        await client.close()

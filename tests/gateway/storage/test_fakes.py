"""The fakes keep the contracts, so that tests above storage may rely on them."""

from __future__ import annotations

import pytest

from gateway.storage.index.interface import Index
from tests.conformance.blobs import BlobSuite
from tests.conformance.index import Clock, IndexSuite
from tests.fakes import MemoryBlobStore, MemoryIndex


class TestMemoryIndex(IndexSuite):
    @pytest.fixture
    def index(self, clock: Clock) -> Index:
        return MemoryIndex(clock)


class TestMemoryBlobStore(BlobSuite):
    @pytest.fixture
    def store(self) -> MemoryBlobStore:
        return MemoryBlobStore()

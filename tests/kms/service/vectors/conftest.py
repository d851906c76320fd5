from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from kms.epoch import MemoryEpoch
from kms.keys import imported
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import account_caller
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS
from tests.kms.service.vectors.keys import Keys


@pytest.fixture(scope="module")
def cheap_checks() -> Iterator[None]:
    """What recognises material that comes again costs 50 ms by design, and plays no part here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imported, "_SCRYPT_N", 2)
        yield


@pytest.fixture
async def keys(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, one_wrapping_key: None, cheap_checks: None
) -> AsyncIterator[Keys]:
    root.offer_hsm()
    settings = replace(SETTINGS, max_keys=10_000)
    async with EmbeddedKeyService(store, root, epoch, settings) as service:
        yield Keys(service, account_caller())

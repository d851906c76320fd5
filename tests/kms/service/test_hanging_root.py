"""A root that hangs for good: the process is given up, once and only when it can serve nothing any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSUnavailable
from kms.epoch import MemoryEpoch
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import account_caller, encrypt, refusal
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS
from tests.kms.services import until

# Real time: a watch every 10 ms, a deadline that a busy machine keeps while nothing hangs, little patience after it.
HASTY = replace(SETTINGS, root_deadline_seconds=0.5, probe_seconds=0.05, hang_seconds=0.05)


@asynccontextmanager
async def serving(
    store: SQLiteKeyStore, root: MemoryRoot, *, lease_seconds: float = 300.0
) -> AsyncIterator[tuple[EmbeddedKeyService, list[str]]]:
    given_up: list[str] = []
    settings = replace(HASTY, lease_seconds=lease_seconds)
    async with EmbeddedKeyService(
        store, root, MemoryEpoch(), settings, give_up=lambda: given_up.append("given up")
    ) as service:
        yield service, given_up
        root.go_on.set()


@pytest.fixture
def caller() -> Caller:
    return account_caller()


async def test_a_root_that_hangs_for_good_is_given_up_once(
    store: SQLiteKeyStore, root: MemoryRoot, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(store, root) as (service, given_up):
        root.hangs = True
        assert isinstance(await refusal(service.call(caller, t.CreateKey())), KMSUnavailable)
        await until(lambda: given_up)
        await asyncio.sleep(0.1)
        assert given_up == ["given up"]
        assert "cannot come back in this process" in caplog.text


async def test_keys_on_lease_are_served_to_the_end_before(
    store: SQLiteKeyStore, root: MemoryRoot, caller: Caller
) -> None:
    async with serving(store, root) as (service, given_up):
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, encrypt(key.key_id))
        root.hangs = True
        await refusal(service.call(caller, t.CreateKey()))
        await until(lambda: service._core.root.hanging_seconds > 4 * HASTY.hang_seconds)
        await service.call(caller, encrypt(key.key_id))
        assert given_up == []
        service._core.leases.drop(key.key_id)
        await until(lambda: given_up)


async def test_leases_of_keys_that_the_hsm_holds_serve_nothing_then(
    store: SQLiteKeyStore, root: MemoryRoot, caller: Caller
) -> None:
    root.offer_hsm()
    async with serving(store, root) as (service, given_up):
        key = await service.call(caller, t.CreateKey(custom_key_store_id="hsm"))
        await service.call(caller, encrypt(key.key_id))
        assert len(service._core.leases) == 1
        root.hangs = True
        await until(lambda: given_up)

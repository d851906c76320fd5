from __future__ import annotations

import asyncio

import pytest

from gateway.sealing.epochs import (
    INDEX_KEY,
    SERVICE_KEY,
    SERVICE_KEY_ALIAS,
    add_epoch,
    load_epochs,
    load_or_create_epochs,
)
from gateway.sealing.errors import AuthenticationFailed, EpochsMissing
from kms.api.errors import KMSError, KMSUnavailable
from tests.gateway.sealing.material import SERVICE, FakeEpochStore, FakeKMS


async def test_the_first_epoch_is_made_once_and_loaded_after() -> None:
    kms, store = FakeKMS(), FakeEpochStore()
    first = await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="START")
    again = await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="START")
    assert (first.current, list(first.keys)) == (1, [1])
    assert again == first
    context = {"sealgate:purpose": "index", "sealgate:epoch": "1"}
    assert kms.calls == [
        ("GenerateDataKey", SERVICE, SERVICE_KEY_ALIAS, context),
        ("Decrypt", SERVICE, None, context),
        ("Decrypt", SERVICE, None, context),
    ]


async def test_keys_that_must_be_there_are_never_made() -> None:
    kms, store = FakeKMS(), FakeEpochStore()
    with pytest.raises(EpochsMissing):
        await load_epochs(kms.service, store, INDEX_KEY, request_id="START")
    assert (kms.calls, store.rows) == ([], {})
    made = await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="START")
    assert await load_epochs(kms.service, store, INDEX_KEY, request_id="START") == made


async def test_processes_that_start_together_end_with_the_same_keys() -> None:
    kms, store = FakeKMS(), FakeEpochStore()
    loaded = await asyncio.gather(
        *(load_or_create_epochs(kms.service, store, SERVICE_KEY, request_id=str(n)) for n in range(5))
    )
    assert all(keys == loaded[0] for keys in loaded)


async def test_a_process_that_loses_the_race_takes_the_winners_key() -> None:
    kms, store = FakeKMS(), FakeEpochStore()

    class LateStore(FakeEpochStore):
        async def add(self, purpose: str, epoch: int, wrapped: bytes) -> bool:
            assert await add_epoch(kms.service, store, purpose, epoch, request_id="winner")
            return await store.add(purpose, epoch, wrapped)

    late = LateStore()
    late.rows = store.rows
    lost = await load_or_create_epochs(kms.service, late, INDEX_KEY, request_id="loser")
    assert lost == await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="winner")


async def test_the_newest_epoch_seals_and_all_open() -> None:
    kms, store = FakeKMS(), FakeEpochStore()
    for epoch in (1, 2, 3):
        assert await add_epoch(kms.service, store, INDEX_KEY, epoch, request_id="R")
    assert not await add_epoch(kms.service, store, INDEX_KEY, 3, request_id="R")
    keys = await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="R")
    assert keys.current == 3
    assert sorted(keys.keys) == [1, 2, 3]
    assert keys.current_key == keys.keys[3]


@pytest.mark.parametrize("epoch", [0, -1, 1 << 32])
async def test_an_epoch_fits_four_bytes(epoch: int) -> None:
    with pytest.raises(ValueError, match="epoch"):
        await add_epoch(FakeKMS().service, FakeEpochStore(), INDEX_KEY, epoch, request_id="R")


async def test_a_stored_key_moved_to_another_epoch_or_purpose_is_refused() -> None:
    kms, store = FakeKMS(), FakeEpochStore()
    await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="R")
    wrapped = store.rows[INDEX_KEY][1]
    for rows in ({INDEX_KEY: {2: wrapped}}, {INDEX_KEY: {1: wrapped + b"!"}}):
        store.rows = rows
        with pytest.raises(AuthenticationFailed):
            await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="R")
    store.rows = {SERVICE_KEY: {1: wrapped}}
    with pytest.raises(AuthenticationFailed):
        await load_or_create_epochs(kms.service, store, SERVICE_KEY, request_id="R")


@pytest.mark.parametrize("refusal", [KMSUnavailable("sealed"), KMSError("DisabledException")], ids=lambda r: r.code)
async def test_refusals_of_the_kms_pass_through_and_store_nothing(refusal: KMSError) -> None:
    kms, store = FakeKMS(), FakeEpochStore()
    kms.refusal = refusal
    with pytest.raises(KMSError) as caught:
        await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="R")
    assert caught.value is refusal
    assert store.rows == {}


async def test_a_stored_key_of_another_length_is_refused() -> None:
    kms, store = FakeKMS(), FakeEpochStore()
    kms.key_bytes = 31
    with pytest.raises(AuthenticationFailed):
        await load_or_create_epochs(kms.service, store, INDEX_KEY, request_id="R")

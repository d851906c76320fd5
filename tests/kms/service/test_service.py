"""What only an embedded service shows: time, other processes, a failing store, faults."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iam.principals import SERVICE_ACCOUNT_ID, Caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.epoch import MemoryEpoch
from kms.hsm.check_value import make_check_value
from kms.service import states
from kms.service.call import Call
from kms.service.initialise import AnotherRoot, initialise_key_store
from kms.service.row_seals import open_seals
from kms.service.service import EmbeddedKeyService
from kms.store.interface import ROOT_CHECK_VALUE, KeyConflict, StoreUnavailable
from kms.store.records import StoredKey
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import REGION, account_caller, assert_refused, encrypt, refusal
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock


@pytest.fixture
def caller() -> Caller:
    return account_caller()


async def test_a_change_raises_the_epoch_before_its_answer(
    service: EmbeddedKeyService, epoch: MemoryEpoch, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    await service.call(caller, t.CreateAlias("alias/a", key.key_id))
    changes = (
        lambda: service.call(caller, t.DisableKey(key.key_id)),
        lambda: service.call(caller, t.EnableKey(key.key_id)),
        lambda: service.call(caller, t.UpdateAlias("alias/a", key.key_id)),
        lambda: service.call(caller, t.DeleteAlias("alias/a")),
        lambda: service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7)),
        lambda: service.call(caller, t.CancelKeyDeletion(key.key_id)),
    )
    for change in changes:
        before = epoch.value
        await change()
        assert epoch.value > before


async def test_the_epoch_is_raised_also_for_a_caller_that_went_away(
    service: EmbeddedKeyService, epoch: MemoryEpoch, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    before = epoch.value
    change = asyncio.create_task(service.call(caller, t.DisableKey(key.key_id)))
    await asyncio.sleep(0)
    change.cancel()
    await asyncio.gather(change, return_exceptions=True)
    # The writer thread takes one change after the other, so this one ends after the abandoned one.
    await service._core.change(lambda: None, is_visible=False)
    disabled = (await service.call(caller, t.DescribeKey(key.key_id))).state is t.KeyState.DISABLED
    assert disabled == (epoch.value > before)


async def test_a_change_by_another_process_counts_from_its_epoch_on(
    service: EmbeddedKeyService, store: SQLiteKeyStore, epoch: MemoryEpoch, clock: Clock, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    await service.call(caller, encrypt(key.key_id))
    store.change_state(
        key.key_id,
        REGION,
        expected=t.KeyState.ENABLED,
        state=t.KeyState.DISABLED,
        deletion_us=None,
        now_us=clock(),
    )
    epoch.advance()
    await assert_refused(service.call(caller, encrypt(key.key_id)), "DisabledException")


async def test_end_of_the_deletion_window_counts_at_use(
    service: EmbeddedKeyService, store: SQLiteKeyStore, clock: Clock, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    await service.call(caller, t.CreateAlias("alias/a", key.key_id))
    blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
    await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    clock.pass_days(6.99)
    assert (await service.call(caller, t.DescribeKey(key.key_id))).state is t.KeyState.PENDING_DELETION
    clock.pass_days(0.02)
    missing = f"Key '{key.key_arn}' does not exist"
    for swept in (False, True):
        if swept:
            assert await states.destroy_expired_keys(service._core) == 1
        for call in (
            service.call(caller, t.DescribeKey(key.key_id)),
            service.call(caller, t.CancelKeyDeletion(key.key_id)),
            service.call(caller, t.EnableKey(key.key_id)),
            service.call(caller, t.Decrypt(blob)),
            service.call(caller, t.Decrypt(blob, key.key_arn)),
        ):
            await assert_refused(call, "NotFoundException", missing)
        await assert_refused(service.call(caller, t.DescribeKey("alias/a")), "NotFoundException")
        assert (await service.call(caller, t.ListKeys(limit=10, marker=None))).keys == ()
    assert store.version(key.key_id, 1) is None
    assert store.alias(caller.principal.account_id, REGION, "alias/a") is None
    assert await states.destroy_expired_keys(service._core) == 0


async def test_destruction_wipes_leases_and_raises_the_epoch(
    service: EmbeddedKeyService, epoch: MemoryEpoch, clock: Clock, caller: Caller
) -> None:
    before = epoch.value
    assert await states.destroy_expired_keys(service._core) == 0
    assert epoch.value == before
    key = await service.call(caller, t.CreateKey())
    await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    clock.pass_days(8)
    before = epoch.value
    assert await states.destroy_expired_keys(service._core) == 1
    assert epoch.value > before


async def test_the_sweep_runs_by_itself(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock, caller: Caller
) -> None:
    async with EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as service:
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    clock.pass_days(8)
    settings = replace(SETTINGS, sweep_seconds=0.01)
    async with EmbeddedKeyService(store, root, epoch, settings, clock_us=clock), asyncio.timeout(60):
        while store.version(key.key_id, 1) is not None:
            await asyncio.sleep(0.005)


async def test_quotas(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await service.call(caller, t.CreateKey())
    for number in range(SETTINGS.max_aliases):
        await service.call(caller, t.CreateAlias(f"alias/{number}", key.key_id))
    await assert_refused(service.call(caller, t.CreateAlias("alias/more", key.key_id)), "LimitExceededException")
    await service.call(caller, t.UpdateAlias("alias/0", key.key_id))
    other = await service.call(caller, t.CreateKey())
    await service.call(caller, t.CreateAlias("alias/other", other.key_id))
    await assert_refused(service.call(caller, t.UpdateAlias("alias/other", key.key_id)), "LimitExceededException")
    for _ in range(SETTINGS.max_keys - 2):
        await service.call(caller, t.CreateKey())
    await assert_refused(service.call(caller, t.CreateKey()), "LimitExceededException")
    await service.call(account_caller(), t.CreateKey())


async def test_two_changes_at_once_are_decided_one_after_the_other(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await service.call(caller, t.CreateKey())
    schedules = [service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7 + n)) for n in range(4)]
    results = await asyncio.gather(*schedules, return_exceptions=True)
    won = [result for result in results if isinstance(result, t.KeyMetadata)]
    lost = [result for result in results if isinstance(result, KMSError)]
    assert len(won) == 1
    assert [error.code for error in lost] == ["KMSInvalidStateException"] * 3
    assert await service.call(caller, t.DescribeKey(key.key_id)) == won[0]


async def test_a_store_that_cannot_be_written_is_unavailable(
    service: EmbeddedKeyService, store: SQLiteKeyStore, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    store._database._writer.execute("PRAGMA query_only = ON")
    for call in (service.call(caller, t.DisableKey(key.key_id)), service.call(caller, t.CreateKey())):
        assert isinstance(await refusal(call), KMSUnavailable)
    await service.call(caller, encrypt(key.key_id))
    store._database._writer.execute("PRAGMA query_only = OFF")
    await service.call(caller, t.DisableKey(key.key_id))


async def test_a_store_that_cannot_be_read_is_degraded(
    service: EmbeddedKeyService, store: SQLiteKeyStore, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise StoreUnavailable("disk I/O error")

    for method in ("key", "alias", "meta"):
        monkeypatch.setattr(store, method, fail)
    assert isinstance(await refusal(service.call(caller, t.DescribeKey("alias/a"))), KMSUnavailable)
    assert (await service.health()).state is t.HealthState.DEGRADED


async def test_a_fault_of_the_program_is_an_internal_error_with_its_cause_in_the_log(
    service: EmbeddedKeyService,
    caller: Caller,
    root: MemoryRoot,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(length: int) -> bytes:
        raise RuntimeError(f"cannot make {length}")

    monkeypatch.setattr(root, "random", fail)
    await assert_refused(
        service.call(caller, t.GenerateRandom(7)), "KMSInternalException", "An internal error occurred."
    )
    assert "cannot make 7" in caplog.text


async def test_endless_conflict_ends(
    service: EmbeddedKeyService, store: SQLiteKeyStore, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def conflict(*_: object, **__: object) -> None:
        raise KeyConflict("again")

    key = await service.call(caller, t.CreateKey())
    monkeypatch.setattr(store, "change_state", conflict)
    await assert_refused(service.call(caller, t.DisableKey(key.key_id)), "KMSInternalException")


async def test_any_authoriser_is_asked_with_action_and_key(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller
) -> None:
    asked: list[tuple[str, str | None]] = []

    def authorise(call: Call[Any], action: str, key: StoredKey | None) -> None:
        asked.append((action, None if key is None else key.metadata.key_id))
        if action == "kms:Encrypt":
            raise KMSError("AccessDeniedException", "no")

    async with EmbeddedKeyService(store, root, epoch, SETTINGS, authorise=authorise) as service:
        key = await service.call(caller, t.CreateKey())
        blob = (await service.call(caller, t.GenerateDataKey(key.key_id, 32))).ciphertext.ciphertext_blob
        asked.clear()
        await service.call(caller, t.ReEncrypt(blob, key.key_id))
        await service.call(caller, t.DisableKey(key.key_id))
        # Authorisation comes before the state, so that strangers do not learn it.
        await assert_refused(service.call(caller, encrypt(key.key_id)), "AccessDeniedException")
    actions = list(dict.fromkeys(action for action, _ in asked))
    assert actions == ["kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:DisableKey", "kms:Encrypt"]
    assert {key_id for _, key_id in asked} == {key.key_id}


async def test_keys_survive_a_restart(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller
) -> None:
    async with EmbeddedKeyService(store, root, epoch, SETTINGS) as service:
        key = await service.call(caller, t.CreateKey())
        blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
        await service.call(caller, t.DisableKey(key.key_id))
    async with EmbeddedKeyService(store, root, epoch, SETTINGS) as service:
        await assert_refused(service.call(caller, t.Decrypt(blob)), "DisabledException")
        await service.call(caller, t.EnableKey(key.key_id))
        assert (await service.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")


async def test_no_secret_reaches_log_repr_or_error(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = await service.call(caller, t.CreateKey())
    data_key = await service.call(caller, t.GenerateDataKey(key.key_id, 32))
    error = await refusal(service.call(caller, t.Decrypt(data_key.ciphertext.ciphertext_blob, None, {"a": "b"})))
    shown = caplog.text + repr(data_key) + repr(error) + repr(service._core.leases._leases)
    for secret in (data_key.plaintext.reveal(), *root.unwrapped):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown


def test_initialising_twice_is_the_same_as_once(tmp_path: Path, root: MemoryRoot) -> None:
    path, check_value = tmp_path / "fresh.sqlite", make_check_value(root)
    for _ in range(2):
        initialise_key_store(path, root, region=REGION, check_value=check_value)
    with pytest.raises(AnotherRoot):
        initialise_key_store(path, MemoryRoot(), region=REGION, check_value=b"other")
    fresh = SQLiteKeyStore(path)
    open_seals(fresh, root, now_us=1)
    assert fresh.meta(ROOT_CHECK_VALUE) == check_value
    assert fresh.count_keys(SERVICE_ACCOUNT_ID, REGION) == 1
    alias = fresh.alias(SERVICE_ACCOUNT_ID, REGION, t.SERVICE_KEY_ALIAS)
    assert alias is not None
    key = fresh.key(alias.key_id, REGION)
    assert key is not None
    assert key.metadata.manager is t.KeyManager.AWS
    fresh.close()

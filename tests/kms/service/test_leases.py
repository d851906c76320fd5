"""Leases and root calls through the service: what an absent, slow or contended HSM does to callers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.epoch import MemoryEpoch
from kms.hsm.interface import RootMisconfigured, RootUnavailable
from kms.service.leases import Leases
from kms.service.root_calls import RootCalls
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import account_caller, assert_refused, encrypt, refusal
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock


@pytest.fixture
def caller() -> Caller:
    return account_caller()


class LeaseClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def make_blob(service: EmbeddedKeyService, caller: Caller) -> tuple[t.KeyMetadata, bytes]:
    key = await service.call(caller, t.CreateKey())
    return key, (await service.call(caller, encrypt(key.key_id))).ciphertext_blob


def leases_of(service: EmbeddedKeyService) -> Leases:
    return service._core.leases


def set_lease_clock(service: EmbeddedKeyService) -> LeaseClock:
    clock = LeaseClock()
    leases_of(service)._clock = clock
    return clock


async def test_a_stampede_makes_one_call_of_the_hsm(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    before = root.calls.get("unwrap_key", 0)
    await asyncio.gather(*(service.call(caller, encrypt(key.key_id)) for _ in range(100)))
    assert root.calls["unwrap_key"] == before + 1


async def test_a_version_is_used_for_its_lease_without_the_root(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    clock = set_lease_clock(service)
    _, blob = await make_blob(service, caller)
    root.failure = RootUnavailable("the token is gone")
    clock.now += SETTINGS.lease_seconds - 1
    assert (await service.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")
    clock.now += 1
    error = await refusal(service.call(caller, t.Decrypt(blob)))
    assert isinstance(error, KMSUnavailable)
    assert error.retry_after_seconds > 0
    assert "token" not in error.message
    health = await service.health()
    assert (health.state, health.detail) == (t.HealthState.DEGRADED, "the token is gone")
    root.failure = None
    assert (await service.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")
    assert (await service.health()).state is t.HealthState.READY


async def test_ended_leases_are_wiped_when_nobody_asks(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller
) -> None:
    settings = replace(SETTINGS, lease_seconds=0.02)
    async with EmbeddedKeyService(store, root, epoch, settings) as service:
        key = await service.call(caller, t.CreateKey())
        leases = leases_of(service)
        await leases.open((key.key_id, 1))
        [lease] = leases._leases.values()
        async with asyncio.timeout(60):
            while len(leases):
                await asyncio.sleep(0.005)
        assert lease.key == bytes(32)
        assert root.unwrapped[-1] != bytes(32)
        assert leases._timer is None


async def test_leases_end_in_order_and_the_timer_waits_for_the_next(
    service: EmbeddedKeyService, caller: Caller
) -> None:
    clock = set_lease_clock(service)
    leases = leases_of(service)
    for _ in range(3):
        await make_blob(service, caller)
        clock.now += 10
    assert len(leases) == 3
    clock.now += SETTINGS.lease_seconds - 30 + 5
    leases.drop_expired()
    assert len(leases) == 2
    assert leases._timer is not None
    clock.now += SETTINGS.lease_seconds
    leases.drop_expired()
    assert len(leases) == 0


async def test_disabling_wipes_the_key(service: EmbeddedKeyService, caller: Caller) -> None:
    key, _ = await make_blob(service, caller)
    other, _ = await make_blob(service, caller)
    lease = leases_of(service).get((key.key_id, 1))
    assert lease is not None
    await service.call(caller, t.DisableKey(key.key_id))
    assert lease.key == bytes(32)
    assert leases_of(service).get((key.key_id, 1)) is None
    assert leases_of(service).get((other.key_id, 1)) is not None


async def test_closing_wipes_all(store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller) -> None:
    async with EmbeddedKeyService(store, root, epoch, SETTINGS) as service:
        key, _ = await make_blob(service, caller)
        lease = leases_of(service).get((key.key_id, 1))
        assert lease is not None
        assert lease.key != bytes(32)
    assert lease.key == bytes(32)


async def test_key_disabled_while_the_root_opens_it_stays_shut(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    root.hangs = True
    waiting = asyncio.create_task(service.call(caller, encrypt(key.key_id)))
    await asyncio.to_thread(root.entered.wait, 10)
    await service.call(caller, t.DisableKey(key.key_id))
    root.hangs = False
    root.go_on.set()
    await assert_refused(waiting, "DisabledException")
    assert len(leases_of(service)) == 0


async def test_a_hanging_root_costs_a_deadline_and_not_more(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller
) -> None:
    settings = replace(SETTINGS, root_deadline_seconds=0.05, probe_seconds=3600)
    async with EmbeddedKeyService(store, root, epoch, settings) as service:
        held, blob = await make_blob(service, caller)
        key = await service.call(caller, t.CreateKey())
        root.hangs = True
        async with asyncio.timeout(60):
            calls = [refusal(service.call(caller, encrypt(key.key_id))) for _ in range(20)]
            errors = await asyncio.gather(*calls, refusal(service.call(caller, t.GenerateRandom(1))))
        assert all(isinstance(error, KMSUnavailable) for error in errors)
        health = await service.health()
        assert (health.state, health.retry_after_seconds) == (t.HealthState.DEGRADED, 5)
        # What is on lease goes on, and so does all that needs no root.
        assert (await service.call(caller, t.Decrypt(blob))).key_arn == held.key_arn
        await service.call(caller, t.DisableKey(held.key_id))
        root.hangs = False
        root.go_on.set()
        await service.call(caller, encrypt(key.key_id))
        assert (await service.health()).state is t.HealthState.READY


async def test_cancelled_callers_do_not_take_the_call_from_others(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    root.hangs = True
    first, second = (asyncio.create_task(service.call(caller, encrypt(key.key_id))) for _ in range(2))
    await asyncio.to_thread(root.entered.wait, 10)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    root.hangs = False
    root.go_on.set()
    assert (await second).key_arn == key.key_arn


async def test_sealed_until_the_root_answers(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller
) -> None:
    root.failure = RootUnavailable("token absent")
    settings = replace(SETTINGS, probe_seconds=0.05)
    async with EmbeddedKeyService(store, root, epoch, settings) as service:
        health = await service.health()
        assert (health.state, health.detail) == (t.HealthState.SEALED, "token absent")
        assert health.retry_after_seconds > 0
        for call in (
            service.call(caller, t.DescribeKey("alias/aws/s3")),
            service.call(caller, t.ListKeys(limit=1, marker=None)),
            service.call(caller, t.CreateKey()),
            service.call(caller, t.GenerateRandom(1)),
        ):
            assert isinstance(await refusal(call), KMSUnavailable)
        root.failure = None
        async with asyncio.timeout(60):
            while (await service.health()).state is not t.HealthState.READY:
                await asyncio.sleep(0.005)
        await service.call(caller, t.CreateKey())


async def test_a_misconfigured_root_is_not_asked_by_callers_in_vain(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller
) -> None:
    root.failure = RootMisconfigured("the PIN is wrong")
    async with EmbeddedKeyService(store, root, epoch, SETTINGS) as service:
        calls = dict(root.calls)
        error = await refusal(service.call(caller, t.CreateKey()))
        assert isinstance(error, KMSUnavailable)
        assert error.retry_after_seconds == 60
        assert "PIN" not in error.message
        assert root.calls == calls
        assert (await service.health()).detail == "the PIN is wrong"


def change_record(store: SQLiteKeyStore, key_id: str, record: bytes) -> None:
    """In a row whose seal is right, as only who can seal rows could."""
    with store._database.transaction() as connection:
        connection.execute("UPDATE kms_key_version SET record = ? WHERE key_id = ?", (record, key_id))


async def test_a_changed_record_is_an_internal_error_and_logged(
    service: EmbeddedKeyService,
    store: SQLiteKeyStore,
    epoch: MemoryEpoch,
    caller: Caller,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = await service.call(caller, t.CreateKey())
    stored = store.version(key.key_id, 1)
    assert stored is not None
    assert stored.record is not None
    record = bytearray(stored.record)
    record[-1] ^= 1
    change_record(store, key.key_id, bytes(record))
    await assert_refused(service.call(caller, encrypt(key.key_id)), "KMSInternalException")
    assert "integrity" in caplog.text
    assert (await service.health()).state is t.HealthState.READY


async def test_records_of_two_keys_cannot_be_swapped(
    service: EmbeddedKeyService, store: SQLiteKeyStore, caller: Caller
) -> None:
    one, other = [await service.call(caller, t.CreateKey()) for _ in range(2)]
    stored = store.version(other.key_id, 1)
    assert stored is not None
    change_record(store, one.key_id, stored.record)
    await assert_refused(service.call(caller, encrypt(one.key_id)), "KMSInternalException")


async def test_too_many_waiting_calls_are_refused_at_once(root: MemoryRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kms.service.root_calls.MAX_WAITING", 2)
    calls = RootCalls(root, deadline_seconds=30)
    root.hangs = True
    waiting = [asyncio.create_task(calls.call(lambda root: root.random(1))) for _ in range(2)]
    await asyncio.to_thread(root.entered.wait, 10)
    with pytest.raises(KMSUnavailable):
        await calls.call(lambda root: root.random(1))
    root.hangs = False
    root.go_on.set()
    assert [len(value) for value in await asyncio.gather(*waiting)] == [1, 1]
    calls.close()


async def test_leases_show_nothing(service: EmbeddedKeyService, root: MemoryRoot, caller: Caller) -> None:
    key, _ = await make_blob(service, caller)
    lease = leases_of(service).get((key.key_id, 1))
    assert repr(lease) == "Lease()"


async def test_number_of_leases_is_bounded(
    service: EmbeddedKeyService, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms.service.leases.MAX_LEASES", 2)
    blobs = [(await make_blob(service, caller))[1] for _ in range(4)]
    assert len(leases_of(service)) == 2
    for blob in blobs:
        await service.call(caller, t.Decrypt(blob))


async def test_clock_is_the_loops(tmp_path: Path, clock: Clock) -> None:
    leases = Leases(RootCalls(MemoryRoot(), deadline_seconds=1), lambda key_id, version: None, lease_seconds=1)
    assert leases._clock() == pytest.approx(asyncio.get_running_loop().time(), abs=1)
    with pytest.raises(KMSError, match="InvalidCiphertextException"):
        await leases.open(("none", 1))
    leases.close()


def replace_record(store: SQLiteKeyStore, key_id: str, record: bytes | None) -> None:
    change_record(store, key_id, record)

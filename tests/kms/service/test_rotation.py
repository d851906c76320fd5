"""Rotation over time, by clients and by itself; and when keys were last used."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.epoch import MemoryEpoch
from kms.service import rotation, usage
from kms.service.service import EmbeddedKeyService
from kms.store.interface import StoreUnavailable
from kms.store.records import StoredUsage
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import REGION, account_caller, assert_refused, encrypt, refusal, via_s3
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock


@pytest.fixture
def caller() -> Caller:
    return account_caller()


async def due(service: EmbeddedKeyService) -> int:
    return await rotation.rotate_due_keys(service._core)


async def materials(service: EmbeddedKeyService, caller: Caller, key_id: str) -> list[t.KeyMaterial]:
    page = await service.call(caller, t.ListKeyRotations(key_id, all_material=True))
    return list(page.materials)


async def test_old_versions_open_and_new_ones_encrypt(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await service.call(caller, t.CreateKey())
    blobs = [(await service.call(caller, encrypt(key.key_id, b"0"))).ciphertext_blob]
    for number in (1, 2):
        assert await service.call(caller, t.RotateKeyOnDemand(key.key_id)) == key.key_arn
        sealed = await service.call(caller, encrypt(key.key_id, b"%d" % number))
        described = await service.call(caller, t.DescribeKey(key.key_id))
        assert (sealed.key_version, sealed.key_material_id) == (number + 1, described.key_material_id)
        blobs.append(sealed.ciphertext_blob)
    for number, blob in enumerate(blobs):
        opened = await service.call(caller, t.Decrypt(blob))
        assert (opened.plaintext, opened.key_version) == (SecretBytes(b"%d" % number), number + 1)
    listed = await materials(service, caller, key.key_id)
    assert [(each.state, each.rotation_type) for each in listed] == [
        ("NON_CURRENT", None),
        ("NON_CURRENT", "ON_DEMAND"),
        ("CURRENT", "ON_DEMAND"),
    ]
    assert len({each.material_id for each in listed}) == 3


async def test_a_rotation_is_in_effect_before_its_answer(
    service: EmbeddedKeyService, epoch: MemoryEpoch, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    before = epoch.value
    await service.call(caller, t.RotateKeyOnDemand(key.key_id))
    assert epoch.value > before
    assert (await service.call(caller, encrypt(key.key_id))).key_version == 2


async def test_rotation_by_itself(service: EmbeddedKeyService, clock: Clock, caller: Caller) -> None:
    key = await service.call(caller, t.CreateKey())
    await service.call(caller, t.EnableKeyRotation(key.key_id, 90))
    status = await service.call(caller, t.GetKeyRotationStatus(key.key_id))
    assert status == t.RotationStatus(key.key_arn, 90, clock() + 90 * 86_400_000_000)
    clock.pass_days(89.9)
    assert await due(service) == 0
    clock.pass_days(0.2)
    assert await due(service) == 1
    assert await due(service) == 0
    status = await service.call(caller, t.GetKeyRotationStatus(key.key_id))
    assert status.next_rotation_us == clock() + 90 * 86_400_000_000
    [_, current] = await materials(service, caller, key.key_id)
    assert (current.rotation_type, current.rotated_us) == ("AUTOMATIC", clock())
    await service.call(caller, t.DisableKeyRotation(key.key_id))
    clock.pass_days(1000)
    assert await due(service) == 0
    assert await service.call(caller, t.GetKeyRotationStatus(key.key_id)) == t.RotationStatus(key.key_arn, None, None)


async def test_aws_managed_keys_rotate_every_year(service: EmbeddedKeyService, clock: Clock, caller: Caller) -> None:
    key = await service.call(caller, t.DescribeKey(t.S3_KEY_ALIAS))
    status = await service.call(caller, t.GetKeyRotationStatus(key.key_id))
    assert status == t.RotationStatus(key.key_arn, 365, clock() + 365 * 86_400_000_000)
    for call in (
        t.EnableKeyRotation(key.key_id, 90),
        t.DisableKeyRotation(key.key_id),
        t.RotateKeyOnDemand(key.key_id),
    ):
        assert (await refusal(service.call(caller, call))).code == "AccessDeniedException"
    blob = (await service.call(via_s3(caller), encrypt(key.key_id, b"x"))).ciphertext_blob
    clock.pass_days(366)
    assert await due(service) == 1
    assert (await service.call(via_s3(caller), encrypt(key.key_id))).key_version == 2
    assert (await service.call(via_s3(caller), t.Decrypt(blob))).plaintext == SecretBytes(b"x")
    assert await due(service) == 0


async def test_a_disabled_key_catches_up_when_it_is_enabled(
    service: EmbeddedKeyService, clock: Clock, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    await service.call(caller, t.EnableKeyRotation(key.key_id, 90))
    await service.call(caller, t.DisableKey(key.key_id))
    clock.pass_days(300)
    assert await due(service) == 0
    await service.call(caller, t.EnableKey(key.key_id))
    assert await due(service) == 1


async def test_a_key_pending_deletion_shows_no_rotation_until_it_is_cancelled(
    service: EmbeddedKeyService, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    await service.call(caller, t.EnableKeyRotation(key.key_id, 365))
    await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    assert (await service.call(caller, t.GetKeyRotationStatus(key.key_id))).rotation_period_days is None
    await service.call(caller, t.CancelKeyDeletion(key.key_id))
    assert (await service.call(caller, t.GetKeyRotationStatus(key.key_id))).rotation_period_days == 365


async def test_of_two_processes_one_rotates(
    service: EmbeddedKeyService,
    store: SQLiteKeyStore,
    root: MemoryRoot,
    epoch: MemoryEpoch,
    clock: Clock,
    caller: Caller,
) -> None:
    keys = [await service.call(caller, t.CreateKey()) for _ in range(3)]
    for key in keys:
        await service.call(caller, t.EnableKeyRotation(key.key_id, 90))
    clock.pass_days(91)
    async with EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as other:
        rotated = await asyncio.gather(due(service), due(other))
        await asyncio.gather(due(service), due(other))
    assert sum(rotated) <= 3
    for key in keys:
        assert len(await materials(service, caller, key.key_id)) == 2


async def test_of_two_clients_that_rotate_at_once_one_is_told_of_the_conflict(
    service: EmbeddedKeyService, caller: Caller
) -> None:
    key = await service.call(caller, t.CreateKey())
    calls = [service.call(caller, t.RotateKeyOnDemand(key.key_id)) for _ in range(2)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    [conflict] = [answer for answer in answers if answer != key.key_arn]
    assert isinstance(conflict, KMSError)
    assert (conflict.code, conflict.status) == ("ConflictException", 400)
    assert len(await materials(service, caller, key.key_id)) == 2


async def test_25_rotations_on_demand_and_no_more(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await service.call(caller, t.CreateKey())
    for _ in range(25):
        await service.call(caller, t.RotateKeyOnDemand(key.key_id))
    message = (
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be"
        f" performed for this key: {key.key_arn}"
    )
    await assert_refused(service.call(caller, t.RotateKeyOnDemand(key.key_id)), "LimitExceededException", message)
    seen: list[t.KeyMaterial] = []
    marker: str | None = None
    while True:
        page = await service.call(caller, t.ListKeyRotations(key.key_id, limit=10, marker=marker))
        seen += page.materials
        marker = page.next_marker
        if marker is None:
            break
    assert len(seen) == 25


# Last use


async def test_last_use_is_told_at_once_and_survives_a_restart(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock, caller: Caller
) -> None:
    async with EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as service:
        key = await service.call(caller, t.CreateKey())
        unused = await service.call(caller, t.GetKeyLastUsage(key.key_id))
        assert (unused.operation, unused.used_us, unused.created_us) == (None, None, key.created_us)
        blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
        clock.now_us += 7
        await service.call(caller, t.ReEncrypt(blob, key.key_id))
        last = await service.call(caller, t.GetKeyLastUsage(key.key_id))
        assert (last.operation, last.used_us, last.request_id) == ("ReEncrypt", clock(), caller.request_id)
        await usage.flush_usage(service._core)
        clock.now_us += 1
        await service.call(caller, t.Decrypt(blob))
    async with EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as service:
        last = await service.call(caller, t.GetKeyLastUsage(key.key_id))
        assert (last.operation, last.used_us) == ("Decrypt", clock())


async def test_last_use_is_known_while_it_is_written_down_and_when_that_fails(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, go_on, failures = store.put_usage, threading.Event(), [StoreUnavailable("a full disk")]

    def put_slowly(usages: Sequence[StoredUsage]) -> None:
        assert go_on.wait(60)
        if failures:
            raise failures.pop()
        put(usages)

    async def told() -> tuple[str | None, int | None]:
        last = await service.call(caller, t.GetKeyLastUsage(key.key_id))
        return last.operation, last.used_us

    monkeypatch.setattr(usage, "FLUSH_SECONDS", 3600.0)
    monkeypatch.setattr(store, "put_usage", put_slowly)
    async with EmbeddedKeyService(store, root, epoch, SETTINGS) as service:
        key = await service.call(caller, t.CreateKey())
        await service.call(caller, encrypt(key.key_id))
        used = await told()
        assert used[0] == "Encrypt"
        flushing = asyncio.create_task(usage.flush_usage(service._core))
        await asyncio.sleep(0)
        assert service._core.usage._pending == {}
        assert await told() == used
        go_on.set()
        with pytest.raises(StoreUnavailable):
            await flushing
        assert await told() == used
        assert store.usage(key.key_id, REGION) is None
        await usage.flush_usage(service._core)
        assert service._core.usage.take() == []
        assert await told() == used


async def test_what_was_refused_was_no_use(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await service.call(caller, t.CreateKey())
    await assert_refused(
        service.call(caller, t.Encrypt(key.key_id, SecretBytes(b"x"), dry_run=True)), "DryRunOperationException"
    )
    await service.call(caller, t.DisableKey(key.key_id))
    await assert_refused(service.call(caller, encrypt(key.key_id)), "DisabledException")
    await service.call(caller, t.DescribeKey(key.key_id))
    assert service._core.usage.last(key.key_id, REGION) is None

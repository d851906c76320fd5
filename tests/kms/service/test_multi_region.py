"""Multi-Region keys in one service that answers for three regions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.secrets import SecretBytes
from kms.epoch import MemoryEpoch
from kms.service import states
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import REGION, account_caller, assert_refused, encrypt
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock

SECOND, THIRD = "eu-central-1", "ap-south-1"


@pytest.fixture
async def service(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock
) -> AsyncIterator[EmbeddedKeyService]:
    settings = replace(SETTINGS, other_regions=(SECOND, THIRD))
    async with EmbeddedKeyService(store, root, epoch, settings, clock_us=clock) as service:
        yield service


@pytest.fixture
def caller() -> Caller:
    return account_caller()


def there(caller: Caller, region: str = SECOND) -> Caller:
    return replace(caller, region=region)


async def primary(service: EmbeddedKeyService, caller: Caller) -> t.KeyMetadata:
    return await service.call(caller, t.CreateKey(multi_region=True))


async def described(service: EmbeddedKeyService, caller: Caller, key_id: str) -> t.KeyMetadata:
    return await service.call(caller, t.DescribeKey(key_id))


async def test_a_replica_has_the_material_and_nothing_else_of_its_primary(
    service: EmbeddedKeyService, caller: Caller
) -> None:
    key = await primary(service, caller)
    assert key.key_id.startswith("mrk-") and len(key.key_id) == 36
    assert (key.is_primary, key.primary_region, key.replica_regions) == (True, REGION, ())
    await assert_refused(service.call(there(caller), t.DescribeKey(key.key_id)), "NotFoundException")
    replica = await service.call(
        caller, t.ReplicateKey(key.key_id, SECOND, description="there", tags=(t.Tag("a", "b"),))
    )
    shown = await described(service, there(caller), key.key_id)
    assert replica.metadata == shown
    assert (shown.region, shown.description, shown.is_primary) == (SECOND, "there", False)
    assert shown.key_material_id == key.key_material_id
    assert replica.tags == (t.Tag("a", "b"),)
    assert (await described(service, caller, key.key_id)).replica_regions == (SECOND,)
    for here, elsewhere in ((caller, there(caller)), (there(caller), caller)):
        blob = (await service.call(here, encrypt(key.key_id))).ciphertext_blob
        opened = await service.call(elsewhere, t.Decrypt(blob))
        assert opened.plaintext == SecretBytes(b"plaintext")
        assert opened.key_arn.split(":")[3] == (elsewhere.region or REGION)
    await service.call(there(caller), t.DisableKey(key.key_id))
    assert (await described(service, caller, key.key_id)).enabled
    await assert_refused(service.call(there(caller), encrypt(key.key_id)), "DisabledException")


async def test_keys_of_one_region_stay_in_it(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await service.call(there(caller), t.CreateKey())
    assert (key.region, key.multi_region) == (SECOND, False)
    await assert_refused(service.call(caller, t.DescribeKey(key.key_id)), "NotFoundException")
    await assert_refused(service.call(caller, t.DescribeKey(key.key_arn)), "NotFoundException", f"Invalid arn {SECOND}")
    blob = (await service.call(there(caller), encrypt(key.key_id))).ciphertext_blob
    await assert_refused(service.call(caller, t.Decrypt(blob)), "InvalidCiphertextException", "")
    assert (await service.call(caller, t.ListKeys())).keys == ()
    await assert_refused(service.call(there(caller, "mars-1"), t.ListKeys()), "AccessDeniedException")


async def test_replications_that_are_refused(service: EmbeddedKeyService, caller: Caller) -> None:
    key, single = await primary(service, caller), await service.call(caller, t.CreateKey())
    await service.call(caller, t.ReplicateKey(key.key_id, SECOND))
    not_primary = "is not a multi-region primary key."
    replica_arn = key.key_arn.replace(REGION, SECOND)
    cases = [
        (caller, t.ReplicateKey(single.key_id, SECOND), "UnsupportedOperationException", single.key_arn),
        (there(caller), t.ReplicateKey(key.key_id, THIRD), "UnsupportedOperationException", replica_arn),
    ]
    for who, request, code, arn in cases:
        await assert_refused(service.call(who, request), code, f"{arn} {not_primary}")
    for region in (SECOND, REGION):
        await assert_refused(service.call(caller, t.ReplicateKey(key.key_id, region)), "AlreadyExistsException")
    await assert_refused(service.call(caller, t.ReplicateKey(key.key_id, "mars-1")), "UnsupportedOperationException")
    tags = (t.Tag("aws:x", ""),)
    await assert_refused(service.call(caller, t.ReplicateKey(key.key_id, THIRD, tags=tags)), "TagException")
    await service.call(caller, t.DisableKey(key.key_id))
    await assert_refused(service.call(caller, t.ReplicateKey(key.key_id, THIRD)), "DisabledException")


async def test_rotation_belongs_to_the_primary_and_is_shared(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await primary(service, caller)
    await service.call(caller, t.ReplicateKey(key.key_id, SECOND))
    for request in (t.EnableKeyRotation(key.key_id), t.RotateKeyOnDemand(key.key_id)):
        await assert_refused(service.call(there(caller), request), "UnsupportedOperationException")
    await service.call(caller, t.RotateKeyOnDemand(key.key_id))
    for who in (caller, there(caller)):
        assert (await service.call(who, encrypt(key.key_id))).key_version == 2
    await service.call(caller, t.ReplicateKey(key.key_id, THIRD))
    assert (await service.call(there(caller, THIRD), encrypt(key.key_id))).key_version == 2


async def test_the_primary_moves_and_rotation_with_it(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await primary(service, caller)
    await service.call(caller, t.ReplicateKey(key.key_id, SECOND))
    await service.call(caller, t.EnableKeyRotation(key.key_id, 100))
    await assert_refused(service.call(caller, t.UpdatePrimaryRegion(key.key_id, THIRD)), "NotFoundException")
    await assert_refused(service.call(caller, t.UpdatePrimaryRegion(key.key_id, REGION)), "NotFoundException")
    await service.call(caller, t.UpdatePrimaryRegion(key.key_id, SECOND))
    ours, theirs = await described(service, caller, key.key_id), await described(service, there(caller), key.key_id)
    assert (ours.is_primary, theirs.is_primary) == (False, True)
    assert ours.replica_regions == theirs.replica_regions == (REGION,)
    assert (await service.call(there(caller), t.GetKeyRotationStatus(key.key_id))).rotation_period_days == 100
    assert (await service.call(caller, t.GetKeyRotationStatus(key.key_id))).rotation_period_days is None
    await assert_refused(
        service.call(caller, t.UpdatePrimaryRegion(key.key_id, SECOND)), "UnsupportedOperationException"
    )
    await service.call(caller, t.DisableKey(key.key_id))
    await assert_refused(service.call(there(caller), t.UpdatePrimaryRegion(key.key_id, REGION)), "DisabledException")


async def test_a_primary_waits_for_its_replicas_to_be_deleted(
    service: EmbeddedKeyService, clock: Clock, caller: Caller
) -> None:
    key = await primary(service, caller)
    await service.call(caller, t.ReplicateKey(key.key_id, SECOND))
    blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
    waiting = await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    assert (waiting.state, waiting.deletion_us) == (t.KeyState.PENDING_REPLICA_DELETION, None)
    assert (await described(service, caller, key.key_id)).pending_window_days == 7
    await assert_refused(service.call(caller, t.Decrypt(blob)), "KMSInvalidStateException")
    assert (await service.call(there(caller), t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")
    await service.call(caller, t.CancelKeyDeletion(key.key_id))
    assert (await described(service, caller, key.key_id)).state is t.KeyState.DISABLED
    await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    await service.call(there(caller), t.ScheduleKeyDeletion(key.key_id, 8))
    clock.pass_days(8)
    assert await states.destroy_expired_keys(service._core) == 1
    await assert_refused(service.call(there(caller), t.Decrypt(blob)), "NotFoundException")
    begun = await described(service, caller, key.key_id)
    assert (begun.state, begun.deletion_us) == (t.KeyState.PENDING_DELETION, clock() + 7 * 86_400_000_000)
    assert service._core.store.version(key.key_id, 1) is not None
    clock.pass_days(7)
    assert await states.destroy_expired_keys(service._core) == 1
    assert service._core.store.version(key.key_id, 1) is None

"""Imported material over time: the first, the same again, new material and its rotation, expiry at use, deletion."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.epoch import MemoryEpoch
from kms.service import importing
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import account_caller, assert_refused, encrypt, refusal
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock
from tests.kms.service.material import parameters, prepared, put

pytestmark = pytest.mark.usefixtures("one_wrapping_key")

DAY_US = 86_400_000_000
ONE, TWO, THREE = (bytes([n]) * 32 for n in (1, 2, 3))


@pytest.fixture
def caller() -> Caller:
    return account_caller()


async def external_key(service: EmbeddedKeyService, caller: Caller) -> t.KeyMetadata:
    return await service.call(caller, t.CreateKey(origin="EXTERNAL"))


async def state(service: EmbeddedKeyService, caller: Caller, key_id: str) -> t.KeyState:
    return (await service.call(caller, t.DescribeKey(key_id))).state


async def listed(service: EmbeddedKeyService, caller: Caller, key_id: str) -> list[tuple[str, str, bool | None]]:
    page = await service.call(caller, t.ListKeyRotations(key_id, all_material=True))
    return [(each.material_id, each.state, each.is_imported) for each in page.materials]


async def opened(service: EmbeddedKeyService, caller: Caller, blob: bytes) -> bytes:
    return (await service.call(caller, t.Decrypt(blob))).plaintext.reveal()


async def test_a_key_waits_for_its_material(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await external_key(service, caller)
    assert (key.state, key.enabled, key.origin, key.key_material_id) == (
        t.KeyState.PENDING_IMPORT,
        False,
        "EXTERNAL",
        None,
    )
    assert await service.call(caller, t.DescribeKey(key.key_id)) == key
    pending = f"{key.key_arn} is pending import."
    await assert_refused(service.call(caller, encrypt(key.key_id)), "KMSInvalidStateException", pending)
    done = await put(service, caller, key.key_id, ONE, description="the first")
    described = await service.call(caller, t.DescribeKey(key.key_id))
    assert described == replace(key, state=t.KeyState.ENABLED, key_material_id=done.material_id)
    sealed = await service.call(caller, encrypt(key.key_id, b"x"))
    assert (sealed.key_version, sealed.key_material_id) == (1, done.material_id)
    assert await opened(service, caller, sealed.ciphertext_blob) == b"x"


async def test_the_material_is_what_encrypts(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await external_key(service, caller)
    await put(service, caller, key.key_id, ONE)
    blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
    lease = service._core.leases.get((key.key_id, 1))
    assert lease is not None
    assert bytes(lease.key) == ONE
    assert ONE not in blob


async def test_deleted_material_opens_nothing_until_the_same_is_imported(
    service: EmbeddedKeyService, store: SQLiteKeyStore, epoch: MemoryEpoch, caller: Caller
) -> None:
    key = await external_key(service, caller)
    first = await put(service, caller, key.key_id, ONE, description="mine")
    blob = (await service.call(caller, encrypt(key.key_id, b"x"))).ciphertext_blob
    before = epoch.value
    assert await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id)) == first
    assert epoch.value > before
    assert len(service._core.leases) == 0
    version = store.version(key.key_id, 1)
    assert version is not None
    assert version.record is None
    assert await state(service, caller, key.key_id) is t.KeyState.PENDING_IMPORT
    await assert_refused(service.call(caller, t.Decrypt(blob)), "KMSInvalidStateException")
    assert await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id)) == first
    await assert_refused(put(service, caller, key.key_id, TWO), "IncorrectKeyMaterialException")
    await assert_refused(
        put(service, caller, key.key_id, ONE, import_type="NEW_KEY_MATERIAL"), "IncorrectKeyMaterialException"
    )
    await assert_refused(put(service, caller, key.key_id, ONE, material_id="ab" * 32), "IncorrectKeyMaterialException")
    assert await put(service, caller, key.key_id, ONE, material_id=first.material_id) == first
    assert await opened(service, caller, blob) == b"x"
    page = await service.call(caller, t.ListKeyRotations(key.key_id, all_material=True))
    assert page.materials[0].description == "mine"


async def test_material_expires_at_use_and_is_destroyed_by_the_sweep(
    service: EmbeddedKeyService, store: SQLiteKeyStore, clock: Clock, caller: Caller
) -> None:
    key = await external_key(service, caller)
    await put(service, caller, key.key_id, ONE, valid_to_us=clock() + DAY_US)
    blob = (await service.call(caller, encrypt(key.key_id, b"x"))).ciphertext_blob
    assert (await service.call(caller, t.DescribeKey(key.key_id))).valid_to_us == clock() + DAY_US
    clock.now_us += DAY_US - 1
    assert await opened(service, caller, blob) == b"x"
    clock.now_us += 1
    for call in (t.Decrypt(blob), encrypt(key.key_id), t.GenerateDataKey(key.key_id, 32), t.DisableKey(key.key_id)):
        await assert_refused(
            service.call(caller, call), "KMSInvalidStateException", f"{key.key_arn} is pending import."
        )
    assert await state(service, caller, key.key_id) is t.KeyState.PENDING_IMPORT
    assert [each[2] for each in await listed(service, caller, key.key_id)] == [False]
    assert await importing.expire_material(service._core) == 1
    assert await importing.expire_material(service._core) == 0
    version = store.version(key.key_id, 1)
    assert version is not None
    assert version.record is None
    assert len(service._core.leases) == 0
    await put(service, caller, key.key_id, ONE)
    assert await opened(service, caller, blob) == b"x"


async def test_expired_material_may_be_imported_again_before_it_is_swept(
    service: EmbeddedKeyService, clock: Clock, caller: Caller
) -> None:
    key = await external_key(service, caller)
    await put(service, caller, key.key_id, ONE, valid_to_us=clock() + 5)
    clock.now_us += 5
    await put(service, caller, key.key_id, ONE, valid_to_us=clock() + DAY_US)
    assert await state(service, caller, key.key_id) is t.KeyState.ENABLED
    assert await importing.expire_material(service._core) == 0


async def test_the_longest_life_is_365_days(service: EmbeddedKeyService, clock: Clock, caller: Caller) -> None:
    key = await external_key(service, caller)
    for valid_to_us in (clock(), clock() - 1, clock() + 365 * DAY_US + 1):
        await assert_refused(put(service, caller, key.key_id, ONE, valid_to_us=valid_to_us), "ValidationException")
    await assert_refused(
        put(service, caller, key.key_id, ONE, expiration_model=t.EXPIRES),
        "ValidationException",
        "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
    )
    await assert_refused(
        put(service, caller, key.key_id, ONE, expiration_model=t.DOES_NOT_EXPIRE, valid_to_us=clock() + 5),
        "ValidationException",
    )
    assert await state(service, caller, key.key_id) is t.KeyState.PENDING_IMPORT
    await put(service, caller, key.key_id, ONE, valid_to_us=clock() + 365 * DAY_US)


async def test_new_material_waits_for_its_rotation(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await external_key(service, caller)
    first = await put(service, caller, key.key_id, ONE)
    none_pending = f"No available key material pending rotation for the key: {key.key_arn}."
    await assert_refused(
        service.call(caller, t.RotateKeyOnDemand(key.key_id)), "KMSInvalidStateException", none_pending
    )
    old = (await service.call(caller, encrypt(key.key_id, b"old"))).ciphertext_blob
    new = {"import_type": "NEW_KEY_MATERIAL"}
    second = await put(service, caller, key.key_id, TWO, **new)
    assert (await service.call(caller, encrypt(key.key_id))).key_material_id == first.material_id
    assert await put(service, caller, key.key_id, TWO, **new) == second
    error = await refusal(put(service, caller, key.key_id, THREE, **new))
    assert error.code == "KMSInvalidStateException"
    assert error.message.endswith(
        f" cannot be imported into KMS key {key.key_arn}, because another key material (id: {second.material_id}) is"
        " pending rotation."
    )
    assert await listed(service, caller, key.key_id) == [
        (first.material_id, "CURRENT", True),
        (second.material_id, "PENDING_ROTATION", True),
    ]
    await service.call(caller, t.RotateKeyOnDemand(key.key_id))
    sealed = await service.call(caller, encrypt(key.key_id, b"new"))
    assert (sealed.key_version, sealed.key_material_id) == (2, second.material_id)
    assert await opened(service, caller, old) == b"old"
    await assert_refused(put(service, caller, key.key_id, ONE, **new), "IncorrectKeyMaterialException")
    # One of the materials is missing: the key is pending import, and back once all are there.
    await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id, first.material_id))
    await assert_refused(service.call(caller, t.Decrypt(sealed.ciphertext_blob)), "KMSInvalidStateException")
    assert await listed(service, caller, key.key_id) == [
        (first.material_id, "NON_CURRENT", False),
        (second.material_id, "CURRENT", True),
    ]
    assert await put(service, caller, key.key_id, ONE) == first
    assert await opened(service, caller, old) == b"old"


async def test_material_that_waits_can_be_deleted_or_expire_and_leaves_the_key_as_it_is(
    service: EmbeddedKeyService, clock: Clock, caller: Caller
) -> None:
    key = await external_key(service, caller)
    first = await put(service, caller, key.key_id, ONE)
    for remove in (True, False):
        members = {"import_type": "NEW_KEY_MATERIAL", "valid_to_us": clock() + DAY_US}
        second = await put(service, caller, key.key_id, TWO, **members)
        if remove:
            await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id, second.material_id))
        else:
            clock.now_us += DAY_US
            await assert_refused(service.call(caller, t.RotateKeyOnDemand(key.key_id)), "KMSInvalidStateException")
            assert await importing.expire_material(service._core) == 1
        assert await listed(service, caller, key.key_id) == [(first.material_id, "CURRENT", True)]
        assert await state(service, caller, key.key_id) is t.KeyState.ENABLED


async def test_deletion_of_the_key(service: EmbeddedKeyService, clock: Clock, caller: Caller) -> None:
    key = await external_key(service, caller)
    await put(service, caller, key.key_id, ONE, valid_to_us=clock() + DAY_US)
    clock.now_us += DAY_US  # expired, and not yet swept
    await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    await assert_refused(parameters(service, caller, key.key_id), "KMSInvalidStateException")
    await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id))
    assert await state(service, caller, key.key_id) is t.KeyState.PENDING_DELETION
    cancelled = await service.call(caller, t.CancelKeyDeletion(key.key_id))
    assert cancelled.state is t.KeyState.PENDING_IMPORT
    assert await state(service, caller, key.key_id) is t.KeyState.PENDING_IMPORT
    await put(service, caller, key.key_id, ONE)
    await service.call(caller, t.ScheduleKeyDeletion(key.key_id, 7))
    assert (await service.call(caller, t.CancelKeyDeletion(key.key_id))).state is t.KeyState.DISABLED


async def test_tokens_serve_one_key_for_a_day(service: EmbeddedKeyService, clock: Clock, caller: Caller) -> None:
    key, other = await external_key(service, caller), await external_key(service, caller)
    given = await parameters(service, caller, key.key_id)
    assert given.valid_to_us == clock() + DAY_US
    request = await prepared(service, caller, key.key_id, ONE)
    await assert_refused(service.call(caller, replace(request, key_id=other.key_id)), "InvalidImportTokenException")
    for token in (b"\0", request.import_token[:-1], request.import_token[:-1] + b"\0\0", os.urandom(2000)):
        await assert_refused(service.call(caller, replace(request, import_token=token)), "InvalidImportTokenException")
    for wrapped in (b"\0", os.urandom(256), request.encrypted_key_material[:-1]):
        await assert_refused(
            service.call(caller, replace(request, encrypted_key_material=wrapped)), "InvalidCiphertextException"
        )
    clock.now_us += DAY_US
    await assert_refused(service.call(caller, request), "ExpiredImportTokenException")
    clock.now_us -= 1
    assert (await service.call(caller, request)).key_arn == key.key_arn


@pytest.mark.parametrize("size", [1, 16, 31, 33, 64])
async def test_material_has_32_bytes(service: EmbeddedKeyService, caller: Caller, size: int) -> None:
    key = await external_key(service, caller)
    await assert_refused(put(service, caller, key.key_id, bytes(size)), "IncorrectKeyMaterialException")


async def test_keys_of_the_kms_take_no_material(service: EmbeddedKeyService, caller: Caller) -> None:
    key, external = await service.call(caller, t.CreateKey()), await external_key(service, caller)
    request = replace(await prepared(service, caller, external.key_id, ONE), key_id=key.key_id)
    message = f"{key.key_arn} origin is AWS_KMS which is not valid for this operation."
    for call in (
        t.GetParametersForImport(key.key_id, "RSAES_OAEP_SHA_256", "RSA_2048"),
        request,
        t.DeleteImportedKeyMaterial(key.key_id),
    ):
        await assert_refused(service.call(caller, call), "UnsupportedOperationException", message)
    for rotating in (t.EnableKeyRotation(external.key_id), t.DisableKeyRotation(external.key_id)):
        await assert_refused(
            service.call(caller, rotating),
            "UnsupportedOperationException",
            f"{external.key_arn} origin is EXTERNAL which is not valid for this operation.",
        )


@pytest.mark.parametrize(
    ("algorithm", "spec"),
    [("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "SM2"), ("RSAES_OAEP_SHA_256", "SM2")],
)
async def test_wrappings_that_are_not_offered(
    service: EmbeddedKeyService, caller: Caller, algorithm: str, spec: str
) -> None:
    key = await external_key(service, caller)
    await assert_refused(
        service.call(caller, t.GetParametersForImport(key.key_id, algorithm, spec)), "UnsupportedOperationException"
    )


async def test_of_two_first_imports_one_wins(service: EmbeddedKeyService, caller: Caller) -> None:
    key = await external_key(service, caller)
    requests = [await prepared(service, caller, key.key_id, material) for material in (ONE, TWO)]
    answers = await asyncio.gather(*(service.call(caller, each) for each in requests), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, KMSError)]
    assert [error.code for error in refused] == ["IncorrectKeyMaterialException"]
    assert len(await listed(service, caller, key.key_id)) == 1


async def test_a_restart_and_another_process_know_the_material(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock, caller: Caller
) -> None:
    async with (
        EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as service,
        EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as other,
    ):
        key = await external_key(service, caller)
        request = await prepared(other, caller, key.key_id, ONE)
        await service.call(caller, request)
        blob = (await other.call(caller, encrypt(key.key_id, b"x"))).ciphertext_blob
        await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id))
        await assert_refused(other.call(caller, t.Decrypt(blob)), "KMSInvalidStateException")
        await other.call(caller, request)
    async with EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as service:
        assert (await service.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"x")


async def test_regions_share_their_material(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock, caller: Caller
) -> None:
    there = replace(caller, region="eu-central-1")
    settings = replace(SETTINGS, other_regions=("eu-central-1",))
    async with EmbeddedKeyService(store, root, epoch, settings, clock_us=clock) as service:
        key = await service.call(caller, t.CreateKey(origin="EXTERNAL", multi_region=True))
        await put(service, caller, key.key_id, ONE)
        await service.call(caller, t.ReplicateKey(key.key_id, "eu-central-1"))
        blob = (await service.call(there, encrypt(key.key_id, b"x"))).ciphertext_blob
        assert await opened(service, caller, blob) == b"x"
        await assert_refused(
            put(service, there, key.key_id, TWO, import_type="NEW_KEY_MATERIAL"), "UnsupportedOperationException"
        )
        request = await prepared(service, caller, key.key_id, ONE)
        await assert_refused(service.call(there, request), "InvalidImportTokenException")
        await service.call(there, t.DeleteImportedKeyMaterial(key.key_id))
        for each in (caller, there):
            assert await state(service, each, key.key_id) is t.KeyState.PENDING_IMPORT
        await put(service, there, key.key_id, ONE)
        for each in (caller, there):
            assert await opened(service, each, blob) == b"x"


async def test_material_of_protection_hsm(service: EmbeddedKeyService, root: MemoryRoot, caller: Caller) -> None:
    root.offer_hsm()
    key = await service.call(caller, t.CreateKey(origin="EXTERNAL", custom_key_store_id="hsm"))
    await put(service, caller, key.key_id, ONE)
    blob = (await service.call(caller, encrypt(key.key_id, b"x"))).ciphertext_blob
    assert await opened(service, caller, blob) == b"x"
    assert ONE not in root.unwrapped
    await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id))
    await assert_refused(service.call(caller, t.Decrypt(blob)), "KMSInvalidStateException")


async def test_deleted_material_comes_back_under_another_root(
    store: SQLiteKeyStore, root: MemoryRoot, epoch: MemoryEpoch, clock: Clock, caller: Caller
) -> None:
    async with EmbeddedKeyService(store, root, epoch, SETTINGS, clock_us=clock) as service:
        key = await external_key(service, caller)
        first = await put(service, caller, key.key_id, ONE)
        blob = (await service.call(caller, encrypt(key.key_id, b"x"))).ciphertext_blob
        await service.call(caller, t.DeleteImportedKeyMaterial(key.key_id))
        request = await prepared(service, caller, key.key_id, ONE)
    async with EmbeddedKeyService(store, MemoryRoot(), epoch, SETTINGS, clock_us=clock) as service:
        await assert_refused(service.call(caller, request), "InvalidImportTokenException")
        await assert_refused(put(service, caller, key.key_id, TWO), "IncorrectKeyMaterialException")
        assert await put(service, caller, key.key_id, ONE) == first
        assert await opened(service, caller, blob) == b"x"

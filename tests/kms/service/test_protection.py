"""Keys of protection hsm through the service: chosen how, used how often, let go when."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError
from kms.api.secrets import SecretBytes
from kms.epoch import MemoryEpoch
from kms.hsm.interface import Protection, RootUnavailable
from kms.keys.ciphertext import open_blob
from kms.keys.context import canonical_context
from kms.keys.record_format import parse_header
from kms.service.protection import TAG_KEY
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import account_caller, encrypt
from tests.kms.roots import MemoryKey, MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock
from tests.kms.services import until

HSM = (t.Tag(TAG_KEY, "hsm"),)


@pytest.fixture
def caller() -> Caller:
    return account_caller()


@pytest.fixture
def root(root: MemoryRoot) -> MemoryRoot:
    root.offer_hsm()
    return root


async def make_key(service: EmbeddedKeyService, caller: Caller) -> t.KeyMetadata:
    return await service.call(caller, t.CreateKey(tags=HSM))


def material_of(root: MemoryRoot) -> bytes:
    """The bytes of the key that was held last: a root in memory can tell."""
    return root.held[-1]._key


CHOICES: list[tuple[str | None, str | None, str, str]] = [
    (None, None, "software", "software"),
    (None, None, "hsm", "hsm"),
    ("hsm", None, "software", "hsm"),
    ("software", None, "hsm", "software"),
    (None, "hsm", "software", "hsm"),
    (None, "software", "hsm", "software"),
    ("hsm", "hsm", "software", "hsm"),
    ("HSM", None, "software", "TagException"),
    ("", None, "software", "TagException"),
    (None, "cks-1234567890abcdef0", "software", "CustomKeyStoreNotFoundException"),
    ("software", "hsm", "software", "ValidationException"),
]


@pytest.mark.parametrize(("tag", "store_id", "default", "expected"), CHOICES)
async def test_how_a_key_chooses_its_protection(
    store: SQLiteKeyStore,
    root: MemoryRoot,
    caller: Caller,
    *,
    tag: str | None,
    store_id: str | None,
    default: str,
    expected: str,
) -> None:
    tags = () if tag is None else (t.Tag(TAG_KEY, tag),)
    request = t.CreateKey(tags=tags, custom_key_store_id=store_id)
    settings = replace(SETTINGS, protection=default)
    async with EmbeddedKeyService(store, root, MemoryEpoch(), settings) as service:
        if expected.endswith("Exception"):
            with pytest.raises(KMSError) as caught:
                await service.call(caller, request)
            assert caught.value.code == expected
            return
        key = await service.call(caller, request)
        assert key.protection == expected
        stored = store.version(key.key_id, 1)
        assert stored is not None and stored.record is not None
        assert parse_header(stored.record).protection is Protection(expected)


async def test_a_root_without_it_refuses_and_says_why(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    root.strict_identity = None
    with pytest.raises(KMSError) as caught:
        await make_key(service, caller)
    assert caught.value.code == "UnsupportedOperationException"
    assert "protection hsm" in caught.value.message
    assert (await service.health()).state is t.HealthState.READY


async def test_one_call_of_the_hsm_for_each_data_key_and_none_in_software(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    for tags, expected in ((HSM, 10), ((), 0)):
        key = await service.call(caller, t.CreateKey(tags=tags))
        await service.call(caller, encrypt(key.key_id))  # takes the lease
        before = root.calls.copy()
        for _ in range(10):
            await service.call(caller, t.GenerateDataKey(key.key_id, 32))
        made = {name: count - before.get(name, 0) for name, count in root.calls.items() if name != "check"}
        assert sum(made.values()) == made.get("held_mac", 0) == expected


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
async def test_an_hmac_key_is_made_and_used_inside(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, bits: int
) -> None:
    made = t.CreateKey(tags=HSM, key_spec=f"HMAC_{bits}", key_usage="GENERATE_VERIFY_MAC")
    key = await service.call(caller, made)
    request = t.GenerateMac(key.key_id, SecretBytes(b"message"), f"HMAC_SHA_{bits}")
    mac = (await service.call(caller, request)).mac
    assert mac == hmac.digest(material_of(root), b"message", f"sha{bits}")
    assert await service.call(caller, t.VerifyMac(key.key_id, SecretBytes(b"message"), mac, f"HMAC_SHA_{bits}"))
    assert root.calls.get("random", 0) == 0  # where a key of protection software comes from
    assert root.unwrapped == []


async def test_an_imported_key_that_no_hsm_would_hold_is_refused_before_its_import(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    root.strict_identity = None
    for parameters in ({}, {"key_spec": "HMAC_256", "key_usage": "GENERATE_VERIFY_MAC"}):
        with pytest.raises(KMSError) as caught:
            await service.call(caller, t.CreateKey(tags=HSM, origin="EXTERNAL", **parameters))
        assert caught.value.code == "UnsupportedOperationException"


async def test_the_blob_is_what_software_makes_of_the_same_key(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    key = await make_key(service, caller)
    context = {"purpose": "test"}
    data_key = await service.call(caller, t.GenerateDataKey(key.key_id, 32, context))
    blob = data_key.ciphertext.ciphertext_blob
    assert SecretBytes(open_blob(material_of(root), blob, context=canonical_context(context))) == data_key.plaintext
    opened = await service.call(caller, t.Decrypt(blob, encryption_context=context))
    assert opened.plaintext == data_key.plaintext
    assert root.unwrapped == []  # its bytes never left


async def test_a_rotated_key_stays_inside(
    service: EmbeddedKeyService, store: SQLiteKeyStore, root: MemoryRoot, caller: Caller
) -> None:
    key = await make_key(service, caller)
    blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
    await service.call(caller, t.RotateKeyOnDemand(key.key_id))
    again = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
    for version in (1, 2):
        stored = store.version(key.key_id, version)
        assert stored is not None and stored.record is not None
        assert parse_header(stored.record).protection is Protection.HSM
    for one in (blob, again):
        assert (await service.call(caller, t.Decrypt(one))).plaintext == SecretBytes(b"plaintext")
    assert root.unwrapped == []


@pytest.mark.parametrize("position", [0, 2, 20, 30, 60, 90, -1])
async def test_a_changed_blob_is_invalid_as_any_other(
    service: EmbeddedKeyService, caller: Caller, position: int
) -> None:
    key = await make_key(service, caller)
    changed = bytearray((await service.call(caller, encrypt(key.key_id))).ciphertext_blob)
    changed[position] ^= 1
    with pytest.raises(KMSError) as caught:
        await service.call(caller, t.Decrypt(bytes(changed)))
    assert (caught.value.code, caught.value.message) == ("InvalidCiphertextException", "")


async def test_a_lease_that_ends_lets_the_key_go(service: EmbeddedKeyService, root: MemoryRoot, caller: Caller) -> None:
    now = 1000.0
    leases = service._core.leases
    leases._clock = lambda: now
    key = await make_key(service, caller)
    await service.call(caller, encrypt(key.key_id))
    (held,) = root.held
    now += SETTINGS.lease_seconds + 1
    leases.drop_expired()
    await until(lambda: held.is_closed)
    await service.call(caller, encrypt(key.key_id))
    assert [one.is_closed for one in root.held] == [True, False]


async def test_no_more_keys_are_held_than_a_token_has_room_for(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms.service.leases.MAX_HELD", 3)
    outside = await service.call(caller, t.CreateKey())
    await service.call(caller, encrypt(outside.key_id))
    keys = [await make_key(service, caller) for _ in range(5)]
    for key in keys:
        await service.call(caller, encrypt(key.key_id))
    await until(lambda: sum(held.is_closed for held in root.held) == 2)
    assert [held.is_closed for held in root.held] == [True, True, False, False, False]
    assert len(service._core.leases) == 4  # those in software have room of their own
    await service.call(caller, encrypt(keys[0].key_id))
    await until(lambda: root.held[2].is_closed)


async def test_disabling_lets_the_key_go(service: EmbeddedKeyService, root: MemoryRoot, caller: Caller) -> None:
    key = await make_key(service, caller)
    await service.call(caller, encrypt(key.key_id))
    await service.call(caller, t.DisableKey(key.key_id))
    await until(lambda: all(held.is_closed for held in root.held))


@pytest.fixture
async def while_deriving(root: MemoryRoot, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[[object], None]]:
    """Has something happen, once, while the HSM derives: awaited on the service's loop."""
    loop = asyncio.get_running_loop()
    waiting: list[object] = []
    derive = MemoryKey.mac

    def mac(self: MemoryKey, message: bytes, hash_name: str = "sha256") -> bytes:
        if waiting:
            coroutine = waiting.pop()
            assert asyncio.iscoroutine(coroutine)
            asyncio.run_coroutine_threadsafe(coroutine, loop).result(10)
        return derive(self, message, hash_name)

    monkeypatch.setattr(MemoryKey, "mac", mac)
    yield waiting.append
    assert not waiting


async def test_a_key_disabled_while_the_hsm_derives_is_not_used(
    service: EmbeddedKeyService, caller: Caller, while_deriving: Callable[[object], None]
) -> None:
    key = await make_key(service, caller)
    await service.call(caller, encrypt(key.key_id))
    while_deriving(service.call(caller, t.DisableKey(key.key_id)))
    with pytest.raises(KMSError) as caught:
        await service.call(caller, encrypt(key.key_id))
    assert caught.value.code == "DisabledException"


async def test_a_key_let_go_while_in_use_is_held_again(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, while_deriving: Callable[[object], None]
) -> None:
    key = await make_key(service, caller)
    await service.call(caller, encrypt(key.key_id))

    async def drop() -> None:
        service._core.leases.drop(key.key_id)
        await until(lambda: root.held[0].is_closed)

    while_deriving(drop())
    blob = (await service.call(caller, encrypt(key.key_id))).ciphertext_blob
    assert len(root.held) == 2
    assert (await service.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")
    assert (await service.health()).state is t.HealthState.READY


async def test_an_hsm_that_is_gone_ends_the_use_at_once(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    """Not at the lease's end, as in software: there is nothing in memory to go on with."""
    inside = await make_key(service, caller)
    outside = await service.call(caller, t.CreateKey())
    for key in (inside, outside):
        await service.call(caller, encrypt(key.key_id))
    root.failure = RootUnavailable("pulled")
    await service.call(caller, encrypt(outside.key_id))
    with pytest.raises(KMSError) as caught:
        await service.call(caller, encrypt(inside.key_id))
    assert caught.value.code == "KeyUnavailableException"
    root.failure = None
    await service.call(caller, encrypt(inside.key_id))


async def test_closing_the_service_forgets_held_keys(
    store: SQLiteKeyStore, root: MemoryRoot, clock: Clock, caller: Caller
) -> None:
    async with EmbeddedKeyService(store, root, MemoryEpoch(), SETTINGS, clock_us=clock) as service:
        key = await make_key(service, caller)
        await service.call(caller, encrypt(key.key_id))
        leases = service._core.leases
        assert len(leases) == 1
    assert len(leases) == 0

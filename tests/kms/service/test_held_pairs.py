"""Key pairs of protection hsm through the service: what the HSM does, what needs none, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Awaitable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.hsm.interface import PairKind, RootUnavailable
from kms.keys.held_pairs import PAIR_KINDS
from kms.keys.record_format import parse_header
from kms.keys.specs import KEY_AGREEMENT, SIGN_VERIFY, SPECS
from kms.service.protection import TAG_KEY
from kms.service.service import EmbeddedKeyService
from kms.store.sqlite import SQLiteKeyStore
from tests.conformance.key_service import account_caller, assert_refused
from tests.kms.roots import MemoryPrivateKey, MemoryRoot
from tests.kms.service.conftest import SETTINGS
from tests.kms.services import until

HSM = (t.Tag(TAG_KEY, "hsm"),)
MESSAGE = SecretBytes(b"net 30 days")
USES = [
    (spec, usage) for spec in PAIR_KINDS for usage in SPECS[spec].algorithms if spec not in {"RSA_3072", "RSA_4096"}
]


@pytest.fixture
def caller() -> Caller:
    return account_caller()


@pytest.fixture
def root(root: MemoryRoot) -> MemoryRoot:
    root.offer_hsm()
    return root


async def make_pair(
    service: EmbeddedKeyService, caller: Caller, spec: str = "ECC_NIST_P256", usage: str = SIGN_VERIFY, **more: Any
) -> str:
    made = await service.call(caller, t.CreateKey(tags=HSM, key_spec=spec, key_usage=usage, **more))
    assert made.protection == "hsm"
    return made.key_id


def sign(key_id: str, algorithm: str = "ECDSA_SHA_256") -> t.Sign:
    return t.Sign(key_id, MESSAGE, algorithm)


def verify(key_id: str, signature: bytes, algorithm: str = "ECDSA_SHA_256") -> t.Verify:
    return t.Verify(key_id, MESSAGE, signature, algorithm)


async def public_key_of(service: EmbeddedKeyService, caller: Caller, key_id: str) -> Any:
    return load_der_public_key((await service.call(caller, t.GetPublicKey(key_id))).public_key)


@pytest.mark.parametrize(("spec", "usage"), USES)
async def test_the_private_half_is_used_inside_and_the_public_one_outside(
    service: EmbeddedKeyService, store: SQLiteKeyStore, root: MemoryRoot, caller: Caller, spec: str, usage: str
) -> None:
    key_id = await make_pair(service, caller, spec, usage)
    stored = store.version(key_id, 1)
    assert stored is not None and stored.record is not None
    assert parse_header(stored.record).is_pair
    public = await public_key_of(service, caller, key_id)
    for algorithm in SPECS[spec].algorithms[usage]:
        before = root.calls.copy()
        if usage == SIGN_VERIFY:
            digest = hashlib.new("sha" + algorithm[-3:], MESSAGE.reveal()).digest()
            by_digest = t.Sign(key_id, SecretBytes(digest), algorithm, "DIGEST")
            for request in (sign(key_id, algorithm), by_digest):
                signature = (await service.call(caller, request)).signature
                await service.call(caller, verify(key_id, signature, algorithm))
                wrong = bytes([*signature[:-1], signature[-1] ^ 1])
                await assert_refused(
                    service.call(caller, verify(key_id, wrong, algorithm)), "KMSInvalidSignatureException"
                )
            assert root.calls["held_sign"] == before["held_sign"] + 2
        elif usage == KEY_AGREEMENT:
            peer = ec.generate_private_key(public.curve)
            spki = peer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            agreed = await service.call(caller, t.DeriveSharedSecret(key_id, algorithm, spki))
            assert agreed.shared_secret == SecretBytes(peer.exchange(ec.ECDH(), public))
        else:
            sealed = (await service.call(caller, t.Encrypt(key_id, MESSAGE, {}, algorithm))).ciphertext_blob
            opened = t.Decrypt(sealed, key_id, {}, algorithm)
            assert (await service.call(caller, opened)).plaintext == MESSAGE
            assert root.calls["held_decrypt"] == before["held_decrypt"] + 1
            for wrong in (sealed[:-1], bytes(len(sealed))):
                refused = service.call(caller, t.Decrypt(wrong, key_id, {}, algorithm))
                await assert_refused(refused, "InvalidCiphertextException", "")
    assert root.unwrapped == []  # nothing was opened to bytes


async def test_what_needs_the_public_key_alone_goes_on_without_the_hsm(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    signer = await make_pair(service, caller)
    signature = (await service.call(caller, sign(signer))).signature
    sealer = await make_pair(service, caller, "RSA_2048", "ENCRYPT_DECRYPT")
    for key_id in (signer, sealer):
        await service.call(caller, t.GetPublicKey(key_id))
    encrypt = t.Encrypt(sealer, MESSAGE, {}, "RSAES_OAEP_SHA_256")
    before = root.calls.copy()
    root.failure = RootUnavailable("pulled")
    await service.call(caller, verify(signer, signature))
    await service.call(caller, t.GetPublicKey(signer))
    sealed = (await service.call(caller, encrypt)).ciphertext_blob
    assert root.calls == before
    decrypt = t.Decrypt(sealed, sealer, {}, "RSAES_OAEP_SHA_256")
    for request in (sign(signer), decrypt):
        with pytest.raises(KMSUnavailable):
            await service.call(caller, request)  # type: ignore[arg-type]
    root.failure = None
    await service.call(caller, verify(signer, (await service.call(caller, sign(signer))).signature))
    assert (await service.call(caller, decrypt)).plaintext == MESSAGE


async def test_a_disabled_key_verifies_nothing_though_its_public_key_is_known(
    service: EmbeddedKeyService, caller: Caller
) -> None:
    key_id = await make_pair(service, caller)
    signature = (await service.call(caller, sign(key_id))).signature
    await service.call(caller, verify(key_id, signature))
    await service.call(caller, t.DisableKey(key_id))
    requests: list[Any] = [verify(key_id, signature), t.GetPublicKey(key_id), sign(key_id)]
    for request in requests:
        await assert_refused(service.call(caller, request), "DisabledException")


@pytest.mark.parametrize(
    ("spec", "usage", "lacks"),
    [
        ("RSA_2048", "ENCRYPT_DECRYPT", "sha256"),
        ("RSA_2048", "SIGN_VERIFY", "rsa-pss"),
        ("ECC_NIST_P256", "SIGN_VERIFY", "ecdsa"),
        ("ECC_NIST_P384", "KEY_AGREEMENT", "ecdh"),
    ],
)
async def test_a_key_that_the_hsm_could_use_for_half_of_it_is_not_made(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, spec: str, usage: str, lacks: str
) -> None:
    root.lacks = {lacks}
    with pytest.raises(KMSError) as caught:
        await make_pair(service, caller, spec, usage)
    assert caught.value.code == "UnsupportedOperationException"
    assert lacks in caught.value.message and "can only be software" in caught.value.message
    assert (await service.call(caller, t.ListKeys())).keys == ()
    assert (await service.health()).state is t.HealthState.READY
    assert all(held.is_closed for held in root.held_private)
    with pytest.raises(KMSError):
        await make_pair(service, caller, spec, usage, origin="EXTERNAL")


@pytest.mark.parametrize("spec", ["ECC_NIST_EDWARDS25519", "ML_DSA_65"])
async def test_a_spec_that_no_hsm_holds_is_refused(service: EmbeddedKeyService, caller: Caller, spec: str) -> None:
    with pytest.raises(KMSError) as caught:
        await make_pair(service, caller, spec)
    assert caught.value.code == "UnsupportedOperationException"
    assert spec in caught.value.message


async def test_a_pair_is_let_go_at_the_end_of_its_lease(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller
) -> None:
    now = 1000.0
    leases = service._core.leases
    leases._clock = lambda: now
    key_id = await make_pair(service, caller)
    await service.call(caller, sign(key_id))
    held = root.held_private[-1]
    assert not held.is_closed
    now += SETTINGS.lease_seconds + 1
    leases.drop_expired()
    await until(lambda: held.is_closed)
    await service.call(caller, sign(key_id))
    await service.call(caller, t.DisableKey(key_id))
    await until(lambda: all(held.is_closed for held in root.held_private))


async def test_a_pair_let_go_while_it_signs_is_held_again(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = await make_pair(service, caller)
    await service.call(caller, sign(key_id))
    entered: list[MemoryPrivateKey] = []
    enter = MemoryPrivateKey._enter

    def let_go(self: MemoryPrivateKey, name: str, needed: str) -> None:
        if not entered:
            self.close()
            service._core.leases._leases.clear()
        entered.append(self)
        enter(self, name, needed)

    monkeypatch.setattr(MemoryPrivateKey, "_enter", let_go)
    signature = (await service.call(caller, sign(key_id))).signature
    await service.call(caller, verify(key_id, signature))
    assert len(entered) == 2 and entered[0] is not entered[1]


async def test_a_key_disabled_while_the_hsm_signs_has_signed_nothing(
    service: EmbeddedKeyService, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_id = await make_pair(service, caller)
    await service.call(caller, sign(key_id))
    loop, enter = asyncio.get_running_loop(), MemoryPrivateKey._enter

    def disable(self: MemoryPrivateKey, name: str, needed: str) -> None:
        enter(self, name, needed)
        disabling: Awaitable[object] = service.call(caller, t.DisableKey(key_id))
        assert asyncio.iscoroutine(disabling)
        asyncio.run_coroutine_threadsafe(disabling, loop).result(10)

    monkeypatch.setattr(MemoryPrivateKey, "_enter", disable)
    await assert_refused(service.call(caller, sign(key_id)), "DisabledException")


async def test_two_pairs_are_made_at_once_and_others_are_served_meanwhile(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = await make_pair(service, caller)
    go_on, entered = threading.Event(), []
    generate = MemoryPrivateKey.generate

    def slowly(kind: PairKind) -> Any:
        entered.append(kind)
        assert go_on.wait(30)
        return generate(kind)

    monkeypatch.setattr(MemoryPrivateKey, "generate", staticmethod(slowly))
    making = [asyncio.create_task(make_pair(service, caller)) for _ in range(12)]
    await until(lambda: len(entered) == 2)
    await service.call(caller, sign(signer))
    hmac_key = await service.call(caller, t.CreateKey(tags=HSM, key_spec="HMAC_256", key_usage="GENERATE_VERIFY_MAC"))
    assert hmac_key.protection == "hsm"
    assert len(entered) == 2
    go_on.set()
    assert len(set(await asyncio.gather(*making))) == 12


async def test_public_keys_are_forgotten_beyond_a_bound(
    service: EmbeddedKeyService, root: MemoryRoot, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kms.service.public_keys.MAX_PUBLIC_KEYS", 2)
    keys = [await make_pair(service, caller) for _ in range(3)]
    for key_id in keys:
        await service.call(caller, t.GetPublicKey(key_id))
    before = root.calls["mac"]
    await service.call(caller, t.GetPublicKey(keys[2]))
    assert root.calls["mac"] == before
    await service.call(caller, t.GetPublicKey(keys[0]))
    assert root.calls["mac"] == before + 1
    assert len(service._core.public_keys._known) == 2


async def test_the_public_key_of_a_changed_record_is_not_told(
    service: EmbeddedKeyService, store: SQLiteKeyStore, caller: Caller
) -> None:
    """Whoever writes to the key store cannot have others encrypt for him, or take his signatures for the key's."""
    key_id = await make_pair(service, caller, "RSA_2048", "ENCRYPT_DECRYPT")
    stored = store.version(key_id, 1)
    assert stored is not None and stored.record is not None
    mine = rsa.generate_private_key(65537, 2048).public_key()
    spki = mine.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    forged = stored.record[: -32 - len(spki)] + spki + stored.record[-32:]
    assert len(forged) == len(stored.record)
    with store._database.transaction() as connection:
        connection.execute("UPDATE kms_key_version SET record = ? WHERE key_id = ?", (forged, key_id))
    for request in (t.GetPublicKey(key_id), t.Encrypt(key_id, MESSAGE, {}, "RSAES_OAEP_SHA_256")):
        await assert_refused(service.call(caller, request), "KMSInternalException")  # type: ignore[arg-type]

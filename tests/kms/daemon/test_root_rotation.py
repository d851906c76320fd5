"""The root rotated while kmsd serves: killed at every step, done again, and every ciphertext of before opens after."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from iam.principals import Caller
from kms.api import types as t
from kms.api.secrets import SecretBytes
from kms.client import KMSClient
from kms.daemon.settings import RootSettings
from kms.hsm.provision import find_softhsm
from tests.conformance.key_service import account_caller, encrypt
from tests.kms.daemon.conftest import REPOSITORY, Kmsd

MakeKmsd = Callable[..., Kmsd]

KEYS = 4
OWN = 2
"""Records beside those keys: of the gateway's own key, and of the one that seals rows."""
BATCH = 2

KINDS = [
    pytest.param("pkcs11", marks=[pytest.mark.hsm, pytest.mark.skipif(find_softhsm() is None, reason="no SoftHSM2")]),
    pytest.param("file"),
]


@pytest.fixture
def caller() -> Caller:
    return account_caller()


@asynccontextmanager
async def client_of(kmsd: Kmsd) -> AsyncIterator[KMSClient]:
    client = KMSClient(kmsd.socket_path, call_seconds=30)
    try:
        yield client
    finally:
        await client.close()


@dataclass(frozen=True)
class Rotation:
    """What `tests.kms.daemon.rotate` did; `answer` is empty when it was killed."""

    status: int
    answer: dict[str, Any]


def rotate(kmsd: Kmsd, *more: str, die_at: int = 0, target: RootSettings | None = None) -> Rotation:
    order = [kmsd.settings.root] + ([target] if target is not None else [])
    result = subprocess.run(
        [sys.executable, "-m", "tests.kms.daemon.rotate", str(kmsd.settings.keys_path), str(die_at), str(BATCH), *more],
        input=msgspec.json.encode(order, enc_hook=str),
        capture_output=True,
        cwd=REPOSITORY,
        timeout=120,
        check=False,
    )
    if result.returncode not in (0, -signal.SIGKILL):
        pytest.fail(result.stderr.decode())
    return Rotation(result.returncode, json.loads(result.stdout) if result.returncode == 0 else {})


async def make_blobs(client: KMSClient, caller: Caller, count: int = KEYS) -> list[bytes]:
    keys = [await client.call(caller, t.CreateKey()) for _ in range(count)]
    return [(await client.call(caller, encrypt(key.key_id))).ciphertext_blob for key in keys]


async def all_open(client: KMSClient, caller: Caller, blobs: list[bytes]) -> None:
    for blob in blobs:
        assert (await client.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")


@pytest.mark.parametrize("kind", KINDS)
async def test_every_record_moves_while_keys_are_in_use(make_kmsd: MakeKmsd, caller: Caller, kind: str) -> None:
    kmsd = make_kmsd(kind=kind, lease_seconds=0.02)
    kmsd.start()
    async with client_of(kmsd) as client:
        blobs = await make_blobs(client, caller)
        rotating = asyncio.create_task(asyncio.to_thread(rotate, kmsd))
        during: list[bytes] = []
        while not rotating.done():
            await all_open(client, caller, blobs)
            during += await make_blobs(client, caller, 1)
        answer = (await rotating).answer
        # Made after kmsd was seen to use the new root, and before: all are under it, or will be after one more turn.
        during += await make_blobs(client, caller, 1)
        await all_open(client, caller, blobs + during)
        assert (answer["unreadable"], len(answer["states"])) == (0, 2)
        again = rotate(kmsd, "remove").answer
        assert again["current"] == answer["current"]
        assert set(again["under"]) == {answer["current"]}
        assert again["under"][answer["current"]] == KEYS + len(during) + OWN
        assert sorted(again["states"].values()) == ["current", "retired"]
        assert (list(again["failed"]), len(again["destroyed"])) == ([], 1)
        await all_open(client, caller, blobs + during)
        await asyncio.to_thread(kmsd.stop)
        await asyncio.to_thread(kmsd.start)
        await all_open(client, caller, blobs + during)
        during += await make_blobs(client, caller, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
async def test_killed_before_every_step_it_is_resumed(make_kmsd: MakeKmsd, caller: Caller, kind: str) -> None:
    kmsd = make_kmsd(kind=kind, lease_seconds=0.02)
    kmsd.start()
    async with client_of(kmsd) as client:
        blobs = await make_blobs(client, caller)
        kills = 0
        while (killed := await asyncio.to_thread(rotate, kmsd, die_at=kills + 1)).status != 0:
            kills += 1
            await all_open(client, caller, blobs)
            finished = (await asyncio.to_thread(rotate, kmsd, "remove")).answer
            assert (finished["unreadable"], finished["failed"]) == (0, {})
            assert set(finished["under"]) == {finished["current"]}, f"killed before step {kills}"
            assert set(finished["states"].values()) <= {"current", "retired"}
            await all_open(client, caller, blobs)
        assert killed.answer["steps"][:5] == ["prepare", "make", "switch", "switched", "batch"]
        assert kills == len(killed.answer["steps"])
        # And so for the end of the older root: killed before it is retired, and before its keys are destroyed.
        for die_at in (1, 2):
            assert (await asyncio.to_thread(rotate, kmsd, "remove", die_at=die_at)).status == -signal.SIGKILL
            await all_open(client, caller, blobs)
        assert len((await asyncio.to_thread(rotate, kmsd, "remove")).answer["destroyed"]) == 1
        await asyncio.to_thread(kmsd.stop, signal.SIGKILL)
        await asyncio.to_thread(kmsd.start)
        await all_open(client, caller, blobs)


@pytest.mark.parametrize("kind", KINDS)
async def test_rotated_twice_and_nothing_is_lost(make_kmsd: MakeKmsd, caller: Caller, kind: str) -> None:
    kmsd = make_kmsd(kind=kind).start()
    async with client_of(kmsd) as client:
        blobs = await make_blobs(client, caller)
    assert kmsd.stop() == 0
    first, second = rotate(kmsd).answer, rotate(kmsd).answer
    assert first["current"] != second["current"]
    assert second["moved"] == first["moved"] == KEYS + OWN
    assert sorted(second["states"].values()) == ["current", "older", "older"]
    assert len(rotate(kmsd, "remove").answer["destroyed"]) == 2
    kmsd.start()
    async with client_of(kmsd) as client:
        await all_open(client, caller, blobs)


@pytest.mark.hsm
@pytest.mark.skipif(find_softhsm() is None, reason="no SoftHSM2")
async def test_a_file_root_moves_into_a_token(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd, other = make_kmsd(kind="file").start(), make_kmsd(kind="pkcs11")
    # The other's token, in which its own root lies as well: labels may be shared, ids are not.
    target = replace(other.settings.root, uri=other.settings.root.uri.replace("object=sealgate-root", "object=moved"))
    async with client_of(kmsd) as client:
        blobs = await make_blobs(client, caller)
        answer = await asyncio.to_thread(rotate, kmsd, target=target)
        assert answer.answer["moved"] == KEYS + OWN
        kmsd.stop()
        rotate(kmsd, "remove")
        assert kmsd.settings.root.root_file is not None
        assert not kmsd.settings.root.root_file.exists()
        kmsd.start()
        await all_open(client, caller, blobs)
        await make_blobs(client, caller, 1)


@pytest.mark.hsm
@pytest.mark.skipif(find_softhsm() is None, reason="no SoftHSM2")
async def test_what_never_leaves_the_hsm_keeps_its_root(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd(kind="pkcs11", lease_seconds=0.02).start()
    async with client_of(kmsd) as client:
        held = await client.call(caller, t.CreateKey(tags=(t.Tag("sealgate:protection", "hsm"),)))
        blobs = [(await client.call(caller, encrypt(held.key_id))).ciphertext_blob, *await make_blobs(client, caller)]
        answers = [await held_answer(client, caller, *each) for each in HELD]
        first = (await asyncio.to_thread(rotate, kmsd)).answer
        older = next(root_id for root_id, state in first["states"].items() if state == "older")
        assert (first["moved"], first["under"][older]) == (KEYS + OWN, 1 + len(HELD))
        removed = (await asyncio.to_thread(rotate, kmsd, "remove")).answer
        assert (removed["destroyed"], removed["states"][older]) == ({}, "older")
        await all_open(client, caller, blobs)
        kmsd.stop()
        kmsd.start()
        await all_open(client, caller, blobs)
        for request, answer in answers:
            assert await client.call(caller, request) == answer
        for each in HELD:  # and new ones are made under the new root
            await held_answer(client, caller, *each)


HELD = [("RSA_2048", "SIGN_VERIFY"), ("ECC_NIST_P256", "KEY_AGREEMENT"), ("HMAC_512", "GENERATE_VERIFY_MAC")]
PEER = ec.generate_private_key(ec.SECP256R1()).public_key()


async def held_answer(client: KMSClient, caller: Caller, spec: str, usage: str) -> tuple[t.Request[Any], object]:
    """What a new key of protection hsm answers, always the same, and to what."""
    made = await client.call(caller, t.CreateKey(key_spec=spec, key_usage=usage, custom_key_store_id="hsm"))
    message = SecretBytes(b"message")
    request: t.Request[Any]
    match usage:
        case "SIGN_VERIFY":
            request = t.Sign(made.key_id, message, "RSASSA_PKCS1_V1_5_SHA_256")
        case "KEY_AGREEMENT":
            peer = PEER.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            request = t.DeriveSharedSecret(made.key_id, "ECDH", peer)
        case _:
            request = t.GenerateMac(made.key_id, message, "HMAC_SHA_512")
    return request, await client.call(caller, request)

"""kmsd, a process, over a token whose module goes wrong on command: it answers or refuses soon, and heals by itself."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.client import KMSClient
from kms.hsm.provision import find_softhsm
from kms.service.root_calls import THREADS
from tests.conformance.key_service import account_caller, encrypt, refusal
from tests.hsm_faults.build import build, find_compiler
from tests.hsm_faults.codes import CKR, CREDENTIALS, LOSSES
from tests.hsm_faults.control import EVERY, Faults
from tests.kms.daemon.conftest import Kmsd
from tests.kms.daemon.provision import PIN

pytestmark = pytest.mark.hsm

MakeFaultyKmsd = Callable[..., tuple[Kmsd, Faults]]

MANY = 200


@pytest.fixture(scope="session")
def fault_module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = find_compiler()
    if compiler is None:
        pytest.skip("no C compiler, and no ziglang package")
    return build(compiler, tmp_path_factory.mktemp("faults"))


@pytest.fixture
def make_faulty_kmsd(make_kmsd: Callable[..., Kmsd], fault_module: Path, tmp_path: Path) -> Iterator[MakeFaultyKmsd]:
    """kmsd over a token of SoftHSM2's behind the faulty module, not started yet, and what that module obeys."""
    softhsm = find_softhsm()
    if softhsm is None:
        pytest.skip("SoftHSM2 is not installed")
    made: list[Faults] = []

    def make(**changes: object) -> tuple[Kmsd, Faults]:
        kmsd = make_kmsd(**changes)
        root = kmsd.settings.root
        uri = root.uri.replace(str(softhsm.resolve()), str(fault_module)).replace(str(softhsm), str(fault_module))
        kmsd.settings = replace(kmsd.settings, root=replace(root, uri=uri))
        made.append(Faults(tmp_path / f"control-{len(made)}"))
        kmsd.environment = made[-1].environment(softhsm)
        return kmsd, made[-1]

    yield make
    for faults in made:
        faults.heal()


@asynccontextmanager
async def client_of(kmsd: Kmsd) -> AsyncIterator[KMSClient]:
    client = KMSClient(kmsd.socket_path, call_seconds=30)
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def caller() -> Caller:
    return account_caller()


async def until(condition: Callable[[], bool]) -> None:
    """What another process does shows in memory, and rings no bell."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.002)


async def wait_for_state(client: KMSClient, state: t.HealthState) -> None:
    async with asyncio.timeout(60):
        while (await client.health()).state is not state:
            await asyncio.sleep(0.02)


async def make_blob(client: KMSClient, caller: Caller) -> tuple[str, bytes]:
    key = await client.call(caller, t.CreateKey())
    return key.key_id, (await client.call(caller, encrypt(key.key_id))).ciphertext_blob


async def functions_of_each(client: KMSClient, caller: Caller, faults: Faults) -> set[str]:
    """What every CreateKey calls: not what the first one finds, nor what a probe or a checkpoint does meanwhile."""
    seen = []
    for _ in range(4):
        before = faults.calls()
        await client.call(caller, t.CreateKey())
        seen.append(set(faults.trace(before)))
    return set.intersection(*seen)


async def test_any_loss_in_any_function_costs_the_caller_nothing(
    make_faulty_kmsd: MakeFaultyKmsd, caller: Caller
) -> None:
    kmsd, faults = make_faulty_kmsd()
    kmsd.start()
    pid = kmsd.pid
    async with client_of(kmsd) as client:
        names = await functions_of_each(client, caller, faults)
        assert {"C_GenerateKey", "C_WrapKey", "C_Sign"} <= names
        for name in sorted(names):
            for code in LOSSES:
                faults.fail(name, code)
                await client.call(caller, t.CreateKey())
                assert faults.is_used_up, f"{code.name} in {name}"
        assert (await client.health()).state is t.HealthState.READY
    assert kmsd.pid == pid


async def test_a_device_removed_degrades_and_heals_without_a_restart(
    make_faulty_kmsd: MakeFaultyKmsd, caller: Caller
) -> None:
    kmsd, faults = make_faulty_kmsd()
    kmsd.start()
    async with client_of(kmsd) as client:
        key_id, blob = await make_blob(client, caller)
        faults.remove_device(for_good=True)
        error = await refusal(client.call(caller, t.CreateKey()))
        assert isinstance(error, KMSUnavailable)
        assert error.retry_after_seconds > 0
        assert (await client.health()).state is t.HealthState.DEGRADED
        # What is on lease goes on, and so does what needs no key material.
        assert (await client.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")
        assert (await client.call(caller, t.DescribeKey(key_id))).enabled
        faults.put_back()
        await wait_for_state(client, t.HealthState.READY)
        await client.call(caller, t.CreateKey())


@pytest.mark.parametrize("code", CREDENTIALS, ids=lambda code: code.name)
async def test_a_refused_pin_reaches_the_token_once(
    make_faulty_kmsd: MakeFaultyKmsd, caller: Caller, code: CKR
) -> None:
    kmsd, faults = make_faulty_kmsd()
    faults.fail("C_Login", code, times=EVERY)
    kmsd.start()
    async with client_of(kmsd) as client:
        for _ in range(3):
            assert isinstance(await refusal(client.call(caller, t.CreateKey())), KMSUnavailable)
        health = await client.health()
        assert (health.state, health.retry_after_seconds) == (t.HealthState.SEALED, 60)
        faults.heal()
        assert isinstance(await refusal(client.call(caller, t.CreateKey())), KMSUnavailable)
    assert faults.calls("C_Login") == 1
    assert kmsd.stop() == 0
    assert PIN.reveal() not in kmsd.log


async def test_a_call_that_hangs_lets_the_others_go_on(make_faulty_kmsd: MakeFaultyKmsd, caller: Caller) -> None:
    kmsd, faults = make_faulty_kmsd(root_deadline_seconds=20.0)
    kmsd.start()
    async with client_of(kmsd) as client:
        faults.hang("C_GenerateKey")
        hanging = asyncio.create_task(client.call(caller, t.CreateKey()))
        await until(lambda: faults.hanging == 1)
        key_id, blob = await make_blob(client, caller)
        assert (await client.call(caller, t.Decrypt(blob))).key_arn.endswith(key_id)
        assert not hanging.done()
        faults.release()
        await hanging


async def test_when_every_call_hangs_callers_are_refused_and_it_heals(
    make_faulty_kmsd: MakeFaultyKmsd, caller: Caller
) -> None:
    kmsd, faults = make_faulty_kmsd(root_deadline_seconds=0.2)
    kmsd.start()
    async with client_of(kmsd) as client:
        _, blob = await make_blob(client, caller)
        faults.hang("C_GenerateKey", times=EVERY)
        requests = [refusal(client.call(caller, t.CreateKey())) for _ in range(3 * THREADS)]
        assert all(isinstance(error, KMSUnavailable) for error in await asyncio.gather(*requests))
        assert faults.hanging == THREADS
        # Every thread hangs: from now on nobody waits for a deadline, and nothing more reaches the token.
        before = faults.calls()
        requests = [refusal(client.call(caller, t.CreateKey())) for _ in range(MANY)]
        assert all(isinstance(error, KMSUnavailable) for error in await asyncio.gather(*requests))
        assert faults.calls() == before
        assert (await client.health()).state is t.HealthState.DEGRADED
        assert (await client.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")
        faults.heal()
        await wait_for_state(client, t.HealthState.READY)
        await client.call(caller, t.CreateKey())


async def test_a_module_that_hangs_for_good_ends_kmsd_and_the_next_one_serves(
    make_faulty_kmsd: MakeFaultyKmsd, caller: Caller
) -> None:
    kmsd, faults = make_faulty_kmsd(root_deadline_seconds=0.2, hang_seconds=1.0, lease_seconds=2.0, drain_seconds=0.5)
    kmsd.start()
    async with client_of(kmsd) as client:
        key_id, blob = await make_blob(client, caller)
        faults.hang("C_UnwrapKey", times=EVERY)
        assert await end_of(kmsd) == 4
        assert b"cannot come back in this process" in kmsd.log
        # It hangs still, and is given up again; a third one finds it well.
        await asyncio.to_thread(kmsd.start)
        assert isinstance(await refusal(client.call(caller, t.Decrypt(blob))), KMSUnavailable)
        assert await end_of(kmsd) == 4
        faults.heal()
        await asyncio.to_thread(kmsd.start)
        await wait_for_state(client, t.HealthState.READY)
        assert (await client.call(caller, t.Decrypt(blob))).key_arn.endswith(key_id)
    assert [event for event in kmsd_events(kmsd) if event == "AbandonRoot"] == ["AbandonRoot"] * 2


async def end_of(kmsd: Kmsd) -> int:
    """The status with which it ends by itself; its standard input stays open until then."""
    assert kmsd.process is not None
    await asyncio.to_thread(kmsd.process.wait, 30)
    return kmsd.wait()


def kmsd_events(kmsd: Kmsd) -> list[str]:
    """The names of all events of the audit trail, in order."""
    files = sorted(kmsd.settings.audit.directory.glob("*.jsonl"))
    return [
        line.get("eventName", "") for file in files for line in map(json.loads, file.read_text().splitlines()) if line
    ]


async def test_a_token_that_hangs_does_not_hold_up_the_end(make_faulty_kmsd: MakeFaultyKmsd, caller: Caller) -> None:
    kmsd, faults = make_faulty_kmsd(root_deadline_seconds=0.2, drain_seconds=0.5)
    kmsd.start()
    async with client_of(kmsd) as client:
        faults.hang("C_GenerateKey", times=EVERY)
        await refusal(client.call(caller, t.CreateKey()))
    assert faults.hanging >= 1
    assert await asyncio.to_thread(kmsd.stop) == 0


async def test_keys_on_lease_ask_a_slow_token_nothing(make_faulty_kmsd: MakeFaultyKmsd, caller: Caller) -> None:
    kmsd, faults = make_faulty_kmsd()
    kmsd.start()
    async with client_of(kmsd) as client:
        key_id, blob = await make_blob(client, caller)
        for name in ("C_UnwrapKey", "C_Sign", "C_SignInit", "C_GenerateKey", "C_GenerateRandom"):
            faults.delay(name, 5)
        unwrapped, generated = faults.calls("C_UnwrapKey"), faults.calls("C_GenerateKey")
        drawn = faults.calls("C_GenerateRandom")
        data_key = t.GenerateDataKey(key_id, number_of_bytes=32)
        await asyncio.gather(*(client.call(caller, t.Decrypt(blob)) for _ in range(MANY)))
        await asyncio.gather(*(client.call(caller, data_key) for _ in range(MANY)))
        assert (faults.calls("C_GenerateKey"), faults.calls("C_GenerateRandom")) == (generated, drawn)
        # The watch over the root asks for its check value now and then, whoever works.
        assert faults.calls("C_UnwrapKey") - unwrapped <= MANY // 50


async def test_many_keys_are_opened_by_all_sessions_at_once(make_faulty_kmsd: MakeFaultyKmsd, caller: Caller) -> None:
    kmsd, faults = make_faulty_kmsd(root_deadline_seconds=20.0)
    kmsd.start()
    async with client_of(kmsd) as client:
        blobs = [(await make_blob(client, caller))[1] for _ in range(2 * THREADS)]
        await asyncio.to_thread(kmsd.stop)
        await asyncio.to_thread(kmsd.start)
        await wait_for_state(client, t.HealthState.READY)
        faults.hang("C_UnwrapKey", times=EVERY)
        opening = [asyncio.create_task(client.call(caller, t.Decrypt(blob))) for blob in blobs]
        await until(lambda: faults.hanging == THREADS)
        faults.heal()
        assert {answer.plaintext.reveal() for answer in await asyncio.gather(*opening)} == {b"plaintext"}


async def test_a_crash_in_the_module_ends_kmsd_and_the_next_one_serves(
    make_faulty_kmsd: MakeFaultyKmsd, caller: Caller
) -> None:
    kmsd, faults = make_faulty_kmsd()
    kmsd.start()
    async with client_of(kmsd) as client:
        key_id, blob = await make_blob(client, caller)
        faults.crash("C_GenerateKey")
        crashing = asyncio.create_task(client.call(caller, t.CreateKey()))
        assert kmsd.process is not None
        await asyncio.to_thread(kmsd.process.wait, 30)
        assert kmsd.wait() == -signal.SIGABRT
        # The call is lost with the process: whether the key was made is unknown, so it is not asked again.
        assert isinstance(await refusal(crashing), KMSUnavailable)
        await asyncio.to_thread(kmsd.start)
        assert (await client.call(caller, t.Decrypt(blob))).key_arn.endswith(key_id)
        await client.call(caller, t.CreateKey())
    assert PIN.reveal() not in kmsd.log

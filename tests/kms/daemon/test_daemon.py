"""kmsd as a process: start, end, restart, loss of the token."""

from __future__ import annotations

import asyncio
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSUnavailable
from kms.api.secrets import SecretBytes
from kms.audit.trail import TrailSettings
from kms.client import KMSClient
from kms.daemon.settings import DaemonSettings, RootSettings, SettingsError
from kms.epoch import SharedEpoch
from tests.conformance.key_service import account_caller, assert_refused, encrypt, refusal
from tests.kms.daemon.conftest import Kmsd, start_process
from tests.kms.daemon.provision import PIN

MakeKmsd = Callable[..., Kmsd]


@asynccontextmanager
async def client_of(kmsd: Kmsd) -> AsyncIterator[KMSClient]:
    client = KMSClient(kmsd.socket_path, call_seconds=60, connect_seconds=60)
    try:
        yield client
    finally:
        await client.close()


@pytest.fixture
def caller() -> Caller:
    return account_caller()


async def wait_for_state(client: KMSClient, state: t.HealthState) -> t.Health:
    async with asyncio.timeout(30):
        while (health := await client.health()).state is not state:
            await asyncio.sleep(0.02)
    return health


def token_directory(kmsd: Kmsd) -> Path:
    """What goes away with the token: SoftHSM2's objects, or the sealed file."""
    root = kmsd.settings.root
    if root.kind == "file":
        assert root.root_file is not None
        return root.root_file
    assert root.softhsm_conf is not None
    return root.softhsm_conf.parent / "tokens"


def pull(kmsd: Kmsd) -> Callable[[], object]:
    """Take the token away; returns what puts it back."""
    token = token_directory(kmsd)
    away = token.with_name("away")
    token.rename(away)
    return lambda: away.rename(token)


async def test_keys_and_states_survive_kill_9(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd().start()
    reader = SharedEpoch.open_reader(kmsd.settings.epoch_path)
    async with client_of(kmsd) as client:
        key, other = [await client.call(caller, t.CreateKey()) for _ in range(2)]
        blob = (await client.call(caller, encrypt(key.key_id))).ciphertext_blob
        before = reader.value
        await client.call(caller, t.DisableKey(other.key_id))
        assert (disabled := reader.value) > before
        kmsd.stop(signal.SIGKILL)
        # A call in the gap waits for the next kmsd.
        waiting = asyncio.create_task(client.call(caller, t.Decrypt(blob)))
        await asyncio.to_thread(kmsd.start)
        assert (await waiting).plaintext == SecretBytes(b"plaintext")
        assert reader.value > disabled
        await assert_refused(client.call(caller, encrypt(other.key_id)), "DisabledException")
    reader.close()


async def test_sealed_without_its_token_and_heals_when_it_comes(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd()
    put_back = pull(kmsd)
    kmsd.start()
    async with client_of(kmsd) as client:
        health = await client.health()
        assert health.state is t.HealthState.SEALED
        assert health.retry_after_seconds > 0
        error = await refusal(client.call(caller, t.CreateKey()))
        assert isinstance(error, KMSUnavailable)
        assert error.retry_after_seconds > 0
        put_back()
        await wait_for_state(client, t.HealthState.READY)
        await client.call(caller, t.CreateKey())


async def test_file_root_serves_with_a_warning(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd(kind="file").start()
    async with client_of(kmsd) as client:
        key = await client.call(caller, t.CreateKey())
        blob = (await client.call(caller, encrypt(key.key_id))).ciphertext_blob
        assert kmsd.stop() == 0
        assert b"FILE, not an HSM" in kmsd.log
        put_back = pull(kmsd)
        await asyncio.to_thread(kmsd.start)
        await wait_for_state(client, t.HealthState.SEALED)
        put_back()
        await wait_for_state(client, t.HealthState.READY)
        assert (await client.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")


@pytest.mark.hsm
async def test_a_key_of_protection_hsm_outlives_kmsd(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd()
    if kmsd.settings.root.kind == "file":
        pytest.skip("a file root holds no keys")
    kmsd.start()
    async with client_of(kmsd) as client:
        key = await client.call(caller, t.CreateKey(custom_key_store_id="hsm"))
        assert key.protection == "hsm"
        blob = (await client.call(caller, encrypt(key.key_id))).ciphertext_blob
        kmsd.stop(signal.SIGKILL)
        await asyncio.to_thread(kmsd.start)
        await wait_for_state(client, t.HealthState.READY)
        assert (await client.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")


@pytest.mark.hsm
async def test_lost_token_ends_with_the_lease_and_heals(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd(lease_seconds=1.0)
    if kmsd.settings.root.kind == "file":
        pytest.skip("a file root is in memory once it is open")
    kmsd.start()
    async with client_of(kmsd) as client:
        key = await client.call(caller, t.CreateKey())
        blob = (await client.call(caller, encrypt(key.key_id))).ciphertext_blob
        put_back = pull(kmsd)
        async with asyncio.timeout(30):
            while True:
                try:
                    await client.call(caller, t.Decrypt(blob))
                except KMSUnavailable as error:
                    assert error.retry_after_seconds > 0
                    break
                await asyncio.sleep(0.05)
        assert (await client.health()).state is t.HealthState.DEGRADED
        # What needs no key material goes on.
        assert (await client.call(caller, t.DescribeKey(key.key_id))).enabled
        put_back()
        await wait_for_state(client, t.HealthState.READY)
        assert (await client.call(caller, t.Decrypt(blob))).plaintext == SecretBytes(b"plaintext")


async def test_wrong_pin_is_sealed_and_said(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd()
    pin_file = kmsd.settings.root.pin_file
    assert pin_file is not None
    pin_file.write_bytes(b"wrong-pin-0000")
    kmsd.start()
    async with client_of(kmsd) as client:
        health = await client.health()
        assert (health.state, health.retry_after_seconds) == (t.HealthState.SEALED, 60)
        assert isinstance(await refusal(client.call(caller, t.ListKeys(limit=1, marker=None))), KMSUnavailable)
    assert kmsd.stop() == 0
    assert b"wrong-pin-0000" not in kmsd.log


async def test_foreign_root_is_refused(make_kmsd: MakeKmsd) -> None:
    mine, foreign = make_kmsd(), make_kmsd()
    mine.settings = replace(mine.settings, root=foreign.settings.root)
    mine.start()
    async with client_of(mine) as client:
        health = await client.health()
        assert health.state is t.HealthState.SEALED
        assert "foreign" in health.detail


async def test_secrets_are_not_in_arguments_or_environment(make_kmsd: MakeKmsd) -> None:
    kmsd = make_kmsd().start()
    process = Path(f"/proc/{kmsd.pid}")
    if not process.exists():
        pytest.skip("no /proc")
    for name in ("cmdline", "environ"):
        assert PIN.reveal() not in (process / name).read_bytes()
    limits = (process / "limits").read_text()
    assert limits.split("Max core file size")[1].split()[:2] == ["0", "0"]
    assert PIN.reveal() not in kmsd.settings.to_json()


async def test_socket_is_the_owners_alone(make_kmsd: MakeKmsd) -> None:
    kmsd = make_kmsd().start()
    assert stat.S_IMODE(kmsd.socket_path.stat().st_mode) & 0o077 == 0
    assert kmsd.stop() == 0
    assert not kmsd.socket_path.exists()


async def test_end_of_the_supervisor_is_the_end(make_kmsd: MakeKmsd) -> None:
    kmsd = make_kmsd().start()
    assert kmsd.process is not None
    assert kmsd.process.stdin is not None
    kmsd.process.stdin.close()
    kmsd.process.stdin = None
    assert await asyncio.to_thread(kmsd.wait) == 0


async def test_a_second_kmsd_does_not_start(make_kmsd: MakeKmsd) -> None:
    kmsd = make_kmsd().start()
    second = start_process(replace(kmsd.settings, socket_path=kmsd.socket_path.with_name("t")).to_json())
    _, log = await asyncio.to_thread(second.communicate, timeout=30)
    assert second.returncode == 3
    assert b"another key process" in log
    async with client_of(kmsd) as client:
        assert (await client.health()).state is t.HealthState.READY


async def test_listens_on_an_inherited_socket(make_kmsd: MakeKmsd, caller: Caller) -> None:
    kmsd = make_kmsd()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(kmsd.socket_path))
    listener.listen(8)
    order = replace(kmsd.settings, socket_path=None, listen_fd=listener.fileno()).to_json()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kms.daemon",
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        pass_fds=[listener.fileno()],
    )
    assert process.stdin is not None
    process.stdin.write(order)
    client = KMSClient(kmsd.socket_path, call_seconds=30)
    # The connection waits in the backlog until kmsd is there.
    await client.call(caller, t.CreateKey())
    await client.close()
    process.terminate()
    assert await process.wait() == 0
    listener.close()


@pytest.mark.parametrize("order", [b"\n", b"{}\n", b'{"keys_path": 1}\n', b"no newline", b"\xff\n", b"x" * 70_000])
def test_an_order_it_does_not_understand(order: bytes) -> None:
    process = start_process(b"")
    _, log = process.communicate(order, timeout=30)
    assert process.returncode == 2
    assert b"Traceback" not in log


def test_a_missing_key_store_is_said(tmp_path: Path) -> None:
    settings = DaemonSettings(
        keys_path=tmp_path / "none.sqlite",
        epoch_path=tmp_path / "epoch",
        region="us-east-1",
        root=RootSettings(kind="file", root_file=tmp_path / "root"),
        audit=TrailSettings(directory=tmp_path / "audit"),
        socket_path=tmp_path / "s",
    )
    process = start_process(settings.to_json())
    _, log = process.communicate(timeout=30)
    assert process.returncode == 3
    assert b"sealgate init" in log
    assert not (tmp_path / "none.sqlite").exists()


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[DaemonSettings]:
    yield DaemonSettings(
        keys_path=tmp_path / "k",
        epoch_path=tmp_path / "e",
        region="eu-de",
        root=RootSettings(kind="pkcs11", uri="pkcs11:token=x", pin_file=tmp_path / "pin"),
        audit=TrailSettings(directory=tmp_path / "audit", is_synced_first=True, rotate_bytes=70_000),
        listen_fd=7,
        lease_seconds=1.5,
    )


def test_settings_come_back_as_sent(settings: DaemonSettings) -> None:
    assert DaemonSettings.from_json(settings.to_json()) == settings
    assert settings.to_json().endswith(b"}\n")
    assert settings.to_json().count(b"\n") == 1


def test_settings_that_contradict_themselves(settings: DaemonSettings) -> None:
    for wrong in (
        replace(settings, listen_fd=None),
        replace(settings, socket_path=Path("/x")),
        replace(settings, root=RootSettings(kind="tpm")),
        replace(settings, root=RootSettings(kind="file")),
        replace(settings, protection="tpm"),
    ):
        with pytest.raises(SettingsError):
            DaemonSettings.from_json(wrong.to_json())


def test_settings_of_another_release(settings: DaemonSettings) -> None:
    line = settings.to_json().replace(b'"region":"eu-de"', b'"region":7')
    with pytest.raises(SettingsError, match="region"):
        DaemonSettings.from_json(line)

"""Several kmsd, each of a node of its own, on one root and one database."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from iam.principals import Caller
from kms.api import types as t
from kms.api.errors import KMSError, KMSUnavailable
from kms.client import KMSClient
from kms.epoch import SharedEpoch
from tests.conformance.key_service import account_caller, encrypt
from tests.kms.daemon.conftest import Kmsd, make_settings
from tests.postgresql import MISSING, PostgreSQLServer, find_postgresql, start_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

LEASE_SECONDS = 5.0
"""What other nodes did is known after so long, or nothing is served (database.shared.replica.STALE_SECONDS)."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQLServer]:
    made = start_postgresql()
    yield made
    made.stop(signal.SIGQUIT)


@pytest.fixture(scope="module")
def nodes(server: PostgreSQLServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Kmsd]]:
    first = make_settings(tmp_path_factory.mktemp("a"), url=server.url)
    directory = tmp_path_factory.mktemp("b")
    second = replace(
        first,
        keys_path=directory / "keys.sqlite",
        epoch_path=directory / "epoch",
        audit=replace(first.audit, directory=directory / "audit"),
        socket_path=directory / "s",
    )
    made = [Kmsd(first).start(), Kmsd(second).start()]
    yield made
    for kmsd in made:
        assert kmsd.stop() == 0, kmsd.log.decode()


@pytest.fixture
def caller() -> Caller:
    return account_caller()


@pytest.fixture
async def clients(nodes: list[Kmsd]) -> Any:
    async with AsyncExitStack() as closing:
        made = [KMSClient(kmsd.socket_path) for kmsd in nodes]
        for client in made:
            closing.push_async_callback(client.close)
        yield made


async def until_refused(use: Callable[[], Any], seconds: float) -> tuple[float, Exception]:
    """After how long, and how; a use that began before may yet be served."""
    begun = time.monotonic()
    while True:
        asked = time.monotonic()
        try:
            await use()
        except (KMSError, KMSUnavailable) as error:
            return time.monotonic() - begun, error
        assert asked < begun + seconds, "it is served still"
        await asyncio.sleep(0.01)


async def until_served(use: Callable[[], Any], seconds: float = 30.0) -> Any:
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await use()
            except (KMSError, KMSUnavailable):
                await asyncio.sleep(0.02)


async def test_a_key_of_one_node_is_used_on_the_other_and_disabled_for_both(
    nodes: list[Kmsd], clients: list[KMSClient], caller: Caller
) -> None:
    here, there = clients
    key = await here.call(caller, t.CreateKey())
    sealed = (await here.call(caller, encrypt(key.key_id))).ciphertext_blob
    epoch = SharedEpoch.open_reader(nodes[1].settings.epoch_path)

    async def use() -> Any:
        return await there.call(caller, t.Decrypt(sealed))

    assert (await until_served(use)).key_arn == key.key_arn
    before = epoch.value
    await here.call(caller, t.DisableKey(key.key_id))
    took, error = await until_refused(use, LEASE_SECONDS + 1)
    assert took < LEASE_SECONDS - 1, "the database notifies, and is asked each second: nobody waits for a lease to end"
    assert isinstance(error, KMSError)
    assert error.code == "DisabledException"
    assert epoch.value > before, "what workers of the other node remember is void"
    await there.call(caller, t.EnableKey(key.key_id))
    await until_served(lambda: here.call(caller, t.Decrypt(sealed)))
    epoch.close()


async def test_a_policy_and_a_grant_of_one_node_are_in_force_on_the_other(
    clients: list[KMSClient], caller: Caller
) -> None:
    here, there = clients
    key = await here.call(caller, t.CreateKey())
    other = account_caller("444455556666")
    with pytest.raises(KMSError, match="not authorized"):
        await here.call(other, encrypt(key.key_arn))
    made = await here.call(
        caller, t.CreateGrant(key.key_id, grantee_principal=other.principal.arn, operations=("Encrypt",))
    )
    await until_served(lambda: there.call(other, encrypt(key.key_arn)))
    await here.call(caller, t.RevokeGrant(key.key_id, made.grant_id))
    took, error = await until_refused(lambda: there.call(other, encrypt(key.key_arn)), LEASE_SECONDS + 1)
    assert took < LEASE_SECONDS - 1
    assert isinstance(error, KMSError)
    assert error.code == "AccessDeniedException"


async def test_of_two_rotations_at_once_each_is_made_once(clients: list[KMSClient], caller: Caller) -> None:
    key = await clients[0].call(caller, t.CreateKey())
    await until_served(lambda: clients[1].call(caller, t.DescribeKey(key.key_id)))
    answers = await asyncio.gather(
        *(client.call(caller, t.RotateKeyOnDemand(key.key_id)) for client in clients), return_exceptions=True
    )
    made = sum(not isinstance(each, BaseException) for each in answers)
    refused = [each.code for each in answers if isinstance(each, KMSError)]
    assert made >= 1
    assert refused in ([], ["ConflictException"])
    page = await clients[0].call(caller, t.ListKeyRotations(key.key_id))
    assert len(page.materials) == made


async def test_without_the_database_no_node_serves_longer_than_a_lease(
    server: PostgreSQLServer, nodes: list[Kmsd], clients: list[KMSClient], caller: Caller
) -> None:
    here, there = clients
    key = await here.call(caller, t.CreateKey())
    sealed = (await here.call(caller, encrypt(key.key_id))).ciphertext_blob
    await until_served(lambda: there.call(caller, t.Decrypt(sealed)))
    server.stop()
    refused = await asyncio.gather(
        *(until_refused(lambda c=client: c.call(caller, t.Decrypt(sealed)), LEASE_SECONDS + 1) for client in clients)
    )
    for took, error in refused:
        assert took > LEASE_SECONDS - 2, "until then what was known is used"
        assert isinstance(error, KMSUnavailable)
    for client in clients:
        assert (await client.health()).state is t.HealthState.DEGRADED
    server.start()
    for client in clients:
        await until_served(lambda c=client: c.call(caller, t.Decrypt(sealed)))
    await here.call(caller, t.DisableKey(key.key_id))
    await until_refused(lambda: there.call(caller, t.Decrypt(sealed)), LEASE_SECONDS + 1)


async def test_a_stopped_process_uses_no_key_when_it_goes_on(
    nodes: list[Kmsd], clients: list[KMSClient], caller: Caller
) -> None:
    """It was told nothing meanwhile: what it remembers is older than a lease."""
    here, there = clients
    key = await here.call(caller, t.CreateKey())
    sealed = (await here.call(caller, encrypt(key.key_id))).ciphertext_blob
    await until_served(lambda: there.call(caller, t.Decrypt(sealed)))
    os.kill(nodes[1].pid, signal.SIGSTOP)
    try:
        await here.call(caller, t.DisableKey(key.key_id))
        await asyncio.sleep(LEASE_SECONDS)
    finally:
        os.kill(nodes[1].pid, signal.SIGCONT)
    with pytest.raises((KMSError, KMSUnavailable)):
        await there.call(caller, t.Decrypt(sealed))

"""HSM or kmsd away during a thousand requests of every kind in every mode: the right reply to each, within its time;
nothing is half-done, nothing that was acknowledged is lost, and all heals without a restart.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.acceptance.conftest import StartGateway
from tests.acceptance.mixed import MixedClients
from tests.acceptance.observe import integrity_events, readiness
from tests.acceptance.test_04_kills import kill_one, known_blobs, stored_blobs, temporary_files
from tests.acceptance.test_05_root_away import Root, processes
from tests.clients.checks import faults
from tests.harness import Gateway, wait_until
from tests.properties.encryption import BUCKET_KEY

REQUESTS = 1000
CLIENTS = 20
CALL_SECONDS = 1.0
LEASE_SECONDS = 1
ANSWER_SECONDS = 2 * CALL_SECONDS + 13.0
"""Two calls of the KMS at most, and a machine that is busy with other things."""

ASKING = frozenset({"aws:kms", "aws:kms:dsse"})
"""Modes in which each use of a key is a call of the KMS."""

REFUSABLE = {"put", "get", "range", "copy", "update", "create", "part", "part copy", "complete"}
KEYLESS = {"head", "list", "delete", "list parts", "abort"}

pytestmark = pytest.mark.slow


def check_all(gateway: Gateway, clients: MixedClients) -> None:
    """Nobody writes now."""
    clients.check()
    assert temporary_files(gateway) == []
    assert stored_blobs(gateway) == known_blobs(gateway), "no blob without a row, and no row without a blob"
    assert integrity_events(gateway) == 0
    assert faults(gateway) == []


@pytest.fixture
def gateway(request: pytest.FixtureRequest, make_gateway: StartGateway) -> Gateway:
    """With leases of a second, and calls that wait no longer."""
    environment = {"SEALGATE_KMS_LEASE_SECONDS": str(LEASE_SECONDS), "SEALGATE_KMS_CALL_SECONDS": str(CALL_SECONDS)}
    return make_gateway(root=request.param, environment=environment).start()


@pytest.fixture
def clients(gateway: Gateway) -> MixedClients:
    made = MixedClients(gateway, "mixed", clients=CLIENTS, seed=6)
    made.fill()
    return made


@pytest.mark.parametrize("gateway", ["softhsm"], indirect=True)
def test_without_the_hsm_all_goes_on_but_what_asks_the_kms(gateway: Gateway, clients: MixedClients) -> None:
    before, root = processes(gateway), Root(gateway)

    def is_degraded() -> bool:
        return any(reason.startswith("kms degraded: ") for reason in readiness(gateway)[1])

    root.take_away()
    wait_until(is_degraded, "health says so")
    time.sleep(2 * LEASE_SECONDS)  # what was opened just before serves to the end of its lease
    told = clients.ask(REQUESTS, refusing=ASKING)
    assert told.refused.keys() == REFUSABLE
    assert told.served.keys() == REFUSABLE | KEYLESS
    assert told.longest_seconds < ANSWER_SECONDS

    root.put_back()
    wait_until(lambda: readiness(gateway)[0], "it heals")
    check_all(gateway, clients)
    assert not clients.ask(REQUESTS // 4).refused
    assert processes(gateway) == before


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process neither runs nor ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("gateway", ["file"], indirect=True)
def test_without_kmsd_bucket_keys_wait_too_as_nobody_notes_their_use(gateway: Gateway, clients: MixedClients) -> None:
    before = processes(gateway)
    (kmsd,) = gateway.children("kms.daemon")
    with stopped(kmsd):
        told = clients.ask(REQUESTS, refusing=ASKING | {BUCKET_KEY})
    assert told.refused.keys() == REFUSABLE
    assert told.served.keys() == (REFUSABLE - {"update"}) | KEYLESS  # an update always ends with a key of the KMS
    assert told.longest_seconds < ANSWER_SECONDS

    wait_until(lambda: readiness(gateway)[0], "it heals")
    check_all(gateway, clients)
    assert not clients.ask(REQUESTS // 4).refused
    assert processes(gateway) == before


@pytest.mark.parametrize("gateway", ["file"], indirect=True)
def test_kills_of_kmsd_hurt_those_alone_who_ask_it_just_then(gateway: Gateway, clients: MixedClients) -> None:
    randoms = random.Random(6)
    with ThreadPoolExecutor(1) as working:
        asking = working.submit(clients.ask, REQUESTS, may_refuse=ASKING | {BUCKET_KEY})
        kills = 0
        while not asking.done():
            kill_one(gateway, "kms.daemon", randoms)
            kills += 1
            time.sleep(1.5)  # it has to do some work in between
        told = asking.result()
    assert kills >= 2
    # An update asks the KMS twice: where kmsd takes its time to start, none of them may be lucky.
    assert told.served.keys() | {"update"} == REFUSABLE | KEYLESS
    assert told.longest_seconds < ANSWER_SECONDS

    wait_until(lambda: readiness(gateway)[0], "it heals")
    check_all(gateway, clients)
    assert not clients.ask(REQUESTS // 4).refused

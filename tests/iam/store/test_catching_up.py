"""Nodes that are told of nothing and hardly ever ask: before they say that somebody does not exist, they do ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from database.connection import Database, Transaction
from database.shared import replica as replica_module
from database.shared.replica import CATCH_UP_PAUSE_SECONDS
from iam.face.errors import IAMError
from iam.face.query import find_operation
from iam.face.service import IdentityService
from iam.key_uses import AccessKeyUses
from iam.principals import Caller, root_principal
from iam.session_tokens import SessionTokens
from iam.store.postgresql.store import PostgreSQLIdentityStore
from tests.conformance.identities import ACCOUNT, ANN, new_credential
from tests.iam.store.test_postgresql import Nodes, forget_identities, wait_until
from tests.iam.store.test_sqlite import KEY, AESGCMSecretSealer
from tests.postgresql import MISSING, find_postgresql, start_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

SELDOM = {"poll_seconds": 3600.0, "stale_seconds": 7200.0}


async def _cannot(transaction: Transaction) -> bool:
    return False


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    monkeypatch.setattr(replica_module, "can_notify", _cannot)
    forget_identities()
    with closing(Nodes(tmp_path)) as made:
        yield made


class Questions:
    """How often databases are asked anything outside of changes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        ask = Database.ask

        async def counted(database: Database, work: Callable[[Transaction], Awaitable[Any]]) -> Any:
            self.count += 1
            return await ask(database, work)

        monkeypatch.setattr(Database, "ask", counted)


def test_it_finds_what_another_node_made(nodes: Nodes) -> None:
    one, other = nodes.open("one", **SELDOM), nodes.open("other", **SELDOM)
    one.create_account(ACCOUNT)
    credential = new_credential()
    one.create_access_key(credential, 1)
    assert other.find_credential(credential.access_key_id) is None
    assert asyncio.run(other._replica.catch_up())
    assert other.find_credential(credential.access_key_id) == credential


def test_any_number_at_once_ask_one_question(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = nodes.open("one", **SELDOM)._replica

    async def ask() -> list[bool]:
        return list(await asyncio.gather(*(replica.catch_up() for _ in range(500))))

    questions = Questions(monkeypatch)
    began = time.monotonic()
    assert all(asyncio.run(ask()))
    took = time.monotonic() - began
    assert questions.count <= took / CATCH_UP_PAUSE_SECONDS + 2, "who came while one was asked had the next answer"


def test_one_after_the_other_they_ask_seldom(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = nodes.open("one", **SELDOM)._replica
    questions = Questions(monkeypatch)
    began = time.monotonic()
    for _ in range(5):
        assert asyncio.run(replica.catch_up())
    took = time.monotonic() - began
    assert 5 <= questions.count <= took / CATCH_UP_PAUSE_SECONDS + 2


def test_whoever_gives_up_leaves_the_others_their_answer(nodes: Nodes) -> None:
    replica = nodes.open("one", **SELDOM)._replica

    async def ask() -> bool:
        await replica.catch_up()
        patient = asyncio.create_task(replica.catch_up())
        hasty = asyncio.create_task(replica.catch_up())
        await asyncio.sleep(0)
        hasty.cancel()
        await asyncio.gather(hasty, return_exceptions=True)
        return await patient

    assert asyncio.run(ask())


def test_without_the_database_there_is_nothing_to_wait_for(tmp_path: Path) -> None:
    server = start_postgresql()
    options = {"connect_seconds": 20.0, "patience_seconds": 20.0}
    forget_identities(server.url)
    with closing(Nodes(tmp_path, server.url)) as nodes:
        replica = nodes.replica("one", poll_seconds=0.05, stale_seconds=60.0, database=options)
        server.stop()
        assert not asyncio.run(replica.catch_up()), "it does not raise either"
        wait_until(lambda: bool(replica._reported))
        assert not asyncio.run(replica.catch_up())
        server.start()
        wait_until(lambda: asyncio.run(replica.catch_up()), 60)
        replica.close()
        assert not asyncio.run(replica.catch_up())
    server.stop()


def test_iam_answers_about_a_user_that_another_node_made(nodes: Nodes) -> None:
    one = nodes.open("one", **SELDOM)
    one.create_account(ACCOUNT)
    replica = nodes.replica("other", **SELDOM)
    sealer = AESGCMSecretSealer(KEY)
    service = IdentityService(
        lambda: PostgreSQLIdentityStore(replica, sealer),
        AccessKeyUses(),
        SessionTokens(sealer),
        catch_up=replica.catch_up,
    )
    caller = Caller(root_principal(ACCOUNT.account_id), "request-id")
    form = {"Action": "GetUser", "Version": "2010-05-08", "UserName": ANN.name}

    async def run() -> None:
        with pytest.raises(IAMError, match="NoSuchEntity"):
            await service.call(caller, find_operation(form), form)
        one.create_user(ANN)
        assert await service.call(caller, find_operation(form), form)
        await service.close()

    asyncio.run(run())

"""Key services of nodes that share keys on PostgreSQL, one of which is told of nothing and hardly ever asks.

What another node made it knows all the same, as it asks before it says that something does not exist.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from database.connection import Transaction
from database.shared import replica as replica_module
from iam.principals import Caller, Principal, PrincipalKind
from kms.api import types as t
from kms.api.secrets import SecretBytes
from kms.audit.trail import AuditTrail, TrailSettings
from kms.epoch import MemoryEpoch
from kms.service.predefined import make_service_key
from kms.service.service import EmbeddedKeyService
from kms.store.postgresql.store import PostgreSQLKeyStore
from tests.conformance.key_service import REGION, account_caller, assert_refused, encrypt
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS
from tests.kms.store.test_postgresql import Nodes, forget_keys
from tests.postgresql import MISSING, find_postgresql, shared_postgresql

pytestmark = pytest.mark.skipif(find_postgresql() is None, reason=MISSING)

CALLER = account_caller("111122223333")


async def _cannot(transaction: Transaction) -> bool:
    return False


class Service:
    def __init__(self, service: EmbeddedKeyService, store: PostgreSQLKeyStore, trail: Path) -> None:
        self.call = service.call
        self.store = store
        self._trail = trail

    def lines_of(self, name: str) -> list[dict[str, Any]]:
        """The lines of its audit trail about this operation."""
        texts = [file.read_text() for file in self._trail.glob("audit-*.jsonl")]
        lines = [json.loads(line) for text in texts for line in text.splitlines()]
        return [line for line in lines if line.get("eventName") == name]


@pytest.fixture
async def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Service, Service]]:
    monkeypatch.setattr(replica_module, "can_notify", _cannot)
    url = shared_postgresql().url
    await asyncio.to_thread(forget_keys, url)
    root = MemoryRoot()
    with closing(Nodes(tmp_path, url)) as nodes:
        async with AsyncExitStack() as stack:
            made = []
            for name in ("here", "there"):
                epoch = MemoryEpoch()
                store = await asyncio.to_thread(
                    nodes.open, name, poll_seconds=3600.0, stale_seconds=7200.0, on_change=epoch.advance
                )
                if not made:
                    await asyncio.to_thread(make_service_key, store, root, region=REGION, created_us=1)
                trail = await stack.enter_async_context(
                    AuditTrail(TrailSettings(directory=tmp_path / name), root, lambda: 1)
                )
                service = await stack.enter_async_context(EmbeddedKeyService(store, root, epoch, SETTINGS, trail=trail))
                await _end_jobs(service)
                made.append(Service(service, store, tmp_path / name))
            yield made[0], made[1]


async def _end_jobs(service: EmbeddedKeyService) -> None:
    """A node learns everything with each change of its own, and the first thing it does is to take jobs."""
    for job in service._background:
        job.cancel()
    await asyncio.gather(*service._background, return_exceptions=True)
    await service._core.change(lambda: None)


async def test_a_key_and_its_alias_are_known_at_once(services: tuple[Service, Service]) -> None:
    here, there = services
    key = await here.call(CALLER, t.CreateKey())
    assert there.store.key(key.key_id, REGION) is None, "nobody told it"
    assert (await there.call(CALLER, t.DescribeKey(key.key_arn))).key_id == key.key_id
    await here.call(CALLER, t.CreateAlias("alias/new", key.key_id))
    sealed = await there.call(CALLER, encrypt("alias/new"))
    assert sealed.key_arn == key.key_arn


async def test_what_a_new_key_sealed_opens_at_once(services: tuple[Service, Service]) -> None:
    here, there = services
    key = await here.call(CALLER, t.CreateKey())
    sealed = await here.call(CALLER, encrypt(key.key_arn))
    assert (await there.call(CALLER, t.Decrypt(sealed.ciphertext_blob))).plaintext == SecretBytes(b"plaintext")
    await here.call(CALLER, t.RotateKeyOnDemand(key.key_id))
    rotated = await here.call(CALLER, encrypt(key.key_arn))
    assert (await there.call(CALLER, t.Decrypt(rotated.ciphertext_blob))).plaintext == SecretBytes(b"plaintext")


async def test_a_grant_is_in_force_at_once(services: tuple[Service, Service]) -> None:
    here, there = services
    key = await here.call(CALLER, t.CreateKey())
    account_id = CALLER.principal.account_id
    user = Caller(Principal(PrincipalKind.USER, account_id, f"arn:aws:iam::{account_id}:user/u", "AIDA0"), "R")
    await assert_refused(there.call(user, encrypt(key.key_arn)), "AccessDeniedException")
    grant = await here.call(CALLER, t.CreateGrant(key.key_id, user.principal.arn, ("Encrypt",)))
    assert (await there.call(user, encrypt(key.key_arn))).key_arn == key.key_arn
    other = await here.call(CALLER, t.CreateGrant(key.key_id, user.principal.arn, ("Decrypt",)))
    use = t.Encrypt(key.key_arn, SecretBytes(b"x"), grant_tokens=(grant.grant_token, other.grant_token))
    assert (await there.call(user, use)).key_arn == key.key_arn


async def test_a_call_that_is_tried_twice_has_one_line_and_one_decision(services: tuple[Service, Service]) -> None:
    here, there = services
    key = await here.call(CALLER, t.CreateKey())
    await there.call(CALLER, t.DescribeKey(key.key_arn))
    await assert_refused(there.call(CALLER, t.DescribeKey("alias/none")), "NotFoundException")
    described, missed = there.lines_of("DescribeKey")
    assert "errorCode" not in described
    assert missed["errorCode"] == "NotFoundException"

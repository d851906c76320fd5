"""What one node does for all: destroying keys and expired material, rotating, telling acts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from iam.principals import Caller, root_principal
from kms.api import types as t
from kms.audit.trail import AuditTrail, TrailSettings
from kms.epoch import MemoryEpoch
from kms.service import acts, rotation, states
from kms.service.core import JOB_SECONDS
from kms.service.service import EmbeddedKeyService
from kms.store.records import new_act
from kms.store.sqlite import SQLiteKeyStore
from tests.kms.roots import MemoryRoot
from tests.kms.service.conftest import SETTINGS, Clock

CALLER = Caller(root_principal("111122223333"), "REQ")


@pytest.fixture
async def nodes(
    store: SQLiteKeyStore, root: MemoryRoot, clock: Clock, tmp_path: Path
) -> AsyncIterator[list[EmbeddedKeyService]]:
    """Two services of one store, each with its trail in the directory of its name."""
    async with AsyncExitStack() as closing:
        made = []
        for node in ("a", "b"):
            trail = await closing.enter_async_context(
                AuditTrail(TrailSettings(directory=tmp_path / node), root, lambda: 1)
            )
            settings = replace(SETTINGS, node=node, sweep_seconds=3600.0)
            service = EmbeddedKeyService(store, root, MemoryEpoch(), settings, clock_us=clock, trail=trail)
            made.append(await closing.enter_async_context(service))
        yield made


def told(directory: Path, name: str) -> int:
    """How many lines of a trail are of this event."""
    lines = "".join(file.read_text() for file in directory.glob("audit-*.jsonl"))
    return len(re.findall(rf'"eventName":"{name}"', lines))


async def test_a_key_is_announced_and_destroyed_by_the_node_that_took_the_job(
    nodes: list[EmbeddedKeyService], store: SQLiteKeyStore, clock: Clock, tmp_path: Path
) -> None:
    one, other = (node._core for node in nodes)
    key = await nodes[0].call(CALLER, t.CreateKey())
    await nodes[0].call(CALLER, t.ScheduleKeyDeletion(key.key_id, 7))
    clock.pass_days(7)
    assert await one.take_job("destroy keys")  # and then it dies
    assert await states.destroy_expired_keys(other) == 0
    assert told(tmp_path / "b", "DeleteKey") == 0
    clock.now_us += int(JOB_SECONDS * 1_000_000)
    assert await states.destroy_expired_keys(other) == 1
    assert await states.destroy_expired_keys(one) == 0
    assert told(tmp_path / "a", "DeleteKey") == 0
    assert told(tmp_path / "b", "DeleteKey") >= 1


async def test_a_key_is_rotated_by_the_node_that_took_the_job(nodes: list[EmbeddedKeyService], clock: Clock) -> None:
    one, other = (node._core for node in nodes)
    key = await nodes[0].call(CALLER, t.CreateKey())
    await nodes[0].call(CALLER, t.EnableKeyRotation(key.key_id, 90))
    clock.pass_days(91)
    assert await one.take_job("rotate keys")
    assert await rotation.rotate_due_keys(other) == 0
    assert await rotation.rotate_due_keys(one) == 1
    assert await rotation.rotate_due_keys(other) == 0


async def test_an_act_has_its_line_in_one_trail(
    nodes: list[EmbeddedKeyService], store: SQLiteKeyStore, clock: Clock, tmp_path: Path
) -> None:
    one, other = (node._core for node in nodes)
    assert await one.take_job("tell acts")
    store.add_acts([new_act("BackUpKeyStore", clock())])
    assert await acts.tell_acts(other) == 0
    assert await acts.tell_acts(one) == 1
    assert await acts.tell_acts(other) == 0
    assert [told(tmp_path / node, "BackUpKeyStore") for node in ("a", "b")] == [1, 0]

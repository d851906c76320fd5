"""Rows that were sealed before rows had blocks are told like others, and sealed like others when they change."""

from __future__ import annotations

import base64
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.operations.sealed_rows import must_be_opened_whole
from gateway.storage.errors import NoSuchKey, NoSuchVersion
from gateway.storage.index.records import ObjectRow
from gateway.storage.index.sqlite.index import SQLiteIndex
from tests.gateway.gateway_in_process import InProcessGateway, in_process_gateway
from tests.old_rows import sealed_as_before

KEYS = ("a", "b", "c", "d")
OLD = ("b", "d")
LISTINGS: tuple[dict[str, str], ...] = ({"list-type": "2", "fetch-owner": "true"}, {}, {"versions": ""})


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[InProcessGateway]:
    async with in_process_gateway(tmp_path) as started:
        await started.call("PUT", "/bkt")
        versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        await started.call("PUT", "/bkt", query={"versioning": ""}, body=versioning)
        for key in KEYS:
            headers = {"x-amz-checksum-algorithm": "CRC32", "x-amz-meta-name": key}
            assert (await started.call("PUT", f"/bkt/{key}", headers=headers, body=key.encode() * 9)).status == 200
        yield started


async def row_of(gateway: InProcessGateway, key: str) -> ObjectRow:
    bucket = await gateway.index.get_bucket("bkt")
    return await gateway.index.get_object(bucket.bucket_id, key.encode())


async def make_old(gateway: InProcessGateway, tmp_path: Path) -> None:
    rows = gateway.services.rows
    with closing(sqlite3.connect(tmp_path / "index.sqlite", timeout=30)) as index, index:
        for key in OLD:
            row = await row_of(gateway, key)
            old = sealed_as_before(rows._sealer, row, rows.open_object(row))
            index.execute("UPDATE object_version SET sealed = ? WHERE row_uid = ?", (old.sealed, old.row_uid))


async def told(gateway: InProcessGateway) -> list[tuple[int, bytes]]:
    answers = [await gateway.call("GET", "/bkt", query=query) for query in LISTINGS]
    return [(answer.status, answer.body) for answer in answers]


async def test_listings_and_reads_are_the_same(gateway: InProcessGateway, tmp_path: Path) -> None:
    reads = [("HEAD", f"/bkt/{key}") for key in KEYS] + [("GET", f"/bkt/{key}") for key in KEYS]
    before = await told(gateway), [await gateway.call(*read) for read in reads]
    await make_old(gateway, tmp_path)
    assert [must_be_opened_whole((await row_of(gateway, key)).sealed) for key in KEYS] == [False, True, False, True]
    assert (await told(gateway), [await gateway.call(*read) for read in reads]) == before
    assert [status for status, _ in before[0]] == [200] * 3


async def test_a_change_seals_the_row_in_a_block(gateway: InProcessGateway, tmp_path: Path) -> None:
    await make_old(gateway, tmp_path)
    tags = b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
    headers = {"content-md5": base64.b64encode(hashlib.md5(tags, usedforsecurity=False).digest()).decode()}
    assert (await gateway.call("PUT", "/bkt/b", query={"tagging": ""}, headers=headers, body=tags)).status == 200
    assert not must_be_opened_whole((await row_of(gateway, "b")).sealed)
    assert (await gateway.call("GET", "/bkt/b")).body == b"b" * 9


async def test_one_that_was_changed_by_another_hand_fails_the_page(gateway: InProcessGateway, tmp_path: Path) -> None:
    await make_old(gateway, tmp_path)
    for key in ("a", "b"):
        uid = (await row_of(gateway, key)).row_uid
        with closing(sqlite3.connect(tmp_path / "index.sqlite", timeout=30)) as index, index:
            index.execute("UPDATE object_version SET size = size + 1 WHERE row_uid = ?", (uid,))
        assert [status for status, _ in await told(gateway)] == [500] * 3
        assert gateway.events.pop()[0] == "row"
        with closing(sqlite3.connect(tmp_path / "index.sqlite", timeout=30)) as index, index:
            index.execute("UPDATE object_version SET size = size - 1 WHERE row_uid = ?", (uid,))
    assert [status for status, _ in await told(gateway)] == [200] * 3


@pytest.mark.parametrize("error", [NoSuchKey, NoSuchVersion])
async def test_one_that_is_gone_when_it_is_read_again_is_left_out(
    gateway: InProcessGateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    await make_old(gateway, tmp_path)
    get_object = SQLiteIndex.get_object

    async def gone(self: SQLiteIndex, bucket_id: bytes, key: bytes, *rest: Any) -> ObjectRow:
        if key == b"b":
            raise error
        return await get_object(self, bucket_id, key, *rest)

    monkeypatch.setattr(SQLiteIndex, "get_object", gone)
    for status, body in await told(gateway):
        assert status == 200
        assert [b"<Key>%s</Key>" % key.encode() in body for key in KEYS] == [True, False, True, True]

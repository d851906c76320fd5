"""`IndexVerifier`: a sound index is well, and whatever is changed in it or goes from it is told."""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing, suppress

import pytest

from gateway.operations.jobs.rewrap_jobs import RewrapDocument, RewrapJobs
from gateway.operations.scrub import verify
from gateway.operations.scrub.verify import IndexVerifier, VerifyReport
from gateway.storage.index.records import NewBlob
from tests.conformance.blobs import blob_id_at, now_ms, store_blob
from tests.gateway.changed_rows import Table, flips
from tests.gateway.gateway_in_process import InProcessGateway
from tests.gateway.operations import test_scrub
from tests.gateway.operations.uploads import stored_files
from tests.gateway.underneath import index_path, let_copies_share

stock = test_scrub.stock

pytestmark = pytest.mark.parametrize("mode", ["aws:kms"])


@pytest.fixture
async def ledger(stock: InProcessGateway) -> AsyncIterator[InProcessGateway]:
    """With a copy that shares its blobs, and a job."""
    await let_copies_share(stock, "ledger", shares=True)
    copied = await stock.call(
        "PUT", "/ledger/copy", headers={"x-amz-copy-source": "/ledger/parts", "x-amz-server-side-encryption": "aws:kms"}
    )
    assert copied.status == 200
    key = "arn:aws:kms:us-east-1:123456789012:key/k"
    await RewrapJobs(stock.index, stock.services.rows, stock.services.integrity_event).begin(RewrapDocument(key, key))
    await asyncio.sleep(0.002)
    yield stock


async def verified(gateway: InProcessGateway, grace_seconds: float = 3600) -> VerifyReport:
    services = gateway.services
    verifier = IndexVerifier(gateway.index, services.blobs, services.rows, orphan_grace_seconds=grace_seconds)
    return await verifier.verify()


async def test_a_sound_index_is_well(ledger: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await verified(ledger)
    assert (whole.buckets, whole.versions, whole.uploads, whole.parts, whole.jobs) == (1, 8, 1, 2, 1)
    assert whole.blobs == await ledger.index.count_blobs()
    assert (whole.problems, whole.unnamed, whole.orphans) == ({}, 0, 0)
    monkeypatch.setattr(verify, "PAGE", 1)
    assert await verified(ledger) == whole


async def test_every_column_of_every_table_is_looked_at(ledger: InProcessGateway) -> None:
    """A bit changed in a value, at its ends and within, of a row of each table."""
    randoms, silent = random.Random(8), []
    with closing(sqlite3.connect(index_path(ledger), timeout=30)) as index:
        index.row_factory = sqlite3.Row
        for name in (
            "bucket",
            "object_version",
            "object_parts",
            "blob",
            "multipart_upload",
            "multipart_part",
            "batch_job",
        ):
            table = Table(index, name)
            row = randoms.choice([row for row in table.rows if name != "blob" or not row["is_inline"]])
            for column in table.columns:
                for value in flips(row[column], randoms):
                    with suppress(sqlite3.IntegrityError), table.replaced(row, {column: value}):
                        if not (await verified(ledger)).problems:
                            silent.append((name, column))
    assert set(silent) == {("blob", "stored_bytes")}  # of a blob in the store: the scrub's to see
    assert (await verified(ledger)).problems == {}


async def test_references_that_are_not_there_and_those_too_many(ledger: InProcessGateway) -> None:
    with closing(sqlite3.connect(index_path(ledger), timeout=30)) as index:
        for change, kind in (("refs + 1", "TooManyReferences"), ("refs - 1", "TooFewReferences")):
            row = index.execute("SELECT blob_id, refs FROM blob WHERE refs = 2").fetchone()
            with index:
                index.execute(f"UPDATE blob SET refs = {change} WHERE blob_id = ?", row[:1])
            report = await verified(ledger)
            assert report.problems == {kind: 1}
            with index:
                index.execute("UPDATE blob SET refs = ? WHERE blob_id = ?", row[::-1])
    assert (await verified(ledger)).problems == {}


async def test_blobs_without_rows_and_rows_without_blobs(ledger: InProcessGateway) -> None:
    store = ledger.services.blobs
    await store_blob(store, blob_id_at(now_ms() - 7200_000), b"orphan")
    await store_blob(store, blob_id_at(now_ms() - 7200_000), b"held")
    held = [each async for each in store.scan(before_ms=now_ms() + 1000) if each not in await _known(ledger)][1]
    await ledger.index.hold_blobs([NewBlob(held, 4)])
    await store_blob(store, blob_id_at(now_ms()), b"of an upload that may be under way")
    report = await verified(ledger)
    assert (report.orphans, report.unnamed, report.problems) == (1, 1, {})
    path = await test_scrub.blob_path(ledger, "large")
    path.unlink()
    report = await verified(ledger)
    assert report.problems == {"MissingBlob": 1}
    assert report.examples[0].where == f"blob {path.name}"


async def _known(gateway: InProcessGateway) -> frozenset[bytes]:
    return await gateway.index.known_blobs([bytes.fromhex(path.name) for path in stored_files(gateway)])


async def test_what_changes_meanwhile_is_no_problem(ledger: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects come, go, are copied and renamed while every step of it waits."""
    monkeypatch.setattr(verify, "PAGE", 1)
    is_over = False

    async def trouble() -> None:
        number = 0
        while not is_over:
            number += 1
            path = f"/ledger/new-{number % 3}"
            headers = {"x-amz-server-side-encryption": "aws:kms"}
            await ledger.call("PUT", path, headers=headers, body=os.urandom(20_000))
            await ledger.call("PUT", f"{path}-copy", headers={**headers, "x-amz-copy-source": path})
            for gone in (f"{path}-copy", path):
                answer = await ledger.call("GET", gone, query={"tagging": ""})
                await ledger.call("DELETE", gone, query={"versionId": answer.headers["x-amz-version-id"]})

    working = asyncio.create_task(trouble())
    listed = ledger.index.list_versions

    async def slowly(*args: object, **options: object) -> object:
        await asyncio.sleep(0.01)
        return await listed(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(ledger.index, "list_versions", slowly)
    try:
        for _ in range(4):
            assert (await verified(ledger)).problems == {}
    finally:
        is_over = True
        await working


async def test_a_database_that_is_damaged_is_told(ledger: InProcessGateway) -> None:
    with closing(sqlite3.connect(index_path(ledger), timeout=30)) as index:
        with index:
            index.execute("UPDATE object_version SET kind = 9 WHERE key = 'file' OR key = CAST('file' AS BLOB)")
        report = await verified(ledger)
        assert report.problems["UnreadableRow"] == 1
        assert not report.are_references_checked

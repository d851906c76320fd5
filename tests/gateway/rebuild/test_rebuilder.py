"""An index made anew from footers, in process: every row compared, and what is not in footers told and kept."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.index_notes import Notes
from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.protocol.modes import Mode
from gateway.rebuild import rebuilder as rebuilder_module
from gateway.rebuild.footers import FooterOpener
from gateway.rebuild.rebuilder import (
    DAMAGED,
    INCOMPLETE,
    NO_CUSTOMER_KEY,
    UNKNOWN_BUCKET,
    NotEmpty,
    Rebuilder,
)
from gateway.rebuild.scratch import Scratch
from gateway.storage.index.interface import Index
from gateway.storage.index.postgresql.index import open_postgresql_index
from gateway.storage.index.sqlite.index import open_sqlite_index
from iam.principals import Caller, root_principal
from kms.api.errors import KMSUnavailable
from kms.api.types import CreateKey, DisableKey
from tests.gateway.gateway_in_process import ACCOUNT_ID, InProcessGateway, in_process_gateway
from tests.gateway.operations.uploads import begin
from tests.gateway.populated import CUSTOMER_KEY, Populator, everything, populate
from tests.gateway.rebuild.rebuilding import notes_of, rebuilt, sweep, tables
from tests.postgresql import MISSING, find_postgresql, shared_postgresql


@pytest.fixture
async def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcessGateway]:
    """No body lies in the index; parts may have any size."""
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 0)
    async with in_process_gateway(tmp_path, inline_limit_bytes=0) as made:
        yield made


@pytest.fixture
def make(gateway: InProcessGateway) -> Populator:
    return Populator(gateway)


async def keys_of(index: Index, name: str = "bkt") -> list[str]:
    bucket = await index.get_bucket(name)
    page = await index.list_objects(bucket.bucket_id, prefix=b"", delimiter=b"", after=b"", max_keys=1000)
    return [row[0].decode() for row in page.told.rows]


async def test_every_row_is_as_it_was(gateway: InProcessGateway, tmp_path: Path) -> None:
    await populate(gateway)
    await sweep(gateway)
    expected, told = tables(tmp_path / "index.sqlite"), await everything(gateway, gateway.index)
    assert {version.row.wrap.mode for version in told} == set(Mode)
    async with rebuilt(gateway, tmp_path) as (index, report):
        assert not report.skipped, report
        assert report.held == 0
        assert await everything(gateway, index) == told
        await sweep(gateway, index)
    for made, was in zip(tables(tmp_path / "rebuilt.sqlite"), expected, strict=True):
        assert made == was
    assert report.versions == len(told) == len(expected[0])


@pytest.mark.skipif(find_postgresql() is None, reason=MISSING)
async def test_every_row_is_as_it_was_on_postgresql(gateway: InProcessGateway, tmp_path: Path) -> None:
    await populate(gateway)
    told = await everything(gateway, gateway.index)
    into = await open_postgresql_index(shared_postgresql().url, schema=f"rebuild_{uuid.uuid4().hex}", durable=False)
    async with rebuilt(gateway, tmp_path, into=into) as (index, report):
        assert (report.held, dict(report.skipped)) == (0, {})
        assert await everything(gateway, index) == told
        assert await index.key_epochs("sse-s3") == await gateway.index.key_epochs("sse-s3")
        assert await index.all_buckets(after="", limit=9) == await gateway.index.all_buckets(after="", limit=9)


async def test_what_was_replaced_does_not_come_back(gateway: InProcessGateway, make: Populator, tmp_path: Path) -> None:
    """Its blobs are there until the sweep."""
    await make.bucket("bkt")
    for _ in range(3):
        await make.put("/bkt/k", size=70_000)
    await make.copy("/bkt/k", "/bkt/copy")
    await make.put("/bkt/k", size=70_000)
    told = await everything(gateway, gateway.index)
    async with rebuilt(gateway, tmp_path) as (index, report):
        assert await everything(gateway, index) == told
        assert (report.versions, report.earlier, report.held) == (2, 3, 0)
        await sweep(gateway, index)
        assert [len(table) for table in tables(tmp_path / "rebuilt.sqlite")][3] == 3  # two bodies and a manifest
    assert len([blob_id async for blob_id in gateway.services.blobs.scan(before_ms=2**48 - 1)]) == 3


async def test_the_documented_losses(gateway: InProcessGateway, make: Populator, tmp_path: Path) -> None:
    """docs/rebuild.md names these, and no others."""
    await make.bucket("bkt")
    await make.versioning("bkt", "Enabled")
    await make.put("/bkt/marked")
    await make.sent("DELETE", "/bkt/marked")
    await make.put("/bkt/tagged", x_amz_tagging="a=b")
    tags = b"<Tagging><TagSet><Tag><Key>new</Key><Value>1</Value></Tag></TagSet></Tagging>"
    await make.sent("PUT", "/bkt/tagged", body=tags, query="tagging")
    await make.bucket("other")
    await make.put("/other/deleted a moment ago")
    await make.sent("DELETE", "/other/deleted a moment ago")
    upload = await begin(gateway, "/bkt/in progress")
    await upload.put(1, b"part")
    async with rebuilt(gateway, tmp_path) as (index, report):
        assert await keys_of(index) == ["marked", "tagged"]
        assert await keys_of(index, "other") == ["deleted a moment ago"]
        bucket = await index.get_bucket("bkt")
        tagged = await index.get_object(bucket.bucket_id, b"tagged")
        assert gateway.services.rows.open_object(tagged).tags == {"a": "b"}
        page = await index.list_uploads(bucket.bucket_id, prefix=b"", delimiter=b"", after=None, max_uploads=9)
        assert page.uploads == ()
        assert (report.held, dict(report.skipped)) == (1, {})
        await sweep(gateway, index)
        assert len([blob_id async for blob_id in gateway.services.blobs.scan(before_ms=2**48 - 1)]) == 4


async def test_parts_are_swept_if_asked_for(gateway: InProcessGateway, make: Populator, tmp_path: Path) -> None:
    await make.bucket("bkt")
    await make.upload("/bkt/done", Mode.SSE_S3)
    await (await begin(gateway, "/bkt/in progress")).put(1, b"part")
    async with rebuilt(gateway, tmp_path, keeps_parts=False) as (index, report):
        assert (report.versions, report.held) == (1, 0)
        await sweep(gateway, index)
        stored = {blob_id async for blob_id in gateway.services.blobs.scan(before_ms=2**48 - 1)}
        assert len(stored) == 4
        assert stored == await index.known_blobs(list(stored))


async def test_bodies_in_the_index_go_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 0)
    async with in_process_gateway(tmp_path) as gateway:
        make = Populator(gateway)
        await make.bucket("bkt")
        await make.put("/bkt/small", size=10)
        await make.copy("/bkt/small", "/bkt/copy of small")
        await make.put("/bkt/large", size=70_000)
        await make.copy("/bkt/large", "/bkt/copy of large")
        await make.upload("/bkt/parts", Mode.SSE_KMS, (70_000, 1))
        await make.upload("/bkt/small parts", Mode.SSE_KMS, (1,))
        await make.copy("/bkt/small parts", "/bkt/copy of small parts")
        async with rebuilt(gateway, tmp_path) as (index, report):
            kept = ["copy of large", "copy of small parts", "large", "parts", "small parts"]
            assert await keys_of(index) == kept
            assert (report.held, dict(report.skipped)) == (0, {})


async def test_objects_by_sse_c_need_their_keys_and_are_kept(
    gateway: InProcessGateway, make: Populator, tmp_path: Path
) -> None:
    await make.bucket("bkt")
    await make.put("/bkt/single", Mode.SSE_C)
    await make.upload("/bkt/parts", Mode.SSE_C)
    async with rebuilt(gateway, tmp_path, customer_keys=[b"x" * 32]) as (index, report):
        assert await keys_of(index) == ["parts"]  # its manifest is under the service's key
        assert (report.held, dict(report.skipped)) == (1, {NO_CUSTOMER_KEY: 1})
        await sweep(gateway, index)
    (tmp_path / "rebuilt.sqlite").unlink()
    async with rebuilt(gateway, tmp_path, customer_keys=[b"x" * 32, CUSTOMER_KEY]) as (index, report):
        assert await keys_of(index) == ["parts", "single"]
        assert not report.skipped


async def flip(path: Path, place: int) -> None:
    stored = bytearray(path.read_bytes())
    stored[place] ^= 1
    path.write_bytes(stored)


def blob_files(gateway: InProcessGateway) -> list[Path]:
    return sorted((path for path in gateway.blobs_directory.rglob("*") if path.is_file()), key=lambda path: path.name)


@pytest.mark.parametrize("place", [0, 20, 40, 70, -1, -40, -200])
async def test_a_damaged_footer_is_told_and_kept(
    gateway: InProcessGateway, make: Populator, tmp_path: Path, place: int
) -> None:
    await make.bucket("bkt")
    await make.put("/bkt/damaged", Mode.SSE_KMS)
    await make.put("/bkt/whole", Mode.SSE_KMS)
    await flip(blob_files(gateway)[0], place)
    async with rebuilt(gateway, tmp_path) as (index, report):
        assert await keys_of(index) == ["whole"]
        assert (report.held, dict(report.skipped)) == (1, {DAMAGED: 1})
        await sweep(gateway, index)
        assert len(blob_files(gateway)) == 2


@pytest.mark.parametrize("damage", ["missing", "changed"])
async def test_an_object_without_one_of_its_parts_is_told_and_kept(
    gateway: InProcessGateway, make: Populator, tmp_path: Path, damage: str
) -> None:
    await make.bucket("bkt")
    await make.upload("/bkt/parts", Mode.SSE_KMS, (70_000, 70_001))
    first = blob_files(gateway)[0]
    if damage == "missing":
        first.unlink()
    else:
        await flip(first, 70)  # its commitment
    async with rebuilt(gateway, tmp_path) as (index, report):
        assert await keys_of(index) == []
        assert report.skipped[INCOMPLETE] == 1
        assert report.held == (2 if damage == "missing" else 3)
        assert [each.key for each in report.examples if each.reason == INCOMPLETE] == [b"parts"]


async def test_a_manifest_whose_blobs_are_gone_does_not_hide_the_one_before(
    gateway: InProcessGateway, make: Populator, tmp_path: Path
) -> None:
    """As of data that was sealed anew when the transaction failed, before the sweep found the manifest."""
    await make.bucket("bkt")
    await make.upload("/bkt/parts", Mode.SSE_KMS, (70_000, 70_001))
    before = {path: path.read_bytes() for path in blob_files(gateway)}
    told = await everything(gateway, gateway.index)
    await make.upload("/bkt/parts", Mode.SSE_KMS, (70_002,))
    (part,) = [path for path in blob_files(gateway) if path not in before and path.stat().st_size > 70_000]
    part.unlink()
    async with rebuilt(gateway, tmp_path) as (index, report):
        assert await everything(gateway, index) == told
        assert report.skipped == {INCOMPLETE: 1}


async def test_what_the_kms_refuses_is_told_and_kept(
    gateway: InProcessGateway, make: Populator, tmp_path: Path
) -> None:
    caller = Caller(root_principal(ACCOUNT_ID), "test")
    key = await gateway.kms.call(caller, CreateKey())
    await make.bucket("bkt")
    await make.put("/bkt/other", Mode.SSE_KMS)
    named = {"x-amz-server-side-encryption-aws-kms-key-id": key.key_arn}
    await make.put("/bkt/disabled", Mode.SSE_KMS, **named)
    await gateway.kms.call(caller, DisableKey(key.key_arn))
    async with rebuilt(gateway, tmp_path) as (index, report):
        assert await keys_of(index) == ["other"]
        assert (report.held, dict(report.skipped)) == (1, {"KMS.DisabledException": 1})


async def test_it_ends_when_the_kms_is_away(
    gateway: InProcessGateway, make: Populator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make.bucket("bkt")
    for number in range(40):
        await make.put(f"/bkt/{number}", Mode.SSE_KMS)

    async def away(*_: Any) -> None:
        raise KMSUnavailable("away")

    monkeypatch.setattr(gateway.services.data_keys._kms, "call", away)
    with pytest.raises(KMSUnavailable):
        async with rebuilt(gateway, tmp_path):
            raise AssertionError("it must not get so far")


async def test_buckets_that_the_notes_do_not_name_are_left_or_made(
    gateway: InProcessGateway, make: Populator, tmp_path: Path
) -> None:
    await make.bucket("bkt")
    notes = await notes_of(gateway, tmp_path)
    await make.put("/bkt/k")
    await make.bucket("later")
    await make.versioning("later", "Enabled")
    for mode in (Mode.SSE_S3, Mode.SSE_KMS, Mode.DSSE_KMS):
        await make.put("/later/k", mode)
    async with rebuilt(gateway, tmp_path, notes=notes) as (index, report):
        assert (report.versions, report.held, dict(report.skipped)) == (1, 3, {UNKNOWN_BUCKET: 3})
    (tmp_path / "rebuilt.sqlite").unlink()
    async with rebuilt(gateway, tmp_path, notes=notes, other_buckets=True) as (index, report):
        (name,) = report.made_buckets
        assert (await keys_of(index, name), report.versions) == (["k"], 4)
        bucket = await index.get_bucket(name)
        document = gateway.services.rows.open_bucket(bucket)
        assert (document.versioning, document.policy, document.grants) == ("Enabled", None, None)
        assert document.public_access_block is not None and document.public_access_block.block_public_policy
        assert bucket.bucket_id == (await gateway.index.get_bucket("later")).bucket_id


async def test_notes_of_a_bucket_that_were_changed_are_not_believed(
    gateway: InProcessGateway, make: Populator, tmp_path: Path
) -> None:
    await make.bucket("bkt")
    await make.put("/bkt/k")
    notes = await notes_of(gateway, tmp_path)
    for column in ("name", "account_id"):
        changed = [replace(notes.buckets[0], **{column: "999999999999"})]
        async with rebuilt(gateway, tmp_path, notes=Notes(notes.epochs, changed)) as (index, report):
            assert report.damaged_buckets == [changed[0].name]
            assert await index.all_buckets(after="", limit=9) == []
        (tmp_path / "rebuilt.sqlite").unlink()


async def test_only_an_empty_index_is_filled(gateway: InProcessGateway, make: Populator, tmp_path: Path) -> None:
    await make.bucket("bkt")
    await make.put("/bkt/k")
    with pytest.raises(NotEmpty, match="has keys"):
        async with rebuilt(gateway, tmp_path) as (index, _):
            with closing(Scratch(tmp_path / "scratch.sqlite")) as scratch:
                notes = await notes_of(gateway, tmp_path)
                services = gateway.services
                opener = FooterOpener(services.data_keys, services.rows, names={}, customer_keys=(), via_service="s")
                await Rebuilder(notes, services.blobs, services.rows, opener, scratch, "r").write(index)


async def test_one_that_was_cut_short_is_no_index(
    gateway: InProcessGateway, make: Populator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no keys, without which nothing serves it, and the next rebuild refuses it."""
    monkeypatch.setattr(rebuilder_module, "BATCH", 2)
    await make.bucket("bkt")
    for number in range(6):
        await make.put(f"/bkt/{number}")

    def end(what: str, done: int, total: int) -> None:
        if what == "versions" and done >= 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with rebuilt(gateway, tmp_path, progress=end):
            raise AssertionError("it must not get so far")
    (tmp_path / "scratch.sqlite").unlink(missing_ok=True)
    index = await open_sqlite_index(tmp_path / "rebuilt.sqlite", durable=False)
    assert await index.key_epochs("sse-s3") == []
    await index.close()
    with pytest.raises(NotEmpty, match="cut short"):
        async with rebuilt(gateway, tmp_path):
            raise AssertionError("it must not get so far")

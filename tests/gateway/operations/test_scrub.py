"""Passes over all blobs, by checksums and with keys: what they find, what they leave alone, and how they go on."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
import time
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from awscrt.checksums import crc64nvme

from gateway.operations import job_lease
from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.operations.scrub import passes
from gateway.operations.scrub.deep import DeepScrub
from gateway.operations.scrub.passes import Pass, ScrubNote, Telling
from gateway.operations.scrub.shallow import ShallowScrub
from gateway.sealing.footer import TAIL_SIZE, Envelope, parse_footer, parse_tail, seal_footer
from gateway.sealing.stream import BlobSealer
from gateway.storage.blobs.file import FileBlobStore
from gateway.storage.errors import StorageUnavailable
from iam.principals import Caller, root_principal
from kms.api.types import CreateKey, DisableKey
from tests.gateway.gateway_in_process import ACCOUNT_ID, REGION, InProcessGateway
from tests.gateway.operations.uploads import begin, stored_files
from tests.properties.encryption import MODES, asked, brought

SIZES = {"inline": 1000, "file": 70_000, "large": 2_500_000}
BLOCKED = b"<BlockedEncryptionTypes><EncryptionType>NONE</EncryptionType></BlockedEncryptionTypes>"


def body_of(name: str, size: int) -> bytes:
    return hashlib.shake_128(name.encode()).digest(size)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stock(gateway: InProcessGateway, mode: str, monkeypatch: pytest.MonkeyPatch) -> InProcessGateway:
    """Objects of every shape in one mode, a copy that shares, an older version, a marker, and an upload in progress."""
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)
    rule = b"<ServerSideEncryptionConfiguration><Rule>%b</Rule></ServerSideEncryptionConfiguration>" % BLOCKED
    assert (await gateway.call("PUT", "/ledger", query={"encryption": ""}, body=rule)).status == 200
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    assert (await gateway.call("PUT", "/ledger", query={"versioning": ""}, body=versioning)).status == 200
    for key in ("gone", "gone", *SIZES):
        body = body_of(key, SIZES.get(key, 20_000))
        assert (await gateway.call("PUT", f"/ledger/{key}", headers=asked(mode), body=body)).status == 200
    assert (await gateway.call("DELETE", "/ledger/gone")).status == 204
    for key in ("parts", "begun"):
        upload = await begin(gateway, f"/ledger/{key}", asked(mode))
        for number in (1, 2):
            assert (await upload.put(number, body_of(f"{key} {number}", 40_000), brought(mode))).status == 200
        if key == "parts":
            assert (await upload.complete(brought(mode))).status == 200
    await asyncio.sleep(0.002)  # a pass is about what was there the millisecond before
    return gateway


def shallow(gateway: InProcessGateway, owner: str = "test") -> ShallowScrub:
    telling = Telling(lambda kind, detail: gateway.events.append((kind, detail)))
    return ShallowScrub(gateway.index, gateway.services.blobs, telling, owner)


def deep(gateway: InProcessGateway, owner: str = "test") -> DeepScrub:
    services = gateway.services
    return DeepScrub(
        gateway.index,
        services.blobs,
        Telling(lambda kind, detail: gateway.events.append((kind, detail))),
        owner,
        rows=services.rows,
        data_keys=services.data_keys,
        inline_limit_bytes=services.inline_limit_bytes,
        via_service=f"s3.{REGION}.amazonaws.com",
    )


async def done(scrub: Pass) -> ScrubNote:
    assert await scrub.run()
    note = await scrub.note()
    assert note is not None and note.ended_us is not None
    return note


async def bad(gateway: InProcessGateway) -> dict[str, str]:
    return {each.blob_id.hex(): each.problem for each in await gateway.index.list_bad_blobs(after=b"", limit=100)}


async def blob_path(gateway: InProcessGateway, key: str) -> Path:
    bucket = await gateway.index.get_bucket("ledger")
    row = await gateway.index.get_object(bucket.bucket_id, key.encode())
    return next(path for path in stored_files(gateway) if path.name == row.blob_ids[-1].hex())


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def forge(path: Path, place: int) -> None:
    """Change a byte of a segment, and put every checksum right, as whoever can write to the store does."""
    data = bytearray(path.read_bytes())
    tail = parse_tail(bytes(data[-TAIL_SIZE:]))
    start = len(data) - tail.footer_length
    old = crc64nvme(bytes(data[128:start])).to_bytes(8)
    data[place] ^= 1
    new = crc64nvme(bytes(data[128:start])).to_bytes(8)
    encode = msgspec.json.Encoder().encode
    assert data.count(encode(old)[1:-1]) == 1
    data[start:] = bytes(data[start:]).replace(encode(old)[1:-1], encode(new)[1:-1])
    crc = zlib.crc32(bytes(data[:128]))
    crc = zlib.crc32(bytes(data[start:-TAIL_SIZE]), crc)
    crc = zlib.crc32(bytes(data[-TAIL_SIZE : -TAIL_SIZE + 16]), crc)
    data[-16:-12] = crc.to_bytes(4)
    parse_footer(bytes(data[:128]), bytes(data[start:]), stored_length=len(data))
    path.write_bytes(data)


async def test_a_sound_store_is_well(stock: InProcessGateway, mode: str) -> None:
    note = await done(shallow(stock))
    assert note.seen == note.total == await stock.index.count_blobs() > 8
    assert (note.well, note.bad, note.without_checksum, note.unchecked) == (note.total, 0, 0, {})
    assert note.read_bytes > sum(SIZES.values())
    note = await done(deep(stock))
    if mode == "customer A":
        assert (note.well, note.unchecked) == (0, {"SSE-C": 6})
    else:
        assert (note.well, note.unchecked) == (await stock.index.count_blobs() - 2, {})  # all but the upload's parts
        assert note.read_bytes >= sum(SIZES.values())
    assert (note.bad, await bad(stock), stock.events) == (0, {}, [])


@pytest.mark.parametrize("mode", ["aws:kms", "aws:kms:dsse"], indirect=True)
@pytest.mark.parametrize(
    "where", ["header", "first segment", "last segment", "envelope", "descriptor", "tail", "length"]
)
async def test_a_changed_byte_anywhere_is_found_without_a_key(stock: InProcessGateway, where: str) -> None:
    path = await blob_path(stock, "large")
    data = path.read_bytes()
    tail = parse_tail(data[-TAIL_SIZE:])
    start = len(data) - tail.footer_length
    places = {
        "header": 40,
        "first segment": 128,
        "last segment": start - 1,
        "envelope": start + 5,
        "descriptor": len(data) - TAIL_SIZE - 1,
        "tail": len(data) - 1,
    }
    if where == "length":
        path.write_bytes(data + b"\0")
    else:
        flip(path, places[where])
    note = await done(shallow(stock))
    assert (note.bad, note.well) == (1, note.total - 1)
    assert await bad(stock) == {path.name: "damaged"}
    assert stock.events == [("blob", f"{path.name}: damaged, met by scrub")]
    path.write_bytes(data)
    assert (await done(shallow(stock))).bad == 0
    assert await bad(stock) == {}


@pytest.mark.parametrize("mode", ["aws:kms"], indirect=True)
async def test_a_bad_blob_stays_where_it_is_with_what_is_left_of_it(stock: InProcessGateway) -> None:
    path = await blob_path(stock, "large")
    flip(path, path.stat().st_size - 10_000)
    await done(shallow(stock))
    assert list(await bad(stock)) == [path.name]
    first = await stock.call("GET", "/ledger/large", headers={"Range": "bytes=0-99999"})
    assert first.body == body_of("large", SIZES["large"])[:100_000]
    last = await stock.call("GET", "/ledger/large", headers={"Range": "bytes=2490000-"})
    assert (last.status, last.code) == (500, "InternalError")
    bucket = await stock.index.get_bucket("ledger")
    row = await stock.index.get_object(bucket.bucket_id, b"large")
    await stock.call("DELETE", "/ledger/large", query={"versionId": row.version_id})
    await stock.index.forget_blobs(row.blob_ids)
    assert await bad(stock) == {}


@pytest.mark.parametrize("mode", ["AES256"], indirect=True)
async def test_a_blob_that_is_not_there_is_found(stock: InProcessGateway) -> None:
    path = await blob_path(stock, "parts")
    path.unlink()
    assert (await done(shallow(stock))).bad == 1
    assert await bad(stock) == {path.name: "missing"}


@pytest.mark.parametrize("mode", ["AES256", "aws:kms", "aws:kms:dsse"], indirect=True)
@pytest.mark.parametrize("key", ["file", "large", "parts"])
async def test_what_a_forger_writes_with_right_checksums_is_found_with_keys(stock: InProcessGateway, key: str) -> None:
    path = await blob_path(stock, key)
    data = path.read_bytes()
    forge(path, 300)
    assert (await done(shallow(stock))).bad == 0
    assert (await done(deep(stock))).bad == 1
    assert await bad(stock) == {path.name: "inauthentic"}
    assert [kind for kind, _ in stock.events] == ["blob"]
    await done(shallow(stock))
    assert await bad(stock) == {path.name: "inauthentic"}  # a checksum cannot take that back
    path.write_bytes(data)
    await done(deep(stock))
    assert await bad(stock) == {}


@pytest.mark.parametrize("mode", ["AES256"], indirect=True)
async def test_inline_blobs_are_checked_as_well(stock: InProcessGateway) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE inline_blob SET data = CAST(substr(data, 1, 200) || x'00' || substr(data, 202) AS BLOB) "
            "WHERE length(data) > 1000"
        )

    await stock.index._database.write(change)
    note = await done(shallow(stock))
    assert 1 <= note.bad <= 2
    assert set((await bad(stock)).values()) == {"damaged"}
    assert (await done(deep(stock))).bad >= 1


@pytest.mark.parametrize("mode", ["AES256"], indirect=True)
async def test_a_damaged_row_is_told_and_keeps_nothing_waiting(stock: InProcessGateway) -> None:
    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE object_version SET size = size + 1 WHERE key = ?", (b"file",))

    await stock.index._database.write(change)
    note = await done(deep(stock))
    assert note.unchecked == {"DamagedRow": 1}
    assert [kind for kind, _ in stock.events] == ["row"]


@pytest.mark.parametrize("mode", ["aws:kms"], indirect=True)
async def test_what_the_kms_refuses_is_counted_not_called_bad(stock: InProcessGateway) -> None:
    caller = Caller(root_principal(ACCOUNT_ID), "test")
    kms_key = (await stock.kms.call(caller, CreateKey())).key_arn
    headers = {**asked("aws:kms"), "x-amz-server-side-encryption-aws-kms-key-id": kms_key}
    assert (await stock.call("PUT", "/ledger/own", headers=headers, body=bytes(30_000))).status == 200
    await stock.kms.call(caller, DisableKey(kms_key))
    note = await done(deep(stock))
    assert note.unchecked == {"KMS.DisabledException": 1}
    assert (note.bad, stock.events) == (0, [])


@pytest.mark.parametrize("mode", ["AES256"], indirect=True)
@pytest.mark.parametrize("kind", [shallow, deep])
async def test_a_pass_goes_on_where_another_process_left_it(
    stock: InProcessGateway, kind: type[Pass], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "NOTE_SECONDS", 0.0)
    monkeypatch.setattr(job_lease, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(passes, "LEASE_SECONDS", 0.2)
    whole = await done(kind(stock, "one"))
    first = kind(stock, "first")
    working = asyncio.create_task(first.run())
    while (note := await first.note()) is None or note.ended_us is not None or note.seen < 2:
        await asyncio.sleep(0)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    note = await first.note()
    assert note is not None and 2 <= note.seen < whole.seen and note.ended_us is None
    assert await kind(stock, "second").is_due(3600)
    second = await done(kind(stock, "second"))
    assert (second.begun_us, second.seen, second.well) == (note.begun_us, whole.seen, whole.well)
    assert not await kind(stock, "third").is_due(3600)


@pytest.mark.parametrize("mode", ["AES256"], indirect=True)
async def test_one_process_has_a_pass_at_a_time(stock: InProcessGateway) -> None:
    one = shallow(stock, "one")
    working = asyncio.create_task(one.run(bytes_per_second=100_000))
    while await one.note() is None:
        await asyncio.sleep(0.01)
        if not working.done():
            break
    assert not await shallow(stock, "two").run()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    assert await shallow(stock, "two").run()


async def test_no_faster_than_asked_for(gateway: InProcessGateway) -> None:
    for key in ("a", "b"):
        assert (await gateway.call("PUT", f"/ledger/{key}", body=bytes(300_000))).status == 200
    await asyncio.sleep(0.002)
    began = time.monotonic()
    assert await shallow(gateway).run(bytes_per_second=600_000)
    limited = time.monotonic() - began
    began = time.monotonic()
    assert await shallow(gateway).run()
    assert time.monotonic() - began < limited
    assert limited > 0.49  # who reads a blob pays for it before the next


@pytest.mark.parametrize("mode", ["AES256"], indirect=True)
async def test_an_unreadable_blob_is_bad_and_a_store_that_is_away_is_waited_for(
    stock: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = await blob_path(stock, "file")
    opened, is_away = FileBlobStore.open, False

    async def failing(store: FileBlobStore, blob_id: bytes, *, start: int = 0, end: int = 0) -> object:
        if is_away or blob_id.hex() == path.name:
            raise StorageUnavailable("blobs: Input/output error")
        return await opened(store, blob_id, start=start, end=end)

    async def ping(store: FileBlobStore) -> None:
        if is_away:
            raise StorageUnavailable("blobs: away")

    monkeypatch.setattr(FileBlobStore, "open", failing)
    monkeypatch.setattr(FileBlobStore, "ping", ping)
    assert (await done(shallow(stock))).bad == 1
    assert await bad(stock) == {path.name: "unreadable"}
    is_away = True
    with pytest.raises(StorageUnavailable):
        await shallow(stock).run()
    note = await shallow(stock).note()
    assert note is None or note.bad <= 1
    assert list(await bad(stock)) == [path.name]
    is_away = False
    assert await shallow(stock).run()


async def test_what_was_noted_by_somebody_else_begins_anew(gateway: InProcessGateway) -> None:
    scrub = shallow(gateway)
    assert await gateway.index.take_job("scrub", "x", now_us=0, until_us=1)
    assert await gateway.index.note_job("scrub", "x", b"\xff nonsense")
    assert await scrub.note() is None
    assert (await done(scrub)).seen == 0


@pytest.fixture
async def old(gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcessGateway]:
    """With a blob that has no checksum, as an earlier release wrote it."""

    def footer(sealer: BlobSealer, envelope: Envelope, descriptor: bytes) -> bytes:
        return seal_footer(sealer._layers[0].footer_key(), sealer.header, sealer.plain_length, envelope, descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(BlobSealer, "footer", footer)
        assert (await gateway.call("PUT", "/ledger/file", body=os.urandom(70_000))).status == 200
    await asyncio.sleep(0.002)
    yield gateway


async def test_a_blob_of_an_earlier_release_is_checked_as_far_as_it_says(old: InProcessGateway) -> None:
    assert (await done(shallow(old))).without_checksum == 1
    path = await blob_path(old, "file")
    flip(path, 1000)
    assert (await done(shallow(old))).without_checksum == 1
    assert (await done(deep(old))).bad == 1
    assert await bad(old) == {path.name: "inauthentic"}
    path.write_bytes(path.read_bytes()[:-1])
    assert (await done(shallow(old))).bad == 1

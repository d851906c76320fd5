"""Blobs in an S3: the contract against moto's server, and against one that fails in every way that a network offers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import boto3
import pytest
from aiohttp import web
from awscrt.auth import AwsCredentialsProvider

from gateway.operations.scrub.checksums import check_stored
from gateway.sealing.errors import SealingError
from gateway.storage.blobs.s3 import backend, writer
from gateway.storage.blobs.s3.backend import Timing
from gateway.storage.blobs.s3.location import Location, parse_location
from gateway.storage.blobs.s3.store import S3BlobStore
from gateway.storage.errors import BlobMissing, StorageUnavailable
from tests.conformance.blobs import BlobSuite, blob_id_at, load_blob, now_ms, scanned, store_blob
from tests.faulty_proxy import Fault, FaultyProxy
from tests.gateway.sealing.material import sealed_blob
from tests.moto_server import moto_server

CREDENTIALS = AwsCredentialsProvider.new_static("AKIAEXAMPLEEXAMPLE00", "secret" * 6)
MIB = 1 << 20


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto_server(tmp_path_factory.mktemp("moto") / "log") as url:
        yield url


@pytest.fixture
def bucket(moto: str) -> str:
    """A new bucket; its name."""
    name = f"blobs-{os.urandom(6).hex()}"
    client(moto).create_bucket(Bucket=name)
    return name


def client(endpoint: str):  # type: ignore[no-untyped-def]
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIAEXAMPLEEXAMPLE00",
        aws_secret_access_key="secret" * 6,
    )


def location(endpoint: str, bucket: str) -> Location:
    return parse_location(f"s3://{bucket}/cipher/text", endpoint=endpoint, region="us-east-1", addressing="auto")


def open_store(endpoint: str, bucket: str, directory: Path, instance: str = "worker-0") -> S3BlobStore:
    timing = Timing(connect_seconds=2, idle_seconds=1.0, attempt_seconds=10)
    return S3BlobStore(location(endpoint, bucket), directory, instance, credentials=CREDENTIALS, timing=timing)


class TestS3BlobStore(BlobSuite):
    holds_open_blobs = False

    @pytest.fixture
    async def store(self, moto: str, bucket: str, tmp_path: Path) -> AsyncIterator[S3BlobStore]:
        store = open_store(moto, bucket, tmp_path)
        yield store
        await store.close()


@pytest.fixture
async def proxy(moto: str) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(moto) as running:
        yield running


@pytest.fixture
async def store(proxy: FaultyProxy, bucket: str, tmp_path: Path) -> AsyncIterator[S3BlobStore]:
    """Behind the proxy."""
    store = open_store(proxy.url, bucket, tmp_path)
    yield store
    await store.close()


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "PAUSE_SECONDS", 0.001)


def names(moto: str, bucket: str) -> list[str]:
    return [each["Key"] for each in client(moto).list_objects_v2(Bucket=bucket).get("Contents", [])]


def uploads(moto: str, bucket: str) -> list[str]:
    return [each["Key"] for each in client(moto).list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


# What the backing store learns


async def test_name_is_the_id_and_there_is_nothing_else(
    store: S3BlobStore, moto: str, bucket: str, proxy: FaultyProxy
) -> None:
    blob_id = bytes.fromhex("0199f00dcafe") + b"\x17" * 10
    await store_blob(store, blob_id, b"data")
    assert names(moto, bucket) == [f"cipher/text/7/{blob_id.hex()}"]
    head = client(moto).head_object(Bucket=bucket, Key=f"cipher/text/7/{blob_id.hex()}")
    assert head["Metadata"] == {}
    (put,) = [seen for seen in proxy.seen if seen.method == "PUT"]
    assert put.headers["If-None-Match"] == "*"
    assert put.headers["x-amz-checksum-crc32c"]
    assert put.headers["x-amz-content-sha256"] != "UNSIGNED-PAYLOAD"


@pytest.mark.parametrize("size", [writer.PART_BYTES - 1, writer.PART_BYTES, writer.PART_BYTES + 1, 20 * MIB])
async def test_large_blobs_are_multipart_uploads(
    store: S3BlobStore, proxy: FaultyProxy, moto: str, bucket: str, size: int
) -> None:
    blob_id, data = blob_id_at(now_ms()), os.urandom(size)
    await store_blob(store, blob_id, data)
    reader = await store.open(blob_id, end=size)
    assert await reader.read(0, size) == data
    await reader.close()
    parts = [seen for seen in proxy.seen if "partNumber" in seen.path]
    assert len(parts) == (0 if size <= writer.PART_BYTES else -(-size // writer.PART_BYTES))
    assert uploads(moto, bucket) == []


async def test_download_is_one_request_and_a_late_range_two(store: S3BlobStore, proxy: FaultyProxy) -> None:
    blob_id, data = blob_id_at(now_ms()), os.urandom(3 * MIB)
    await store_blob(store, blob_id, data)
    for start, requests in ((0, 1), (2 * MIB, 2)):
        proxy.seen.clear()
        reader = await store.open(blob_id, start=start, end=len(data))
        await reader.read(0, 128)
        for offset in range(start, len(data), 256 << 10):
            assert await reader.read(offset, 256 << 10) == data[offset : offset + (256 << 10)]
        await reader.close()
        assert len(proxy.seen) == requests


async def test_parts_on_their_way_take_no_memory_but_a_nameless_file(store: S3BlobStore, tmp_path: Path) -> None:
    made = await store.create(blob_id_at(now_ms()))
    for _ in range(6):
        await made.write(os.urandom(MIB))
    assert len(made._part._memory) == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    before = len(os.listdir("/proc/self/fd"))
    await made.abort()
    assert len(os.listdir("/proc/self/fd")) == before - 1


# What fails, and is tried again


@pytest.mark.parametrize("fault", [Fault.STATUS_500, Fault.STATUS_503, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.HANG])
async def test_every_request_of_a_blob_may_fail_twice(
    store: S3BlobStore, proxy: FaultyProxy, moto: str, bucket: str, fault: Fault
) -> None:
    """Also when the backing store did its work and the answer was lost (CUT_AFTER)."""
    blobs = {blob_id_at(now_ms()): os.urandom(size) for size in (1000, writer.PART_BYTES + 5)}
    proxy.fail_each(fault, 2 if fault is not Fault.HANG else 1)
    for blob_id, data in blobs.items():
        await store_blob(store, blob_id, data)
        reader = await store.open(blob_id, end=len(data))
        assert await reader.read(0, len(data)) == data
        await reader.close()
    if fault is Fault.HANG:
        proxy.fail_each(fault, 0)  # a walk has many requests, each of which would wait
    assert await scanned(store) == sorted(blobs)
    for blob_id in blobs:
        await store.delete(blob_id)
    assert names(moto, bucket) == []
    if fault is not Fault.CUT_AFTER:
        assert uploads(moto, bucket) == []


async def test_download_that_breaks_off_goes_on(store: S3BlobStore, proxy: FaultyProxy) -> None:
    blob_id, data = blob_id_at(now_ms()), os.urandom(2 * MIB)
    await store_blob(store, blob_id, data)
    reader = await store.open(blob_id, end=len(data))
    proxy.fail_next(Fault.CUT_BODY, 2)
    pieces = [await reader.read(offset, 256 << 10) for offset in range(0, len(data), 256 << 10)]
    assert b"".join(pieces) == data
    await reader.close()
    reader = await store.open(blob_id, start=MIB, end=len(data))
    proxy.fail_next(Fault.CUT_BODY, 2)
    assert await reader.read(MIB, MIB) == data[MIB:]
    assert proxy.faults_left == 0
    await reader.close()


@pytest.mark.parametrize("fault", [Fault.STATUS_500, Fault.CUT_BEFORE, Fault.STATUS_403])
async def test_store_that_goes_on_failing_is_unavailable(
    store: S3BlobStore, proxy: FaultyProxy, moto: str, bucket: str, fault: Fault
) -> None:
    there = blob_id_at(now_ms())
    await store_blob(store, there, b"data")
    proxy.fail_next(fault, 10_000)
    for size in (10, writer.PART_BYTES + 1):
        made = await store.create(blob_id_at(now_ms()))
        with pytest.raises(StorageUnavailable):
            await made.write(os.urandom(size))
            await made.commit()
        await made.abort()
    with pytest.raises(StorageUnavailable):
        await store.open(there)
    with pytest.raises(StorageUnavailable):
        await store.delete(there)
    with pytest.raises(StorageUnavailable):
        await store.ping()
    with pytest.raises(StorageUnavailable):
        await scanned(store)
    proxy.fail_next(fault, 0)
    assert await load_blob(store, there) == b"data"
    assert names(moto, bucket) == [location(moto, bucket).key(there)]


async def test_missing_bucket_is_not_a_missing_blob(moto: str, tmp_path: Path) -> None:
    store = open_store(moto, "no-such-bucket-here", tmp_path)
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await store.open(blob_id_at(now_ms()))
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await store_blob(store, blob_id_at(now_ms()), b"data")
    await store.close()


async def test_blob_never_takes_another_ones_place(store: S3BlobStore, moto: str, bucket: str) -> None:
    blob_id = blob_id_at(now_ms())
    client(moto).put_object(Bucket=bucket, Key=location(moto, bucket).key(blob_id), Body=b"somebody else's")
    for data in (b"data", b"somebody else'z"):
        with pytest.raises(StorageUnavailable, match="412"):
            await store_blob(store, blob_id, data)
    body = client(moto).get_object(Bucket=bucket, Key=location(moto, bucket).key(blob_id))["Body"]
    assert body.read() == b"somebody else's"


async def test_cancelled_writers_leave_nothing(store: S3BlobStore, proxy: FaultyProxy, moto: str, bucket: str) -> None:
    for pause_seconds in (0.0, 0.005, 0.02, 0.1):
        made = await store.create(blob_id_at(now_ms()))

        async def work(made: writer.S3BlobWriter = made) -> None:
            try:
                for _ in range(20):
                    await made.write(bytes(MIB))
                await made.commit()
            finally:
                await made.abort()

        task = asyncio.create_task(work())
        await asyncio.sleep(pause_seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await store.close()
    assert names(moto, bucket) == []
    assert uploads(moto, bucket) == []


async def test_uploads_of_dead_writers_are_discarded(store: S3BlobStore, moto: str, bucket: str) -> None:
    s3 = client(moto)
    for _ in range(2):
        key = location(moto, bucket).key(blob_id_at(now_ms()))
        upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=1, Body=b"data")
    for other in ("cipher/text/others", "elsewhere"):
        s3.create_multipart_upload(Bucket=bucket, Key=other)
    assert await store.discard_unfinished(before_ms=now_ms() - 60_000) == 0
    assert await store.discard_unfinished(before_ms=now_ms() + 60_000) == 2
    assert uploads(moto, bucket) == ["cipher/text/others", "elsewhere"]


async def test_others_names_are_passed_over(store: S3BlobStore, moto: str, bucket: str) -> None:
    for key in ("cipher/text/7/readme", f"cipher/text/8/{'7' * 32}", f"7/{'7' * 32}", "cipher/text/ping/worker-1"):
        client(moto).put_object(Bucket=bucket, Key=key, Body=b"x")
    assert await scanned(store) == []


async def test_scan_goes_on_over_many_pages(store: S3BlobStore, proxy: FaultyProxy) -> None:
    proxy.page_size = 3
    blob_ids = sorted(blob_id_at(now_ms() - 10**7 + number) for number in range(60))
    await asyncio.gather(*(store_blob(store, blob_id, b"x") for blob_id in blob_ids))
    assert await scanned(store) == blob_ids


# A backing store that answers nonsense


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>", b"x" * (4 << 20)],
)
async def test_nonsense_is_no_listing(tmp_path: Path, answer: bytes) -> None:
    async def respond(_: web.Request) -> web.Response:
        return web.Response(body=answer)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    store = open_store(f"http://{host}:{port}", "bucket", tmp_path)
    with pytest.raises(StorageUnavailable):
        await scanned(store)
    with pytest.raises(StorageUnavailable):
        await store.discard_unfinished(before_ms=1)
    with pytest.raises((StorageUnavailable, BlobMissing)):
        await store_blob(store, blob_id_at(now_ms()), bytes(writer.PART_BYTES + 1))
    await store.close()
    await runner.cleanup()


# Where it is


@pytest.mark.parametrize(
    ("url", "endpoint", "addressing", "expected"),
    [
        ("s3://bucket", "", "auto", ("https", "bucket.s3.eu-central-1.amazonaws.com", "", "")),
        ("s3://bucket/a/b/", "", "path", ("https", "s3.eu-central-1.amazonaws.com", "/bucket", "a/b/")),
        ("s3://buck.et/a", "", "auto", ("https", "s3.eu-central-1.amazonaws.com", "/buck.et", "a/")),
        ("s3://bucket/a", "http://10.0.0.1:9000", "auto", ("http", "10.0.0.1:9000", "/bucket", "a/")),
        ("s3://bucket", "https://s3.example.com", "virtual", ("https", "bucket.s3.example.com", "", "")),
    ],
)
def test_location(url: str, endpoint: str, addressing: str, expected: tuple[str, str, str, str]) -> None:
    found = parse_location(url, endpoint=endpoint, region="eu-central-1", addressing=addressing)
    assert (*found.scheme_and_host, found.root, found.prefix) == expected


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("s3://", ""),
        ("s3://Bucket", ""),
        ("s3://bucket/../x", ""),
        ("s3://bucket/a b", ""),
        ("file:///x", ""),
        ("s3://bucket", "ftp://x"),
        ("s3://bucket", "http://user:pw@x"),
        ("s3://bucket", "http://x/path"),
        ("s3://bucket", "http://"),
    ],
)
def test_no_location(url: str, endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"must be|has a scheme"):
        parse_location(url, endpoint=endpoint, region="us-east-1", addressing="auto")


@pytest.mark.parametrize("size", [1000, 3 << 20])
async def test_a_blob_is_checked_by_its_checksums_without_a_key(
    store: S3BlobStore, moto: str, bucket: str, proxy: FaultyProxy, size: int
) -> None:
    blob = sealed_blob(size)
    await store_blob(store, blob.blob_id, blob.stored)
    read: list[int] = []

    async def spend(count: int) -> None:
        read.append(count)

    proxy.seen.clear()
    assert await check_stored(store, blob.blob_id, len(blob.stored), spend)
    assert len(proxy.seen) <= 4
    assert size <= sum(read) <= len(blob.stored)
    (name,) = names(moto, bucket)
    for place in (200, len(blob.stored) - 100):
        changed = bytearray(blob.stored)
        changed[place] ^= 1
        client(moto).put_object(Bucket=bucket, Key=name, Body=bytes(changed))
        with pytest.raises(SealingError):
            await check_stored(store, blob.blob_id, len(blob.stored), spend)

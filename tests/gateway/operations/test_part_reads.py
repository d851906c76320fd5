"""Parts of an object: read by number, and told by GetObjectAttributes. Statuses and fields are recorded from AWS."""

from __future__ import annotations

import base64
import hashlib
import itertools
import zlib

import pytest

from gateway.operations.multipart import parts as parts_of_an_upload
from tests.gateway.gateway_in_process import InProcessGateway
from tests.gateway.operations.uploads import begin

PARTS = {2: b"first" * 9000, 7: b"second" * 20, 300: b"last"}
"""Numbers with gaps, as an upload may have them."""
BODY = b"".join(PARTS.values())
KMS = {"x-amz-server-side-encryption": "aws:kms"}
WITH_CHECKSUMS = {"x-amz-checksum-mode": "ENABLED"}


@pytest.fixture(autouse=True)
def parts_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)


async def put_in_parts(gateway: InProcessGateway, headers: dict[str, str], parts: dict[int, bytes] = PARTS) -> None:
    upload = await begin(gateway, "/ledger/k", headers)
    for number, body in parts.items():
        sent = await upload.put(number, body)
        assert sent.status == 200, sent.body
    done = await upload.complete()
    assert done.status == 200, done.body


async def attributes(gateway: InProcessGateway, wanted: str, **headers: str) -> str:
    named = {f"x-amz-{name.replace('_', '-')}": value for name, value in headers.items()}
    answer = await gateway.call(
        "GET", "/ledger/k", query={"attributes": ""}, headers={"x-amz-object-attributes": wanted, **named}
    )
    assert answer.status == 200, answer.body
    assert "Last-Modified" in answer.headers
    return (
        answer.body.decode()
        .partition("/2006-03-01/")[2]
        .partition(">")[2]
        .removesuffix("</GetObjectAttributesResponse>")
    )


@pytest.mark.parametrize("headers", [{}, KMS], ids=["sse-s3", "sse-kms"])
async def test_parts_are_read_by_their_place(gateway: InProcessGateway, headers: dict[str, str]) -> None:
    await put_in_parts(gateway, headers)
    starts = [0, *itertools.accumulate(map(len, PARTS.values()))]
    for place, (start, body) in enumerate(zip(starts, PARTS.values(), strict=False), 1):
        got = await gateway.call("GET", "/ledger/k", query={"partNumber": str(place)})
        assert (got.status, got.body) == (206, body)
        assert got.headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{len(BODY)}"
        assert got.headers["x-amz-mp-parts-count"] == "3"
        head = await gateway.call("HEAD", "/ledger/k", query={"partNumber": str(place)})
        assert (head.status, dict(head.headers)) == (206, dict(got.headers))
    whole = await gateway.call("GET", "/ledger/k")
    assert (whole.status, whole.body) == (200, BODY)
    assert "x-amz-mp-parts-count" not in whole.headers


@pytest.mark.parametrize("number", ["4", "10000"])
async def test_a_part_that_is_not_there(gateway: InProcessGateway, number: str) -> None:
    await put_in_parts(gateway, {})
    refused = await gateway.call("GET", "/ledger/k", query={"partNumber": number})
    assert (refused.status, refused.code) == (416, "InvalidPartNumber")
    assert (refused.text("ActualPartCount"), refused.text("PartNumberRequested")) == ("3", number)
    assert (await gateway.call("HEAD", "/ledger/k", query={"partNumber": number})).status == 416


@pytest.mark.parametrize("number", ["0", "-1", "10001", "one", ""])
async def test_a_number_that_no_part_has(gateway: InProcessGateway, number: str) -> None:
    await gateway.call("PUT", "/ledger/k", body=b"x")
    refused = await gateway.call("GET", "/ledger/k", query={"partNumber": number})
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert refused.text("ArgumentName") == "partNumber"


async def test_a_range_and_a_part_contradict_each_other(gateway: InProcessGateway) -> None:
    await put_in_parts(gateway, {})
    refused = await gateway.call("GET", "/ledger/k", query={"partNumber": "1"}, headers={"Range": "bytes=0-1"})
    assert (refused.status, refused.code) == (400, "InvalidRequest")


async def test_an_object_of_one_body_is_one_part(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", "/ledger/k", body=b"test-123")
    got = await gateway.call("GET", "/ledger/k", query={"partNumber": "1"}, headers=WITH_CHECKSUMS)
    assert (got.status, got.body, got.headers["Content-Range"]) == (206, b"test-123", "bytes 0-7/8")
    assert "x-amz-mp-parts-count" not in got.headers
    assert got.headers["x-amz-checksum-type"] == "FULL_OBJECT"
    refused = await gateway.call("GET", "/ledger/k", query={"partNumber": "2"})
    assert (refused.status, refused.text("ActualPartCount")) == (416, "1")
    await gateway.call("PUT", "/ledger/k", body=b"")
    empty = await gateway.call("GET", "/ledger/k", query={"partNumber": "1"})
    assert (empty.status, empty.body) == (200, b"")


async def test_an_empty_last_part(gateway: InProcessGateway) -> None:
    await put_in_parts(gateway, {}, {1: b"x", 2: b""})
    got = await gateway.call("GET", "/ledger/k", query={"partNumber": "2"})
    assert (got.status, got.body, got.headers["x-amz-mp-parts-count"]) == (206, b"", "2")
    assert "Content-Range" not in got.headers


async def test_a_copy_of_parts_is_one_part(gateway: InProcessGateway) -> None:
    await put_in_parts(gateway, {})
    await gateway.call("PUT", "/ledger/copy", headers={"x-amz-copy-source": "/ledger/k"})
    got = await gateway.call("GET", "/ledger/copy", query={"partNumber": "1"})
    assert (got.status, got.body) == (206, BODY)
    assert "x-amz-mp-parts-count" not in got.headers


async def test_part_checksums_where_they_are_the_part_s(gateway: InProcessGateway) -> None:
    crc32 = {"x-amz-checksum-algorithm": "CRC32"}
    await put_in_parts(gateway, {**crc32, "x-amz-checksum-type": "COMPOSITE"})
    got = await gateway.call("GET", "/ledger/k", query={"partNumber": "2"}, headers=WITH_CHECKSUMS)
    expected = base64.b64encode(zlib.crc32(PARTS[7]).to_bytes(4, "big")).decode()
    assert (got.headers["x-amz-checksum-crc32"], got.headers["x-amz-checksum-type"]) == (expected, "COMPOSITE")
    unasked = await gateway.call("GET", "/ledger/k", query={"partNumber": "2"})
    assert "x-amz-checksum-crc32" not in unasked.headers
    await put_in_parts(gateway, {**crc32, "x-amz-checksum-type": "FULL_OBJECT"})
    got = await gateway.call("GET", "/ledger/k", query={"partNumber": "2"}, headers=WITH_CHECKSUMS)
    assert not [name for name in got.headers if name.startswith("x-amz-checksum-")]


async def test_a_range_carries_the_checksum_only_where_it_is_everything(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", "/ledger/k", body=b"0123456789")
    for value, is_shown in [("bytes=0-", True), ("bytes=-10", True), ("bytes=0-8", False), ("bytes=1-9", False)]:
        got = await gateway.call("GET", "/ledger/k", headers={"Range": value, **WITH_CHECKSUMS})
        assert got.status == 206
        assert ("x-amz-checksum-crc64nvme" in got.headers) == is_shown, value


async def test_attributes_of_an_object_of_one_body(gateway: InProcessGateway) -> None:
    crc = base64.b64encode(zlib.crc32(b"test-123").to_bytes(4, "big")).decode()
    await gateway.call("PUT", "/ledger/k", body=b"test-123", headers={"x-amz-checksum-crc32": crc})
    assert await attributes(gateway, "ETag,Checksum,ObjectParts,StorageClass,ObjectSize") == (
        f"<ETag>{hashlib.md5(b'test-123').hexdigest()}</ETag>"
        f"<Checksum><ChecksumCRC32>{crc}</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></Checksum>"
        "<StorageClass>STANDARD</StorageClass><ObjectSize>8</ObjectSize>"
    )
    assert await attributes(gateway, " ObjectSize ,") == "<ObjectSize>8</ObjectSize>"


async def test_attributes_count_parts_that_have_no_checksum_of_their_own(gateway: InProcessGateway) -> None:
    await put_in_parts(gateway, KMS)
    assert await attributes(gateway, "ObjectParts") == "<ObjectParts><PartsCount>3</PartsCount></ObjectParts>"


async def test_attributes_list_parts_with_checksums_in_pages(gateway: InProcessGateway) -> None:
    await put_in_parts(gateway, {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "COMPOSITE"})
    parts = [
        f"<Part><PartNumber>{place}</PartNumber><Size>{len(body)}</Size><ChecksumCRC32>"
        f"{base64.b64encode(zlib.crc32(body).to_bytes(4, 'big')).decode()}</ChecksumCRC32></Part>"
        for place, body in enumerate(PARTS.values(), 1)
    ]

    def page(marker: int, following: int, maximum: int, truncated: str, shown: list[str]) -> str:
        return (
            f"<ObjectParts><PartsCount>3</PartsCount><PartNumberMarker>{marker}</PartNumberMarker>"
            f"<NextPartNumberMarker>{following}</NextPartNumberMarker><MaxParts>{maximum}</MaxParts>"
            f"<IsTruncated>{truncated}</IsTruncated>{''.join(shown)}</ObjectParts>"
        )

    assert await attributes(gateway, "ObjectParts") == page(0, 3, 1000, "false", parts)
    assert await attributes(gateway, "ObjectParts", max_parts="2") == page(0, 2, 2, "true", parts[:2])
    second = await attributes(gateway, "ObjectParts", max_parts="2", part_number_marker="2")
    assert second == page(2, 3, 2, "false", parts[2:])
    beyond = await attributes(gateway, "ObjectParts", max_parts="1", part_number_marker="10")
    assert beyond == page(10, 0, 1, "false", [])
    composite = await attributes(gateway, "Checksum")
    assert "-3" not in composite and "<ChecksumType>COMPOSITE</ChecksumType>" in composite


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "InvalidRequest"),
        ({"x-amz-object-attributes": " , "}, "InvalidRequest"),
        ({"x-amz-object-attributes": "ETag,Colour"}, "InvalidArgument"),
        ({"x-amz-object-attributes": "etag"}, "InvalidArgument"),
        ({"x-amz-object-attributes": "ETag", "x-amz-max-parts": "many"}, "InvalidArgument"),
        ({"x-amz-object-attributes": "ETag", "x-amz-part-number-marker": "-1"}, "InvalidArgument"),
    ],
)
async def test_attributes_that_are_refused(gateway: InProcessGateway, headers: dict[str, str], code: str) -> None:
    await gateway.call("PUT", "/ledger/k", body=b"x")
    refused = await gateway.call("GET", "/ledger/k", query={"attributes": ""}, headers=headers)
    assert (refused.status, refused.code) == (400, code)


async def test_attributes_of_nothing(gateway: InProcessGateway) -> None:
    wanted = {"x-amz-object-attributes": "ETag"}
    missing = await gateway.call("GET", "/ledger/k", query={"attributes": ""}, headers=wanted)
    assert (missing.status, missing.code) == (404, "NoSuchKey")


async def test_a_bucket_has_no_versioning(gateway: InProcessGateway) -> None:
    told = await gateway.call("GET", "/ledger", query={"versioning": ""})
    assert told.status == 200
    assert told.body.endswith(
        b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></VersioningConfiguration>'
    )
    assert (await gateway.call("GET", "/absent", query={"versioning": ""})).code == "NoSuchBucket"

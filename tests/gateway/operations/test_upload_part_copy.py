"""UploadPartCopy: a part is a range of another object, sealed anew; what fails leaves nothing."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from gateway.operations.copy_source import MAX_COPY_BYTES, check_copy_size
from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.protocol.errors import S3Error
from gateway.storage.errors import NoSuchUpload
from iam.principals import Caller, root_principal
from kms.api.types import CreateKey, DisableKey
from tests.gateway.gateway_in_process import ACCOUNT_ID, OTHER_ACCOUNT_ID, InProcessGateway
from tests.gateway.operations.uploads import begin, stored_files

S = 65536
BODY = bytes(range(251)) * 2500
KMS = {"x-amz-server-side-encryption": "aws:kms"}
SOURCE = "/ledger/source"


@pytest.fixture(autouse=True)
def parts_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 1)


@pytest.mark.parametrize("source_headers", [{}, KMS], ids=["from-s3", "from-kms"])
@pytest.mark.parametrize("target_headers", [{}, KMS], ids=["to-s3", "to-kms"])
async def test_ranges_become_parts(
    gateway: InProcessGateway, source_headers: dict[str, str], target_headers: dict[str, str]
) -> None:
    await gateway.call("PUT", SOURCE, body=BODY, headers=source_headers)
    upload = await begin(gateway, "/ledger/copy", target_headers)
    spans = [(0, 4 * S + 1), (4 * S, 4 * S + 10), (S - 1, 9 * S), (0, 1), (len(BODY) - 5, len(BODY))]
    for number, (start, end) in enumerate(spans, 1):
        copied = await upload.copy(number, SOURCE, f"bytes={start}-{end - 1}")
        assert copied.status == 200, copied.body
        is_md5 = copied.text("ETag") == f'"{hashlib.md5(BODY[start:end]).hexdigest()}"'
        assert is_md5 == (not target_headers)
        assert b"Checksum" not in copied.body, "the upload was begun without an algorithm"
        mode = copied.headers["x-amz-server-side-encryption"]
        assert mode == ("aws:kms" if target_headers else "AES256")
    await gateway.call("DELETE", SOURCE)
    done = await upload.complete()
    assert done.status == 200, done.body
    assert (await gateway.call("GET", "/ledger/copy")).body == b"".join(BODY[start:end] for start, end in spans)


@pytest.mark.parametrize("size", [0, 1, 16_384, 3 * S])
async def test_without_a_range_the_whole_source_is_the_part(gateway: InProcessGateway, size: int) -> None:
    await gateway.call("PUT", SOURCE, body=BODY[:size])
    upload = await begin(gateway, "/ledger/copy")
    assert (await upload.copy(1, SOURCE)).status == 200
    assert (await upload.complete()).status == 200
    assert (await gateway.call("GET", "/ledger/copy")).body == BODY[:size]


async def test_the_source_may_itself_be_made_of_parts(gateway: InProcessGateway) -> None:
    first = await begin(gateway, SOURCE)
    for number, start in enumerate(range(0, len(BODY), 200_000), 1):
        await first.put(number, BODY[start : start + 200_000])
    assert (await first.complete()).status == 200
    upload = await begin(gateway, "/ledger/copy", KMS)
    assert (await upload.copy(1, SOURCE, "bytes=199999-400000")).status == 200
    assert (await upload.complete()).status == 200
    assert (await gateway.call("GET", "/ledger/copy")).body == BODY[199_999:400_001]


async def test_the_checksum_is_of_the_upload_s_algorithm(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", SOURCE, body=BODY)
    upload = await begin(gateway, "/ledger/copy", {"x-amz-checksum-algorithm": "CRC32"})
    copied = await upload.copy(1, SOURCE, "bytes=10-99999")
    expected = base64.b64encode(zlib.crc32(BODY[10:100_000]).to_bytes(4, "big")).decode()
    assert copied.text("ChecksumCRC32") == expected
    listed = await gateway.call("GET", "/ledger/copy", query={"uploadId": upload.upload_id})
    assert (listed.text("ChecksumCRC32"), listed.text("Size")) == (expected, "99990")
    assert listed.text("ETag") == copied.text("ETag")


@pytest.mark.parametrize(
    ("copy_range", "message"),
    [
        ("bytes=0-10", "Range specified is not valid for source object of size: 10"),
        ("0-2", "must be of the form bytes=first-last"),
        ("bytes=3-2", "must be of the form bytes=first-last"),
        ("bytes=3-", "must be of the form bytes=first-last"),
        ("bytes=-3", "must be of the form bytes=first-last"),
        ("bytes=0-1,3-4", "must be of the form bytes=first-last"),
    ],
)
async def test_ranges_that_are_refused(gateway: InProcessGateway, copy_range: str, message: str) -> None:
    await gateway.call("PUT", SOURCE, body=b"0123456789")
    upload = await begin(gateway, "/ledger/copy")
    refused = await upload.copy(1, SOURCE, copy_range)
    assert (refused.status, refused.code) == (400, "InvalidArgument")
    assert refused.text("ArgumentName") == "x-amz-copy-source-range"
    assert message in (refused.text("Message") or "")


async def test_a_range_that_begins_beyond_the_source(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", SOURCE, body=b"0123456789")
    upload = await begin(gateway, "/ledger/copy")
    for copy_range in ("bytes=10-10", "bytes=100-200"):
        refused = await upload.copy(1, SOURCE, copy_range)
        assert (refused.status, refused.code) == (400, "InvalidRequest")


async def test_sources_that_are_refused(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", SOURCE, body=b"x")
    await gateway.call("PUT", "/theirs", account_id=OTHER_ACCOUNT_ID)
    await gateway.call("PUT", "/theirs/k", body=b"x", account_id=OTHER_ACCOUNT_ID)
    upload = await begin(gateway, "/ledger/copy")
    for source, expected in [
        ("/ledger/missing", (404, "NoSuchKey")),
        ("/missing-bucket/k", (404, "NoSuchBucket")),
        ("/theirs/k", (403, "AccessDenied")),
        ("ledger", (400, "InvalidArgument")),
        (f"{SOURCE}?versionId=other", (400, "InvalidArgument")),
    ]:
        refused = await upload.copy(1, source)
        assert (refused.status, refused.code) == expected, source
    for condition in [{"if_match": '"other"'}, {"if_unmodified_since": "Mon, 01 Jan 2001 00:00:00 GMT"}]:
        refused = await upload.copy(1, SOURCE, **condition)
        assert (refused.status, refused.code) == (412, "PreconditionFailed"), condition
    assert (await upload.complete()).status == 400, "no part came of any of these"


@pytest.mark.parametrize(("number", "upload_id"), [("0", None), ("10001", None), ("1", "never-given-out")])
async def test_parts_that_are_refused(gateway: InProcessGateway, number: str, upload_id: str | None) -> None:
    await gateway.call("PUT", SOURCE, body=b"x")
    upload = await begin(gateway, "/ledger/copy")
    query = {"partNumber": number, "uploadId": upload_id or upload.upload_id}
    refused = await gateway.call("PUT", "/ledger/copy", query=query, headers={"x-amz-copy-source": SOURCE})
    assert (refused.status, refused.code) == ((404, "NoSuchUpload") if upload_id else (400, "InvalidArgument"))


def test_more_than_five_gibibytes_are_refused() -> None:
    check_copy_size(MAX_COPY_BYTES)
    with pytest.raises(S3Error) as refused:
        check_copy_size(MAX_COPY_BYTES + 1)
    assert refused.value.code == "InvalidRequest"


async def test_a_disabled_key_of_the_source_or_of_the_upload_copies_nothing(gateway: InProcessGateway) -> None:
    caller = Caller(root_principal(ACCOUNT_ID), "test")
    key = await gateway.kms.call(caller, CreateKey())
    locked = {**KMS, "x-amz-server-side-encryption-aws-kms-key-id": key.key_id}
    await gateway.call("PUT", SOURCE, body=BODY, headers=locked)
    await gateway.call("PUT", "/ledger/open", body=BODY)
    into_open, into_locked = await begin(gateway, "/ledger/a"), await begin(gateway, "/ledger/b", locked)
    await gateway.kms.call(caller, DisableKey(key.key_id))
    before = stored_files(gateway)
    for refused in (await into_open.copy(1, SOURCE), await into_locked.copy(1, "/ledger/open")):
        assert (refused.status, refused.code) == (400, "KMS.DisabledException")
    assert stored_files(gateway) == before


async def test_a_damaged_source_leaves_no_part(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", SOURCE, body=BODY)
    (path,) = stored_files(gateway)
    stored = path.read_bytes()
    place = 7 * S  # in the second batch: the first was sealed and written when it is found out
    path.write_bytes(stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :])
    upload = await begin(gateway, "/ledger/copy")
    refused = await upload.copy(1, SOURCE)
    assert (refused.status, refused.code) == (500, "InternalError")
    assert gateway.events
    assert stored_files(gateway) == {path}


async def test_an_upload_aborted_meanwhile_leaves_no_blob(
    gateway: InProcessGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    await gateway.call("PUT", SOURCE, body=BODY)
    before = stored_files(gateway)
    upload = await begin(gateway, "/ledger/copy")
    put_part = gateway.index.put_part

    async def abort_first(*arguments: object) -> None:
        assert len(stored_files(gateway)) == 2, "the part's blob is durable by now"
        assert (await upload.abort()).status == 204
        await put_part(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(gateway.index, "put_part", abort_first)
    refused = await upload.copy(1, SOURCE)
    assert (refused.status, refused.code) == (404, NoSuchUpload.__name__)
    assert stored_files(gateway) == before

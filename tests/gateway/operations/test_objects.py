"""Objects through the dispatcher: what was put is got, whatever its size, in pieces of any kind."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from iam.principals import Caller, root_principal
from kms.api.types import CreateKey, DisableKey, EnableKey
from tests.gateway.gateway_in_process import ACCOUNT_ID, OTHER_ACCOUNT_ID, InProcessGateway

S = 65536
SIZES = [0, 1, 4096, 16_384, 16_385, S - 1, S, S + 1, 4 * S, 4 * S + 1, 9 * S + 5]
KMS = {"x-amz-server-side-encryption": "aws:kms"}


def body_of(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(range(size % 256))


@pytest.mark.parametrize("headers", [{}, KMS], ids=["sse-s3", "sse-kms"])
@pytest.mark.parametrize("size", SIZES)
async def test_what_is_put_is_got(gateway: InProcessGateway, size: int, headers: dict[str, str]) -> None:
    body = body_of(size)
    put = await gateway.call("PUT", "/ledger/a key/ü.txt", headers=headers, body=[body[:1000], body[1000:]])
    assert put.status == 200, put.body
    got = await gateway.call("GET", "/ledger/a key/ü.txt")
    assert (got.status, got.body) == (200, body)
    assert got.headers["ETag"] == put.headers["ETag"]
    head = await gateway.call("HEAD", "/ledger/a key/ü.txt")
    assert (head.status, head.body) == (200, b"")
    assert {**head.headers} == {**got.headers}
    md5 = f'"{hashlib.md5(body).hexdigest()}"'
    assert (put.headers["ETag"] == md5) == (headers is not KMS)


@pytest.mark.parametrize(
    ("value", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=65530-65545", 65530, 65546),
        ("bytes=-7", 9 * S - 2, 9 * S + 5),
        ("bytes=5-", 5, None),
    ],
)
async def test_a_range_is_the_slice(gateway: InProcessGateway, value: str, start: int, end: int | None) -> None:
    body = body_of(9 * S + 5)
    await gateway.call("PUT", "/ledger/k", body=body, headers=KMS)
    got = await gateway.call("GET", "/ledger/k", headers={"Range": value})
    assert (got.status, got.body) == (206, body[start:end])


async def test_user_metadata_and_content_headers_come_back(gateway: InProcessGateway) -> None:
    headers = {"x-amz-meta-colour": "blue", "Content-Type": "text/plain", "Cache-Control": "no-store"}
    await gateway.call("PUT", "/ledger/k", body=b"x", headers=headers)
    got = await gateway.call("HEAD", "/ledger/k")
    assert {name.lower(): value for name, value in headers.items()}.items() <= {
        name.lower(): value for name, value in got.headers.items()
    }.items()


async def test_a_wrong_checksum_stores_nothing(gateway: InProcessGateway) -> None:
    for body in (b"small", body_of(2 * S)):
        wrong = base64.b64encode(zlib.crc32(body + b"!").to_bytes(4, "big")).decode()
        put = await gateway.call("PUT", "/ledger/k", body=body, headers={"x-amz-checksum-crc32": wrong})
        assert (put.status, put.code) == (400, "BadDigest")
        assert (await gateway.call("GET", "/ledger/k")).code == "NoSuchKey"
    assert not [path for path in gateway.blobs_directory.rglob("*") if path.is_file()]


async def test_a_refused_row_leaves_no_blob(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", "/ledger/k", body=b"first")
    put = await gateway.call("PUT", "/ledger/k", body=body_of(2 * S), headers={"If-None-Match": "*"})
    assert (put.status, put.code) == (412, "PreconditionFailed")
    assert (await gateway.call("GET", "/ledger/k")).body == b"first"
    assert not [path for path in gateway.blobs_directory.rglob("*") if path.is_file()]


async def test_another_account_sees_nothing(gateway: InProcessGateway) -> None:
    await gateway.call("PUT", "/ledger/k", body=b"x")
    for method, path in [("GET", "/ledger/k"), ("PUT", "/ledger/k"), ("DELETE", "/ledger/k"), ("GET", "/ledger")]:
        answer = await gateway.call(method, path, account_id=OTHER_ACCOUNT_ID)
        assert (answer.status, answer.code) == (403, "AccessDenied"), (method, path)
    assert (await gateway.call("HEAD", "/ledger", account_id=OTHER_ACCOUNT_ID)).status == 403
    copy = await gateway.call("PUT", "/theirs", account_id=OTHER_ACCOUNT_ID)
    assert copy.status == 200
    copy = await gateway.call(
        "PUT", "/theirs/k", headers={"x-amz-copy-source": "ledger/k"}, account_id=OTHER_ACCOUNT_ID
    )
    assert (copy.status, copy.code) == (403, "AccessDenied")
    assert (await gateway.call("PUT", "/ledger", account_id=OTHER_ACCOUNT_ID)).code == "BucketAlreadyExists"
    assert (await gateway.call("GET", "/", account_id=ACCOUNT_ID)).text("Name") == "ledger"


@pytest.mark.parametrize("source_headers", [{}, KMS], ids=["from-s3", "from-kms"])
@pytest.mark.parametrize("target_headers", [{}, KMS], ids=["to-s3", "to-kms"])
@pytest.mark.parametrize("size", [10, 3 * S])
async def test_a_copy_has_the_same_bytes_and_shares_them(
    gateway: InProcessGateway, size: int, source_headers: dict[str, str], target_headers: dict[str, str]
) -> None:
    body = body_of(size)
    await gateway.call("PUT", "/ledger/source", body=body, headers={**source_headers, "x-amz-meta-a": "b"})
    files = {path.name for path in gateway.blobs_directory.rglob("*") if path.is_file()}
    copy = await gateway.call("PUT", "/ledger/copy", headers={**target_headers, "x-amz-copy-source": "/ledger/source"})
    assert copy.status == 200, copy.body
    await gateway.call("DELETE", "/ledger/source")
    got = await gateway.call("GET", "/ledger/copy")
    assert (got.body, got.headers["x-amz-meta-a"]) == (body, "b")
    assert got.headers["x-amz-server-side-encryption"] == ("aws:kms" if target_headers else "AES256")
    md5 = f'"{hashlib.md5(body).hexdigest()}"'
    assert (got.headers["ETag"] == md5) == (not target_headers)
    stored = {path.name for path in gateway.blobs_directory.rglob("*") if path.is_file()}
    assert len(stored - files) == (size > gateway.services.inline_limit_bytes)  # its manifest lies where the body lies
    assert files <= stored


async def test_a_disabled_key_opens_nothing_while_head_and_list_work(gateway: InProcessGateway) -> None:
    caller = Caller(root_principal(ACCOUNT_ID), "test")
    key = await gateway.kms.call(caller, CreateKey())
    headers = {**KMS, "x-amz-server-side-encryption-aws-kms-key-id": key.key_id}
    put = await gateway.call("PUT", "/ledger/k", body=b"x", headers=headers)
    assert put.headers["x-amz-server-side-encryption-aws-kms-key-id"] == key.key_arn
    await gateway.kms.call(caller, DisableKey(key.key_id))
    for method in ("GET", "PUT"):
        refused = await gateway.call(method, "/ledger/k", headers=headers if method == "PUT" else {})
        assert (refused.status, refused.code) == (400, "KMS.DisabledException")
    assert (await gateway.call("HEAD", "/ledger/k")).status == 200
    assert (await gateway.call("GET", "/ledger")).text("Key") == "k"
    await gateway.kms.call(caller, EnableKey(key.key_id))
    assert (await gateway.call("GET", "/ledger/k")).body == b"x"


async def test_changed_bytes_are_never_served(gateway: InProcessGateway) -> None:
    body = body_of(9 * S)
    await gateway.call("PUT", "/ledger/k", body=body)
    (path,) = [path for path in gateway.blobs_directory.rglob("*") if path.is_file()]
    stored = path.read_bytes()
    path.write_bytes(stored[:5000] + bytes([stored[5000] ^ 1]) + stored[5001:])
    refused = await gateway.call("GET", "/ledger/k")
    assert (refused.status, refused.code) == (500, "InternalError")
    assert gateway.events
    whole_segments = await gateway.call("GET", "/ledger/k", headers={"Range": f"bytes={S}-"})
    assert whole_segments.body == body[S:]


async def test_multipart_with_a_part_sent_twice(gateway: InProcessGateway) -> None:
    created = await gateway.call("POST", "/ledger/big", query={"uploads": ""}, headers=KMS)
    upload_id = created.text("UploadId")
    assert upload_id is not None
    parts = {1: body_of(5 << 20), 2: body_of(100)}
    etags = {}
    for number, part in [(1, b"other" * 1000), *parts.items()]:
        sent = await gateway.call(
            "PUT", "/ledger/big", query={"partNumber": str(number), "uploadId": upload_id}, body=part
        )
        assert sent.status == 200, sent.body
        etags[number] = sent.headers["ETag"]
    document = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in etags.items()
    )
    done = await gateway.call(
        "POST",
        "/ledger/big",
        query={"uploadId": upload_id},
        body=f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode(),
    )
    assert done.status == 200, done.body
    again = await gateway.call(
        "POST",
        "/ledger/big",
        query={"uploadId": upload_id},
        body=f"<CompleteMultipartUpload>{document}</CompleteMultipartUpload>".encode(),
    )
    assert (again.status, again.text("ETag")) == (200, done.text("ETag")), "a lost answer may be asked for again"
    whole = parts[1] + parts[2]
    assert (await gateway.call("GET", "/ledger/big")).body == whole
    start = len(parts[1]) - 3
    ranged = await gateway.call("GET", "/ledger/big", headers={"Range": f"bytes={start}-{start + 9}"})
    assert ranged.body == whole[start : start + 10]
    copied = await gateway.call("PUT", "/ledger/copy", headers={"x-amz-copy-source": "ledger/big"})
    assert copied.status == 200, copied.body
    got = await gateway.call("GET", "/ledger/copy")
    assert got.body == whole
    assert got.headers["ETag"] == f'"{hashlib.md5(whole).hexdigest()}"'

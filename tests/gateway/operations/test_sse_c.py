"""Objects by SSE-C in process: every range of every shape, what is damaged, and buckets of before there was SSE-C."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from gateway.operations.encryption import DEFAULT_ENCRYPTION
from gateway.operations.multipart import parts as parts_of_an_upload
from gateway.protocol.modes import Mode
from gateway.protocol.xml.documents.encryption import ServerSideEncryptionConfiguration
from gateway.sealing.customer_keys import CUSTOMER_WRAPPED_SIZE
from kms.api.errors import KMSUnavailable
from tests.gateway.gateway_in_process import OTHER_ACCOUNT_ID, Answer, InProcessGateway, in_process_gateway
from tests.gateway.operations.uploads import begin, stored_files

S = 65536
SIZES = [0, 1, S - 1, S, S + 1, 2 * S]
SSE = "x-amz-server-side-encryption"


def customer(secret: bytes, prefix: str = SSE) -> dict[str, str]:
    return {
        f"{prefix}-customer-algorithm": "AES256",
        f"{prefix}-customer-key": base64.b64encode(secret).decode(),
        f"{prefix}-customer-key-MD5": base64.b64encode(hashlib.md5(secret).digest()).decode(),
    }


A, B = customer(b"a" * 32), customer(b"b" * 32)


def body_of(size: int) -> bytes:
    return hashlib.shake_128(size.to_bytes(8)).digest(size)


async def take_customer_keys(gateway: InProcessGateway, kind: str = "NONE") -> None:
    blocked = f"<BlockedEncryptionTypes><EncryptionType>{kind}</EncryptionType></BlockedEncryptionTypes>"
    document = f"<ServerSideEncryptionConfiguration><Rule>{blocked}</Rule></ServerSideEncryptionConfiguration>"
    answer = await gateway.call("PUT", "/ledger", query={"encryption": ""}, body=document.encode())
    assert answer.status == 200, answer.body


@pytest.fixture
async def taking(gateway: InProcessGateway) -> InProcessGateway:
    await take_customer_keys(gateway)
    return gateway


@pytest.fixture
async def in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[InProcessGateway]:
    """Every body in a file of its own, and parts of any size."""
    monkeypatch.setattr(parts_of_an_upload, "MIN_PART_BYTES", 0)
    async with in_process_gateway(tmp_path, inline_limit_bytes=0) as made:
        assert (await made.call("PUT", "/ledger")).status == 200
        await take_customer_keys(made)
        yield made


async def get(gateway: InProcessGateway, headers: Mapping[str, str], path: str = "/ledger/k") -> Answer:
    return await gateway.call("GET", path, headers=headers)


def borders(sizes: tuple[int, ...]) -> list[int]:
    """Where a segment or a part begins or ends, and the bytes beside."""
    total = sum(sizes)
    ends = list(itertools.accumulate(sizes, initial=0))
    marks = {start + at for start, size in zip(ends, sizes, strict=False) for at in (0, S, 2 * S, size) if at <= size}
    return sorted({mark + by for mark in marks for by in (-1, 0, 1) if 0 <= mark + by <= total})


async def check_ranges(gateway: InProcessGateway, body: bytes, sizes: tuple[int, ...]) -> None:
    whole = await get(gateway, A)
    assert (whole.status, whole.body) == (200, body)
    for start, end in itertools.combinations(borders(sizes), 2):
        got = await get(gateway, {**A, "Range": f"bytes={start}-{end - 1}"})
        assert (got.status, got.body) == (206, body[start:end])
        assert got.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(body)}"


@pytest.mark.parametrize("size", SIZES)
async def test_every_range_of_a_body_is_the_slice(in_files: InProcessGateway, size: int) -> None:
    body = body_of(size)
    put = await in_files.call("PUT", "/ledger/k", headers=A, body=body)
    assert put.status == 200, put.body
    await check_ranges(in_files, body, (size,))


@pytest.mark.parametrize("sizes", [*itertools.product(SIZES, repeat=2), (1, S, 1), (S + 1, 0, S - 1)], ids=str)
async def test_every_range_of_parts_is_the_slice(in_files: InProcessGateway, sizes: tuple[int, ...]) -> None:
    bodies = [body_of(size + number)[:size] for number, size in enumerate(sizes)]
    upload = await begin(in_files, "/ledger/k", A)
    for number, body in enumerate(bodies, 1):
        assert (await upload.put(number, body, A)).status == 200
    assert (await upload.complete()).status == 200
    await check_ranges(in_files, b"".join(bodies), sizes)
    for number, body in enumerate(bodies, 1):
        part = await in_files.call("GET", "/ledger/k", query={"partNumber": str(number)}, headers=A)
        assert (part.status, part.body) == (206, body)


KMS = {SSE: "aws:kms"}
PLAIN = {SSE: "AES256"}


@pytest.mark.parametrize(
    ("old", "new"),
    [(A, PLAIN), (A, KMS), (A, A), (A, B), (PLAIN, A), (KMS, A)],
    ids=["c-s3", "c-kms", "same key", "other key", "s3-c", "kms-c"],
)
@pytest.mark.parametrize("algorithm", [{}, {"x-amz-checksum-algorithm": "SHA256"}], ids=["crc64nvme", "sha256"])
async def test_a_copy_of_parts_is_one_body(
    in_files: InProcessGateway, old: dict[str, str], new: dict[str, str], algorithm: dict[str, str]
) -> None:
    """The source's blobs are shared with nothing, and both objects outlive the other."""
    bodies = [body_of(S + 1), body_of(0), body_of(S - 1)]
    of_parts = old if old is A else {}
    upload = await begin(in_files, "/ledger/k", {**old, **algorithm})
    for number, body in enumerate(bodies, 1):
        sent = await upload.put(number, body, of_parts)
        assert sent.status == 200, sent.body
    done = await upload.complete(of_parts)
    assert done.status == 200, done.body
    before = stored_files(in_files)
    of_source = {name.replace("x-amz-", "x-amz-copy-source-"): value for name, value in of_parts.items()}
    copied = await in_files.call("PUT", "/ledger/copy", headers={"x-amz-copy-source": "ledger/k", **of_source, **new})
    assert copied.status == 200, copied.body
    assert len(stored_files(in_files) - before) == 1
    etag, whole = (copied.text("ETag") or "").strip('"'), b"".join(bodies)
    assert (etag == hashlib.md5(whole).hexdigest()) == (new is PLAIN)
    assert copied.text("ChecksumType") == "FULL_OBJECT"
    if algorithm:
        assert copied.text("ChecksumSHA256") == base64.b64encode(hashlib.sha256(whole).digest()).decode()
    brought = new if new in (A, B) else {}
    assert (await in_files.call("DELETE", "/ledger/k")).status == 204
    got = await get(in_files, {**brought, "Range": f"bytes={S - 5}-{S + 5}"}, "/ledger/copy")
    assert (got.status, got.body) == (206, whole[S - 5 : S + 6])
    assert (await get(in_files, brought, "/ledger/copy")).body == whole
    assert (await in_files.call("HEAD", "/ledger/copy", query={"partNumber": "2"}, headers=brought)).status == 416


async def test_a_copy_into_another_account(taking: InProcessGateway) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": OTHER_ACCOUNT_ID},
            "Action": "s3:GetObject",
            "Resource": "arn:aws:s3:::ledger/*",
        },
    }
    put = await taking.call("PUT", "/ledger", query={"policy": ""}, body=json.dumps(policy).encode())
    assert put.status == 204, put.body
    await taking.call("PUT", "/ledger/k", headers=A, body=b"body")
    assert (await taking.call("PUT", "/theirs", account_id=OTHER_ACCOUNT_ID)).status == 200
    source = {"x-amz-copy-source": "ledger/k"}
    by_key = {**source, **{name.replace("x-amz-", "x-amz-copy-source-"): value for name, value in A.items()}}

    async def copy(headers: dict[str, str]) -> Answer:
        return await taking.call("PUT", "/theirs/k", headers=headers, account_id=OTHER_ACCOUNT_ID)

    assert (await copy(source)).code == "InvalidRequest"
    refused = await copy({**by_key, **B})
    assert (refused.status, refused.code) == (403, "AccessDenied"), "their bucket blocks SSE-C"
    assert (await copy(by_key)).status == 200
    assert (await taking.call("GET", "/theirs/k", account_id=OTHER_ACCOUNT_ID)).body == b"body"


async def test_the_wrap_is_all_that_is_kept_of_a_key(taking: InProcessGateway) -> None:
    await taking.call("PUT", "/ledger/k", headers=A, body=b"body")
    bucket = await taking.index.get_bucket("ledger")
    row = await taking.index.get_object(bucket.bucket_id, b"k")
    assert (row.wrap.mode, len(row.wrap.wrapped)) == (Mode.SSE_C, CUSTOMER_WRAPPED_SIZE)
    assert (row.wrap.key_arn, row.wrap.key_version) == (None, None)
    kept = repr(taking.services.rows.open_object(row)).encode() + row.wrap.wrapped
    for secret in (b"a" * 32, hashlib.md5(b"a" * 32).digest(), A[f"{SSE}-customer-key-MD5"].encode()):
        assert secret not in kept


async def test_the_kms_is_not_asked(taking: InProcessGateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it matter whether its root is there."""

    async def call(*_: object) -> None:
        raise KMSUnavailable("asked")

    monkeypatch.setattr(taking.services.data_keys._kms, "call", call)
    assert (await taking.call("PUT", "/ledger/k", headers=A, body=b"body")).status == 200
    assert (await get(taking, A)).body == b"body"
    source = customer(b"a" * 32, "x-amz-copy-source-server-side-encryption")
    copied = await taking.call("PUT", "/ledger/copy", headers={"x-amz-copy-source": "ledger/k", **source, **B})
    assert copied.status == 200, copied.body
    upload = await begin(taking, "/ledger/parts", A)
    await upload.put(1, b"part", A)
    assert (await upload.complete()).status == 200
    assert (await taking.call("PUT", "/ledger/k", headers={SSE: "aws:kms"}, body=b"body")).status == 503


async def test_damage_is_told_from_a_wrong_key(in_files: InProcessGateway) -> None:
    await in_files.call("PUT", "/ledger/k", headers=A, body=body_of(2 * S))
    assert (await get(in_files, B)).code == "AccessDenied"
    assert in_files.events == []
    (path,) = stored_files(in_files)
    stored = bytearray(path.read_bytes())
    stored[128 + 100] ^= 1
    path.chmod(0o600)
    path.write_bytes(stored)
    answer = await get(in_files, A)
    assert (answer.status, answer.code) == (500, "InternalError")
    assert [kind for kind, _ in in_files.events] == ["blob"]
    assert (await get(in_files, B)).code == "AccessDenied"


@pytest.mark.parametrize("at", [0, 1, 33, 65, CUSTOMER_WRAPPED_SIZE - 1], ids=["version", "salt", "C", "key", "tag"])
async def test_a_changed_wrap_is_an_integrity_event_whatever_the_key(taking: InProcessGateway, at: int) -> None:
    """The row vouches for its wrap, so that nobody can make the right key look wrong."""
    await taking.call("PUT", "/ledger/k", headers=A, body=b"body")
    with closing(sqlite3.connect(taking.blobs_directory.with_name("index.sqlite"))) as index:
        ((wrapped,),) = index.execute("SELECT wrapped FROM object_version").fetchall()
        changed = bytearray(wrapped)
        changed[at] ^= 1
        index.execute("UPDATE object_version SET wrapped = ?", (bytes(changed),))
        index.commit()
    for key in (A, B):
        answer = await get(taking, key)
        assert (answer.status, answer.code) == (500, "InternalError")
    assert [kind for kind, _ in taking.events] == ["row", "row"]


# Buckets of before there was SSE-C


async def as_before(gateway: InProcessGateway, rule: ServerSideEncryptionConfiguration | None) -> None:
    """The document as earlier releases wrote it."""
    row = await gateway.index.get_bucket("ledger")
    document = gateway.services.rows.open_bucket(row)
    older = msgspec.structs.replace(
        document, takes_customer_keys=None, encryption=None if rule is None else rule.format().decode()
    )
    await gateway.index.update_bucket(gateway.services.rows.seal_bucket(replace(row, revision=row.revision + 1), older))


NONE = ServerSideEncryptionConfiguration(Mode.SSE_S3, takes_customer_keys=True)
BLOCKED = ServerSideEncryptionConfiguration(Mode.SSE_S3, takes_customer_keys=False)


@pytest.mark.parametrize(
    ("rule", "takes"),
    [(None, False), (DEFAULT_ENCRYPTION, False), (BLOCKED, False), (NONE, True)],
    ids=["none", "AES256", "SSE-C", "NONE"],
)
async def test_an_older_bucket_blocks_sse_c_unless_its_owner_said_otherwise(
    gateway: InProcessGateway, rule: ServerSideEncryptionConfiguration | None, *, takes: bool
) -> None:
    await as_before(gateway, rule)
    expected = 200 if takes else 403
    assert (await gateway.call("PUT", "/ledger/k", headers=A, body=b"x")).status == expected
    told = await gateway.call("GET", "/ledger", query={"encryption": ""})
    assert told.text("EncryptionType") == ("NONE" if takes else "SSE-C")
    default = DEFAULT_ENCRYPTION.format()
    for answer in (
        await gateway.call("PUT", "/ledger", query={"encryption": ""}, body=default),
        await gateway.call("DELETE", "/ledger", query={"encryption": ""}),
    ):
        assert answer.status in (200, 204)
        assert (await gateway.call("PUT", "/ledger/k", headers=A, body=b"x")).status == expected
    await take_customer_keys(gateway, "SSE-C" if takes else "NONE")
    assert (await gateway.call("PUT", "/ledger/k", headers=A, body=b"x")).status == (403 if takes else 200)

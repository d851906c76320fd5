"""Every kind of payload in every upload: whole parts, framings cut anywhere, and framings that are not what was signed.

What a framed PutObject gives back is in test_upload_framing.py, wrong checksums in trailers are in test_checksums.py.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.clients.checks import random_bytes, stored_files
from tests.clients.conftest import make_bucket
from tests.clients.raw import (
    STREAMING,
    STREAMING_TRAILER,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED,
    Answer,
    RawClient,
    Signed,
    framed,
    head,
)
from tests.harness import Gateway

CHUNK = 8192
"""The least that a signed chunk other than the last may have."""
TWO_CHUNKS = random_bytes(CHUNK + 11, seed=5)
LARGE = random_bytes(200_000, seed=6)
"""Lies in a blob, not in its row; four segments."""
HASH = "the body's own hash"
KINDS = [HASH, UNSIGNED, STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER]
FRAMED = KINDS[2:]


def crc32(data: bytes) -> tuple[str, str]:
    return "x-amz-checksum-crc32", base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


@dataclass(frozen=True)
class Upload:
    """A signed upload in the making: change the body, or what was declared of it, and send it."""

    raw: RawClient
    target: str
    headers: dict[str, str]
    body: bytes
    signed: Signed

    def send(self, body: bytes | None = None, cut: int | None = None, without: str = "", **changed: str) -> Answer:
        """With `cut`, the body goes out in two writes, the second after as many bytes."""
        data = self.body if body is None else body
        headers = {**self.headers, "content-length": str(len(data))}
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        headers.pop(without, None)
        with self.raw.connect() as connection:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.send(head("PUT", self.target, headers))
            connection.send(data[:cut])
            if cut is not None:
                connection.send(data[cut:])
            return connection.answer("PUT")


def upload(
    raw: RawClient,
    target: str,
    payload: bytes,
    kind: str,
    *,
    chunks: tuple[int, ...] = (CHUNK,),
    trailers: list[tuple[str, str]] | None = None,
    announced: str | None = None,
    decoded_length: str | None = None,
) -> Upload:
    """`trailers` are sent (one CRC-32 unless given), `announced` is what x-amz-trailer says of them."""
    if kind not in FRAMED:
        signed = raw.sign("PUT", target, payload_hash=hashlib.sha256(payload).hexdigest() if kind == HASH else kind)
        return Upload(raw, target, signed.headers, payload, signed)
    if trailers is None:
        trailers = [] if kind == STREAMING else [crc32(payload)]
    headers = {
        "content-encoding": "aws-chunked",
        "x-amz-decoded-content-length": str(len(payload)) if decoded_length is None else decoded_length,
    }
    if announced is None:
        announced = ",".join(name for name, _ in trailers)
    if announced:
        headers["x-amz-trailer"] = announced
    signed = raw.sign("PUT", target, headers, kind)
    chunks = chunks if sum(chunks) <= len(payload) else ()
    body = framed(payload, None if kind == STREAMING_UNSIGNED_TRAILER else signed, chunks, trailers)
    return Upload(raw, target, signed.headers, body, signed)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_of_every_kind_make_an_object(s3: Any, raw: RawClient, bucket: str, kind: str) -> None:
    bodies = [random_bytes(5 << 20, seed=7), LARGE]
    where = {"Bucket": bucket, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    parts = []
    for number, body in enumerate(bodies, 1):
        target = f"/{bucket}/k?partNumber={number}&uploadId={where['UploadId']}"
        answer = upload(raw, target, body, kind, chunks=(65_536, 100_000)).send()
        assert answer.status == 200, answer.body
        parts.append({"PartNumber": number, "ETag": answer.headers["etag"]})
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"".join(bodies)


def seams(body: bytes) -> list[int]:
    """Offsets around every line break of the framing, and around both ends."""
    ends = [at for at in range(len(body) - 1) if body[at : at + 2] == b"\r\n"]
    data = body.find(b"\r\n") + 2
    ends = [at for at in ends if not data <= at < data + CHUNK]
    return sorted({cut for at in ends for cut in (at, at + 1, at + 2)} | {1, data + CHUNK, len(body) - 1})


@pytest.mark.parametrize("kind", FRAMED)
def test_a_framing_may_be_cut_anywhere(s3: Any, raw: RawClient, shared_bucket: str, kind: str) -> None:
    target = f"/{shared_bucket}/cut"
    for cut in seams(upload(raw, target, TWO_CHUNKS, kind).body):
        answer = upload(raw, target, TWO_CHUNKS, kind).send(cut=cut)
        assert (answer.status, answer.body) == (200, b""), cut
        assert s3.get_object(Bucket=shared_bucket, Key="cut")["Body"].read() == TWO_CHUNKS, cut


@pytest.mark.parametrize("kind", FRAMED)
def test_a_framing_may_come_byte_by_byte(s3: Any, raw: RawClient, shared_bucket: str, kind: str) -> None:
    trailers = [] if kind == STREAMING else [crc32(b"small")]
    answer = raw.stream(f"/{shared_bucket}/slowly", b"small", kind=kind, trailers=trailers, pieces=1)
    assert answer.status == 200, answer.body
    assert s3.get_object(Bucket=shared_bucket, Key="slowly")["Body"].read() == b"small"


@pytest.mark.parametrize(("old", "new"), [(b"2000", b"0002000"), (b"b\r\n", b"B\r\n"), (b"2000\r", b"2000 \r")])
def test_sizes_may_be_spelt_otherwise(s3: Any, raw: RawClient, shared_bucket: str, old: bytes, new: bytes) -> None:
    made = upload(raw, f"/{shared_bucket}/spelt", TWO_CHUNKS, STREAMING_UNSIGNED_TRAILER)
    assert old in made.body
    assert made.send(made.body.replace(old, new, 1)).status == 200
    assert s3.get_object(Bucket=shared_bucket, Key="spelt")["Body"].read() == TWO_CHUNKS


def swapped(made: Upload) -> bytes:
    """Two chunks of the same size in each other's place, each with its signature."""
    first = made.body.find(b"\r\n") + 2 + CHUNK + 2
    return made.body[first : 2 * first] + made.body[:first] + made.body[2 * first :]


def without_end(made: Upload) -> bytes:
    return made.body[: made.body.rindex(b"\r\n0")] + b"\r\n"


def signed_by_another(made: Upload) -> bytes:
    """The chunks of a request that was signed with another x-amz-date, as a replay would have them."""
    other = Signed(made.signed.headers, "0" * 64, made.signed.timestamp, made.signed.scope, made.signed.key)
    return framed(LARGE, other, (CHUNK, CHUNK))


def replaced(old: bytes, new: bytes) -> Callable[[Upload], bytes]:
    def change(made: Upload) -> bytes:
        assert old in made.body
        return made.body.replace(old, new, 1)

    return change


def zeroed(name: bytes) -> Callable[[Upload], bytes]:
    """The last signature after `name` replaced by zeros."""

    def change(made: Upload) -> bytes:
        at = made.body.rindex(name) + len(name)
        return made.body[:at] + b"0" * 64 + made.body[at + 64 :]

    return change


def then(more: bytes) -> Callable[[Upload], bytes]:
    return lambda made: made.body + more


INCOMPLETE = (400, "IncompleteBody")
MISMATCH = (403, "SignatureDoesNotMatch")
TRAILER = (400, "MalformedTrailerError")
OTHER_FRAMINGS: list[tuple[str, Callable[[Upload], bytes], tuple[int, str]]] = [
    (STREAMING, swapped, MISMATCH),
    (STREAMING, without_end, INCOMPLETE),
    (STREAMING, signed_by_another, MISMATCH),
    (STREAMING, zeroed(b";chunk-signature="), MISMATCH),
    (STREAMING, replaced(b";chunk-signature=", b";other="), MISMATCH),
    (STREAMING, replaced(LARGE[:8], b"modified"), MISMATCH),
    (STREAMING, replaced(LARGE[-8:], b"modified"), MISMATCH),
    (STREAMING, then(b"more"), INCOMPLETE),
    (STREAMING, lambda made: LARGE, INCOMPLETE),
    (STREAMING, lambda made: b"", INCOMPLETE),
    (STREAMING_TRAILER, swapped, MISMATCH),
    (STREAMING_TRAILER, zeroed(b"x-amz-trailer-signature:"), MISMATCH),
    (STREAMING_TRAILER, zeroed(b";chunk-signature="), MISMATCH),
    (STREAMING_TRAILER, replaced(b"x-amz-trailer-signature:", b"x-amz-other-signature:"), TRAILER),
    (STREAMING_TRAILER, replaced(crc32(LARGE)[1].encode(), b"AAAAAA=="), MISMATCH),
    (STREAMING_TRAILER, then(b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, without_end, INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32c:"), TRAILER),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32 "), TRAILER),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"x-amz-checksum-crc32:", b"a:1\r\nx-amz-checksum-crc32:"), TRAILER),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"\r\n0\r\n", b"\r\n0\r\n" + b"a" * 5000), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"2000\r\n", b"0x2000\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"2000\r\n", b"-2000\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"2000\r\n", b"\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"2000\r\n", b"1fff\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"2000\r\n", b"2001\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"2000\r\n", b"f" * 16 + b"\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, replaced(b"2000\r\n", b"0" * 600 + b"2000\r\n"), INCOMPLETE),
    (STREAMING_UNSIGNED_TRAILER, lambda made: made.body[:-2], INCOMPLETE),
]


@pytest.fixture(scope="module")
def keeping(s3: Any) -> str:
    """A bucket with one object that refused uploads try to replace."""
    name = make_bucket(s3)
    s3.put_object(Bucket=name, Key="k", Body=b"kept")
    return name


@pytest.fixture
def kept(gateway: Gateway, s3: Any, keeping: str) -> Iterator[str]:
    """That bucket, whose object is as it was at the end, and alone, with no file more in the blob store."""
    before = stored_files(gateway)
    yield keeping
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=keeping)["Contents"]] == ["k"]
    assert s3.get_object(Bucket=keeping, Key="k")["Body"].read() == b"kept"
    assert stored_files(gateway) <= before


@pytest.mark.parametrize(("kind", "change", "expected"), OTHER_FRAMINGS)
def test_a_framing_that_is_not_the_signed_one_replaces_nothing(
    raw: RawClient, kept: str, kind: str, change: Callable[[Upload], bytes], expected: tuple[int, str]
) -> None:
    made = upload(raw, f"/{kept}/k", LARGE, kind, chunks=(CHUNK, CHUNK))
    body = change(made)
    assert body != made.body
    assert made.send(body).refusal == expected


@pytest.mark.parametrize("kind", FRAMED)
def test_a_framed_part_that_is_not_the_signed_one_is_no_part(s3: Any, raw: RawClient, kept: str, kind: str) -> None:
    where = {"Bucket": kept, "Key": "k", "UploadId": s3.create_multipart_upload(Bucket=kept, Key="k")["UploadId"]}
    made = upload(raw, f"/{kept}/k?partNumber=1&uploadId={where['UploadId']}", LARGE, kind)
    code = made.send(made.body.replace(LARGE[:8], b"modified")).code
    assert code == ("BadDigest" if kind == STREAMING_UNSIGNED_TRAILER else "SignatureDoesNotMatch")
    assert "Parts" not in s3.list_parts(**where)
    s3.abort_multipart_upload(**where)


@pytest.mark.parametrize("kind", [STREAMING, STREAMING_TRAILER])
def test_signed_chunks_are_not_small_but_for_the_last(raw: RawClient, kept: str, kind: str) -> None:
    made = upload(raw, f"/{kept}/k", LARGE, kind, chunks=(CHUNK - 1, CHUNK))
    assert made.send().refusal == (400, "InvalidChunkSizeError")


@pytest.mark.parametrize("kind", FRAMED)
@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("199999", INCOMPLETE),
        ("200001", INCOMPLETE),
        ("0", INCOMPLETE),
        ("-1", (400, "InvalidArgument")),
        ("200000.0", (400, "InvalidArgument")),
        ("many", (400, "InvalidArgument")),
        (str((5 << 30) + 1), (400, "EntityTooLarge")),
        ("9" * 400, (400, "InvalidArgument")),
    ],
)
def test_a_decoded_length_that_is_not_the_payloads(
    raw: RawClient, kept: str, kind: str, declared: str, expected: tuple[int, str]
) -> None:
    assert upload(raw, f"/{kept}/k", LARGE, kind, decoded_length=declared).send().refusal == expected


@pytest.mark.parametrize("kind", FRAMED)
def test_a_decoded_length_is_needed(raw: RawClient, kept: str, kind: str) -> None:
    headers = {"content-encoding": "aws-chunked"} | ({} if kind == STREAMING else {"x-amz-trailer": crc32(b"")[0]})
    signed = raw.sign("PUT", f"/{kept}/k", headers, kind)
    answer = raw.send("PUT", f"/{kept}/k", signed.headers, framed(b"1", None))
    assert answer.refusal == (411, "MissingContentLength")


@pytest.mark.parametrize(
    ("kind", "announced", "trailers", "expected"),
    [
        (STREAMING, "x-amz-checksum-crc32", [], (400, "InvalidRequest")),
        (STREAMING_TRAILER, "", [crc32(LARGE)], TRAILER),
        (STREAMING_TRAILER, "x-amz-checksum-crc32", [], TRAILER),
        (STREAMING_TRAILER, "x-amz-checksum-crc32", [crc32(LARGE), crc32(LARGE)], TRAILER),
        (STREAMING_UNSIGNED_TRAILER, "", [crc32(LARGE)], TRAILER),
        (STREAMING_UNSIGNED_TRAILER, "x-amz-checksum-crc32", [], TRAILER),
        (STREAMING_UNSIGNED_TRAILER, "x-amz-checksum-crc32", [crc32(LARGE), crc32(LARGE)], TRAILER),
        (STREAMING_UNSIGNED_TRAILER, "x-amz-checksum-crc32", [("x-amz-checksum-crc32", "")], (400, "InvalidRequest")),
        (STREAMING_UNSIGNED_TRAILER, "x-amz-checksum-crc32", [("x-amz-checksum-crc32", "AA")], (400, "InvalidRequest")),
        (STREAMING_UNSIGNED_TRAILER, "x-amz-meta-late", [("x-amz-meta-late", "1")], (400, "InvalidRequest")),
    ],
)
def test_trailers_that_are_not_the_announced_ones(
    raw: RawClient, kept: str, kind: str, announced: str, trailers: Any, expected: tuple[int, str]
) -> None:
    made = upload(raw, f"/{kept}/k", LARGE, kind, trailers=trailers, announced=announced)
    assert made.send().refusal == expected


@pytest.mark.parametrize("kind", FRAMED)
def test_the_kind_of_payload_is_signed(raw: RawClient, kept: str, kind: str) -> None:
    made = upload(raw, f"/{kept}/k", LARGE, kind)
    for other in ({UNSIGNED, *FRAMED} - {kind}) | {hashlib.sha256(made.body).hexdigest()}:
        assert made.send(x_amz_content_sha256=other).refusal == MISMATCH
    assert made.send(without="x-amz-content-sha256").refusal == (400, "InvalidRequest")


@pytest.mark.parametrize("kind", [HASH, UNSIGNED])
def test_an_unframed_body_is_taken_as_it_is(s3: Any, raw: RawClient, bucket: str, kind: str) -> None:
    """Only x-amz-content-sha256 says that a body is framed, not what it looks like."""
    body = framed(b"data", None)
    assert upload(raw, f"/{bucket}/k", body, kind).send(content_encoding="aws-chunked,gzip").status == 200
    got = s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["ContentEncoding"]) == (body, "gzip")

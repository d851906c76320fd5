"""More bad input over real sockets: documents, bodies and connections that are not what they say, slow and broken ones.

The first line of refusals is in test_refusals.py. Every test here leaves a bucket as it found it, no file in the blob
store that was not there, and a gateway that serves the next request.
"""

from __future__ import annotations

import base64
import hashlib
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.clients.checks import faults, md5_hex, random_bytes, stored_files
from tests.clients.raw import (
    STREAMING,
    STREAMING_UNSIGNED_TRAILER,
    UNSIGNED,
    Answer,
    Connection,
    RawClient,
    framed,
    head,
)
from tests.harness import Gateway, running_gateway, wait_until

LARGE = random_bytes(300_000, seed=8)
KMS_HEADERS = {"content-type": "application/x-amz-json-1.1"}
MALFORMED_XML = (400, "MalformedXML")


def is_unharmed(gateway: Gateway, s3: Any, bucket: str, files: set[Path]) -> bool:
    """Nothing was stored since `files`, and the gateway stores and serves."""
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    wait_until(lambda: stored_files(gateway) <= files, "nothing is left of what was refused")
    s3.put_object(Bucket=bucket, Key="after", Body=b"after")
    served = s3.get_object(Bucket=bucket, Key="after")["Body"].read() == b"after"
    s3.delete_object(Bucket=bucket, Key="after")
    return served


@pytest.fixture
def untouched(gateway: Gateway, s3: Any, shared_bucket: str) -> Iterator[str]:
    """A bucket in which nothing may be stored."""
    files = stored_files(gateway)
    yield shared_bucket
    assert is_unharmed(gateway, s3, shared_bucket, files)


@pytest.fixture
def upload_id(s3: Any, untouched: str) -> Iterator[str]:
    """An upload to the key "u", of which no part may be stored."""
    where = {"Bucket": untouched, "Key": "u"}
    made = s3.create_multipart_upload(**where)["UploadId"]
    yield made
    assert "Parts" not in s3.list_parts(**where, UploadId=made)
    s3.abort_multipart_upload(**where, UploadId=made)


def md5_header(body: bytes) -> dict[str, str]:
    return {"content-md5": base64.b64encode(bytes.fromhex(md5_hex(body))).decode()}


# Documents.


def nested(name: str, depth: int) -> bytes:
    return f"<{name}>".encode() * depth + f"</{name}>".encode() * depth


def part(number: str, etag: str = "a") -> bytes:
    return f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>".encode()


BILLION_LAUGHS = (
    b'<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    b"<CompleteMultipartUpload>&c;</CompleteMultipartUpload>"
)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", None),
        (b"<", MALFORMED_XML),
        (b"not xml", MALFORMED_XML),
        (b"<CompleteMultipartUpload/>", None),
        (b"<CompleteMultipartUpload>" + part("1"), MALFORMED_XML),
        (b"<Other>" + part("1") + b"</Other>", MALFORMED_XML),
        (nested("CompleteMultipartUpload", 10_000), MALFORMED_XML),
        (BILLION_LAUGHS, MALFORMED_XML),
        (b"\xff\xfe" + "<CompleteMultipartUpload/>".encode("utf-16-le"), MALFORMED_XML),
        (b"<CompleteMultipartUpload>\xff</CompleteMultipartUpload>", MALFORMED_XML),
        (b"<CompleteMultipartUpload>" + part("x") + b"</CompleteMultipartUpload>", MALFORMED_XML),
        (b"<CompleteMultipartUpload>" + part("9" * 5000) + b"</CompleteMultipartUpload>", None),
        (b"<CompleteMultipartUpload>" + part("0") + b"</CompleteMultipartUpload>", (400, "InvalidArgument")),
        (b"<CompleteMultipartUpload>" + part("1") + b"</CompleteMultipartUpload>", (400, "InvalidPart")),
        (b"<CompleteMultipartUpload>" + part("2") + part("1") + b"</CompleteMultipartUpload>", None),
        (b"<CompleteMultipartUpload>" + part("1") * 10_001 + b"</CompleteMultipartUpload>", None),
        (b"<CompleteMultipartUpload>" + part("1", "e" * 100_000) + b"</CompleteMultipartUpload>", None),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else None,
)
def test_lists_of_parts_that_are_none(
    raw: RawClient, untouched: str, upload_id: str, content: bytes, expected: tuple[int, str] | None
) -> None:
    answer = raw.request("POST", f"/{untouched}/u?uploadId={upload_id}", body=content)
    if expected is None:
        assert answer.status == 400
        assert answer.code in ("MalformedXML", "InvalidArgument", "InvalidPart", "InvalidPartOrder", "InvalidRequest")
    else:
        assert answer.refusal == expected


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "MalformedXML"),
        (b"<", "MalformedXML"),
        (b"<ServerSideEncryptionConfiguration/>", "MalformedXML"),
        (b"<ServerSideEncryptionConfiguration><Rule/></ServerSideEncryptionConfiguration>", "MalformedXML"),
        (nested("Rule", 5000), "MalformedXML"),
        (b"\x00", "MalformedXML"),
    ],
    ids=lambda value: repr(value[:40]) if isinstance(value, bytes) else value,
)
def test_encryption_documents_that_are_none(s3: Any, raw: RawClient, untouched: str, content: bytes, code: str) -> None:
    before = s3.get_bucket_encryption(Bucket=untouched)["ServerSideEncryptionConfiguration"]
    assert raw.request("PUT", f"/{untouched}?encryption", body=content).refusal == (400, code)
    assert s3.get_bucket_encryption(Bucket=untouched)["ServerSideEncryptionConfiguration"] == before


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"<CreateBucket", "MalformedXML"),
        (b"<Other/>", "MalformedXML"),
        (b"<CreateBucketConfiguration><LocationConstraint>mars</LocationConstraint></CreateBucketConfiguration>",
         "InvalidLocationConstraint"),
    ],
)  # fmt: skip
def test_a_document_that_makes_no_bucket(s3: Any, raw: RawClient, untouched: str, content: bytes, code: str) -> None:
    name = f"{untouched[:50]}-2"
    assert raw.request("PUT", f"/{name}", body=content).refusal == (400, code)
    assert raw.request("HEAD", f"/{name}").status == 404


DELETE = b"<Delete><Object><Key>kept</Key></Object></Delete>"


@pytest.mark.parametrize(
    ("headers", "sent", "code"),
    [
        (md5_header(b"other"), DELETE, "BadDigest"),
        ({"content-md5": "none"}, DELETE, "InvalidDigest"),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, DELETE, "BadDigest"),
        ({"x-amz-checksum-sha256": "none"}, DELETE, "InvalidRequest"),
        (md5_header(DELETE), DELETE.replace(b"kept", b"KEPT"), "XAmzContentSHA256Mismatch"),
    ],
)
def test_a_document_that_is_not_the_declared_one_does_nothing(
    gateway: Gateway, s3: Any, raw: RawClient, bucket: str, headers: dict[str, str], sent: bytes, code: str
) -> None:
    s3.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    signed = raw.sign("POST", f"/{bucket}?delete", headers, hashlib.sha256(DELETE).hexdigest())
    assert raw.send("POST", f"/{bucket}?delete", signed.headers, sent).refusal == (400, code)
    assert s3.get_object(Bucket=bucket, Key="kept")["Body"].read() == b"kept"


@pytest.mark.parametrize("kind", ["UNSIGNED-PAYLOAD", "hash"])
@pytest.mark.parametrize(
    ("method", "query"), [("POST", "delete"), ("PUT", "encryption"), ("POST", "uploadId={upload_id}"), ("PUT", "")]
)
def test_documents_have_an_end(
    raw: RawClient, untouched: str, upload_id: str, method: str, query: str, kind: str
) -> None:
    """The declared length is enough: nothing of the body is waited for."""
    path = f"/{untouched}/u" if "upload" in query else f"/{untouched}"
    target = f"{path}?{query.format(upload_id=upload_id)}" if query else path
    signed = raw.sign(method, target, md5_header(b""), UNSIGNED if kind == UNSIGNED else "0" * 64)
    answer = raw.send(method, target, {**signed.headers, "content-length": str(1 << 30)})
    assert answer.refusal == (400, "MaxMessageLengthExceeded")


@pytest.mark.parametrize("number", ["0", "10001", "x", "", "-1", "1.5", "%EF%BC%91", "9" * 5000])
def test_part_numbers_that_are_none(raw: RawClient, untouched: str, upload_id: str, number: str) -> None:
    target = f"/{untouched}/u?partNumber={number}&uploadId={upload_id}"
    assert raw.request("PUT", target, body=LARGE).refusal == (400, "InvalidArgument")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("&".join(f"a{number}=1" for number in range(300)), "InvalidURI"),
        ("list-type=2&start-after=" + "k" * 3000, "KeyTooLongError"),
        ("prefix=" + "p" * 3000, "KeyTooLongError"),
        ("list-type=2&max-keys=" + "9" * 5000, "InvalidArgument"),
        ("list-type=2&max-keys=%EF%BC%91", "InvalidArgument"),
        ("list-type=2&max-keys=1e3", "InvalidArgument"),
        ("list-type=2&continuation-token=", "InvalidArgument"),
        ("list-type=2&continuation-token=" + "A" * 5000, "InvalidArgument"),
        ("uploads&max-uploads=x", "InvalidArgument"),
        ("list-type=2&prefix=%ff", "InvalidURI"),
        ("%zz", "InvalidURI"),
    ],
    ids=lambda value: value[:40],
)
def test_queries_out_of_bounds(raw: RawClient, untouched: str, query: str, code: str) -> None:
    assert raw.request("GET", f"/{untouched}?{query}").refusal == (400, code)


# Keys and headers of uploads.


@pytest.mark.parametrize("body", [b"x", LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("k" * 1025, "KeyTooLongError"),
        ("%C3%A9" * 513, "KeyTooLongError"),
        ("a%ff", "InvalidURI"),
        ("%ed%a0%80", "InvalidURI"),
        ("a%", "InvalidURI"),
        ("a%0", "InvalidURI"),
    ],
    ids=lambda value: repr(value[:20]) if isinstance(value, str) else None,
)
def test_keys_that_are_none(raw: RawClient, untouched: str, key: str, code: str, body: bytes) -> None:
    signed = raw.sign("PUT", f"/{untouched}/{key}")
    assert raw.send("PUT", f"/{untouched}/{key}", signed.headers, body).refusal == (400, code)


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: abc",
        b"Content-Length: +5",
        b"Content-Length: -5",
        b"Content-Length: 5_0",
        b"Content-Length: 5, 5",
        b"Content-Length: 5\r\nContent-Length: 6",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Content-Length: " + b"9" * 400,
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: chunked, chunked",
    ],
)
def test_lengths_that_are_none(raw: RawClient, untouched: str, lines: bytes) -> None:
    """Two readings of where a body ends are how requests are smuggled: refused, and the connection closed."""
    signed = raw.sign("PUT", f"/{untouched}/k")
    with raw.connect() as connection:
        connection.send(head("PUT", f"/{untouched}/k", signed.headers).removesuffix(b"\r\n") + lines + b"\r\n\r\nhello")
        assert connection.answer("PUT").refusal == (400, "BadRequest")
        assert connection.is_ended()


@pytest.mark.parametrize("framing", [b"zz\r\n", b"5\r\nhello", b"5\r\nhelloX\r\n0\r\n\r\n", b"-1\r\n\r\n"])
def test_chunked_transfers_are_not_uploads(raw: RawClient, untouched: str, framing: bytes) -> None:
    """S3 wants the length of what it is to store; whatever the framing holds, nothing of it is stored."""
    signed = raw.sign("PUT", f"/{untouched}/k")
    with raw.connect() as connection:
        connection.send(head("PUT", f"/{untouched}/k", {**signed.headers, "transfer-encoding": "chunked"}) + framing)
        answer = connection.answer("PUT")
    assert answer.refusal in [(501, "NotImplemented"), (400, "BadRequest"), (400, "IncompleteBody")]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-meta-a": "m" * 1024, "x-amz-meta-b": "m" * 1024}, "MetadataTooLarge"),
        ({"x-amz-meta-" + "n" * 2048: "v"}, "MetadataTooLarge"),
        ({f"x-amz-meta-{number}": "" for number in range(200)}, "RequestHeaderSectionTooLarge"),
        ({"x-amz-meta-a": "m" * 20_000}, "RequestHeaderSectionTooLarge"),
        ({"content-type": "t" * 9000}, "RequestHeaderSectionTooLarge"),
        (
            {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-context": "none"},
            "InvalidArgument",
        ),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_headers_out_of_bounds(raw: RawClient, untouched: str, headers: dict[str, str], code: str) -> None:
    assert raw.request("PUT", f"/{untouched}/k", headers, LARGE).refusal == (400, code)


# Bodies of the KMS.


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\xff\xfe{}", "SerializationException"),
        (b"null", "SerializationException"),
        (b'"text"', "SerializationException"),
        (b"1e999999", "SerializationException"),
        (b'{"KeySpec":NaN}', "SerializationException"),
        (b'{"Description":"\\ud800"}', "SerializationException"),
        (b'{"Description":7}', "SerializationException"),
        (b'{"a":' * 50_000, "SerializationException"),
        (b'{"Description":"' + b"d" * 8193 + b'"}', "ValidationException"),
        (b'{"Description":"d"} {}', "SerializationException"),
        (b" " * (1 << 20) + b"{}", "SerializationException"),
    ],
    ids=lambda value: repr(value[:24]) if isinstance(value, bytes) else None,
)
def test_kms_bodies_make_no_key(kms: Any, raw: RawClient, body: bytes, code: str) -> None:
    def keys() -> set[str]:
        return {key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]}

    before = keys()
    headers = {**KMS_HEADERS, "x-amz-target": "TrentService.CreateKey"}
    assert raw.request("POST", "/", headers, body, service="kms").refusal == (400, code)
    assert keys() == before


def test_a_kms_body_that_is_not_the_signed_one(raw: RawClient) -> None:
    headers = {**KMS_HEADERS, "x-amz-target": "TrentService.ListKeys"}
    signed = raw.sign("POST", "/", headers, hashlib.sha256(b"{}").hexdigest(), service="kms")
    assert raw.send("POST", "/", signed.headers, b'{"Limit":1}').refusal == (400, "InvalidSignatureException")
    assert raw.send("POST", "/", signed.headers, b"{}").status == 200


# Connections that end.


def beginnings(raw: RawClient, bucket: str, upload_id: str) -> dict[str, bytes]:
    """Requests that lack the last of their bytes, by what they are."""
    part_target = f"/{bucket}/u?partNumber=1&uploadId={upload_id}"
    put = raw.sign("PUT", f"/{bucket}/k")
    put_part = raw.sign("PUT", part_target)
    length = {"x-amz-decoded-content-length": str(len(LARGE))}
    stream = raw.sign("PUT", f"/{bucket}/k", length, STREAMING)
    unsigned = raw.sign("PUT", f"/{bucket}/k", length, STREAMING_UNSIGNED_TRAILER)
    complete = raw.sign("POST", f"/{bucket}/u?uploadId={upload_id}")
    create_key = {**KMS_HEADERS, "x-amz-target": "TrentService.CreateKey"}
    kms = raw.sign("POST", "/", create_key, hashlib.sha256(b"{}").hexdigest(), service="kms")

    def begun(method: str, target: str, headers: dict[str, str], body: bytes) -> bytes:
        return (head(method, target, {**headers, "content-length": str(len(body))}) + body)[:-1]

    return {
        "small": begun("PUT", f"/{bucket}/k", put.headers, b"small"),
        "large": begun("PUT", f"/{bucket}/k", put.headers, LARGE),
        "part": begun("PUT", part_target, put_part.headers, LARGE),
        "signed": begun("PUT", f"/{bucket}/k", stream.headers, framed(LARGE, stream, (65_536, 100_000))),
        "unsigned": begun("PUT", f"/{bucket}/k", unsigned.headers, framed(LARGE, None, (65_536, 100_000))),
        "document": begun("POST", f"/{bucket}/u?uploadId={upload_id}", complete.headers, part("1")),
        "kms": begun("POST", "/", kms.headers, b"{}"),
    }


BEGINNINGS = ["small", "large", "part", "signed", "unsigned", "document", "kms"]


def log_lines(gateway: Gateway) -> list[str]:
    return gateway.log_path.read_text(errors="replace").splitlines()


@pytest.mark.parametrize("end", ["closed", "reset"])
def test_connections_cut_one_byte_before_the_end(
    gateway: Gateway, raw: RawClient, untouched: str, upload_id: str, end: str
) -> None:
    requests = beginnings(raw, untouched, upload_id)
    assert list(requests) == BEGINNINGS
    seen = len(log_lines(gateway))
    for request in requests.values():
        with raw.connect() as connection:
            if end == "reset":
                connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.send(request)

    def ended() -> bool:
        return sum('"bytes_in"' in line and '"method":"P' in line for line in log_lines(gateway)[seen:]) >= len(
            requests
        )

    wait_until(ended, "every request that was cut has ended")


@pytest.mark.parametrize("sent", [b"", b"P", b"PUT / HT", b"PUT / HTTP/1.1\r\nHost: a\r\nContent-"])
def test_connections_cut_before_a_request(raw: RawClient, untouched: str, sent: bytes) -> None:
    for _ in range(3):
        with raw.connect() as connection:
            connection.send(sent)


# Slow clients.


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that waits a second for headers, and for the next piece of a body."""
    environment = {"SEALGATE_LISTEN_HEADER_SECONDS": "1", "SEALGATE_LISTEN_BODY_READ_SECONDS": "1"}
    with running_gateway(tmp_path_factory.mktemp("impatient"), environment=environment, root="file") as made:
        yield made
    assert faults(made) == []


def test_bodies_that_stall_are_told_and_nothing_of_them_is_stored(impatient: Gateway) -> None:
    s3, raw = impatient.client("s3"), RawClient(impatient)
    s3.create_bucket(Bucket="stalled")
    where = {"Bucket": "stalled", "Key": "u"}
    where["UploadId"] = s3.create_multipart_upload(**where)["UploadId"]
    files = stored_files(impatient)
    answers: dict[str, Answer] = {}
    with ExitStack() as stack:
        connections: dict[str, Connection] = {}
        for name, request in beginnings(raw, "stalled", where["UploadId"]).items():
            connections[name] = stack.enter_context(raw.connect())
            connections[name].send(request)
        assert s3.list_objects_v2(Bucket="stalled")["KeyCount"] == 0, "others are served meanwhile"
        for name, connection in connections.items():
            answers[name] = connection.answer("PUT")
            assert connection.is_ended(), name
    expected = dict.fromkeys(BEGINNINGS, (400, "RequestTimeout")) | {"kms": (400, "SerializationException")}
    assert {name: answer.refusal for name, answer in answers.items()} == expected
    assert "Parts" not in s3.list_parts(**where)
    assert is_unharmed(impatient, s3, "stalled", files)
    assert impatient.client("kms").list_keys()["Keys"] == []


def test_headers_that_trickle_are_told_although_they_never_stall(impatient: Gateway) -> None:
    """Each byte comes in time; the deadline is that of the whole section."""
    with RawClient(impatient).connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nX-Slow: ")
        sent = 0
        while not select.select([connection.socket], [], [], 0.1)[0]:
            connection.send(b"x")
            sent += 1
            assert sent < 300, "nothing was answered in half a minute"
        assert connection.answer().refusal == (400, "RequestTimeout")
        assert connection.is_ended()

"""HTTP that no client library would send: refused or understood, never a fault, and the gateway goes on.

That no request of the session answers 500 is held by the `gateway` fixture.
"""

from __future__ import annotations

import random
import selectors
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.acceptance.observe import metric
from tests.clients.checks import stored_files
from tests.clients.raw import STREAMING, STREAMING_UNSIGNED_TRAILER, Connection, RawClient, framed, head
from tests.harness import Gateway, wait_until

BAD_REQUEST = (400, "BadRequest")
TOO_LARGE = (400, "RequestHeaderSectionTooLarge")
ANONYMOUS = (403, "AccessDenied")


def get(*lines: bytes, line: bytes = b"GET / HTTP/1.1", host: bytes = b"host: a") -> bytes:
    return b"\r\n".join((line, *([host] if host else []), *lines, b"", b""))


REQUESTS: dict[str, tuple[bytes, tuple[int, str]]] = {
    "no host": (get(host=b""), BAD_REQUEST),
    "two hosts": (get(b"host: b"), BAD_REQUEST),
    "HTTP/1.0": (get(line=b"GET / HTTP/1.0"), ANONYMOUS),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD_REQUEST),
    "HTTP/3": (get(line=b"GET / HTTP/3.0"), BAD_REQUEST),
    "another protocol": (get(line=b"GET / FTP/1.1"), BAD_REQUEST),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", BAD_REQUEST),
    "every byte": (bytes(range(256)) + b"\r\n\r\n", BAD_REQUEST),
    "a folded header": (get(b"x-a: b", b" c"), BAD_REQUEST),
    "a blank before the colon": (get(host=b"host : a"), BAD_REQUEST),
    "a header without a name": (get(b": a"), BAD_REQUEST),
    "a header without a colon": (get(b"a"), BAD_REQUEST),
    "NUL in a header": (get(b"x: a\0b"), BAD_REQUEST),
    "CR in a header": (get(b"x: a\rb"), BAD_REQUEST),
    "lines that end in LF alone": (b"GET / HTTP/1.1\nhost: a\n\n", BAD_REQUEST),
    "a header that is no UTF-8": (get(b"x-amz-meta-a: \xe9"), BAD_REQUEST),
    "a header's name that is no ASCII": (get(b"x-\xe9: a"), BAD_REQUEST),
    "a path that is no ASCII": (get(line="GET /é HTTP/1.1".encode()), (400, "InvalidURI")),
    "a target that is no path": (get(line=b"GET a/b HTTP/1.1"), (400, "InvalidURI")),
    "a target of another scheme": (get(line=b"GET ftp://a/b HTTP/1.1"), BAD_REQUEST),
    "CONNECT": (get(line=b"CONNECT a:80 HTTP/1.1"), BAD_REQUEST),
    "OPTIONS *": (get(line=b"OPTIONS * HTTP/1.1"), BAD_REQUEST),
    "empty lines first": (b"\r\n\r\n" + get(), ANONYMOUS),
    "too many headers": (get(*(b"x-%d: a" % number for number in range(200))), TOO_LARGE),
    "headers too long together": (get(*(b"x-%d: %s" % (number, b"y" * 1000) for number in range(30))), TOO_LARGE),
    "a header too long": (get(b"x: " + b"y" * 20_000), TOO_LARGE),
    "a target too long": (get(line=b"GET /" + b"a" * 20_000 + b" HTTP/1.1"), TOO_LARGE),
    "a line that never ends": (b"GET /" + b"a" * 200_000, TOO_LARGE),
    "too many parameters": (get(line=b"GET /?" + b"&".join([b"a"] * 300) + b" HTTP/1.1"), (400, "InvalidURI")),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_requests(raw: RawClient, name: str) -> None:
    request, expected = REQUESTS[name]
    with raw.connect() as connection:
        connection.send(request)
        assert connection.answer().refusal == expected


LENGTHS: dict[str, tuple[bytes, bytes, tuple[int, str]]] = {
    "two lengths": (b"content-length: 4\r\ncontent-length: 5", b"aaaaa", BAD_REQUEST),
    "a length twice": (b"content-length: 4\r\ncontent-length: 4", b"aaaa", BAD_REQUEST),
    "a list of lengths": (b"content-length: 4, 4", b"aaaa", BAD_REQUEST),
    "a length below zero": (b"content-length: -1", b"", BAD_REQUEST),
    "a length with a sign": (b"content-length: +1", b"a", BAD_REQUEST),
    "a length that is no number": (b"content-length: x", b"", BAD_REQUEST),
    "a length of many digits": (b"content-length: " + b"9" * 30, b"", BAD_REQUEST),
    "a length beyond 5 GiB": (b"content-length: 5368709121", b"", (400, "EntityTooLarge")),
    "a length and a transfer coding": (
        b"content-length: 4\r\ntransfer-encoding: chunked",
        b"0\r\n\r\n",
        BAD_REQUEST,
    ),
    "another transfer coding": (b"transfer-encoding: gzip", b"", BAD_REQUEST),
    "no length": (b"x-a: b", b"", (411, "MissingContentLength")),
    "chunked": (b"transfer-encoding: chunked", b"4\r\nabcd\r\n0\r\n\r\n", (501, "NotImplemented")),
}
"""Where two readers could disagree on where a body ends, it must not be guessed (RFC 9112, section 6.3)."""


@pytest.mark.parametrize("name", LENGTHS)
def test_lengths(s3: Any, raw: RawClient, bucket: str, name: str) -> None:
    headers, body, expected = LENGTHS[name]
    request = head("PUT", f"/{bucket}/k", raw.sign("PUT", f"/{bucket}/k").headers)
    with raw.connect() as connection:
        connection.send(request[:-2] + headers + b"\r\n\r\n" + body)
        assert connection.answer().refusal == expected
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_second_request_cannot_hide_in_a_refused_body(s3: Any, raw: RawClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="victim", Body=b"1")
    hidden = head("DELETE", f"/{bucket}/victim", raw.sign("DELETE", f"/{bucket}/victim").headers)
    request = head("PUT", f"/{bucket}/k", raw.sign("PUT", f"/{bucket}/k").headers)
    framing = b"content-length: %d\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" % (5 + len(hidden))
    with raw.connect() as connection:
        connection.send(request[:-2] + framing + hidden)
        assert connection.answer().refusal == BAD_REQUEST
        assert connection.is_ended()
    assert s3.head_object(Bucket=bucket, Key="victim")["ContentLength"] == 1


def test_a_refused_upload_is_not_asked_to_continue(raw: RawClient) -> None:
    target = "/never-created/k"
    headers = {**raw.sign("PUT", target).headers, "content-length": "400000", "expect": "100-continue"}
    with raw.connect() as connection:
        connection.send(head("PUT", target, headers))
        assert connection.raw_answer().startswith(b"HTTP/1.1 404 ")


def test_an_accepted_upload_is_asked_to_continue(s3: Any, raw: RawClient, bucket: str) -> None:
    target = f"/{bucket}/k"
    headers = {**raw.sign("PUT", target).headers, "content-length": "4", "expect": "100-continue"}
    with raw.connect() as connection:
        connection.send(head("PUT", target, headers))
        assert connection.raw_answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"body")
        assert connection.answer("PUT").status == 200
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


@pytest.mark.parametrize("size", [10_000, 3_000_000])
def test_an_upload_that_is_refused_early_gets_its_answer(raw: RawClient, size: int) -> None:
    """Also when the client goes on sending: closing upon unread bytes would destroy the answer."""
    target = "/never-created/k"
    answer = raw.request("PUT", target, body=b"x" * size)
    assert answer.refusal == (404, "NoSuchBucket")


LARGE = b"\x00" * 100_000
FRAMES: dict[str, tuple[str, bytes, tuple[int, str]]] = {
    "a size of many digits": (STREAMING_UNSIGNED_TRAILER, b"f" * 17 + b"\r\n", (400, "IncompleteBody")),
    "a size beyond what was declared": (STREAMING_UNSIGNED_TRAILER, b"ffffffffffffffff\r\n", (400, "IncompleteBody")),
    "a size below zero": (STREAMING_UNSIGNED_TRAILER, b"-1\r\n", (400, "IncompleteBody")),
    "no size": (STREAMING_UNSIGNED_TRAILER, b"\r\n", (400, "IncompleteBody")),
    "a line that never ends": (STREAMING_UNSIGNED_TRAILER, b"1;" + b"x" * 50_000, (400, "IncompleteBody")),
    "trailers without end": (
        STREAMING_UNSIGNED_TRAILER,
        b"186a0\r\n" + LARGE + b"\r\n0\r\n" + b"x-amz-checksum-crc32:AAAAAA==\r\n" * 1000,
        (400, "MalformedTrailerError"),
    ),
    "an end before all was sent": (STREAMING_UNSIGNED_TRAILER, b"1\r\nx\r\n0\r\n\r\n", (400, "IncompleteBody")),
    "a chunk without a signature": (STREAMING, b"186a0\r\n" + LARGE + b"\r\n", (403, "SignatureDoesNotMatch")),
    "a chunk with a short signature": (
        STREAMING,
        b"186a0;chunk-signature=00\r\n" + LARGE + b"\r\n",
        (403, "SignatureDoesNotMatch"),
    ),
    "another extension": (STREAMING, b"186a0;name=value\r\n" + LARGE + b"\r\n", (403, "SignatureDoesNotMatch")),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames(gateway: Gateway, s3: Any, raw: RawClient, bucket: str, name: str) -> None:
    before = stored_files(gateway)
    kind, body, expected = FRAMES[name]
    declared = {"x-amz-decoded-content-length": str(len(LARGE)), "content-length": str(len(body))}
    signed = raw.sign("PUT", f"/{bucket}/k", declared, kind)
    assert raw.send("PUT", f"/{bucket}/k", signed.headers, body).refusal == expected
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert stored_files(gateway) == before


@pytest.mark.parametrize("sizes", [[100], [8191], [8192, 10], [65_536, 100]])
def test_small_chunks_that_are_signed_are_refused_but_for_the_last(
    raw: RawClient, bucket: str, sizes: list[int]
) -> None:
    answer = raw.stream(f"/{bucket}/k", LARGE, kind=STREAMING, chunks=sizes)
    assert answer.refusal == (400, "InvalidChunkSizeError")
    assert raw.stream(f"/{bucket}/k", LARGE, kind=STREAMING, chunks=[8192, 90_000]).status == 200


def test_data_after_the_end_of_the_frames_is_refused(s3: Any, raw: RawClient, bucket: str) -> None:
    body = framed(b"x", None) + b"more"
    declared = {"x-amz-decoded-content-length": "1", "content-length": str(len(body))}
    signed = raw.sign("PUT", f"/{bucket}/k", declared, STREAMING_UNSIGNED_TRAILER)
    assert raw.send("PUT", f"/{bucket}/k", signed.headers, body).refusal == (400, "IncompleteBody")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def mutations(request: bytes, seed: int, count: int) -> Iterator[bytes]:
    choose = random.Random(seed)
    for _ in range(count):
        changed = bytearray(request)
        for _ in range(choose.randint(1, 4)):
            at = choose.randrange(len(changed))
            match choose.randrange(5):
                case 0:
                    changed[at] = choose.randrange(256)
                case 1:
                    del changed[at : at + choose.randint(1, 20)]
                case 2:
                    changed[at:at] = choose.randbytes(choose.randint(1, 20))
                case 3:
                    changed[at:at] = changed[at : at + choose.randint(1, 60)]
                case 4:
                    changed[at:at] = choose.choice([b"\r\n", b"\0", b"%", b"=", b"&", b";", b",", b'"', b"\xff"])
        yield bytes(changed)


@pytest.mark.parametrize("what", ["get", "put", "list", "presigned", "complete", "chunked", "kms"])
def test_changed_requests_get_an_answer_or_none_but_never_a_fault(
    gateway: Gateway, raw: RawClient, s3: Any, bucket: str, what: str
) -> None:
    requests = list(mutations(valid_request(raw, bucket, what), seed=len(what), count=100))
    answers = answers_to(raw, requests)
    assert [request for request, got in zip(requests, answers, strict=True) if b"HTTP/1.1 500" in got] == []
    assert sum(got.startswith(b"HTTP/1.1 ") for got in answers) > len(requests) // 2
    assert s3.head_bucket(Bucket=bucket)["BucketRegion"] == "us-east-1"


QUIET_SECONDS = 0.5
"""A request that lost its end gets no answer before its deadline: when nothing more comes, the others have theirs."""


def answers_to(raw: RawClient, requests: list[bytes]) -> list[bytes]:
    """What comes back first on a connection for each, all open at once; empty where nothing does."""
    answers = [b""] * len(requests)
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number, request in enumerate(requests):
            connection = stack.enter_context(raw.connect())
            connection.send(request)
            selector.register(connection.socket, selectors.EVENT_READ, number)
        while selector.get_map() and (ready := selector.select(QUIET_SECONDS)):
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                with suppress(ConnectionError):
                    answers[key.data] = key.fileobj.recv(65_536)
                selector.unregister(key.fileobj)
    return answers


def valid_request(raw: RawClient, bucket: str, what: str) -> bytes:
    if what == "presigned":
        return head("GET", raw.presign("GET", f"/{bucket}/k?response-content-type=a"), {"host": raw.host})
    if what == "kms":
        body = b'{"KeyId": "alias/x", "Plaintext": "AAAA", "EncryptionContext": {"a": "b"}}'
        headers = {"x-amz-target": "TrentService.Encrypt", "content-type": "application/x-amz-json-1.1"}
        return signed_request(raw, "POST", "/", headers, body, service="kms")
    if what == "complete":
        body = (
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>"
        )
        return signed_request(raw, "POST", f"/{bucket}/k?uploadId=x", {}, body)
    if what == "chunked":
        headers = {"x-amz-decoded-content-length": "20000"}
        signed = raw.sign("PUT", f"/{bucket}/k", headers, STREAMING)
        body = framed(b"x" * 20_000, signed, [10_000])
        return head("PUT", f"/{bucket}/k", {**signed.headers, "content-length": str(len(body))}) + body
    if what == "put":
        headers = {"content-type": "text/plain", "x-amz-meta-a": "b", "x-amz-server-side-encryption": "aws:kms"}
        return signed_request(raw, "PUT", f"/{bucket}/k", headers, b"body")
    target = f"/{bucket}/k" if what == "get" else f"/{bucket}?list-type=2&prefix=a%20b&delimiter=%2F&max-keys=10"
    return signed_request(raw, "GET", target, {"range": "bytes=0-1", "if-none-match": '"x"'}, b"")


def signed_request(
    raw: RawClient, method: str, target: str, headers: dict[str, str], body: bytes, service: str = "s3"
) -> bytes:
    signed = raw.sign_body(method, target, headers, body, service=service)
    return head(method, target, {**signed.headers, "content-length": str(len(body))}) + body


CROWD = 60
"""Connections of each kind, at once."""


def test_memory_is_bounded_while_many_clients_take_their_time(
    gateway: Gateway, s3: Any, raw: RawClient, bucket: str
) -> None:
    """Half a header section, a stalled large upload, and a download that nobody reads, each many times."""
    s3.put_object(Bucket=bucket, Key="large", Body=b"\0" * (8 << 20))
    for _ in range(3):
        s3.get_object(Bucket=bucket, Key="large")["Body"].read()
    before = stored_files(gateway)
    at_rest = resident_kib(gateway)
    upload = head("PUT", f"/{bucket}/k", {**raw.sign("PUT", f"/{bucket}/k").headers, "content-length": str(1 << 30)})
    download = head("GET", f"/{bucket}/large", raw.sign("GET", f"/{bucket}/large").headers)
    with ExitStack() as crowd:

        def enter() -> Connection:
            return crowd.enter_context(raw.connect())

        for _ in range(CROWD):
            enter().send(b"GET / HTTP/1.1\r\nx-a: " + b"a" * 15_000)
            enter().send(upload + b"\0" * 1_000_000)
            enter().send(download)
        wait_until(lambda: in_flight(gateway) >= 2 * CROWD, "every upload and download is under way")
        assert s3.put_object(Bucket=bucket, Key="meanwhile", Body=b"1")["ETag"]
        grown = resident_kib(gateway) - at_rest
    assert grown < (3 * CROWD) << 10, f"{grown} KiB for {3 * CROWD} connections"
    wait_until(lambda: in_flight(gateway) == 0, "all are over")
    wait_until(lambda: len(stored_files(gateway)) <= len(before), "what the cut uploads had written is gone")
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["large", "meanwhile"]


def in_flight(gateway: Gateway) -> float:
    """Requests being served, as the gateway notes each second."""
    return metric(gateway, "sealgate_requests_in_flight")


def resident_kib(gateway: Gateway) -> int:
    """Resident memory of the gateway's worker."""
    (pid,) = gateway.children("gateway.worker")
    return int(subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True).stdout)
